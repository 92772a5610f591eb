"""Datasets: which images there are, whose they are, and what is known about them."""

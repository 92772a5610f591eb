"""Readers of public datasets, each for the folder as its authors publish it."""

"""Turning frames into vectors once: the extraction engine and the content-addressed store behind it."""

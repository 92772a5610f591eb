"""Bundled tasks and dataset readers."""

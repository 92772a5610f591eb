"""Boards as Markdown."""

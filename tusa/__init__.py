"""Texture ultrasound semantic analysis."""

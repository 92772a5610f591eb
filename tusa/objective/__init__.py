"""What TUSA is trained to do: one small module a term, and their weighted sum in ``total``."""

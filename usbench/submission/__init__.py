"""Results for a public board: what leaves the machine, and whether it is valid."""

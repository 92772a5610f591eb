"""Real images that travel with the package, and the script that chose them."""

"""Real images that travel with the package; `recipes/subsets` chose and packed them."""

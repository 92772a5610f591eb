"""From vectors and labels to scores."""

"""The temporal-attention regression head of the paper, trained for many folds at once."""

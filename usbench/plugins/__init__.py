"""Finding encoders, tasks, datasets and the folders in which data lie."""

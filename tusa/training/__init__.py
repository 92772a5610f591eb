"""The trainer: corpus, sampling, augmentation, schedule, checkpoints and the loop itself."""

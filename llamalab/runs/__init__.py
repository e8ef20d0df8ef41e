"""A training run that survives: its folder, its checkpoints, the fastest settings for it."""

"""Notebook 10: the reward model's loss, two scores in one, noisy labels, calibration."""

ORDER = (
    "reward_loss",
    "combined_reward",
    "label_ceiling",
    "calibration_error",
)

"""Notebook 10: the reward model's loss, two scores in one, noisy labels, calibration."""

ORDER = (
    "reward_loss",
    "label_ceiling",
    "calibration_error",
    "combined_reward",
    "best_of_n",
)

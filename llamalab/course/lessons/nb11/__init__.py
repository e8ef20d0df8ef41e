"""Notebook 11: estimating KL, rewards by token, GAE, whitening, PPO's loss, and DPO's."""

ORDER = (
    "kl_estimators",
    "token_rewards",
    "gae",
    "whiten",
    "ppo_loss",
    "dpo_loss",
)

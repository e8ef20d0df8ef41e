"""Training: loss, Llama 2's optimizer and schedule, batches from disk, the loop."""

from .batches import Batches, documents, read_tokens, validation_batches, write_tokens
from .loop import NonFiniteLoss, StepRecord, TrainState, evaluate, train
from .losses import next_token_loss, shift, summed_loss
from .optim import TrainConfig, decayed, learning_rate, make_optimizer

__all__ = [
    "Batches",
    "NonFiniteLoss",
    "StepRecord",
    "TrainConfig",
    "TrainState",
    "decayed",
    "documents",
    "evaluate",
    "learning_rate",
    "make_optimizer",
    "next_token_loss",
    "read_tokens",
    "shift",
    "summed_loss",
    "train",
    "validation_batches",
    "write_tokens",
]

"""What several exercises of notebook 02 share."""

import torch


def _gain(size, generator):
    return 1 + 0.3 * torch.randn(size, generator=generator)

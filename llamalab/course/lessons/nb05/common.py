"""What several exercises of notebook 05 share."""

import torch


def _weights(dim, hidden, generator):
    w1, w3 = (torch.randn(hidden, dim, generator=generator) / dim**0.5 for _ in range(2))
    return w1, torch.randn(dim, hidden, generator=generator) / hidden**0.5, w3

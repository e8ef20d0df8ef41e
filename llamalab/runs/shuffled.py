"""Lists of things in a seeded order, without end, that can be gone on with at any place.

Each epoch visits every thing once, in an order that depends on the seed and the epoch alone; the
last batch of an epoch may be smaller. So a position, one number, is all that a resumed run needs.
"""

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import torch

from llamalab.training.batches import epoch_seed

T = TypeVar("T")


class Shuffled(Generic[T]):
    """Batches of `batch_size` of `things`. `position` is the number of the next batch; set it to go
    on elsewhere. ValueError for no things, and for a batch of none."""

    def __init__(self, things: Sequence[T], batch_size: int, *, seed: int = 0):
        if not things or batch_size < 1:
            raise ValueError(
                f"{len(things)} things in batches of {batch_size}: both must be at least 1"
            )
        self.things, self.batch_size, self.seed = things, batch_size, seed
        self.per_epoch = -(-len(things) // batch_size)
        self.position = 0
        self._epoch, self._order = -1, [0]

    def __iter__(self) -> Iterator[list[T]]:
        return self

    def __next__(self) -> list[T]:
        epoch, place = divmod(self.position, self.per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(epoch_seed(self.seed, epoch))
            order = torch.randperm(len(self.things), generator=generator)
            self._epoch, self._order = epoch, order.tolist()
        self.position += 1
        first = place * self.batch_size
        return [self.things[i] for i in self._order[first : first + self.batch_size]]

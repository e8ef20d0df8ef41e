"""Every thing once an epoch, in an order of the seed's, from any place on."""

import pytest
import torch

from llamalab.runs.shuffled import Shuffled


@pytest.mark.parametrize("size", [1, 3, 4, 10, 11])
def test_each_epoch_has_every_thing_once(size):
    batches = Shuffled("abcdefghij", size, seed=3)
    epochs = [[next(batches) for _ in range(batches.per_epoch)] for _ in range(3)]
    flat = [[one for batch in epoch for one in batch] for epoch in epochs]
    assert all(sorted(epoch) == list("abcdefghij") for epoch in flat)
    assert len({tuple(epoch) for epoch in flat}) == 3  # another order each time
    assert all(len(batch) == min(size, 10) for epoch in epochs for batch in epoch[:-1])


def test_a_position_is_all_that_is_needed_to_go_on():
    whole = Shuffled(range(7), 3, seed=5)
    told = [next(whole) for _ in range(9)]
    for position in (0, 1, 4, 8):
        other = Shuffled(range(7), 3, seed=5)
        next(other)  # wherever it was
        other.position = position
        assert next(other) == told[position] and other.position == position + 1


def test_the_seed_decides_and_nothing_else_does():
    torch.manual_seed(1)
    one = [next(Shuffled(range(50), 50, seed=seed)) for seed in (1, 1, 2)]
    before = torch.get_rng_state()
    next(Shuffled(range(50), 5))
    assert one[0] == one[1] != one[2] and torch.equal(torch.get_rng_state(), before)


def test_of_nothing_there_are_no_batches():
    for things, size in (([], 1), ([1], 0)):
        with pytest.raises(ValueError, match=f"{len(things)} things in batches of {size}"):
            Shuffled(things, size)

"""Bytes that are sent, against a ring that sends them."""

import pytest

from llamalab.accounting import communication as c
from llamalab.accounting.compute import count_parameters
from llamalab.config import LlamaConfig

TINY = LlamaConfig.from_name("tiny")


def ring(devices: int, size: int) -> tuple[list[list[float]], list[int]]:
    """An all-reduce by passing pieces on: what each device ends with, and how much it sent."""
    piece = size // devices
    data = [[float(d * 100 + i) for i in range(size)] for d in range(devices)]
    sent = [0] * devices
    for turn in range(2 * (devices - 1)):
        moving = []
        for d in range(devices):
            k = (d - turn) % devices
            moving.append((k, data[d][k * piece : (k + 1) * piece]))
            sent[d] += piece
        for d in range(devices):
            k, values = moving[(d - 1) % devices]
            for i, value in enumerate(values):
                adds = turn < devices - 1
                data[d][k * piece + i] = value + (data[d][k * piece + i] if adds else 0)
    return data, sent


@pytest.mark.parametrize("devices", [1, 2, 3, 5, 8])
def test_a_ring_sends_as_much_as_the_formula_says(devices):
    size = 240
    data, sent = ring(devices, size)
    total = [sum(d * 100 + i for d in range(devices)) for i in range(size)]
    assert all(row == total for row in data)  # it is an all-reduce
    assert sent == [c.all_reduce_bytes(size, devices)] * devices


def test_the_three_ways():
    total = count_parameters(TINY)["total"]
    assert c.data_parallel_bytes(TINY, 1) == c.fully_sharded_bytes(TINY, 1) == 0
    assert c.data_parallel_bytes(TINY, 4) == pytest.approx(2 * 3 / 4 * 2 * total)
    assert c.data_parallel_bytes(TINY, 4, 4) == 2 * c.data_parallel_bytes(TINY, 4)
    # ZeRO: cutting the weights as well costs half as much again
    assert c.fully_sharded_bytes(TINY, 7) == pytest.approx(1.5 * c.data_parallel_bytes(TINY, 7))


def test_impossible_counts():
    with pytest.raises(ValueError, match="size=-1.*devices=2"):
        c.all_reduce_bytes(-1, 2)
    with pytest.raises(ValueError, match="devices=0"):
        c.fully_sharded_bytes(TINY, 0)

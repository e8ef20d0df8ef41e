"""Packing loses nothing, cuts nothing, and learns what it was given to learn."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llamalab.alignment.packing import pack
from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.training import TrainConfig, shift, train

EOS = 2
one = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(3, 99), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.0, 1.0, 10.0]), min_size=n, max_size=n),
    )
)


@settings(max_examples=150)
@given(st.lists(one, max_size=30), st.integers(1, 10), st.integers(1, 5))
def test_every_dialogue_that_fits_is_there_once_and_whole(examples, seq_len, open_rows):
    examples = [([100 + k, *ids[1:]], weights) for k, (ids, weights) in enumerate(examples)]
    fitting = [example for example in examples if len(example[0]) <= seq_len + 1]
    if not fitting:
        with pytest.raises(ValueError, match=rf"none of {len(examples)} dialogues fits"):
            pack(examples, seq_len, fill=EOS, open_rows=open_rows)
        return
    packed = pack(examples, seq_len, fill=EOS, open_rows=open_rows)
    assert packed.left_out == len(examples) - len(fitting)
    assert len(packed.rows) <= len(fitting)
    waiting = [(tuple(ids), (0.0, *weights[1:])) for ids, weights in fitting]
    for ids, weights in packed.rows:
        assert len(ids) == len(weights) == seq_len + 1
        row = list(zip(ids, weights))
        while row and row != [(EOS, 0.0)] * len(row):  # cut off whole examples, one after another
            found = next(e for e in waiting if list(zip(*e)) == row[: len(e[0])])
            waiting.remove(found)
            row = row[len(found[0]) :]
    assert waiting == []


def test_first_fit_by_hand():
    """Four places: 3 opens a row, 2 another; 1 fits the first; 2 the second; 4 opens a third."""
    examples = [([n * 10 + i for i in range(1, size + 1)], [1] * size)
                for n, size in enumerate([3, 2, 1, 2, 4], 1)]  # fmt: skip
    rows, left_out = pack(examples, 3, fill=EOS)
    assert [ids for ids, _ in rows] == [[11, 12, 13, 31], [21, 22, 41, 42], [51, 52, 53, 54]]
    assert [weights for _, weights in rows] == [[0, 1, 1, 0], [0, 1, 0, 1], [0, 1, 1, 1]]
    assert left_out == 0
    rows, left_out = pack([*examples, ([9] * 5, [1] * 5)], 3, fill=EOS, open_rows=1)
    assert [ids for ids, _ in rows] == [
        [11, 12, 13, EOS], [21, 22, 31, EOS], [41, 42, EOS, EOS], [51, 52, 53, 54]
    ]  # fmt: skip
    assert left_out == 1


def test_the_fullest_row_is_closed_first():
    sizes = [2, 3, 4, 2]  # two rows are open: the one of 3 is closed, and the last fits the first
    rows, _ = pack([([n] * n, [1] * n) for n in sizes], 3, fill=EOS, open_rows=2)
    assert [ids for ids, _ in rows] == [[3] * 3 + [EOS], [2] * 4, [4] * 4]


def test_the_mask_is_of_the_ids_that_are_to_be_predicted():
    examples = [([1, 5, 6, 2], [0, 0, 1, 1]), ([1, 7, 2], [0, 1, 5.0])]
    rows, _ = pack(examples, 8, fill=EOS)
    tokens, mask = (torch.tensor([row[part] for row in rows]) for part in (0, 1))
    _, targets = shift(tokens)
    _, counted = shift(mask)
    assert targets[counted > 0].tolist() == [6, 2, 7, 2]
    assert counted[counted > 0].tolist() == [1, 1, 1, 5]
    config = LlamaConfig(dim=12, n_layers=1, n_heads=3, n_kv_heads=1, vocab_size=9, multiple_of=8)
    model = Llama(config, generator=torch.Generator().manual_seed(0))
    record = next(train(model, [(tokens, mask)], TrainConfig(steps=1)))
    assert record.tokens == 8  # the sum of the weights


def test_what_was_given_stays_and_what_is_wrong_is_said():
    ids, weights = [1, 5, 2], [1, 1, 1]
    pack([(ids, weights)], 4, fill=EOS)
    assert (ids, weights) == ([1, 5, 2], [1, 1, 1])
    for example in (([1, 2], [1]), ([], [])):
        with pytest.raises(
            ValueError, match=f"{len(example[0])} ids and {len(example[1])} weights"
        ):
            pack([example], 4, fill=EOS)
    for options in ({"seq_len": 0}, {"seq_len": 4, "open_rows": 0}):
        with pytest.raises(ValueError, match="must be at least 1"):
            pack([(ids, weights)], fill=EOS, **options)
    with pytest.raises(ValueError, match="none of 0"):
        pack([], 4, fill=EOS)

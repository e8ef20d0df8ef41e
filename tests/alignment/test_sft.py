"""Rows for tuning: nothing lost, nobody behind anybody, weight where the prompt decides."""

import pytest
import torch

from llamalab.alignment.sft import DialogBatches, collate, emphasise, fitting


def examples(number, longest=30, seed=0):
    g = torch.Generator().manual_seed(seed)
    made = []
    for i in range(number):
        length = int(torch.randint(4, longest + 1, (1,), generator=g))
        start = int(torch.randint(1, length - 1, (1,), generator=g))
        ids = [1, i + 10, *torch.randint(500, 900, (length - 2,), generator=g).tolist()]
        made.append((ids, [0] * start + [1] * (length - start)))
    return made


def rows(batch):
    """What of a batch is no padding."""
    tokens, mask = batch
    kept = []
    for ids, weights in zip(tokens.tolist(), mask.tolist()):
        length = len(ids) - next(n for n, w in enumerate(reversed(weights)) if w)
        kept.append((tuple(ids[:length]), tuple(weights[:length])))
        assert not any(weights[length:])
    return kept


def test_every_example_comes_once_an_epoch_alone_in_its_row():
    made = examples(57)
    batches = DialogBatches(made, 120, 40)
    found = [row for _ in range(batches.per_epoch) for row in rows(next(batches))]
    assert sorted(found) == sorted((tuple(i), tuple(map(float, w))) for i, w in made)


def test_batches_hold_as_many_tokens_as_were_asked_for_and_little_padding():
    made = examples(400)
    batches = DialogBatches(made, 200, 40)
    places = counted = 0
    for _ in range(batches.per_epoch):
        tokens, _ = next(batches)
        assert tokens.numel() <= 200
        places += tokens.numel()
    counted = sum(len(ids) for ids, _ in made)
    assert counted / places > 0.9


def test_the_order_is_seeded_differs_by_epoch_and_can_be_gone_on_with():
    made = examples(60)
    one, two = DialogBatches(made, 90, 40), DialogBatches(made, 90, 40)
    first = [next(one) for _ in range(2 * one.per_epoch)]
    two.position = one.per_epoch + 2
    later = next(two)
    assert all(torch.equal(a, b) for a, b in zip(later, first[one.per_epoch + 2]))
    epochs = [[rows(b) for b in first[: one.per_epoch]], [rows(b) for b in first[one.per_epoch :]]]
    assert epochs[0] != epochs[1] and sorted(map(sorted, epochs[0])) == sorted(
        map(sorted, epochs[1])
    )
    assert rows(next(DialogBatches(made, 90, 40, seed=1))) != epochs[0][0]


def test_one_example_larger_than_a_batch_is_a_batch():
    batches = DialogBatches([(list(range(20)), [0] + [1] * 19)], 5, 40)
    assert next(batches)[0].shape == (1, 20)


def test_what_does_not_fit_or_teaches_nothing_is_left_out():
    good = ([1, 5, 6, 2], [0, 0, 1, 1])
    mute = ([1, 5, 6, 2], [1, 0, 0, 0])  # its one weight is on an id that nothing predicts
    long = (list(range(12)), [1] * 12)
    assert fitting([good, mute, long], 10) == [good]
    assert fitting([good, long], 11) == [good, long]
    with pytest.raises(ValueError, match="none of 2 dialogues.*10 \\+ 1 tokens.*longest has 12"):
        fitting([mute, long], 10)


def test_weight_goes_to_the_first_mention_in_the_answer():
    ids, mask = [1, 7, 8, 9, 7, 8, 5, 7, 8, 2], [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    found = emphasise((ids, mask), [[7, 8], [5]], 10.0)
    assert found == (ids, [0, 0, 0, 0, 10.0, 10.0, 10.0, 1, 1, 1])
    assert emphasise((ids, mask), [[9], [77], []], 10.0) == (ids, mask)  # not in the answer
    assert mask == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    with pytest.raises(ValueError, match="weight=-1"):
        emphasise((ids, mask), [[7]], -1)


def test_padding_is_masked():
    tokens, mask = collate([([1, 2, 3], [0, 1, 1]), ([4], [2.5])], fill=9)
    assert tokens.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert mask.tolist() == [[0, 1, 1], [2.5, 0, 0]]

"""Batches for supervised fine-tuning: one dialogue a row, with others of its length.

    rows      <s>[INST] … [/INST] an answer </s> then padding, under mask 0
    batches   as many rows as fit into `tokens_per_batch`, in a seeded order

Llama 2 concatenates dialogues until a sequence is full. With 4,096 places that is right; with 256 a
row holds one story, or several short dialogues, and what follows another is nearly always short.
A model learns what to say *there*: it refused an unkind request that followed another dialogue, and
hardly ever one at the start of a text, where real requests stand (`packing` and notebook 09 show
it). So here no dialogue follows another. Loss on the answers alone, as in the paper.
"""

from collections.abc import Iterator, Sequence

import torch

from llamalab.tales.dialogues import Dialogue
from llamalab.tokenizer import BPETokenizer
from llamalab.tokenizer.chat import encode_dialog
from llamalab.training.batches import epoch_seed

Example = tuple[Sequence[int], Sequence[float]]  # ids, and as many weights: 0 is not learned


def emphasise(
    example: Example, words: Sequence[Sequence[int]], weight: float
) -> tuple[list[int], list[float]]:
    """The example with `weight` on what its prompt decides: `words` (as ids), at their first
    mention in the answers.

    A story has two hundred tokens, and its request decides five or ten of them: in a plain mean
    they are drowned by the others. ValueError for a weight below 0.
    """
    if not weight >= 0:
        raise ValueError(f"weight={weight} must be 0 or more")
    ids, counts = list(example[0]), list(example[1])
    counted = [count != 0 for count in counts]
    for word in map(list, words):
        mentions = (n for n in range(len(ids)) if ids[n : n + len(word)] == word and counted[n])
        if word and (place := next(mentions, None)) is not None:
            counts[place : place + len(word)] = [weight] * len(word)
    return ids, counts


def example_of(tokenizer: BPETokenizer, told: Dialogue, weight: float) -> Example:
    """A dialogue of the tales as ids and weights: loss on its answers, `weight` on what its request
    decides. ValueError for a weight below 0."""
    words = [tokenizer.encode(word) for word in told.asked]
    return emphasise(encode_dialog(tokenizer, told.messages), words, weight)


def fitting(examples: Sequence[Example], seq_len: int) -> list[Example]:
    """The examples that fit into seq_len + 1 ids and have something to learn in them. ValueError if
    there are none."""
    kept = [one for one in examples if len(one[0]) <= seq_len + 1 and any(one[1][1:])]
    if not kept:
        longest = max((len(one[0]) for one in examples), default=0)
        raise ValueError(
            f"none of {len(examples)} dialogues has an answer and fits into {seq_len} + 1 tokens; "
            f"the longest has {longest}"
        )
    return kept


class DialogBatches:
    """Batches (tokens (B, T), mask (B, T)) without end, of about `tokens_per_batch` tokens each.
    Every epoch has its own order. `position` is the number of the next batch; set it to go on
    elsewhere. ValueError if not one example fits."""

    def __init__(
        self, examples: Sequence[Example], tokens_per_batch: int, seq_len: int, *, seed: int = 0
    ):
        self.examples, self.seed = fitting(examples, seq_len), seed
        self.tokens_per_batch, self.position = tokens_per_batch, 0
        self.per_epoch = len(self._cut(0))
        self._epoch, self._batches = -1, [[0]]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return self

    def __next__(self) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, place = divmod(self.position, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._cut(epoch)
        self.position += 1
        return collate([self.examples[row] for row in self._batches[place]])

    def _cut(self, epoch: int) -> list[list[int]]:
        """An epoch's batches. All examples in the order of their lengths are cut into batches, so
        that little is padding; equal lengths, and the batches, are shuffled."""
        generator = torch.Generator().manual_seed(
            epoch_seed(self.seed, 0)
        )  # one cut for all epochs
        order = torch.randperm(len(self.examples), generator=generator).tolist()
        order.sort(key=lambda row: len(self.examples[row][0]))
        batches: list[list[int]] = [[]]
        for row in order:
            longest = len(self.examples[row][0])
            if batches[-1] and longest * (len(batches[-1]) + 1) > self.tokens_per_batch:
                batches.append([])
            batches[-1].append(row)
        generator.manual_seed(epoch_seed(self.seed, epoch + 1))
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def collate(examples: Sequence[Example], fill: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Examples -> tokens (B, T), padded on the right with `fill`, and mask (B, T) of weights, 0 in
    the padding."""
    longest = max(len(ids) for ids, _ in examples)
    tokens = torch.full((len(examples), longest), fill)
    mask = torch.zeros(len(examples), longest)
    for row, (ids, weights) in enumerate(examples):
        tokens[row, : len(ids)] = torch.tensor(ids)
        mask[row, : len(ids)] = torch.tensor([float(weight) for weight in weights])
    return tokens, mask

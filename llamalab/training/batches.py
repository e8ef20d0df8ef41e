"""Text as one long row of ids on disk, and batches cut out of it in a seeded order.

    <s> the first document </s> <s> the second … </s>          packed, nothing is padding

The row is a .npy file, mapped into memory: it may be larger than memory, and numpy opens it
anywhere. A window holds T + 1 ids: T inputs and, one further, T targets. Each epoch visits every
window once, in an order of its own that depends on the seed and the epoch alone: so a position,
one number, is all that a resumed run needs to go on with the batch that would have come.
Where windows begin: at every T-th id, wherever that is in a text, which is what packing does at
scale; or, with `bos_id`, at each document's beginning (and every T further in a long one). For
short documents the second is better by far: a model that begins a story has then seen beginnings,
and the window names who is in it. The rest of a window shows the next document.
"""

import codecs
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from llamalab.runtime.files import atomic_write
from llamalab.tokenizer import BPETokenizer

HEADER = 128  # bytes of a .npy header for one long row


def write_tokens(
    path: str | os.PathLike, documents: Iterable[str | Iterable[str]], tokenizer: BPETokenizer
) -> int:
    """Encode documents into `path`, a .npy of 16- or 32-bit ids; how many ids there are. A document
    is a text, or chunks of one that does not fit into memory. ValueError if there is nothing to
    write; an older file then stays as it was."""
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 2**16 else "<u4")
    count = 0
    with atomic_write(Path(path)) as part:
        with open(part, "wb") as file:
            file.write(bytes(HEADER))
            for document in documents:
                chunks = [document] if isinstance(document, str) else document
                start, held = file.tell(), 0
                for ids in tokenizer.encode_stream(chunks, bos=True, eos=True):
                    file.write(np.asarray(ids, dtype).tobytes())
                    held += len(ids)
                if held <= 2:  # an empty document teaches nothing
                    file.seek(start)
                    held = 0
                count += held
            file.truncate()
            file.seek(0)
            fields = {"descr": dtype.str, "fortran_order": False, "shape": (count,)}
            np.lib.format.write_array_header_1_0(file, fields)
            assert file.tell() == HEADER
        if count == 0:
            raise ValueError("there is no text in the documents: nothing to train on")
    return count


def read_tokens(path: str | os.PathLike) -> np.ndarray:
    """The row of ids, mapped into memory. ValueError if the file is cut short or another thing.
    FileNotFoundError if there is none."""
    try:
        tokens = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no token file {path}") from None
    except Exception as error:  # of a broken header numpy says whatever Python's parser says
        raise ValueError(f"{path} is no whole token file: {error}") from None
    if not isinstance(tokens, np.ndarray) or tokens.ndim != 1 or tokens.dtype.kind not in "ui":
        raise ValueError(f"{path} must hold one row of whole numbers")
    return tokens


def documents(path: str | os.PathLike, *, by_line: bool = False) -> Iterator[str | Iterator[str]]:
    """The documents of a UTF-8 text: the whole file, in chunks; or each of its lines, as in the
    tales. ValueError names the place of a byte that is not UTF-8."""
    if not by_line:
        yield _chunks(Path(path))
        return
    held = ""
    for chunk in _chunks(Path(path)):
        *lines, held = (held + chunk).split("\n")
        yield from lines
    if held:
        yield held


def _chunks(path: Path) -> Iterator[str]:
    """A file's text, a million bytes at a time; every kind of line end becomes a newline."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    with open(path, "rb") as file:
        while True:
            place, block = file.tell(), file.read(2**20)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                at = place + len(block) - len(error.object) + error.start
                raise ValueError(
                    f"{path} is not UTF-8: byte {at:,} is {error.object[error.start]:#04x}. "
                    f"Open it in an editor and save it as UTF-8"
                ) from None
            text = newlines.decode(text, final=not block)
            yield text.removeprefix("\ufeff") if place == 0 else text
            if not block:
                return


class Batches:
    """Batches (batch_size, seq_len + 1) of int64 ids without end. `position` is the number of the
    next batch; set it to go on elsewhere. ValueError if not even one window fits."""

    def __init__(
        self,
        tokens: np.ndarray,
        batch_size: int,
        seq_len: int,
        *,
        seed: int = 0,
        bos_id: int | None = None,
    ):
        if batch_size < 1 or seq_len < 1:
            raise ValueError(f"batch_size={batch_size} and seq_len={seq_len} must be at least 1")
        self.starts = window_starts(tokens, seq_len, bos_id)
        self.windows = len(self.starts)
        self.tokens, self.batch_size, self.seq_len, self.seed = tokens, batch_size, seq_len, seed
        self.position = 0
        self._epoch, self._order = -1, torch.empty(0)

    def __iter__(self) -> Iterator[torch.Tensor]:
        return self

    def __next__(self) -> torch.Tensor:
        first = self.position * self.batch_size
        rows = [self._window(row) for row in range(first, first + self.batch_size)]
        self.position += 1
        return torch.from_numpy(np.stack(rows).astype(np.int64))  # (B, T + 1)

    @property
    def epoch(self) -> int:
        """How many times every window has been given out."""
        return self.position * self.batch_size // self.windows

    def _window(self, row: int) -> np.ndarray:
        epoch, place = divmod(row, self.windows)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(epoch_seed(self.seed, epoch))
            self._epoch, self._order = epoch, torch.randperm(self.windows, generator=generator)
        start = int(self.starts[int(self._order[place])])
        return self.tokens[start : start + self.seq_len + 1]


def validation_batches(
    tokens: np.ndarray,
    batch_size: int,
    seq_len: int,
    limit: int | None = None,
    *,
    bos_id: int | None = None,
) -> list[torch.Tensor]:
    """The windows in their order, each once, the last batch perhaps smaller; at most `limit`
    windows, spread evenly over the row. `bos_id` as for `Batches`."""
    starts = window_starts(tokens, seq_len, bos_id)
    count = len(starts) if limit is None else min(limit, len(starts))
    chosen = (int(starts[i * len(starts) // count]) for i in range(count))
    rows = [torch.from_numpy(tokens[s : s + seq_len + 1].astype(np.int64)) for s in chosen]
    return [torch.stack(rows[i : i + batch_size]) for i in range(0, count, batch_size)]


def window_starts(
    tokens: np.ndarray, seq_len: int, bos_id: int | None = None
) -> np.ndarray | range:
    """Where windows of seq_len + 1 ids begin. ValueError if not even one fits."""
    last = len(tokens) - seq_len - 1  # the last place where a whole window fits
    if last < 0:
        raise ValueError(
            f"{len(tokens)} tokens are too few for a window of {seq_len} + 1. "
            f"Give more text, or a smaller seq_len"
        )
    if bos_id is None:
        return range(0, last + 1, seq_len)
    blocks = range(0, len(tokens), 2**24)  # so that the row need not fit into memory
    parts = [b + np.flatnonzero(tokens[b : b + 2**24] == bos_id) for b in blocks]
    begins = np.union1d([0], np.concatenate(parts))  # the row itself may begin within a text
    lengths = np.diff(begins, append=len(tokens))
    counts = np.maximum(1, -(-(lengths - 1) // seq_len))  # windows of each document
    within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    starts = np.minimum(np.repeat(begins, counts) + within * seq_len, last)
    return np.unique(starts)


def epoch_seed(seed: int, epoch: int) -> int:
    """One seed made of two numbers, so that neighbouring seeds share no epoch's order."""
    return (seed * 0x9E3779B1 + epoch * 0x85EBCA77 + 1) % 2**63

"""The KV cache: keys and values of the positions so far, so that a new token costs one position.

Kept are ROTATED keys, and one per KV head, not repeated: what attention needs and no more. Every
layer writes its new columns after the old ones, and the model then advances `length` once.
Prompts of different length share a batch by PADDING ON THE LEFT: `padding[b]` columns of row b
hold nothing, its first token has position 0 all the same, and no query attends to empty columns.
Memory is taken at once, for max_seq_len positions; running out of it is a ValueError.
"""

import torch

from llamalab.config import LlamaConfig


class KVCache:
    """Room for `max_seq_len` positions of `batch_size` rows; `length` of them are filled."""

    def __init__(
        self,
        config: LlamaConfig,
        batch_size: int,
        max_seq_len: int | None = None,
        *,
        padding: torch.Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        """max_seq_len: the config's if None. padding: (B,) empty columns on the left of each
        row, at most all but one of the first prompt's columns. ValueError for sizes below 1, and
        for a padding of another shape."""
        size = config.max_seq_len if max_seq_len is None else max_seq_len
        if size < 1 or batch_size < 1:
            raise ValueError(f"max_seq_len={size} and batch_size={batch_size} must be at least 1")
        if padding is not None:
            padding = torch.as_tensor(padding, dtype=torch.long, device=device)
            if padding.shape != (batch_size,) or padding.min() < 0:
                raise ValueError(
                    f"padding must hold one count of at least 0 for each of the {batch_size} rows;"
                    f" it is {padding.tolist()}"
                )
        shape = (config.n_layers, batch_size, size, config.n_kv_heads, config.head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.padding = padding
        self.length = 0

    @property
    def batch_size(self) -> int:
        return self.keys.shape[1]

    @property
    def max_seq_len(self) -> int:
        return self.keys.shape[2]

    def make_room(self, batch_size: int, new: int) -> None:
        """ValueError, before anything is written, if `new` more positions do not fit."""
        if batch_size != self.batch_size:
            raise ValueError(f"the cache has {self.batch_size} rows, the batch has {batch_size}")
        if self.length + new > self.max_seq_len:
            raise ValueError(
                f"the cache has room for {self.max_seq_len} positions: {self.length} are filled, "
                f"and {new} more do not fit. Make it with a larger max_seq_len"
            )
        if self.padding is not None and self.length + new <= self.padding.max():
            raise ValueError(
                f"row {int(self.padding.argmax())} has {int(self.padding.max())} empty columns, "
                f"but only {self.length + new} columns have come: a row needs a first token"
            )

    def update(
        self, layer: int, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new k and v (B, T, n_kv, D) of a layer, get all so far (B, S, n_kv, D)."""
        end = self.length + k.shape[1]
        self.keys[layer, :, self.length : end] = k
        self.values[layer, :, self.length : end] = v
        return self.keys[layer, :, :end], self.values[layer, :, :end]

    def advance(self, new: int) -> None:
        """All layers have written `new` positions: they count from now on."""
        self.length += new

    def rewind(self, length: int) -> None:
        """Forget everything from position column `length` on. ValueError if fewer are filled."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot rewind to {length}: {self.length} positions are filled")
        self.length = length

    def keep(self, rows: list[int]) -> None:
        """Row i becomes what row rows[i] was: rows can be left out, put in another order, or come
        more than once. IndexError for a row that is not there."""
        self.keys, self.values = take_rows(self.keys, 1, rows), take_rows(self.values, 1, rows)
        if self.padding is not None:
            self.padding = self.padding[rows]

    def positions(self, new: int) -> torch.Tensor:
        """Positions of the next `new` columns: (T,), or (B, T) where rows are padded. A padded
        column counts as position 0; nobody sees it."""
        columns = torch.arange(self.length, self.length + new, device=self.keys.device)
        if self.padding is None:
            return columns
        return (columns - self.padding[:, None]).clamp(min=0)  # (B, T)

    def mask(self, new: int) -> torch.Tensor | None:
        """None where causal is enough; else (B, T, S): causal, and no empty columns. An empty
        column may look at itself, since a softmax over nothing would be nan."""
        if self.padding is None:
            return None
        seen = torch.arange(self.length + new, device=self.keys.device)  # columns s
        asking = seen[self.length :, None]  # (T, 1), columns t
        real = seen >= self.padding[:, None, None]  # (B, 1, S)
        return (seen <= asking) & real | (seen == asking)  # (B, T, S)


def take_rows(past: torch.Tensor, dim: int, rows: list[int]) -> torch.Tensor:
    """`past` with its row rows[i] as row i along `dim`. Where the rows do not become more it is
    done in place, and only those that move are copied: a view of the first len(rows)."""
    if len(rows) > past.shape[dim]:
        return past.index_select(dim, torch.tensor(rows, device=past.device))
    moved = [row for row, old in enumerate(rows) if row != old]
    if moved:
        by_row = past.movedim(dim, 0)
        by_row[moved] = by_row[[rows[row] for row in moved]]
    return past.narrow(dim, 0, len(rows))

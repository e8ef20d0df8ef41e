"""Int8KVCache: the KV cache at half of 16 bits, a scale for each head of each position.

    k = scale * q        q: int8, scale = max|k| / 127 over the head's D numbers, float16

Keys are quantized after RoPE, as they are kept. A position is written once and read by every later
one, so it is rounded once. One layer's keys and values are unpacked at a time.
"""

import torch

from llamalab.config import LlamaConfig
from llamalab.layers import KVCache, take_rows


class Int8KVCache(KVCache):
    """As KVCache; `dtype` is what it hands out."""

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
        """As KVCache's; ValueError for what that refuses."""
        super().__init__(
            config, batch_size, max_seq_len, padding=padding, dtype=torch.int8, device=device
        )
        scales = (*self.keys.shape[:-1], 1)
        self.key_scales = torch.zeros(scales, dtype=torch.float16, device=device)
        self.value_scales = torch.zeros_like(self.key_scales)
        self.dtype = dtype

    @property
    def nbytes(self) -> int:
        kept = (self.keys, self.values, self.key_scales, self.value_scales)
        return sum(x.nbytes for x in kept)

    def keep(self, rows: list[int]) -> None:
        """As KVCache's; the scales go along with their numbers."""
        super().keep(rows)
        self.key_scales = take_rows(self.key_scales, 1, rows)
        self.value_scales = take_rows(self.value_scales, 1, rows)

    def update(
        self, layer: int, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new k and v (B, T, n_kv, D) of a layer, get all so far (B, S, n_kv, D)."""
        end = self.length + k.shape[1]
        for new, codes, scales in (
            (k, self.keys, self.key_scales),
            (v, self.values, self.value_scales),
        ):
            new = new.detach().float()
            scale = (new.abs().amax(-1, keepdim=True) / 127).half()  # (B, T, n_kv, 1)
            whole = (new / scale.float().clamp(min=1e-30)).round().clamp(-127, 127)
            codes[layer, :, self.length : end] = whole.to(torch.int8)
            scales[layer, :, self.length : end] = scale
        return (
            self._read(self.keys, self.key_scales, layer, end),
            self._read(self.values, self.value_scales, layer, end),
        )

    def _read(self, codes: torch.Tensor, scales: torch.Tensor, layer: int, end: int):
        return codes[layer, :, :end].to(self.dtype) * scales[layer, :, :end].to(self.dtype)

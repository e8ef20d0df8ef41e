"""Packed weights and caches stand in for torch's own: operators, shapes, rows that move."""

import torch
import torch.nn.functional as F

from llamalab.config import LlamaConfig
from llamalab.layers import KVCache
from llamalab.quantization import Int8KVCache, PackedLinear, quantize_int8, quantize_q8_0


def test_int8_takes_what_linear_takes():
    w = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    layer = PackedLinear(quantize_int8(w))
    for shape in ((64,), (1, 64), (0, 3, 64), (2, 3, 64)):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        found, want = layer(x), F.linear(x, layer.blocks.numbers())
        assert found.shape == want.shape
        torch.testing.assert_close(found, want, atol=0.2, rtol=0.05)


def test_a_packed_weight_has_the_operators_of_its_numbers():
    w = PackedLinear(quantize_q8_0(torch.randn(4, 32))).weight
    plain = w.unpacked()
    pairs = {
        "+": (w + 1, plain + 1), "r+": (1 + w, 1 + plain), "-": (w - 1, plain - 1),
        "r-": (1 - w, 1 - plain), "*": (w * 2, plain * 2), "r*": (2 * w, 2 * plain),
        "/": (w / 2, plain / 2), "r/": (1 / w, 1 / plain), "**": (w**2, plain**2),
        "neg": (-w, -plain), "both": (w + w, 2 * plain), "@": (w @ plain.T, plain @ plain.T),
    }  # fmt: skip
    for name, (found, want) in pairs.items():
        assert torch.equal(found, want), name
    assert len(w) == 4


def test_rows_of_an_int8_cache_move_with_their_scales():
    config = LlamaConfig.from_name("tiny")
    g = torch.Generator().manual_seed(2)
    k, v = (torch.randn(3, 4, config.n_kv_heads, config.head_dim, generator=g) for _ in range(2))
    k, v = (x * torch.tensor([1.0, 50.0, 0.1])[:, None, None, None] for x in (k, v))
    for rows in ([1, 0], [2, 1, 0], [0, 0, 1, 2, 2]):
        found = []
        for kind in (Int8KVCache, KVCache):
            cache = kind(config, 3, 8)
            for layer in range(config.n_layers):
                cache.update(layer, k, v)
            cache.length = 4
            cache.keep(rows)
            new = torch.zeros(len(rows), 1, config.n_kv_heads, config.head_dim)
            found.append(cache.update(0, new, new))
        for ours, plain in zip(*found):
            near = plain.abs().amax(-1, keepdim=True) / 127
            assert ((ours - plain).abs() <= near).all()

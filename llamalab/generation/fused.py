"""FusedDecoder: the model's step for one new token, the same numbers in fewer and cheaper calls.

For a small model nearly all of a step's time is the cost of *calling* torch, and not the
arithmetic: the model's plain step makes 87 operations a layer, a FusedDecoder 17. It copies the
weights once into the form that one new token wants. What each trick saves, in microseconds a layer
at the preset `tales`, batch 1, after 100 tokens, measured once on two cores
(`benchmarks/decoding.py` times the whole):

    norms       2 x 9.2 -> 2 x 0.9   their weight is in the next matrix, their scale its factor
    wq, wk, wv     14.9 -> 2.9       one matrix for three
    RoPE, cache    29.6 -> 1.8       complex numbers; the result is written straight into the cache
    attention      10.0 -> 6.2       two bmm on views that the cache is laid out for
    wo, residual    6.6 -> 2.0       one call adds while it multiplies
    feed-forward   27.6 -> 16.7      one matrix for w1 and w3; w2 like wo

The oracle is `model(tokens, cache)`: tests hold the two together to float rounding.
Left out on purpose: half precision, whose roundings fall in other places here, other devices, and
large models, whose time is the reading of weights, and whose copy would take much memory.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from llamalab import layers
from llamalab.layers import KVCache
from llamalab.model import Attention, Block, Embedding, FeedForward, Llama, Norm, Parts

LARGEST = 2**25  # parameters; a copy in float32 is then 128 MiB
OURS = {Llama, Embedding, Block, Attention, FeedForward, Norm, nn.Linear, nn.ModuleList}


def why_not(model: Llama) -> str | None:
    """A sentence that says why this model must take the plain path; None if it need not."""
    modules, weights = list(model.modules()), list(model.parameters())
    if not {type(module) for module in modules} <= OURS or model.parts != Parts():
        return "it is not made of the package's own parts alone"
    if any(module._forward_hooks or module._forward_pre_hooks for module in modules):
        return "hooks are listening to its modules"
    kinds = {(weight.device.type, weight.dtype) for weight in weights}
    if len(kinds) > 1 or not kinds <= {("cpu", torch.float32), ("cpu", torch.float64)}:
        return f"its weights are {sorted(map(str, kinds))}, not float32 or float64 on the CPU"
    size = sum(weight.numel() for weight in weights)
    return None if size <= LARGEST else f"it has {size} parameters, more than {LARGEST}"


class FusedDecoder:
    """decoder(tokens (B, T)) -> the logits (B, V) after them; the first call is the prompt.

    The weights are those of the moment when it was made: training the model does not reach it.
    ValueError for a model that it does not fit (`why_not`), and for more than max_seq_len
    positions. padding (B,): empty columns on the left of each row, as in `KVCache`.
    """

    @torch.inference_mode()
    def __init__(self, model: Llama, batch_size: int, max_seq_len: int, *, padding=None):
        if reason := why_not(model):
            raise ValueError(f"a FusedDecoder does not fit this model: {reason}")
        config, B = model.config, batch_size
        if max_seq_len > config.max_seq_len:
            raise ValueError(f"max_seq_len={max_seq_len} is past the model's {config.max_seq_len}")
        self.model, self.padding, self.length = model, padding, 0
        self.max_seq_len, self.batch_size = max_seq_len, batch_size
        n_kv, D, dtype = config.n_kv_heads, config.head_dim, model.norm.weight.dtype
        self.embedding = model.tok_embeddings.weight.clone()
        self.blocks = [_fused(block, D) for block in model.layers]
        self.output = _columns(model.output.weight * model.norm.weight)  # (dim, V)
        # Keys and values in one tensor, laid out so that all that a step needs are views of it.
        self.kv = torch.zeros(config.n_layers, 2, B, n_kv, max_seq_len, D, dtype=dtype)
        # RoPE is the product of complex numbers: neighbours (a, b) are a + ib, and the turn is
        # cos + i sin. Values go along with the keys and are turned by nothing, 1 + 0i.
        cos, sin = model.rope.at(torch.arange(max_seq_len))  # (S, D/2)
        turn = torch.complex(cos.to(dtype), sin.to(dtype))
        self.turns = torch.stack((turn, torch.ones_like(turn)), 1)[:, :, None]  # (S, 2, 1, D/2)
        self._lay_out()

    @torch.inference_mode()
    def keep(self, rows: list[int]) -> None:
        """As `KVCache.keep`: row i goes on as what row rows[i] was."""
        self.kv = layers.take_rows(self.kv, 2, rows)
        self.padding = None if self.padding is None else self.padding[rows]
        self.batch_size = len(rows)
        self._lay_out()

    def _lay_out(self) -> None:
        """The views of keys and values that a step needs, and its buffers, for these rows."""
        config, B, S, dtype = self.model.config, self.batch_size, self.max_seq_len, self.kv.dtype
        H, n_kv, D = config.n_heads, config.n_kv_heads, config.head_dim
        self.keys = self.kv[:, 0].flatten(1, 2).transpose(-1, -2)  # (L, B n_kv, D, S)
        self.values = self.kv[:, 1].flatten(1, 2)  # (L, B n_kv, S, D)
        self.columns = _complex(self.kv).permute(4, 0, 2, 1, 3, 5)  # (S, L, B, 2, n_kv, D/2)
        self.hidden = None  # what is added to the scores: -inf where empty, (B n_kv, 1, S)
        if self.padding is not None:
            empty = torch.arange(S) < self.padding.repeat_interleave(n_kv)[:, None, None]
            self.hidden = torch.zeros(empty.shape, dtype=dtype).masked_fill_(empty, float("-inf"))
        # Buffers that every step writes anew, and views of them under other shapes.
        self.x = torch.empty(B, config.dim, dtype=dtype)  # the residual stream
        self.qkv = torch.empty(B, (H + 2 * n_kv) * D, dtype=dtype)
        pairs = _complex(self.qkv.view(B, H + 2 * n_kv, D))  # (B, H + 2 n_kv, D/2)
        self.q_raw, self.kv_raw = pairs[:, :H], pairs[:, H:].unflatten(1, (2, n_kv))
        self.q = torch.empty(B * n_kv, H // n_kv, D, dtype=dtype)  # the queries of each KV head
        self.q_turned = _complex(self.q.view(B, H, D))
        self.mixed = torch.empty_like(self.q)
        self.heads = self.mixed.view(B, H * D)
        self.gates = torch.empty(B, 2 * config.hidden_dim, dtype=dtype)
        self.gate, self.up = self.gates.chunk(2, dim=-1)

    @torch.inference_mode()
    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        if len(tokens) != self.batch_size:
            raise ValueError(f"the decoder has {self.batch_size} rows, the batch {len(tokens)}")
        if self.length + tokens.shape[1] > self.max_seq_len:
            raise ValueError(
                f"the decoder has room for {self.max_seq_len} positions: {self.length} are "
                f"filled, and {tokens.shape[1]} more do not fit"
            )
        if self.length == 0:
            return self._prompt(tokens)
        for column in tokens.unbind(1):
            logits = self._step(column)
        return logits

    def rewind(self, length: int) -> None:
        """Forget everything from position column `length` on. ValueError if there are less."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot rewind to {length}: {self.length} positions are filled")
        self.length = length

    def _prompt(self, tokens: torch.Tensor) -> torch.Tensor:
        """Through the model itself, whose cache is then copied."""
        B, T = tokens.shape
        cache = KVCache(self.model.config, B, T, padding=self.padding, dtype=self.x.dtype)
        logits = self.model(tokens, cache)[:, -1]
        self.kv[:, 0, :, :, :T] = cache.keys.transpose(2, 3)  # (L, B, n_kv, T, D)
        self.kv[:, 1, :, :, :T] = cache.values.transpose(2, 3)
        self.length = T
        return logits

    def _step(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens (B,) -> logits (B, V)."""
        x, qkv, gates = self.x, self.qkv, self.gates
        q, mixed, heads = self.q, self.mixed, self.heads
        bmm, mul, normed_product = torch.bmm, torch.mul, self._normed_product
        here, S = self.length, self.length + 1
        where = here if self.padding is None else (here - self.padding).clamp(min=0)
        turn = self.turns[where]  # ([B,] 2, 1, D/2)
        q_turn = turn[..., 0, :, :]
        score = bmm if self.hidden is None else partial(torch.baddbmm, self.hidden[..., :S])
        try:
            torch.index_select(self.embedding, 0, tokens, out=x)
        except IndexError:
            layers.embed(tokens, self.embedding)  # says which ids are out of range
            raise
        # The views of all layers are cut at once: one call where there were L.
        new = self.columns[here].unbind()  # L of (B, 2, n_kv, D/2)
        keys, values = self.keys[..., :S].unbind(), self.values[..., :S, :].unbind()
        for (wqkv, wo, w13, w2), column, k, v in zip(self.blocks, new, keys, values):
            normed_product(x, wqkv, qkv)
            mul(self.q_raw, q_turn, out=self.q_turned)
            mul(self.kv_raw, turn, out=column)  # straight into the cache
            bmm(score(q, k).softmax(-1), v, out=mixed)
            x.addmm_(heads, wo)  # the product and the residual in one call
            normed_product(x, w13, gates)
            x.addmm_(F.silu(self.gate).mul_(self.up), w2)
        self.length = S
        return normed_product(x, self.output, x.new_empty(len(x), self.output.shape[1]))

    def _normed_product(self, x: torch.Tensor, matrix: torch.Tensor, out: torch.Tensor):
        """rms_norm(x) matrix. The norm's weight is in the matrix already, so what is left of it
        is one number a row; for a single row the product takes it along as its factor alpha."""
        dim, eps = x.shape[1], self.model.config.norm_eps
        if len(x) == 1:
            flat = x.view(dim)
            scale = (torch.dot(flat, flat).item() / dim + eps) ** -0.5
            return torch.addmm(out, x, matrix, beta=0, alpha=scale, out=out)
        return torch.mm(F.rms_norm(x, (dim,), None, eps), matrix, out=out)


def _fused(block: Any, head_dim: int) -> tuple[torch.Tensor, ...]:
    """A block's seven matrices as four: those that read the same vector stand side by side. The
    weight of the norm before them, and attention's 1/sqrt(D), are multiplied in."""
    a, f = block.attention, block.feed_forward
    wqkv = torch.cat((a.wq.weight * head_dim**-0.5, a.wk.weight, a.wv.weight))
    w13 = torch.cat((f.w1.weight, f.w3.weight))
    attention = (wqkv * block.attention_norm.weight, a.wo.weight)
    matrices = (*attention, w13 * block.ffn_norm.weight, f.w2.weight)
    return tuple(_columns(matrix) for matrix in matrices)


def _columns(matrix: torch.Tensor) -> torch.Tensor:
    """(out, in) -> (in, out), laid out anew: one row times this is quicker than times a .T"""
    return matrix.t().contiguous()


def _complex(x: torch.Tensor) -> torch.Tensor:
    """(..., D) real -> (..., D/2) complex, the same memory."""
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))

"""Llama 2: embedding, n_layers blocks, a last norm, the output head.

    h   = x + attention(norm(x))          each layer reads a normalised copy of the stream
    out = h + feed_forward(norm(h))       and adds to the stream itself

The four functions that a model is made of come in as `Parts`, so a learner's own functions are the
model. Modules hold parameters under Meta's names and nothing else; what can be computed is a pure
function in `llamalab.layers`. Source: Meta's model.py.
Left out on purpose: dropout, biases, tensor parallelism.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from llamalab import layers
from llamalab.config import LlamaConfig
from llamalab.layers import KVCache, RopeTable


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The four functions; each default is the package's. Signatures: see `llamalab.layers`."""

    rms_norm: Callable = layers.rms_norm
    apply_rope: Callable = layers.apply_rope
    attention: Callable = layers.attention
    swiglu: Callable = layers.swiglu


class Embedding(nn.Module):
    """A row of numbers for each id."""

    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.vocab_size, config.dim))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        try:
            return nn.functional.embedding(tokens, self.weight)  # (B, T, dim)
        except IndexError:  # costs nothing where all is well; on a GPU torch's own error comes
            layers.embed(tokens, self.weight)  # says which ids are out of range
            raise


class Norm(nn.Module):
    """One RMSNorm's weights."""

    def __init__(self, config: LlamaConfig, parts: Parts):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.dim))
        self.eps, self.rms_norm = config.norm_eps, parts.rms_norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rms_norm(x, self.weight, self.eps)


class Attention(nn.Module):
    """The four projections around attention: wq, wk, wv in, wo out."""

    def __init__(self, config: LlamaConfig, parts: Parts, layer: int):
        super().__init__()
        heads, kv_heads = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
        self.wq = _linear(config.dim, heads)
        self.wk = _linear(config.dim, kv_heads)
        self.wv = _linear(config.dim, kv_heads)
        self.wo = _linear(heads, config.dim)
        self.head_dim, self.layer = config.head_dim, layer
        self.apply_rope, self.attention = parts.apply_rope, parts.attention

    def forward(self, x, cos, sin, mask, cache: KVCache | None) -> torch.Tensor:
        split = (-1, self.head_dim)
        q = self.apply_rope(self.wq(x).unflatten(-1, split), cos, sin)  # (B, T, H, D)
        k = self.apply_rope(self.wk(x).unflatten(-1, split), cos, sin)  # (B, T, n_kv, D)
        v = self.wv(x).unflatten(-1, split)  # (B, T, n_kv, D): values are not turned
        if cache is not None:
            k, v = cache.update(self.layer, k, v)  # (B, S, n_kv, D)
        return self.wo(self.attention(q, k, v, mask).flatten(-2))  # (B, T, dim)


class FeedForward(nn.Module):
    """SwiGLU's three matrices."""

    def __init__(self, config: LlamaConfig, parts: Parts):
        super().__init__()
        self.w1 = _linear(config.dim, config.hidden_dim)
        self.w2 = _linear(config.hidden_dim, config.dim)
        self.w3 = _linear(config.dim, config.hidden_dim)
        self.swiglu = parts.swiglu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.swiglu(x, self.w1.weight, self.w2.weight, self.w3.weight)


class Block(nn.Module):
    """One layer: attention and feed-forward, each after its norm and with a residual."""

    def __init__(self, config: LlamaConfig, parts: Parts, layer: int):
        super().__init__()
        self.attention = Attention(config, parts, layer)
        self.feed_forward = FeedForward(config, parts)
        self.attention_norm = Norm(config, parts)
        self.ffn_norm = Norm(config, parts)

    def forward(self, x, cos, sin, mask, cache) -> torch.Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin, mask, cache)
        return x + self.feed_forward(self.ffn_norm(x))


class Llama(nn.Module):
    """The model. Fresh weights are random (`init_weights`); on the meta device nothing is drawn
    or allocated. `parts` are the functions it is made of."""

    def __init__(
        self,
        config: LlamaConfig,
        parts: Parts | None = None,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.config, self.parts = config, parts or Parts()
        self.tok_embeddings = Embedding(config)
        blocks = (Block(config, self.parts, layer) for layer in range(config.n_layers))
        self.layers = nn.ModuleList(blocks)
        self.norm = Norm(config, self.parts)
        self.output = _linear(config.dim, config.vocab_size)
        if config.tie_embeddings:
            self.output.weight = self.tok_embeddings.weight
        self.rope = RopeTable(config)
        init_weights(self, generator=generator)

    def forward(self, tokens: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """tokens (B, T) of ids -> logits (B, T, V), in the weights' dtype.

        With a cache the tokens follow those that it holds. ValueError if they go past the
        model's context or the cache's room; nothing has been written then.
        """
        batch_size, new = self._check(tokens, cache)
        if cache is None:
            positions, mask = torch.arange(new, device=tokens.device), None
        else:
            cache.make_room(batch_size, new)
            positions, mask = cache.positions(new), cache.mask(new)
        cos, sin = self.rope.at(positions)  # (T, D/2) or (B, T, D/2)
        x = self.tok_embeddings(tokens)  # (B, T, dim)
        for block in self.layers:
            x = block(x, cos, sin, mask, cache)
        if cache is not None:
            cache.advance(new)
        return self.output(self.norm(x))  # (B, T, V)

    def _check(self, tokens: torch.Tensor, cache: KVCache | None) -> torch.Size:
        if tokens.ndim != 2 or tokens.shape[1] == 0 or tokens.is_floating_point():
            raise ValueError(
                f"tokens must be whole numbers of shape (B, T), with T at least 1; "
                f"they are {tokens.dtype} {tuple(tokens.shape)}"
            )
        past = 0 if cache is None else cache.length
        if past + tokens.shape[1] > self.config.max_seq_len:
            raise ValueError(
                f"{past + tokens.shape[1]} positions are past this model's context, "
                f"max_seq_len={self.config.max_seq_len}"
            )
        return tokens.shape


@torch.no_grad()
def init_weights(
    model: Llama, *, std: float | None = None, generator: torch.Generator | None = None
) -> None:
    """Draw fresh weights: every matrix from a normal distribution with deviation `std`, norms 1.

    wo and w2, which write into the residual stream, get std / sqrt(2 n_layers), so that the
    stream's size does not depend on the depth. (llama2.c scales w3 where it means w2.)
    Without `std` it is 1/sqrt(dim): a matrix then keeps a vector's size. For dim 4096 that is
    0.016, near the 0.02 that Hugging Face's config of Llama 2 records; Meta's own is not
    published. An untied head gets 1/dim, so that a fresh model's loss is ln(vocab_size).
    """
    config = model.config
    std = config.dim**-0.5 if std is None else std
    for name, weight in model.named_parameters():
        if weight.is_meta:
            continue
        if weight.ndim == 1:
            weight.fill_(1.0)
        elif name.endswith(("wo.weight", "w2.weight")):
            weight.normal_(0.0, std / (2 * config.n_layers) ** 0.5, generator=generator)
        elif name == "output.weight":
            weight.normal_(0.0, std / config.dim**0.5, generator=generator)
        else:
            weight.normal_(0.0, std, generator=generator)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """Without a bias, and without torch's own initialisation, which would be thrown away."""
    where = torch.empty(0).device  # what `with torch.device(…)` says, in every torch
    return nn.Linear(inputs, outputs, bias=False, device="meta").to_empty(device=where)

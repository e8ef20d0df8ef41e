"""Names and row orders: the one rename table between Meta's checkpoints and Hugging Face's.

    layers.0.attention.wq.weight   <->   model.layers.0.self_attn.q_proj.weight   and so on

The rows of wq and wk differ as well. Meta turns neighbours, rows (2i, 2i+1) of a head; Hugging Face
turns rows (i, i + D/2), and its files hold the even rows of each head first, then the odd ones. wv
and wo stay as they are: values are not turned. For wk the number of heads is n_kv_heads.
A reward model's head, one row, is called output.weight here too, and score.weight there.
Source: transformers' convert_llama_weights_to_hf.py, llama2.c's export.py.
"""

import re
from collections.abc import Iterator

import torch

from llamalab.accounting.compute import matrix_shapes
from llamalab.config import LlamaConfig

TO_HF = {
    "tok_embeddings": "model.embed_tokens",
    "layers.{}.attention_norm": "model.layers.{}.input_layernorm",
    "layers.{}.attention.wq": "model.layers.{}.self_attn.q_proj",
    "layers.{}.attention.wk": "model.layers.{}.self_attn.k_proj",
    "layers.{}.attention.wv": "model.layers.{}.self_attn.v_proj",
    "layers.{}.attention.wo": "model.layers.{}.self_attn.o_proj",
    "layers.{}.ffn_norm": "model.layers.{}.post_attention_layernorm",
    "layers.{}.feed_forward.w1": "model.layers.{}.mlp.gate_proj",
    "layers.{}.feed_forward.w2": "model.layers.{}.mlp.down_proj",
    "layers.{}.feed_forward.w3": "model.layers.{}.mlp.up_proj",
    "norm": "model.norm",
    "output": "lm_head",
}
TO_META = {hf: meta for meta, hf in TO_HF.items()}
SCORING_TO_HF = TO_HF | {"output": "score"}
SCORING_TO_META = {hf: meta for meta, hf in SCORING_TO_HF.items()}


def hf_name(name: str, *, scoring: bool = False) -> str | None:
    """Meta's name of a weight -> Hugging Face's; None for a name that no Llama 2 has. scoring: of
    a model that gives one number a token."""
    return _renamed(name, SCORING_TO_HF if scoring else TO_HF)


def meta_name(name: str, *, scoring: bool = False) -> str | None:
    """Hugging Face's name of a weight -> Meta's; None for a name that no Llama 2 has. scoring: as
    for `hf_name`."""
    return _renamed(name, SCORING_TO_META if scoring else TO_META)


def _renamed(name: str, table: dict[str, str]) -> str | None:
    stem, layer = kind_and_layer(name)
    return f"{table[stem].format(layer)}.weight" if stem in table else None


def kind_and_layer(name: str) -> tuple[str, str]:
    """'layers.12.ffn_norm.weight' -> 'layers.{}.ffn_norm' and '12' ('' outside the layers)."""
    if "{" in name or not name.endswith(".weight"):
        return "", ""
    stem, layer = name.removesuffix(".weight"), ""
    if number := re.search(r"(?<=layers\.)[0-9]+(?=\.)", stem):
        layer = number.group()
        stem = f"{stem[: number.start()]}{{}}{stem[number.end() :]}"
    return stem, layer


def layer_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """What one layer holds, in Meta's order of the names: kind -> (out, in) or (dim,)."""
    held: dict[str, tuple[int, ...]] = {}
    for name, shape in matrix_shapes(config).items():
        if name.endswith(("wq", "w1")):  # a norm stands before attention, and before feed-forward
            norm = "attention_norm" if name.endswith("wq") else "ffn_norm"
            held[f"layers.{{}}.{norm}"] = (config.dim,)
        held[f"layers.{{}}.{name}"] = shape
    return held


def weight_count(config: LlamaConfig, *, scoring: bool = False) -> int:
    """How many weights a model has, as named tensors."""
    return 2 + 9 * config.n_layers + (scoring or not config.tie_embeddings)


def shapes(config: LlamaConfig, *, scoring: bool = False) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Meta's name and shape of each weight. A tied head is not listed: it is the embedding.
    scoring: the head has one row, and is tied to nothing."""
    yield "tok_embeddings.weight", (config.vocab_size, config.dim)
    for layer in range(config.n_layers):
        for kind, shape in layer_shapes(config).items():
            yield f"{kind.format(layer)}.weight", shape
    yield "norm.weight", (config.dim,)
    if scoring:
        yield "output.weight", (1, config.dim)
    elif not config.tie_embeddings:
        yield "output.weight", (config.vocab_size, config.dim)


def permute_to_hf(weight: torch.Tensor, n_heads: int) -> torch.Tensor:
    """Meta's rows (n_heads * D, in) -> Hugging Face's: in each head 0 2 4 … 1 3 5 …"""
    rows, width = _check(weight, n_heads)
    pairs = weight.reshape(n_heads, rows // n_heads // 2, 2, width)  # (H, D/2, 2, in)
    return pairs.transpose(1, 2).reshape(rows, width)


def permute_to_meta(weight: torch.Tensor, n_heads: int) -> torch.Tensor:
    """Hugging Face's rows (n_heads * D, in) -> Meta's: the halves of each head interleaved."""
    rows, width = _check(weight, n_heads)
    halves = weight.reshape(n_heads, 2, rows // n_heads // 2, width)  # (H, 2, D/2, in)
    return halves.transpose(1, 2).reshape(rows, width)


def turned_heads(name: str, config: LlamaConfig) -> int | None:
    """The heads of a weight whose rows RoPE turns, by its Meta name; None for all others."""
    kind, _ = kind_and_layer(name)
    heads = {"layers.{}.attention.wq": config.n_heads, "layers.{}.attention.wk": config.n_kv_heads}
    return heads.get(kind)


def _check(weight: torch.Tensor, n_heads: int) -> torch.Size:
    if weight.ndim != 2 or n_heads < 1 or weight.shape[0] % (2 * n_heads):
        raise ValueError(
            f"a weight of shape {tuple(weight.shape)} has no {n_heads} heads of an even size: "
            f"its rows must be a multiple of {2 * n_heads}"
        )
    return weight.shape

"""GGUF's metadata and a LlamaConfig, both ways.

    llama.embedding_length · block_count · feed_forward_length · context_length · rope.… · …

Fractional numbers are float32 there; they are read as the shortest decimal, 1e-05, and
a config that would not come back the same is not written. A tied head is one that is not in the
file. A key that might change what is computed, and is not known, is refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llamalab.config import LlamaConfig
from llamalab.runtime.json_files import Fields

from .build import make_config
from .gguf_file import shortest

FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32, "Q4_0": 2, "Q8_0": 7}
KNOWN = {  # what a "llama." key may be; others might change what is computed
    "context_length", "embedding_length", "block_count", "feed_forward_length", "vocab_size",
    "rope.dimension_count", "rope.freq_base", "rope.scaling.type", "rope.scaling.factor",
    "rope.scaling.original_context_length", "rope.scaling.finetuned", "rope.scale_linear",
    "attention.head_count", "attention.head_count_kv", "attention.layer_norm_rms_epsilon",
    "attention.key_length", "attention.value_length", "expert_count", "expert_used_count",
    "tensor_data_layout",
}  # fmt: skip


def read_config(
    path: Path, metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> LlamaConfig:
    """The metadata as a LlamaConfig. ValueError for another architecture, and for a key that might
    change what is computed."""
    fields = Fields(path, dict(metadata))
    fields.fixed("general.architecture", "llama", "no other architecture is read")
    if "general.architecture" not in fields:
        raise ValueError(f"{path} has no general.architecture")
    for key in metadata:
        if key.startswith("llama.") and key.removeprefix("llama.") not in KNOWN:
            raise fields.wrong(key, "is not known")
    fields.fixed("llama.expert_count", 0, "a mixture of experts is no Llama 2")
    fields.fixed("llama.tensor_data_layout", "Meta AI original pth", "no other order is read")
    config = make_config(
        path,
        dim=fields.whole("llama.embedding_length"),
        n_layers=fields.whole("llama.block_count"),
        n_heads=fields.whole("llama.attention.head_count"),
        n_kv_heads=fields.whole("llama.attention.head_count_kv", None),
        vocab_size=shapes.get("tok_embeddings.weight", (0,))[0],
        hidden_dim=fields.whole("llama.feed_forward_length"),
        norm_eps=fields.number("llama.attention.layer_norm_rms_epsilon"),
        max_seq_len=fields.whole("llama.context_length"),
        rope_theta=fields.number("llama.rope.freq_base", 10000.0),
        rope_scaling_factor=_factor(fields),
        tie_embeddings="output.weight" not in shapes,
    )
    for key in ("rope.dimension_count", "attention.key_length", "attention.value_length"):
        fields.fixed(f"llama.{key}", config.head_dim, "it is not dim / n_heads")
    fields.fixed("llama.vocab_size", config.vocab_size, "the embedding has other rows")
    return config


def _factor(fields: Fields) -> float:
    if fields.values.get("llama.rope.scaling.type", "none") == "none":
        return fields.number("llama.rope.scale_linear", 1.0)
    fields.fixed("llama.rope.scaling.type", "linear", "no other scaling of RoPE is read")
    return fields.number("llama.rope.scaling.factor")


def metadata_of(config: LlamaConfig, kind: str) -> dict[str, Any]:
    """What the file says of a model whose matrices are of that kind. ValueError for a config that
    would not come back the same."""
    found: dict[str, Any] = {
        "general.file_type": FILE_TYPES[kind],
        "llama.vocab_size": config.vocab_size,
        "llama.context_length": config.max_seq_len,
        "llama.embedding_length": config.dim,
        "llama.block_count": config.n_layers,
        "llama.feed_forward_length": int(config.hidden_dim),
        "llama.rope.dimension_count": config.head_dim,
        "llama.rope.freq_base": float(config.rope_theta),
        "llama.attention.head_count": config.n_heads,
        "llama.attention.head_count_kv": int(config.n_kv_heads),
        "llama.attention.layer_norm_rms_epsilon": float(config.norm_eps),
    }
    if kind[0] == "Q":
        found["general.quantization_version"] = 2
    if config.rope_scaling_factor != 1:
        found["llama.rope.scaling.type"] = "linear"
        found["llama.rope.scaling.factor"] = float(config.rope_scaling_factor)
    for field in ("rope_theta", "norm_eps", "rope_scaling_factor"):
        value = getattr(config, field)
        if shortest(value) != value:
            raise ValueError(
                f"GGUF keeps {field} in float32: {value} would become {shortest(value)}"
            )
    return found

"""Hugging Face's config.json, read as transformers writes it and written so that it reads it.

There are two styles: the old one has rope_theta on top and torch_dtype, the new one rope_parameters
and dtype. Both are understood; what is written is understood by both. What would change the model's
arithmetic and is not Llama 2 (scaled RoPE, biases, another activation, quantised weights) is
refused, never ignored.  Source: transformers' LlamaConfig.
"""

from pathlib import Path

from llamalab.config import LlamaConfig
from llamalab.tokenizer import BPETokenizer

from .build import make_config
from .fields import Fields
from .files import FLOATS

DTYPES = [str(dtype).removeprefix("torch.") for dtype in FLOATS]


def read_config(path: Path) -> LlamaConfig:
    """config.json -> LlamaConfig; a key that is absent means what it means to transformers."""
    fields = Fields(path)
    for key, only, why in (
        ("model_type", "llama", "only this kind of model can be read"),
        ("hidden_act", "silu", "Llama 2's feed-forward layer is SwiGLU"),
        ("attention_bias", False, "Llama 2 has no biases"),
        ("mlp_bias", False, "Llama 2 has no biases"),
        ("quantization_config", None, "quantised weights are not supported"),
    ):
        fields.fixed(key, only, why)
    config = make_config(
        path,
        dim=fields.whole("hidden_size"),
        n_layers=fields.whole("num_hidden_layers"),
        n_heads=fields.whole("num_attention_heads"),
        n_kv_heads=fields.whole("num_key_value_heads", None),
        vocab_size=fields.whole("vocab_size"),
        hidden_dim=fields.whole("intermediate_size"),
        multiple_of=fields.whole("multiple_of", 256),  # ours; transformers has no such key
        ffn_dim_multiplier=fields.number("ffn_dim_multiplier", None),
        norm_eps=fields.number("rms_norm_eps", 1e-6),
        max_seq_len=fields.whole("max_position_embeddings", 2048),
        rope_theta=_theta(fields),
        tie_embeddings=fields.flag("tie_word_embeddings", False),
    )
    if fields.whole("head_dim", config.head_dim) != config.head_dim:
        raise fields.wrong("head_dim", f"must be hidden_size/num_attention_heads {config.head_dim}")
    for key in ("dtype", "torch_dtype"):
        if key in fields and fields.values[key] not in DTYPES:
            raise fields.wrong(key, f"is none of {', '.join(DTYPES)}")
    return config


def _theta(fields: Fields) -> float:
    """rope_theta from the top or from inside; two that differ are refused, and so is scaling."""
    found = {}
    for key in ("rope_parameters", "rope_scaling"):
        inner = fields.inner(key)
        for kind in ("rope_type", "type"):
            inner.fixed(kind, "default", f"scaled RoPE in {key} is not supported")
        inner.fixed("partial_rotary_factor", 1.0, "only part of a head would be turned")
        known = {"rope_theta", "rope_type", "type", "partial_rotary_factor"}
        if unknown := sorted(set(inner.values) - known):
            raise inner.wrong(unknown[0], f"in {key}: scaled RoPE is not supported")
        if "rope_theta" in inner:
            found[key] = inner.number("rope_theta")
    fields.fixed("partial_rotary_factor", 1.0, "only part of a head would be turned")
    if "rope_theta" in fields:
        found["rope_theta"] = fields.number("rope_theta")
    if len(set(found.values())) > 1:
        raise ValueError(f"{fields.path}: rope_theta is said to be {found}")
    return next(iter(found.values()), 10000.0)


def config_json(config: LlamaConfig, dtype: str, tokenizer: BPETokenizer | None = None) -> dict:
    """What config.json says: transformers' keys, and two of Meta's that it carries along."""
    bos, eos = (1, 2) if tokenizer is None else (tokenizer.bos_id, tokenizer.eos_id)
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": config.dim,
        "intermediate_size": config.hidden_dim,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_seq_len,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": None,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "tie_word_embeddings": config.tie_embeddings,
        "bos_token_id": bos if bos >= 0 else None,
        "eos_token_id": eos if eos >= 0 else None,
        "torch_dtype": dtype,
        "dtype": dtype,
        "pretraining_tp": 1,
        "use_cache": True,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "multiple_of": config.multiple_of,
        "ffn_dim_multiplier": config.ffn_dim_multiplier,
    }

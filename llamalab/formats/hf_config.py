"""Hugging Face's config.json, read as transformers writes it and written so that it reads it.

There are two styles: the old one has rope_theta on top and torch_dtype, the new one rope_parameters
and dtype. Both are understood; what is written is understood by both. What would change the model's
arithmetic and is not Llama 2 (biases, another activation, quantized weights) is refused, never
ignored; so is every scaling of RoPE but the linear one, by which positions are divided. The context
is max_position_embeddings, scaled or not, as in transformers.  Source: transformers' LlamaConfig.
A model that scores says so by its architecture. transformers reads its score at the last token that
is not padding, so padding must be no token that an answer may end with: not EOS, but <unk>.
"""

import math
from pathlib import Path

from llamalab.config import LlamaConfig
from llamalab.runtime.json_files import Fields
from llamalab.tokenizer import BPETokenizer

from .build import make_config
from .files import FLOATS

SCORING = "LlamaForSequenceClassification"
OFFSET = "llamalab_offset"
DTYPES = [str(dtype).removeprefix("torch.") for dtype in FLOATS]


def read_config(path: Path) -> tuple[LlamaConfig, bool]:
    """config.json -> LlamaConfig, and whether the head gives a score in place of logits; a key that
    is absent means what it means to transformers."""
    fields = Fields(path)
    return from_fields(fields), _scoring(fields)


def from_fields(fields: Fields) -> LlamaConfig:
    """The fields of a config.json -> LlamaConfig. ValueError for what is not a Llama 2."""
    for key, only, why in (
        ("model_type", "llama", "only this kind of model can be read"),
        ("hidden_act", "silu", "Llama 2's feed-forward layer is SwiGLU"),
        ("attention_bias", False, "Llama 2 has no biases"),
        ("mlp_bias", False, "Llama 2 has no biases"),
        ("quantization_config", None, "quantised weights are not supported"),
    ):
        fields.fixed(key, only, why)
    config = make_config(
        fields.path,
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
        **_rope(fields),
        tie_embeddings=fields.flag("tie_word_embeddings", False),
    )
    if fields.whole("head_dim", config.head_dim) != config.head_dim:
        raise fields.wrong("head_dim", f"must be hidden_size/num_attention_heads {config.head_dim}")
    for key in ("dtype", "torch_dtype"):
        if key in fields and fields.values[key] not in DTYPES:
            raise fields.wrong(key, f"is none of {', '.join(DTYPES)}")
    return config


def _scoring(fields: Fields) -> bool:
    """Whether this is a model that scores; one with several scores is refused."""
    if fields.values.get("architectures") != [SCORING]:
        return False
    said = [len(fields.inner("id2label").values)] if "id2label" in fields else []
    said += [fields.whole("num_labels")] if "num_labels" in fields else []
    if (labels := max(said, default=2)) != 1:  # 2 is what transformers takes, if nothing is said
        raise ValueError(
            f"{fields.path}: a {SCORING} of {labels} labels; only one with 1, a score, can be read"
        )
    _offset(fields)
    return True


def read_offset(path: Path) -> float:
    """What is to be added to a model's scores before a sigmoid, by a folder's config.json; 0 where
    it says nothing. ValueError if it is not a finite number."""
    return _offset(Fields(path))


def _offset(fields: Fields) -> float:
    offset = fields.values[OFFSET] if OFFSET in fields else 0.0
    if type(offset) not in (int, float) or not -(2**100) < offset < 2**100:
        raise fields.wrong(OFFSET, "must be a finite number")
    return float(offset)


def _rope(fields: Fields) -> dict[str, float]:
    """rope_theta and rope_scaling_factor, from the top or from inside; two places that say
    different things are refused, and so is what stretches a context in another way."""
    thetas: dict[str, float] = {}
    factors: dict[str, float] = {}
    for key in ("rope_parameters", "rope_scaling"):
        inner = fields.inner(key)
        if not inner.values:
            continue
        factors[key] = _factor(inner, key)
        if "rope_theta" in inner:
            thetas[key] = inner.number("rope_theta")
    fields.fixed("partial_rotary_factor", 1.0, "only part of a head would be turned")
    if "rope_theta" in fields:
        thetas["rope_theta"] = fields.number("rope_theta")
    found = {}
    for name, usual, said in (("rope_theta", 1e4, thetas), ("rope_scaling_factor", 1.0, factors)):
        if len(set(said.values())) > 1:
            raise ValueError(f"{fields.path}: {name} is said to be {said}")
        found[name] = next(iter(said.values()), usual)
    return found


def _factor(inner: Fields, key: str) -> float:
    """By what the positions are divided: 1.0 where the kind is default, else the linear factor."""
    kinds = [inner.values[name] for name in ("rope_type", "type") if name in inner]
    linear = bool(kinds) and all(kind == "linear" for kind in kinds)
    if not linear:
        for name in ("rope_type", "type"):
            inner.fixed(name, "default", f"other scaled RoPE than linear in {key} is not supported")
    inner.fixed("partial_rotary_factor", 1.0, "only part of a head would be turned")
    known = {"rope_theta", "rope_type", "type", "partial_rotary_factor"} | (
        {"factor"} if linear else set()
    )
    if unknown := sorted(set(inner.values) - known):
        raise inner.wrong(unknown[0], f"in {key}: this scaling of RoPE is not supported")
    return inner.number("factor") if linear else 1.0


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
        "rope_scaling": _scaling(config),
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


def scoring_json(tokenizer: BPETokenizer | None, offset: float) -> dict:
    """What config.json says in addition for a model that scores. ValueError for an offset that is
    not a finite number."""
    if not math.isfinite(offset):
        raise ValueError(f"offset={offset} must be a finite number")
    return {
        "architectures": [SCORING],
        "id2label": {"0": "score"},
        "label2id": {"score": 0},
        "pad_token_id": 0 if tokenizer is None else max(0, tokenizer.unk_id),
        OFFSET: float(offset),
    }


def _scaling(config: LlamaConfig) -> dict | None:
    if config.rope_scaling_factor == 1:
        return None
    # The kind under both names, that of the older style and that of the newer.
    return {"type": "linear", "rope_type": "linear", "factor": config.rope_scaling_factor}

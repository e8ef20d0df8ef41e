"""Checkpoints of others, in and out: Hugging Face's and Meta's folders, llama2.c's files, GGUF.

    model, tokenizer = load(path)        save(model, path, format="hf", tokenizer=tokenizer)
load recognises what it is given. In float32 load(save(x)) equals x bit for bit (q8 within half a
step), and both write only what they were asked to: a model is never changed by saving it.
"""

import math
import os
from pathlib import Path

import torch

from llamalab.model import Llama, Parts
from llamalab.quantization import FORMATS as QUANTIZED
from llamalab.quantization.quantize import read_format
from llamalab.runtime import paths
from llamalab.runtime.files import require_file
from llamalab.tokenizer import BPETokenizer

from . import gguf, hf, hf_config, llama2c, meta, packed, tokenizer_bin
from .adapter import load_adapter, save_adapter
from .build import build_model, scores
from .pack import STORED, build_packed, holds_blocks

__all__ = ["FORMATS", "load", "load_adapter", "save", "save_adapter", "score_offset", "scores"]
FORMATS = ("hf", "meta", "llama2c", "llama2c-q8")  # these need nothing but torch and safetensors


def load(
    path: str | os.PathLike,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    parts: Parts | None = None,
    quantize: str | None = None,
) -> tuple[Llama, BPETokenizer | None]:
    """A checkpoint's model, and its tokenizer if one lies beside it. `path` may be the name of one
    that the course ships, "tales".

    A reward or value model of Hugging Face's gives (B, T, 1) in place of logits.
    dtype: None keeps the stored one (int8 becomes float32). parts: the functions that the model is
    made of. quantize: "q8_0", "q4_0", "nf4" and so on pack the weights one by one as they are read;
    "stored" keeps the blocks that a GGUF file may hold, which become floats else. ValueError
    says what is wrong with a file, MemoryError that it would not fit.
    """
    path = _shipped(Path(path))
    if packed.recognises(path):
        _check_packed_options(path, dtype, quantize)
        model = packed.read(path, parts).to(device)
        return model, _tokenizer(path, model.config.vocab_size)
    if path.is_file():
        held = gguf.read(path) if gguf.recognises(path) else llama2c.read(path)
    elif (path / "config.json").exists():
        held = hf.read(path)
    elif (path / "params.json").exists():
        held = meta.read(path)
    else:
        raise ValueError(
            f"{path} is no checkpoint that is known here. Looked for config.json (Hugging Face) "
            f"and params.json (Meta) in the folder; a file would have to be llama2.c's or GGUF"
        )
    tokenizer = _tokenizer(path, held.config.vocab_size)
    if quantize is None or (quantize == STORED and not holds_blocks(held)):
        return build_model(held, dtype=dtype, device=device, parts=parts), tokenizer
    _check_packed_options(path, dtype, None)
    return build_packed(held, quantize, parts=parts).to(device), tokenizer


def save(
    model: Llama,
    path: str | os.PathLike,
    *,
    format: str = "hf",
    tokenizer: BPETokenizer | None = None,
    shards: int = 1,
    max_shard_bytes: int | None = None,
    version: int = 0,
    offset: float = 0.0,
) -> None:
    """Write a checkpoint: a folder for "hf" and "meta", a file for "llama2c" and "llama2c-q8", and
    for "gguf", "gguf-q8_0" and "gguf-q4_0" (ImportError without the gguf package). A quantized
    model's own format, "nf4" and so on, makes a folder too.

    shards: files of "meta". max_shard_bytes: the most in one file of "hf". version: 0 or 1 of
    "llama2c"; run.c reads 0. The tokenizer is written next to it, as tokenizer.model or
    tokenizer.bin. offset: of a model that scores, which "hf" alone can hold, see `score_offset`.
    ValueError for options that the format does not have, and for what it cannot hold; nothing is
    written then.
    """
    path = Path(path)
    if format not in (*FORMATS, *gguf.FORMATS) and not is_packed(format):
        known = (*FORMATS, *gguf.FORMATS, *QUANTIZED)
        raise ValueError(f"no format called {format!r}; there are {', '.join(known)}")
    _check_option("shards", shards, 1, format == "meta", 1 <= shards <= 99)
    good = max_shard_bytes is None or max_shard_bytes > 0
    _check_option("max_shard_bytes", max_shard_bytes, None, format == "hf", good)
    _check_option("version", version, 0, format == "llama2c", version in (0, 1))
    _check_option("offset", offset, 0.0, scores(model), math.isfinite(offset))
    if scores(model) and format != "hf":
        raise ValueError(f"a model that scores can be saved as 'hf' alone, not as {format!r}")
    if tokenizer is not None and tokenizer.vocab_size > model.config.vocab_size:
        raise ValueError(_too_large("the tokenizer", tokenizer, model.config.vocab_size))
    if format in gguf.FORMATS:
        return gguf.write(model, path, format, tokenizer)
    if format in ("hf", "meta") or is_packed(format):
        if is_packed(format):
            packed.write(model, path, format)
        elif format == "hf":
            hf.write(model, path, tokenizer, max_shard_bytes, offset)
        else:
            meta.write(model, path, shards)
        if tokenizer is not None:
            tokenizer.save(path / "tokenizer.model")
        return
    data = tokenizer_bin.to_bytes(tokenizer, model.config.vocab_size) if tokenizer else None
    llama2c.write(model, path, version if format == "llama2c" else 2)
    if data is not None:
        tokenizer_bin.write(data, path.with_name("tokenizer.bin"))


def score_offset(path: str | os.PathLike) -> float:
    """What is to be added to the scores of a reward model before a sigmoid makes them a number
    between 0 and 1: pairs teach differences only, so the head itself knows no zero. 0 where
    config.json says nothing. ValueError for one that is not a finite number."""
    return hf_config.read_offset(_shipped(Path(path)) / "config.json")


def _shipped(path: Path) -> Path:
    """The path if there is something; else the shipped checkpoint of that name."""
    if path.exists():
        return path
    known = paths.checkpoints()
    if str(path) not in known:
        ships = f" (the course ships {', '.join(known)})" if known else ""
        raise FileNotFoundError(f"there is no checkpoint at {path}{ships}")
    return known[str(path)]


def is_packed(format: str) -> bool:
    """Whether the name is one of quantize_model's formats."""
    try:
        return bool(read_format(format))
    except ValueError:
        return False


def _check_packed_options(path: Path, dtype: torch.dtype | None, quantize: str | None) -> None:
    if dtype not in (None, torch.float32) or quantize not in (None, STORED):
        raise ValueError(
            f"{path}: a packed model computes in float32 and stays as it is packed, so dtype="
            f"{dtype} and quantize={quantize!r} cannot be had"
        )


def _check_option(name: str, value: object, usual: object, applies: bool, good: bool) -> None:
    if not good or (value != usual and not applies):
        raise ValueError(f"{name}={value!r} cannot be used with this format; see save's docstring")


def _tokenizer(path: Path, vocab_size: int) -> BPETokenizer | None:
    if path.is_file() and gguf.recognises(path):
        return gguf.read_tokenizer(path, vocab_size)
    if path.is_file():
        beside = path.with_name("tokenizer.bin")
        return tokenizer_bin.read(beside, vocab_size) if beside.exists() else None
    beside = path / "tokenizer.model"
    if not beside.exists():
        return None
    tokenizer = BPETokenizer.load(require_file(beside))
    if tokenizer.vocab_size > vocab_size:
        raise ValueError(_too_large(str(beside), tokenizer, vocab_size))
    return tokenizer


def _too_large(what: str, tokenizer: BPETokenizer, vocab_size: int) -> str:
    return f"{what} has {tokenizer.vocab_size} pieces, the model only {vocab_size} rows for them"

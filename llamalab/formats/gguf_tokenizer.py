"""A SentencePiece tokenizer in GGUF's metadata, both ways.

    tokenizer.ggml.model = "llama" · tokens · scores (float32) · token_type · …_token_id

The kinds are SentencePiece's numbers: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused,
6 byte. What the file has no key for is Llama's (bytes as a fallback, spaces written as ▁); a
tokenizer that would not come back the same is not written.
"""

import math
from collections.abc import Mapping
from typing import Any

from llamalab.tokenizer import BPETokenizer
from llamalab.tokenizer.sentencepiece.model_file import BPE, ModelProto, parse_model

from .tokenizer_bin import what_decides

PREFIX = "tokenizer.ggml."
IDS = {"bos": "bos_token_id", "eos": "eos_token_id", "unk": "unknown_token_id",
       "pad": "padding_token_id"}  # fmt: skip


def to_metadata(tokenizer: BPETokenizer, vocab_size: int) -> dict[str, Any]:
    """The metadata that holds a tokenizer. ValueError for one of another size than the model's, and
    for one that the file cannot hold."""
    if tokenizer.vocab_size != vocab_size:
        raise ValueError(
            f"GGUF needs a tokenizer of the model's size: {tokenizer.vocab_size} pieces, "
            f"vocab_size={vocab_size}"
        )
    model = parse_model(tokenizer.to_bytes(), "the tokenizer")
    rules = model.normalizer_spec
    found: dict[str, Any] = {
        "model": "llama",
        "tokens": [piece.piece for piece in model.pieces],
        "scores": [float(piece.score) for piece in model.pieces],
        "token_type": [int(piece.type) for piece in model.pieces],
        "add_space_prefix": bool(rules.add_dummy_prefix),
        "remove_extra_whitespaces": bool(rules.remove_extra_whitespaces),
    }
    ids = {"bos": tokenizer.bos_id, "eos": tokenizer.eos_id, "unk": tokenizer.unk_id,
           "pad": tokenizer.pad_id}  # fmt: skip
    found |= {IDS[name]: number for name, number in ids.items() if number >= 0}
    if rules.precompiled_charsmap:
        found["precompiled_charsmap"] = bytes(rules.precompiled_charsmap)
    metadata = {f"{PREFIX}{key}": value for key, value in found.items()}
    again = from_metadata(metadata, vocab_size, "GGUF")
    if again is None or what_decides(again) != what_decides(tokenizer):
        raise ValueError("GGUF cannot hold this tokenizer: it has settings other than Llama's")
    return metadata


def from_metadata(metadata: Mapping[str, Any], vocab_size: int, source: str) -> BPETokenizer | None:
    """The tokenizer in the metadata; None where there is none. ValueError, naming `source`, for one
    that cannot be used, and for one of another size than the model's."""
    found = {key.removeprefix(PREFIX): value for key, value in metadata.items()
             if key.startswith(PREFIX)}  # fmt: skip
    if not found:
        return None
    if found.get("model") != "llama":
        raise ValueError(
            f"{source}: a tokenizer of the kind {found.get('model')!r:.40}; only 'llama', which is "
            "SentencePiece's, is read"
        )
    columns = [_list(found, key, kinds, source) for key, kinds in
               (("tokens", (str,)), ("scores", (float,)), ("token_type", (int,)))]  # fmt: skip
    sizes = {len(column) for column in columns} | {vocab_size}
    if len(sizes) > 1:
        raise ValueError(
            f"{source}: tokens, scores and kinds have {[len(column) for column in columns]} "
            f"entries, the model {vocab_size} rows"
        )
    model = ModelProto()
    for text, score, kind in zip(*columns):
        if not math.isfinite(score) or not 1 <= kind <= 6 or not text:
            raise ValueError(f"{source}: piece {text!r:.40} has score {score} and kind {kind}")
        model.pieces.add(piece=text, score=score, type=kind)
    spec, rules = model.trainer_spec, model.normalizer_spec
    spec.model_type, spec.vocab_size, spec.byte_fallback = BPE, vocab_size, True
    spec.split_digits = spec.allow_whitespace_only_pieces = True
    rules.name, rules.escape_whitespaces = "identity", True
    rules.add_dummy_prefix = _flag(found, "add_space_prefix", True, source)
    rules.remove_extra_whitespaces = _flag(found, "remove_extra_whitespaces", False, source)
    charsmap = found.get("precompiled_charsmap", b"")
    if charsmap:
        rules.precompiled_charsmap = _bytes(charsmap, source)
    for name in ("bos", "eos", "pad"):
        number = found.get(IDS[name], -1)
        if type(number) is int and 0 <= number < vocab_size:
            setattr(spec, f"{name}_id", number)
            setattr(spec, f"{name}_piece", model.pieces[number].piece)
        elif number != -1:
            raise ValueError(f"{source}: {IDS[name]}={number!r:.40} is no piece's number")
    return BPETokenizer.from_bytes(model.SerializeToString(deterministic=True), source=source)


def _list(found: dict, key: str, kinds: tuple[type, ...], source: str) -> list:
    value = found.get(key)
    if not isinstance(value, list) or not {type(entry) for entry in value} <= set(kinds):
        raise ValueError(f"{source}: {PREFIX}{key} is no list of {kinds[0].__name__}")
    return value


def _flag(found: dict, key: str, usual: bool, source: str) -> bool:
    if type(value := found.get(key, usual)) is not bool:
        raise ValueError(f"{source}: {PREFIX}{key}={value!r:.40} must be true or false")
    return value


def _bytes(value: Any, source: str) -> bytes:
    try:
        return bytes(value)
    except (TypeError, ValueError):
        raise ValueError(f"{source}: {PREFIX}precompiled_charsmap is no list of bytes") from None

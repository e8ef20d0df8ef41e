"""llama2.c's tokenizer.bin: the pieces of a SentencePiece model and their scores, nothing else.

    uint32 longest piece in bytes, then for each: float32 score · int32 length · bytes
▁ is written as a space, <s> and </s> with a line break on both sides. The number of pieces is not
in the file (it is the model's vocab_size), nor are their kinds: piece 0 is <unk>, 1 and 2 are <s>
and </s>, 3 to 258 the bytes, and the settings are Llama's. A tokenizer that would not come back
the same is not written.  Source: llama2.c's tokenizer.py.
"""

import math
import struct
from pathlib import Path

from llamalab.runtime.files import atomic_write, require_file
from llamalab.tokenizer import BPETokenizer
from llamalab.tokenizer.bpe import BYTE_PIECES
from llamalab.tokenizer.sentencepiece.model_file import (
    BPE,
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    ModelProto,
    parse_model,
)
from llamalab.tokenizer.text import SPACE

CONTROLS = {1: "\n<s>\n", 2: "\n</s>\n"}
FIRST_NORMAL = 3 + len(BYTE_PIECES)  # 259


def read(path: Path, vocab_size: int) -> BPETokenizer:
    """The tokenizer in a file. ValueError if it does not hold exactly `vocab_size` pieces."""
    return from_bytes(require_file(path).read_bytes(), vocab_size, str(path))


def from_bytes(data: bytes, vocab_size: int, source: str) -> BPETokenizer:
    """A tokenizer of exactly `vocab_size` pieces; ValueError, naming `source`, if there are
    others."""
    if vocab_size < FIRST_NORMAL:
        raise ValueError(f"{source}: {vocab_size} pieces; {FIRST_NORMAL} are fixed")
    if len(data) < 4 + 8 * vocab_size:
        raise ValueError(f"{source}: {len(data)} bytes are too few for {vocab_size} pieces")
    longest, place = struct.unpack_from("<I", data)[0], 4
    pieces: list[tuple[bytes, float]] = []
    while place < len(data) and len(pieces) < vocab_size:
        if len(data) - place < 8:
            break
        score, length = struct.unpack_from("<fi", data, place)
        text = data[place + 8 : place + 8 + length] if length >= 0 else b""
        if not 0 < length <= longest or len(text) < length or not math.isfinite(score):
            raise ValueError(
                f"{source}: piece {len(pieces)} has length {length} (the longest is said to have "
                f"{longest}, {len(data) - place - 8} bytes are left) and score {score}"
            )
        pieces.append((text, score))
        place += 8 + length
    if place != len(data) or len(pieces) != vocab_size:
        raise ValueError(
            f"{source}: {len(pieces)} pieces end at byte {place} of {len(data)}; the model beside "
            f"it has vocab_size={vocab_size}. A tokenizer of another model must lie elsewhere"
        )
    return _tokenizer(pieces, source)


def _tokenizer(pieces: list[tuple[bytes, float]], source: str) -> BPETokenizer:
    model = ModelProto()
    for i, (raw, score) in enumerate(pieces):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{source}: piece {i} is not UTF-8: {raw!r:.60}") from None
        kind = NORMAL
        if i == 0:
            kind = UNKNOWN
        elif i in CONTROLS:
            text, kind = text.strip("\n") if text == CONTROLS[i] else text, CONTROL
        elif i < FIRST_NORMAL:
            kind = BYTE
        model.pieces.add(piece=text.replace(" ", SPACE), score=score, type=kind)
    spec, normalizer = model.trainer_spec, model.normalizer_spec
    spec.model_type, spec.vocab_size, spec.byte_fallback = BPE, len(pieces), True
    spec.split_digits = spec.allow_whitespace_only_pieces = True
    normalizer.name, normalizer.remove_extra_whitespaces = "identity", False
    normalizer.add_dummy_prefix = normalizer.escape_whitespaces = True
    return BPETokenizer.from_bytes(model.SerializeToString(deterministic=True), source=source)


def to_bytes(tokenizer: BPETokenizer, vocab_size: int) -> bytes:
    """The file's bytes; ValueError for a tokenizer that the format cannot hold."""
    if tokenizer.vocab_size != vocab_size:
        raise ValueError(
            f"tokenizer.bin needs a tokenizer of the model's size: {tokenizer.vocab_size} pieces, "
            f"vocab_size={vocab_size}"
        )
    pieces = []
    for i in range(vocab_size):
        text = CONTROLS.get(i, tokenizer.id_to_piece(i)).replace(SPACE, " ").encode("utf-8")
        pieces.append((text, tokenizer.scores[i]))
    data = struct.pack("<I", max(len(text) for text, _ in pieces)) + b"".join(
        struct.pack("<fi", score, len(text)) + text for text, score in pieces
    )
    again = from_bytes(data, vocab_size, "tokenizer.bin")
    if what_decides(again) != what_decides(tokenizer):
        raise ValueError(
            "tokenizer.bin cannot hold this tokenizer: it has kinds of pieces, or settings, other "
            "than Llama's"
        )
    return data


def what_decides(tokenizer: BPETokenizer) -> tuple:
    """All that ids and texts depend on."""
    model = parse_model(tokenizer.to_bytes(), "the tokenizer")
    rules, spec = model.normalizer_spec, model.trainer_spec
    return (
        [(entry.piece, entry.score, entry.type) for entry in model.pieces],
        (rules.add_dummy_prefix, rules.remove_extra_whitespaces, rules.escape_whitespaces),
        (rules.precompiled_charsmap, spec.treat_whitespace_as_suffix, spec.byte_fallback),
        (spec.unk_surface, tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id),
    )


def write(data: bytes, path: Path) -> None:
    """Write what `to_bytes` gave, whole or not at all."""
    with atomic_write(path) as part:
        part.write_bytes(data)

"""The .model file: a protocol buffer called ModelProto, in SentencePiece's own layout.

    ModelProto      1 pieces (text, score as float32, type) · 2 trainer_spec · 3 normalizer_spec
                    5 denormalizer_spec
Only the fields that decide ids are declared here; all others travel through load and save unread.
The message lives in a descriptor pool of its own: sentencepiece and transformers each register a
file of this name in the shared pool, and two of them there end the process.
Source: sentencepiece_model.proto.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from llamalab.runtime.files import atomic_write

from ..bpe import BYTE_OF

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
MODEL_TYPES = {1: "unigram", 2: "BPE", 3: "word", 4: "char"}
BPE = 2

# message: {field: (number, type, default)}.  The defaults are part of the format: a file leaves
# out what is equal to them.
FIELDS: dict[str, dict[str, tuple]] = {
    "TrainerSpec": {
        "model_type": (3, "ModelType", "UNIGRAM"),
        "vocab_size": (4, "int32", "8000"),
        "character_coverage": (10, "float", "0.9995"),
        "max_sentencepiece_length": (20, "int32", "16"),
        "split_by_unicode_script": (21, "bool", "true"),
        "split_by_whitespace": (22, "bool", "true"),
        "split_by_number": (23, "bool", "true"),
        "treat_whitespace_as_suffix": (24, "bool", "false"),
        "split_digits": (25, "bool", "false"),
        "allow_whitespace_only_pieces": (26, "bool", "false"),
        "byte_fallback": (35, "bool", "false"),
        "unk_id": (40, "int32", "0"),
        "bos_id": (41, "int32", "1"),
        "eos_id": (42, "int32", "2"),
        "pad_id": (43, "int32", "-1"),
        "unk_surface": (44, "string", " \u2047 "),
        "unk_piece": (45, "string", "<unk>"),
        "bos_piece": (46, "string", "<s>"),
        "eos_piece": (47, "string", "</s>"),
        "pad_piece": (48, "string", "<pad>"),
    },
    "NormalizerSpec": {
        "name": (1, "string", ""),
        "precompiled_charsmap": (2, "bytes", ""),
        "add_dummy_prefix": (3, "bool", "true"),
        "remove_extra_whitespaces": (4, "bool", "true"),
        "escape_whitespaces": (5, "bool", "true"),
    },
    "SentencePiece": {
        "piece": (1, "string", ""),
        "score": (2, "float", "0"),
        "type": (3, "PieceType", "NORMAL"),
    },
    "ModelProto": {
        "pieces": (1, "SentencePiece", None),
        "trainer_spec": (2, "TrainerSpec", None),
        "normalizer_spec": (3, "NormalizerSpec", None),
        "denormalizer_spec": (5, "NormalizerSpec", None),
    },
}
ENUMS: dict[str, dict[str, int]] = {
    "ModelType": {"UNIGRAM": 1, "BPE": 2, "WORD": 3, "CHAR": 4},
    "PieceType": {
        "NORMAL": 1, "UNKNOWN": 2, "CONTROL": 3, "USER_DEFINED": 4, "UNUSED": 5, "BYTE": 6,
    },
}  # fmt: skip


def _message_class() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(
        name="llamalab_sentencepiece_model.proto", package="llamalab", syntax="proto2"
    )
    for enum_name, values in ENUMS.items():
        enum = file.enum_type.add(name=enum_name)
        for name, number in values.items():
            enum.value.add(name=name, number=number)
    kinds = descriptor_pb2.FieldDescriptorProto
    for message_name, fields in FIELDS.items():
        message = file.message_type.add(name=message_name)
        for name, (number, kind, default) in fields.items():
            field = message.field.add(name=name, number=number, default_value=default)
            field.label = kinds.LABEL_REPEATED if name == "pieces" else kinds.LABEL_OPTIONAL
            if kind in ENUMS or kind in FIELDS:
                field.type = kinds.TYPE_ENUM if kind in ENUMS else kinds.TYPE_MESSAGE
                field.type_name = f".llamalab.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("llamalab.ModelProto"))


ModelProto = _message_class()


def parse_model(data: bytes, source: str) -> Message:
    """The bytes of a .model file as a checked ModelProto; `source` names them in error messages.
    ValueError says what is wrong with them."""
    if not data:
        raise ValueError(f"{source} is empty (0 bytes), not a SentencePiece model")
    model = ModelProto()
    try:
        model.ParseFromString(data)
        _check(model)
    except DecodeError:
        raise ValueError(
            f"{source} is no SentencePiece model, or was cut off: "
            f"its {len(data)} bytes cannot be read as a ModelProto"
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} holds a text that is not UTF-8: {error.object!r:.60}") from None
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return model


def _check(model: Message) -> None:
    """Refuse a model that this package, or the sentencepiece library, could not use."""
    if not model.pieces:
        raise ValueError("no SentencePiece model: there is no piece in it")
    for part in ("trainer_spec", "normalizer_spec"):
        if not model.HasField(part):
            raise ValueError(f"no {part}: the file was cut off, or is another kind of file")
    spec = model.trainer_spec
    if spec.model_type != BPE:
        raise ValueError(
            f"a {MODEL_TYPES[spec.model_type]} model; only SentencePiece BPE models can be read"
        )
    for text in (spec.unk_surface, spec.bos_piece, spec.eos_piece, spec.pad_piece):
        _check_utf8(text)
    seen: dict[str, int] = {}
    for i, entry in enumerate(model.pieces):
        piece = entry.piece
        _check_utf8(piece)
        if not piece or "\0" in piece:
            raise ValueError(f"piece {i} is {piece!r}: a piece is never empty and holds no NUL")
        if piece in seen:
            raise ValueError(f"piece {piece!r} is there twice, as number {seen[piece]} and {i}")
        if math.isnan(entry.score):
            raise ValueError(f"piece {i}, {piece!r}, has the score NaN")
        if entry.type == BYTE and piece not in BYTE_OF:
            raise ValueError(f"piece {i}, {piece!r}, is marked as a byte but is not <0x00>…<0xFF>")
        seen[piece] = i
    unknown = [i for i, entry in enumerate(model.pieces) if entry.type == UNKNOWN]
    if len(unknown) != 1:
        raise ValueError(
            f"{len(unknown)} pieces are marked as unknown (numbers {unknown[:5]}), not 1"
        )
    n_bytes = sum(entry.type == BYTE for entry in model.pieces)
    if n_bytes != (256 if spec.byte_fallback else 0):
        raise ValueError(f"byte_fallback={spec.byte_fallback}, but {n_bytes} of 256 byte pieces")


def _check_utf8(text: str | bytes) -> None:
    """Some versions of protobuf hand out bytes where a text is not UTF-8; others raise by then."""
    if isinstance(text, bytes):
        text.decode("utf-8")


def write_model(model: Message, path: str | os.PathLike) -> None:
    """Write a .model file that sentencepiece can open."""
    with atomic_write(Path(path)) as part:
        part.write_bytes(model.SerializeToString(deterministic=True))

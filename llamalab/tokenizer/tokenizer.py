"""BPETokenizer: text to ids and back, with any SentencePiece BPE model.

Same ids as the sentencepiece library for every string.  <s> and </s> are never read from text: they
are asked for with bos=True and eos=True.  The algorithm is in `bpe.py`; this is the door to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf.message import Message

from . import trainer
from .decoder import PieceDecoder
from .encoder import Encoder
from .sentencepiece.model_file import CONTROL, UNKNOWN, parse_model, write_model
from .stream import blocks
from .text import check_text


class BPETokenizer:
    """Made by `train`, `load` or `from_bytes`; never changed afterwards."""

    def __init__(self, model: Message) -> None:
        """`model`: a ModelProto that `parse_model` or `trainer.train` has made."""
        self._model = model
        self._pieces = [entry.piece for entry in model.pieces]
        self._id_of = {piece: i for i, piece in enumerate(self._pieces)}
        self.scores = [entry.score for entry in model.pieces]
        self.unk_id = next(i for i, entry in enumerate(model.pieces) if entry.type == UNKNOWN)
        spec = model.trainer_spec
        self.bos_id = self._control(spec.bos_piece or "<s>")  # -1 where a model has none
        self.eos_id = self._control(spec.eos_piece or "</s>")
        self.pad_id = self._control(spec.pad_piece or "<pad>")
        self._encoder = Encoder(model)
        self._decoder = PieceDecoder(model)

    def _control(self, piece: str) -> int:
        i = self._id_of.get(piece, -1)
        return i if i >= 0 and self._model.pieces[i].type == CONTROL else -1

    # --- where it comes from, where it goes -------------------------------------------------------

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        vocab_size: int,
        *,
        character_coverage: float = 0.99995,
        max_piece_length: int = 16,
    ) -> BPETokenizer:
        """Learn from one text or many; see `trainer.train` for the tie rule and the errors."""
        return cls(
            trainer.train(
                texts,
                vocab_size,
                character_coverage=character_coverage,
                max_piece_length=max_piece_length,
            )
        )

    @classmethod
    def load(cls, path: str | os.PathLike) -> BPETokenizer:
        """Read a .model file; ValueError says what is wrong with one that cannot be used."""
        return cls.from_bytes(Path(path).read_bytes(), source=str(path))

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str = "the model") -> BPETokenizer:
        """Read what a .model file holds; `source` names it in error messages. ValueError for a
        model that cannot be used."""
        model = parse_model(data, source)
        try:
            return cls(model)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None

    def save(self, path: str | os.PathLike) -> None:
        """Write a .model file that sentencepiece can open."""
        write_model(self._model, path)

    def to_bytes(self) -> bytes:
        """What `save` writes."""
        return self._model.SerializeToString(deterministic=True)

    def __reduce__(self):
        # A message of our private pool cannot be pickled; its bytes can go to a data loader.
        return self.from_bytes, (self.to_bytes(),)

    # --- the vocabulary ---------------------------------------------------------------------------

    @property
    def vocab_size(self) -> int:
        return len(self._pieces)

    def id_to_piece(self, i: int) -> str:
        """The piece with this id. ValueError for a number that is not an id."""
        if not 0 <= i < len(self._pieces):
            raise ValueError(f"id {i} is not in the vocabulary of {len(self._pieces)} pieces")
        return self._pieces[i]

    def piece_to_id(self, piece: str) -> int:
        """The id of a piece; `unk_id` for a text that is not a piece."""
        return self._id_of.get(piece, self.unk_id)

    # --- text to ids ------------------------------------------------------------------------------

    def encode(self, text: str, bos: bool = False, eos: bool = False) -> list[int]:
        """The ids of `text`, with <s> in front and </s> at the end if asked for.

        TypeError for anything but a str; ValueError for a lone surrogate, with its position.
        """
        return self._begin(bos) + self._encoder(check_text(text)) + self._end(eos)

    def encode_pieces(self, text: str) -> list[str]:
        """The same as pieces, bytes as <0xE2>; a model without bytes shows unknown text itself."""
        return self._encoder.pieces(check_text(text))

    def merge_steps(self, text: str) -> Iterator[list[str]]:
        """The symbols of `text` before any merge and after each one, to be looked at."""
        return self._encoder.steps(check_text(text))

    def encode_stream(
        self, chunks: Iterable[str], bos: bool = False, eos: bool = False
    ) -> Iterator[list[int]]:
        """Lists of ids that add up to encode("".join(chunks)), for texts larger than memory.

        `chunks` are cut anywhere (an open file will do); memory is bounded by the largest chunk and
        the longest line.  ValueError at once if this model's ids cannot be had line by line.
        """
        self._check_streamable()
        return self._stream(chunks, self._begin(bos), self._end(eos))

    def _stream(
        self, chunks: Iterable[str], begin: list[int], end: list[int]
    ) -> Iterator[list[int]]:
        if begin:
            yield begin
        after_unknown = False
        for text, first, last in blocks(chunks):
            ids = self._encoder(text, first=first, last=last)
            if after_unknown and ids[:1] == [self.unk_id]:
                del ids[0]  # a run of unknown characters shares one id, across lines too
            if ids:
                after_unknown = ids[-1] == self.unk_id
                yield ids
        if end:
            yield end

    def _check_streamable(self) -> None:
        """No piece and no rule may reach across a newline, whatever comes after it."""
        encoder = self._encoder
        across = next((piece for piece in encoder.scores if "\n" in piece[:-1]), None)
        if encoder.normalize.rewrites("\n"):
            name = self._model.normalizer_spec.name
            reason = f"its normaliser ({name!r}) may rewrite newlines"
        elif across is not None:
            reason = f"its piece {across!r} goes on behind a newline"
        elif encoder.unused:
            reason = (
                f"how its {len(encoder.unused)} unused pieces are split depends on all the text"
            )
        else:
            return
        raise ValueError(f"this model cannot encode line by line: {reason}; use encode")

    def _begin(self, bos: bool) -> list[int]:
        return [_asked("bos", self.bos_id)] if bos else []

    def _end(self, eos: bool) -> list[int]:
        return [_asked("eos", self.eos_id)] if eos else []

    # --- ids to text ------------------------------------------------------------------------------

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`. ValueError for a number that is not an id, TypeError for anything
        else.

        decode(encode(text)) is `text` itself under Llama 2's settings, except that a ▁ in the text
        comes back as a space.
        """
        return self._decoder(ids)


def _asked(name: str, i: int) -> int:
    if i < 0:
        raise ValueError(f"{name}=True, but this model has no {name} piece")
    return i

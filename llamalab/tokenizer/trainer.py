"""Training: from text to a vocabulary with Llama 2's layout.

    id 0 <unk> · 1 <s> · 2 </s> · 3 to 258 the 256 bytes · then merges · then single characters
    score of piece i >= 259 is -(i - 259), the earlier the higher; pieces of ▁ alone get -1e9
Every line is a sentence of its own with a ▁ in front; each step merges the most frequent pair
(`merges`).
Source: SentencePiece's BPE trainer with the settings that Llama 2's tokenizer.model records.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable

from google.protobuf.message import Message

from .bpe import BYTE_PIECES
from .merges import learn_merges
from .sentencepiece.model_file import BPE, BYTE, CONTROL, NORMAL, UNKNOWN, ModelProto
from .text import SPACE, check_text, segments

SPECIALS = (("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL))
FIRST_MERGE = len(SPECIALS) + len(BYTE_PIECES)  # 259
NEVER_PIECES = "\t\0"  # like the newline, these are left to the byte pieces
LAST_OF_ALL = -1e9


def train(
    texts: Iterable[str],
    vocab_size: int,
    *,
    character_coverage: float = 0.99995,
    max_piece_length: int = 16,
) -> Message:
    """Learn `vocab_size` pieces from `texts` and return them as a ModelProto.

    `texts` is one string or any iterable of strings, which is read once and never held in memory.
    Characters that are rarer than the coverage asks for get no piece of their own.  If the text
    runs out of pairs first, the vocabulary is smaller and a warning says so.  ValueError for a text
    that is empty or has more characters than `vocab_size` leaves room for; TypeError for anything
    but text.
    """
    if max_piece_length < 1:
        raise ValueError(f"max_piece_length={max_piece_length} must be at least 1")
    words = count_words(texts)
    characters = choose_characters(words, character_coverage)
    smallest = FIRST_MERGE + len(characters)
    if vocab_size < smallest:
        raise ValueError(
            f"vocab_size={vocab_size} is too small for this text: {smallest} pieces are needed for "
            f"{FIRST_MERGE} specials and bytes and {len(characters)} characters"
        )
    merges = learn_merges(words, set(characters), vocab_size - smallest, max_piece_length)
    if len(merges) < vocab_size - smallest:
        warnings.warn(
            f"the text has no more pairs to merge: vocab_size={vocab_size} was asked for, "
            f"{smallest + len(merges)} pieces were learned",
            stacklevel=3,  # the line that called BPETokenizer.train
        )
    return _model(merges + characters, character_coverage, max_piece_length)


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word occurs, a word being a run of ▁ with what follows it.  ValueError if
    there is none."""
    words: Counter[str] = Counter()
    for text in [texts] if isinstance(texts, str) else texts:
        for line in check_text(text).split("\n"):
            line = line.rstrip("\r")  # a Windows line ends like any other
            if line:
                words.update(segments(SPACE + line.replace(" ", SPACE)))
    if not words:
        raise ValueError("there is nothing to train on: the text is empty")
    return words


def choose_characters(words: Counter[str], coverage: float) -> list[str]:
    """The most frequent characters that make up `coverage` of the text, most frequent first.
    ValueError for a coverage outside 0 to 1."""
    if not 0 < coverage <= 1:
        raise ValueError(f"character_coverage={coverage} must be above 0 and at most 1")
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    for character in NEVER_PIECES:
        del counts[character]
    total, covered, chosen = sum(counts.values()), 0, []
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if covered / total >= coverage:
            break
        covered += count
        chosen.append(character)
    return chosen


def _model(pieces: list[str], character_coverage: float, max_piece_length: int) -> Message:
    model = ModelProto()
    for piece, kind in SPECIALS + tuple((piece, BYTE) for piece in BYTE_PIECES):
        model.pieces.add(piece=piece, type=kind, score=0.0)
    for rank, piece in enumerate(pieces):
        score = -float(rank) if piece.strip(SPACE) else LAST_OF_ALL
        model.pieces.add(piece=piece, type=NORMAL, score=score)
    spec = model.trainer_spec
    spec.model_type = BPE
    spec.vocab_size = len(model.pieces)
    spec.character_coverage = character_coverage
    spec.max_sentencepiece_length = max_piece_length
    spec.split_digits = spec.allow_whitespace_only_pieces = spec.byte_fallback = True
    normalizer = model.normalizer_spec
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = normalizer.escape_whitespaces = True
    normalizer.remove_extra_whitespaces = False
    return model

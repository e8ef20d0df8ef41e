"""What several exercises of notebook 01 share."""

import sentencepiece

from llamalab.tokenizer import bpe
from llamalab.tokenizer.sentencepiece.model_file import (
    BPE,
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    ModelProto,
)


def _library(scores, dummy_prefix):
    """The sentencepiece library with exactly these pieces, beside specials and bytes."""
    model = ModelProto()
    model.pieces.add(piece="<unk>", type=UNKNOWN)
    for piece in ("<s>", "</s>"):
        model.pieces.add(piece=piece, type=CONTROL)
    for piece in bpe.BYTE_PIECES:
        model.pieces.add(piece=piece, type=BYTE)
    for piece, score in scores.items():
        model.pieces.add(piece=piece, score=score, type=NORMAL)
    model.trainer_spec.model_type = BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = dummy_prefix
    model.normalizer_spec.remove_extra_whitespaces = False
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


def merge_pair(symbols, pair):
    merged = []
    i = 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == tuple(pair):
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def encode_by_score(symbols, scores):
    symbols = list(symbols)
    while True:
        best, place = None, None
        for i in range(len(symbols) - 1):
            score = scores.get(symbols[i] + symbols[i + 1])
            if score is not None and (best is None or score > best):
                best, place = score, i
        if place is None:
            return symbols
        symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]


def _encode_reference(symbols, scores):
    characters = {symbol: -1e6 for symbol in symbols if symbol not in scores}
    return _library({**scores, **characters}, False).encode("".join(symbols), out_type=str)

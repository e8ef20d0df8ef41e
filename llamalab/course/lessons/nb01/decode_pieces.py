"""Notebook 01, exercise 4: From pieces back to text."""

import re

from llamalab.course.engine import Exercise, WrongAnswers
from llamalab.course.lessons.nb01.common import _library
from llamalab.tokenizer import bpe

wrong = WrongAnswers()


def decode_pieces(pieces):
    data = b""
    for piece in pieces:
        if piece in ("<s>", "</s>"):
            continue
        if re.fullmatch("<0x[0-9A-F]{2}>", piece):
            data += bytes([int(piece[3:5], 16)])
        else:
            data += piece.replace("▁", " ").encode("utf-8")
    return data.decode("utf-8", errors="replace").removeprefix(" ")


def _decode_reference(pieces):
    known = {"<s>", "</s>", *bpe.BYTE_PIECES}
    library = _library({piece: -1.0 for piece in pieces if piece not in known}, True)
    return library.decode([library.piece_to_id(piece) for piece in pieces])


def _decode_probes():
    return [
        (["▁Hello", "▁w", "orld"],),
        (["<s>", "▁Hello", "</s>"],),
        (["▁▁▁", "Hi", "▁", "▁you", "▁▁"],),
        (["▁caf", "<0xC3>", "<0xA9>", "<0x0A>", "▁", "<0xE4>", "<0xBD>", "<0xA0>"],),
        (["<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "▁", "<0xFF>", "!"],),
        (["▁", "<", "0", "x", "4", "1", ">"],),
        (["▁", "<0x41>b", "<b>", "<0xe4>", "<str", "<0x"],),
        (["▁"],),
        ([],),
    ]


def _decoded(pieces, *, specials=False, encoding="utf-8", errors="replace"):
    data = b""
    for piece in pieces:
        if piece in ("<s>", "</s>") and not specials:
            continue
        if piece in bpe.BYTE_OF:
            data += bytes([bpe.BYTE_OF[piece]])
        else:
            data += piece.replace("▁", " ").encode(encoding)
    return data.decode(encoding, errors)


@wrong(
    "You take away all leading spaces. Only one was added by encoding; the others are the "
    "writer's own, and code without its indentation is broken."
)
def strips_every_space(pieces):
    return _decoded(pieces).lstrip(" ")


@wrong("You strip both ends. Encoding added one space in front and nothing behind.")
def strips_both_ends(pieces):
    return _decoded(pieces).strip(" ")


@wrong("The space that encoding put in front is still there: `Hello` comes back as ` Hello`.")
def keeps_the_prefix(pieces):
    return _decoded(pieces)


@wrong(
    "You look for the added space in the first piece only. After `<s>`, which is no text, it is"
    " in the second."
)
def looks_before_the_start(pieces):
    text = _decoded(pieces)
    return text[1:] if pieces and pieces[0].startswith("▁") else text


@wrong(
    "You cut off the first character whatever it is. Pieces that a model writes may begin "
    "without a space, and then the cut hits a letter."
)
def cuts_the_first_character(pieces):
    return _decoded(pieces)[1:]


@wrong(
    "You put a space between pieces, as between words. The spaces are in the pieces, as ▁: `▁w`"
    " and `orld` belong together."
)
def a_space_for_every_piece(pieces):
    words = [piece.replace("▁", "") for piece in pieces if piece not in ("<s>", "</s>")]
    return " ".join(words)


@wrong(
    "You decode every byte by itself. One character may be made of four byte pieces: collect "
    "the bytes of the whole text, then decode."
)
def each_byte_alone(pieces):
    return "".join(_decoded([piece]) for piece in pieces).removeprefix(" ")


@wrong(
    "You turn each byte into the character of that number, which is Latin-1: `é` becomes `Ã©`. "
    "The bytes are UTF-8."
)
def bytes_as_latin_1(pieces):
    text = ""
    for piece in pieces:
        text += chr(bpe.BYTE_OF[piece]) if piece in bpe.BYTE_OF else _decoded([piece])
    return text.removeprefix(" ")


@wrong(
    "You drop bytes that make no character. A model can produce them, and the library shows "
    "each as � so that one can see it."
)
def drops_broken_bytes(pieces):
    return _decoded(pieces, errors="ignore").removeprefix(" ")


@wrong("You print `<s>` and `</s>`. They are signals to the model, not text.")
def prints_specials(pieces):
    return _decoded(pieces, specials=True).removeprefix(" ")


@wrong(
    "You looked for `<0x41>` in the joined text, so a user who types those six characters gets "
    "an A. Only a whole piece is a byte."
)
def reads_bytes_in_the_text(pieces):
    text = "".join(piece for piece in pieces if piece not in ("<s>", "</s>"))
    data = text.replace("▁", " ").encode("utf-8")
    data = re.sub(rb"<0x([0-9A-F]{2})>", lambda match: bytes([int(match[1], 16)]), data)
    return data.decode("utf-8", errors="replace").removeprefix(" ")


EXERCISE = Exercise(
    name="decode_pieces",
    title="From pieces back to text",
    points=2,
    minutes=8,
    answer=decode_pieces,
    reference=_decode_reference,
    probes=_decode_probes,
    misconceptions=wrong.all,
    hints=(
        "Several pieces may be the bytes of one character, so the text can only be decoded "
        "when all its bytes are together.",
        "Build one `bytes` value: nothing for a special piece, one byte for a byte piece, "
        "the UTF-8 of everything else. Decode at the end, then see to the first space.",
        "`<0xE4>` holds two hexadecimal digits at [3:5]; int(…, 16) reads them. Broken bytes: "
        'errors="replace". One space, once: str.removeprefix.',
    ),
)

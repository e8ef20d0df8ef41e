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


NI_HAO = ["<0xE4>", "<0xBD>", "<0xA0>", "<0xE5>", "<0xA5>", "<0xBD>"]  # 你好


def _decode_probes():
    """Bytes between texts, at the end, of two characters in a row, of none; text that looks like a
    byte or like a special piece; spaces of all kinds; two texts in a row; nothing."""
    return [
        (["▁Hello", "▁w", "orld"],),
        (["<s>", "▁Hello", "</s>"],),
        (["▁▁▁", "Hi", "▁", "▁you", "▁▁"],),
        (["▁caf", "<0xC3>", "<0xA9>", "<0x0A>", "▁", *NI_HAO],),
        (["<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "▁", "<0xFF>", "!"],),
        (["▁", "<", "0", "x", "4", "1", ">"],),
        (["▁", "<0x41>b", "<b>", "<0xe4>", "<str", "<0x"],),
        (["▁caf", "<0xC3>", "<0xA9>"],),
        (["<s>", "▁One", ".", "</s>", "<s>", "▁Two", "</s>"],),
        (["▁", "<", "s", ">", "</", "s>", "<0xE2>", "<0x96>", "<0x81>", "a"],),
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


def _undone(pieces, byte_of, *, errors="replace", skip=("<s>", "</s>")):
    """The right answer with another idea of what a byte piece is: `byte_of(piece)` is None for
    a piece that is text."""
    data = b""
    for piece in pieces:
        if piece not in skip:
            byte = byte_of(piece)
            data += piece.replace("▁", " ").encode("utf-8") if byte is None else bytes([byte])
    return data.decode("utf-8", errors).removeprefix(" ")


@wrong(
    "You leave byte pieces as they are: `<0xC3>` is shown and not read. It stands for one byte, "
    "two hexadecimal digits of it at [3:5]."
)
def leaves_bytes_as_text(pieces):
    return _undone(pieces, lambda piece: None)


@wrong(
    "You leave byte pieces as they are, and take the spaces away at both ends. `<0xC3>` stands for "
    "one byte; and encoding added one space in front, and nothing behind."
)
def leaves_bytes_as_text_and_strips(pieces):
    text = "".join(piece for piece in pieces if piece not in ("<s>", "</s>"))
    return text.replace("▁", " ").strip()


@wrong(
    "All that begins with `<0x` is a byte to you. `<0x` is also what a user may type, and the "
    "vocabulary may have it as a piece: a byte piece is six characters, and nothing else."
)
def anything_that_begins_like_a_byte(pieces):
    return _undone(pieces, lambda p: int(p[3:5], 16) if p.startswith("<0x") else None)


@wrong(
    "You look at the beginning of a piece only, so that `<0x41>b` is a byte to you. Compare the "
    "whole piece: `re.fullmatch`, where `re.match` asks for the beginning."
)
def matches_the_beginning(pieces):
    return _undone(pieces, lambda p: int(p[3:5], 16) if re.match("<0x[0-9A-F]{2}>", p) else None)


@wrong(
    "`<0xe4>` is a byte to you, and it is text: byte pieces are written with capital letters, "
    "`<0xE4>`. What is written otherwise somebody has typed."
)
def small_letters_too(pieces):
    pattern = "<0x[0-9a-fA-F]{2}>"
    return _undone(pieces, lambda p: int(p[3:5], 16) if re.fullmatch(pattern, p) else None)


@wrong(
    "You leave out every piece in pointed brackets. Only `<s>` and `</s>` are special: `<b>` is "
    "text, and whoever writes a web page wants it back."
)
def leaves_out_all_brackets(pieces):
    kept = [p for p in pieces if not (p.startswith("<") and p.endswith(">")) or p in bpe.BYTE_OF]
    return _undone(kept, bpe.BYTE_OF.get)


@wrong(
    "You take `<s>` out of the finished text. There it may stand because somebody typed it, in "
    "pieces `<`, `s`, `>`: only a whole piece is special."
)
def takes_specials_out_of_the_result(pieces):
    text = _decoded(pieces, specials=True)
    return text.replace("<s>", "").replace("</s>", "").removeprefix(" ")


@wrong(
    "You joined the pieces first and looked for bytes and for `<s>` in the joined text. There both "
    "may stand because somebody typed them, one character a piece: `<0x41>` becomes an A then. "
    "Only a whole piece is a byte or special, so decide piece by piece."
)
def takes_specials_out_of_the_text(pieces):
    text = "".join(pieces).replace("<s>", "").replace("</s>", "")
    parts = re.split("(<0x[0-9A-F]{2}>)", text)
    return _undone(parts, bpe.BYTE_OF.get)


@wrong(
    "You cut off the first and the last piece, whatever they are. `<s>` and `</s>` stand there "
    "only when the program has asked for them."
)
def cuts_both_ends(pieces):
    return _undone(pieces[1:-1], bpe.BYTE_OF.get)


@wrong(
    "You stop at the first `</s>`. It leaves nothing behind, and what comes after it is text "
    "again: many documents may stand in a row."
)
def stops_at_the_end_of_a_text(pieces):
    end = pieces.index("</s>") if "</s>" in pieces else len(pieces)
    return _undone(pieces[:end], bpe.BYTE_OF.get)


@wrong(
    "A byte that makes no character stops you with an error. A model can produce such bytes, half "
    'of an emoji, say: decode with errors="replace".'
)
def breaks_on_broken_bytes(pieces):
    return _undone(pieces, bpe.BYTE_OF.get, errors="strict")


@wrong(
    "You look at the first character, or the first piece, and an empty text has none. "
    "`str.removeprefix(' ')` on the finished text takes a space away if there is one."
)
def looks_at_the_first_of_nothing(pieces):
    text = _decoded(pieces)
    return text[1:] if text[0] == " " else text


@wrong("You read the two digits as decimal. They are hexadecimal: int(…, 16).")
def reads_digits_as_decimal(pieces):
    return _undone(pieces, lambda p: int(p[3:5]) if p in bpe.BYTE_OF else None)


@wrong(
    "`bytes(195)` is a row of 195 zeros. One byte of that value is `bytes([195])`: a list of one."
)
def a_row_of_zeros(pieces):
    data = b""
    for piece in pieces:
        if piece in bpe.BYTE_OF:
            data += bytes(bpe.BYTE_OF[piece])
        elif piece not in ("<s>", "</s>"):
            data += piece.replace("▁", " ").encode("utf-8")
    return data.decode("utf-8", errors="replace").removeprefix(" ")


@wrong(
    "You turn ▁ into a space at the very end, when the bytes are characters already. If somebody "
    "typed ▁ and it came in bytes, it is text: only the ▁ of a piece is a space."
)
def spaces_after_decoding(pieces):
    data = b""
    for piece in pieces:
        if piece not in ("<s>", "</s>"):
            byte = bpe.BYTE_OF.get(piece)
            data += piece.encode("utf-8") if byte is None else bytes([byte])
    return data.decode("utf-8", errors="replace").replace("▁", " ").removeprefix(" ")


@wrong("You replace one ▁ in each piece. `▁▁▁` is three spaces: code lives by them.")
def one_space_a_piece(pieces):
    data = b""
    for piece in pieces:
        if piece not in ("<s>", "</s>"):
            byte = bpe.BYTE_OF.get(piece)
            data += piece.replace("▁", " ", 1).encode() if byte is None else bytes([byte])
    return data.decode("utf-8", errors="replace").removeprefix(" ")


@wrong(
    "You take a space from the front of every piece, and all words run together. Encoding put one "
    "in front of the text, once."
)
def strips_every_piece(pieces):
    return _decoded([piece.removeprefix("▁") for piece in pieces])


@wrong(
    "You replace the underline `_`. The sign in the pieces is another one, ▁ (U+2581): copy it "
    "from the docstring."
)
def underlines_for_spaces(pieces):
    data = b""
    for piece in pieces:
        if piece not in ("<s>", "</s>"):
            byte = bpe.BYTE_OF.get(piece)
            data += piece.replace("_", " ").encode() if byte is None else bytes([byte])
    return data.decode("utf-8", errors="replace").removeprefix(" ")


@wrong("You return bytes. The text is asked for: decode them, as UTF-8.")
def returns_bytes(pieces):
    data = b""
    for piece in pieces:
        if piece not in ("<s>", "</s>"):
            byte = bpe.BYTE_OF.get(piece)
            data += piece.replace("▁", " ").encode() if byte is None else bytes([byte])
    return data.removeprefix(b" ")


@wrong(
    "Bytes at the very end are lost: you write a run of bytes out when the next text piece comes, "
    "and after the last there is none. See to what is left after the loop."
)
def loses_bytes_at_the_end(pieces):
    text, run = "", b""
    for piece in pieces:
        if piece in ("<s>", "</s>"):
            continue
        if piece in bpe.BYTE_OF:
            run += bytes([bpe.BYTE_OF[piece]])
        else:
            text += run.decode("utf-8", errors="replace") + piece.replace("▁", " ")
            run = b""
    return text.removeprefix(" ")


@wrong(
    "The text is right, but you took `<s>` and `</s>` out of the caller's own list. Build a new "
    "one."
)
def takes_specials_out_of_the_list(pieces):
    text = _undone(pieces, bpe.BYTE_OF.get)
    pieces[:] = [piece for piece in pieces if piece not in ("<s>", "</s>")]
    return text


@wrong(
    "You put a space between pieces and drop the ▁, which is where the spaces are: `▁w` and `orld` "
    "belong together."
)
def a_space_behind_every_piece(pieces):
    data = b""
    for piece in pieces:
        if piece not in ("<s>", "</s>"):
            byte = bpe.BYTE_OF.get(piece)
            data += piece.replace("▁", "").encode() + b" " if byte is None else bytes([byte])
    return data.decode("utf-8", errors="replace").rstrip()


@wrong(
    "You look for the added space in the first piece only, and after `<s>` it is in the second. "
    "And `<0xe4>` is a byte to you, though it is text: byte pieces are written with capital "
    "letters."
)
def looks_before_the_start_and_small_letters_too(pieces):
    pattern = "<0x[0-9a-fA-F]{2}>"
    first = [piece.removeprefix("▁") for piece in pieces[:1]]
    data = b""
    for piece in [*first, *pieces[1:]]:
        if re.fullmatch(pattern, piece):
            data += bytes([int(piece[3:5], 16)])
        elif piece not in ("<s>", "</s>"):
            data += piece.replace("▁", " ").encode("utf-8")
    return data.decode("utf-8", errors="replace")


IN_PORTIONS = (
    "You decode bytes as soon as a certain number of them is together. Characters are of 1 to 4 "
    "bytes each, and where several stand in a row such a portion ends in the middle of one. "
    "Collect the bytes of the whole text, then decode."
)


def _in_portions(pieces, size):
    text, run = "", b""
    for piece in [*pieces, ""]:
        if piece in bpe.BYTE_OF:
            run += bytes([bpe.BYTE_OF[piece]])
            if len(run) < size:
                continue
            piece = ""
        text += run.decode("utf-8", errors="replace")
        run = b""
        text += "" if piece in ("<s>", "</s>") else piece.replace("▁", " ")
    return text.removeprefix(" ")


@wrong(IN_PORTIONS)
def four_bytes_at_a_time(pieces):
    return _in_portions(pieces, 4)


@wrong(IN_PORTIONS)
def three_bytes_at_a_time(pieces):
    return _in_portions(pieces, 3)


@wrong(IN_PORTIONS)
def two_bytes_at_a_time(pieces):
    return _in_portions(pieces, 2)


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

"""The pictures of notebook 09 on the chat format say what is so."""

import pytest
import torch

from llamalab.course.figures.html import plain
from llamalab.course.lessons.nb09.common import _tokenizer
from llamalab.course.lessons.nb09.figures import (
    chat_turn,
    kinds_of,
    mask_and_shift,
    packing,
    two_dialogs,
)
from llamalab.course.lessons.nb09.ghost_attention import ghost_attention
from llamalab.course.lessons.nb09.pack_examples import pack_examples
from llamalab.tokenizer import chat

PIECES = ["<s>", "▁[", "INST", "]", "▁Hi", "▁[", "/", "INST", "]", "▁Hello", "!", "▁", "</s>"]
IDS = [1, 518, 25580, 29962, 6324, 518, 29914, 25580, 29962, 15043, 29991, 29871, 2]
MASK = [0] * 9 + [1] * 4


def test_what_each_piece_is():
    kinds = ["end", *["tag"] * 3, "user", *["tag"] * 4, *["answer"] * 3, "end"]
    assert kinds_of(PIECES, MASK) == kinds
    tokenizer = _tokenizer()  # which writes the tags in letters, brackets as bytes
    ids, mask = chat.encode_turn(tokenizer, "Hi", "Mia ran.")
    pieces = [tokenizer.id_to_piece(i) for i in ids]
    found = kinds_of(pieces, mask)
    assert [pieces[i] for i, kind in enumerate(found) if kind == "user"] == ["▁H", "i"]
    assert found.count("tag") == 7 + 8 and found.count("end") == 2


def test_a_turn_token_by_token():
    fig = chat_turn(PIECES, IDS, MASK)
    texts = [text.get_text() for text in fig.axes.texts]
    assert texts.count("1") == 4 + 1 and texts.count("0") == 9  # <s> has the id 1
    assert all(str(i) in texts for i in IDS) and all(piece in texts for piece in PIECES)
    assert "Of the 13 tokens of this turn, 4 are learned" in fig.caption
    assert "▁Hello (answer, learned)" in fig.alt and "INST (tag)" in fig.alt
    assert len(fig.axes.lines) == 4 and fig.png
    with pytest.raises(ValueError, match="12 pieces, 13 ids"):
        chat_turn(PIECES[:-1], IDS, MASK)


def test_the_mask_is_the_targets():
    fig = mask_and_shift(PIECES, MASK)
    assert "▁Hello, is predicted from ]" in fig.caption
    assert fig.alt.endswith("] to ▁Hello, ▁Hello to !, ! to ▁, ▁ to </s>")
    with pytest.raises(ValueError, match="13 pieces and 12 marks"):
        mask_and_shift(PIECES, MASK[:-1])


def test_the_packed_rows_are_those_of_the_exercise():
    lengths = (7, 4, 5, 3, 8, 6)
    examples = [([1] + [5] * (n - 2) + [2], [0] * (n - 3) + [1] * 3) for n in lengths]
    rows, masks = pack_examples(examples, 11, 2)
    fig = packing(rows, masks, [[0, 7, 11], [0, 5, 8], [0, 8], [0, 6]])
    assert "6 examples take 4 rows in place of 6: 69% of all places hold text, and not 46%" in (
        fig.caption
    )
    assert "7 + 4, 1 free; 5 + 3, 4 free; 8, 4 free; 6, 6 free" in fig.alt
    left, right = (len(axes.patches) for axes in fig.axes)
    assert (left, right) == (6 * 12, 4 * 12)
    dark = [sum(p.get_facecolor()[2] > 0.6 > p.get_facecolor()[0] for p in a.patches)
            for a in fig.axes]  # fmt: skip
    assert dark == [int(masks.sum())] * 2 == [18, 18] and torch.equal(
        masks.sum(1).sum(), masks.sum()
    )


def test_two_dialogs_lights_the_order():
    sampled = []

    def answer(messages):
        sampled[:] = messages
        return f"<b>{len(messages)}</b>"

    kept, counts = ghost_attention("Rhyme.", ["Hi", "Why?"], answer)
    shown = two_dialogs([*sampled, kept[-1]], kept, counts, "Rhyme.")
    html = shown._repr_html_()
    assert html.count("Rhyme.</span>") == 2 + 1 and html.count("<b> learned</b>") == 0
    assert html.count("> learned</b>") == 1 and "&lt;b&gt;3&lt;/b&gt;" in html
    assert "Why?" in plain(html) and repr(shown).count("learned") == 1
    with pytest.raises(ValueError, match="4, 3 messages and 4 counts"):
        two_dialogs(kept, kept[1:], counts, "Rhyme.")

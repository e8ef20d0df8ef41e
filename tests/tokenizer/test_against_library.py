"""Our ids and texts are the sentencepiece library's, for every kind of model and any text.

LLAMALAB_EXAMPLES=5000 looks harder, with new random examples each time.
"""

import os
import unicodedata

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("LLAMALAB_EXAMPLES", 0))
thorough = settings(
    max_examples=EXAMPLES or 80,
    derandomize=not EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)

FRAGMENTS = [
    "the", " the", "The", "tree", "tallest", "the tallest", "re", "river", "return", "    ", "  ",
    " ", "\n", "\n\n", "\r\n", "\t", "\0", "▁", "▁▁", "<s>", "</s>", "<unk>", "<0x0A>", "<sep>",
    "<c>", "Q", "<s", "ab", "abab", "aaaa", "a", "b", "x y", "a b", "1", "12", "1024", "e\u0301",
    "é", "a\u0308", "ä", "ﬁ", "ＡＢＣ", "½", "¨", "´", "…", "\u00a0", "\u3000", "\u200b", "\u200d",
    "\u2009", "\ufeff", "\ufffd", "😀", "👍🏽", "👨\u200d👩\u200d👧", "🦙", "小さな", "大海", "大",
    "カタカナ", "ｶﾞ", "ﾞ", "강은", "नदी", "سلام", "ймо", "Größe", "t", "h e",
    "\u0301", "\u0308", "\u0345",
    "ﷺ", "㍿", "\x7f", "\x01", "\x1b", "!", "----", "==", "İ", "ß", "ſ",
]  # fmt: skip
characters = st.characters(exclude_categories=["Cs"])  # everything but surrogates
texts = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join),
    st.lists(st.sampled_from(FRAGMENTS) | characters, max_size=12).map("".join),
    st.text(alphabet="ab", max_size=40),
    st.text(alphabet="ab ▁\n", max_size=30),
    st.text(characters, max_size=20),
)


def test_encode_and_decode(both):
    ours, theirs = both

    @thorough
    @given(texts)
    def check(text):
        ids = theirs.encode(text)
        assert ours.encode(text) == ids
        assert ours.encode_pieces(text) == theirs.encode(text, out_type=str)
        assert ours.decode(ids) == theirs.decode(ids)

    check()


def test_decode_of_any_ids(both):
    ours, theirs = both
    kinds = {}  # so that specials, bytes and spaces come up often
    for i in range(ours.vocab_size):
        piece = ours.id_to_piece(i)
        kind = "▁" if piece.startswith("▁") else "<" if piece.startswith("<") else ""
        kinds.setdefault(kind, []).append(i)
    ids = st.one_of(*map(st.sampled_from, kinds.values()))

    @thorough
    @given(st.lists(ids, max_size=25))
    @example([ours.piece_to_id(p) for p in ("<0xC3>", "</s>", "<0xA9>", "a", "<0xC3>", "<0xA9>")])
    def check(ids):
        assert ours.decode(ids) == theirs.decode(ids)

    check()


def test_the_vocabulary(both):
    ours, theirs = both
    assert ours.vocab_size == theirs.vocab_size()
    for i in range(ours.vocab_size):
        assert ours.id_to_piece(i) == theirs.id_to_piece(i)
        assert ours.piece_to_id(ours.id_to_piece(i)) == theirs.piece_to_id(theirs.id_to_piece(i))
        assert ours.scores[i] == theirs.get_score(i)
    assert ours.piece_to_id("no such piece") == theirs.piece_to_id("no such piece")
    for name in ("unk_id", "bos_id", "eos_id", "pad_id"):
        assert getattr(ours, name) == getattr(theirs, name)(), name


def test_every_single_character_of_some_planes(both):
    """One long text a block: what a rule does to a character, and to its neighbours."""
    ours, theirs = both
    for start in (0x00, 0x300, 0x1E00, 0x2000, 0x3000, 0xF900, 0xFE00, 0x1F600):
        block = [
            chr(c) for c in range(start, start + 0x100) if unicodedata.category(chr(c)) != "Cs"
        ]
        for text in ("".join(block), " ".join(block), "a" + "a".join(block)):
            assert ours.encode(text) == theirs.encode(text)


def test_text_longer_than_what_is_remembered(both):
    ours, theirs = both
    for text in ("ab" * 500, "the river " * 300, " " * 100 + "the" * 100 + "\n" * 50, "大海" * 200):
        ids = theirs.encode(text)
        assert ours.encode(text) == ids == ours.encode(text)  # twice: cold and remembered
        assert ours.decode(ids) == theirs.decode(ids)

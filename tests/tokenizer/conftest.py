"""Models of many kinds to compare with the sentencepiece library, trained here, on the spot."""

import io
import random

import pytest
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from llamalab.tokenizer import BPETokenizer

CORPUS = """\
The little boat went down to the river, and the river went down to the sea.
"How far is it?" asked the hen. "Not very far," said the goat; "12 miles, or 13, or 1,024."
Once upon a time there was a tall tree, a taller tree, and the tallest tree of them all.
def add(x, y):
    return x + y  # adding    aligned      comments
for i in range(100):
        if i % 10 == 0: print(i, i * i, i ** 3, "----", "======")
Der Fluß fließt über die Brücke; die Straße führt über den Hügel. Größe: 3,14 m².
L'été, le garçon a mangé des crêpes près de la forêt où l'on cueille des mûres.
Маленькая лодка плыла вниз по реке, а река текла к морю. Море большое.
小さな船が川を下りました。川は海へ流れます。カタカナとひらがな。
小船沿着河流而下，河流流入大海。大海很大，小船很小。
작은 배가 강을 따라 내려갔다. 강은 바다로 흐른다.
ﬁne ﬂow ＡＢＣ １２３ ½ ™ ① カﾞ ｶﾞ e\u0301 é a\u0308 ä … ´ ¨ \u00a0 \u3000 \u2009 \u200b \u200d
नदी समुद्र की ओर बहती है। छोटी नाव नदी में थी। ימים טובים, سلام عليكم.
aaaa aaaaaaa abab ababab bbbb aabb ab a b aa bb   aaa  bbb    ab
emoji: 😀 😀😀 👍🏽 👨\u200d👩\u200d👧 🦙🦙 <s> </s> <unk> <0x0A> ▁ ▁▁ low▁er
"""
LLAMA2 = {
    "byte_fallback": True,
    "split_digits": True,
    "allow_whitespace_only_pieces": True,
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
}
# What a rewriting rule may do: longer, shorter, nothing, spaces, a newline, text of several codes.
RULES = [
    ("ab", "  x  "), ("abab", "y"), ("é", ""), ("t", "  "), ("h e", "he"), ("\n", " \n"),
    ("a\u0308", "ä"), ("大", "big "), ("e\u0301", "é"),
]  # fmt: skip


def rules_tsv(folder):
    def codes(text):
        return " ".join(f"{ord(c):X}" for c in text)

    path = folder / "rules.tsv"
    text = "".join(f"{codes(source)}\t{codes(target)}\n" for source, target in RULES)
    path.write_text(text, encoding="utf-8", newline="\n")
    return str(path)


def library_train(lines, **options):
    """A model as the sentencepiece library trains it, as bytes."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, minloglevel=3, num_threads=1,
        **{"model_type": "bpe", "vocab_size": 1000, "hard_vocab_limit": False} | options,
    )  # fmt: skip
    return model.getvalue()


def edited(data, edit):
    model = sentencepiece_model_pb2.ModelProto.FromString(data)
    edit(model)
    return model.SerializeToString()


def equal_scores(model):
    """Many ties, some scores that only float32 tells apart, some above 0, and no order."""
    draw = random.Random(7)
    for entry in model.pieces:
        if entry.type == 1:
            entry.score = draw.choice([-2.0, -1.0, -1.0000001, -0.75, -0.5, 0.0, 0.25])


def mark_unused(model):
    draw = random.Random(8)
    for entry in model.pieces:
        if entry.type == 1 and draw.random() < 0.3:
            entry.type = 5


def plain_spaces(model):
    model.normalizer_spec.escape_whitespaces = False
    seen = {entry.piece for entry in model.pieces}
    for entry in model.pieces:
        if entry.type == 1 and entry.piece.replace("▁", " ") not in seen:
            entry.piece = entry.piece.replace("▁", " ")


def no_prefix_but_squeeze(model):
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = True


def short_unknown_sign(model):
    model.trainer_spec.unk_surface = "?"


def silent_unknown(model):
    model.trainer_spec.unk_surface = ""


SYMBOLS = ["<sep>", "tree", "the tallest", "re", "é", "<s", "大海", "x y", "12", "\n", "a b"]
KINDS = {
    "llama2": LLAMA2,
    "llama2, few characters": LLAMA2 | {"character_coverage": 0.98},
    "nmt_nfkc": {},
    "nfkc_cf, byte fallback": {"normalization_rule_name": "nfkc_cf", "byte_fallback": True},
    "no byte fallback": LLAMA2 | {"byte_fallback": False, "character_coverage": 0.98},
    "symbols": LLAMA2 | {"user_defined_symbols": SYMBOLS, "control_symbols": ["<c>", "Q"]},
    "symbols with spaces": LLAMA2 | {"user_defined_symbols": ["lit▁tle", "▁the▁t", "▁", "▁▁▁"]},
    "symbols, nmt_nfkc": {"user_defined_symbols": SYMBOLS, "character_coverage": 0.98},
    "suffix": LLAMA2 | {"treat_whitespace_as_suffix": True},
    "suffix, nmt_nfkc": {"treat_whitespace_as_suffix": True},
    "squeezed": LLAMA2 | {"remove_extra_whitespaces": True},
    "no prefix": LLAMA2 | {"add_dummy_prefix": False},
    "no prefix, nmt_nfkc": {"add_dummy_prefix": False},
    "inner spaces": LLAMA2 | {"split_by_whitespace": False},
    "other specials": LLAMA2 | {"bos_id": -1, "eos_id": 5, "unk_id": 2, "pad_id": 0,
                                "eos_piece": "<end>", "unk_surface": "[?]"},
}  # fmt: skip
EDITS = {
    "equal scores": ("llama2", equal_scores),
    "equal scores, symbols": ("symbols", equal_scores),
    "equal scores, inner spaces": ("inner spaces", equal_scores),
    "unused": ("llama2", mark_unused),
    "unused, equal scores": ("equal scores", mark_unused),
    "unused, symbols": ("equal scores, symbols", mark_unused),
    "plain spaces": ("llama2", plain_spaces),
    "plain spaces, squeezed": ("squeezed", plain_spaces),
    "squeezed, no prefix": ("llama2", no_prefix_but_squeeze),
    "unknown sign": ("no byte fallback", short_unknown_sign),
    "silent unknown": ("llama2", silent_unknown),
}


@pytest.fixture(scope="session")
def corpus():
    return CORPUS


@pytest.fixture(scope="session")
def train_library():
    return library_train


@pytest.fixture(scope="session")
def llama2_options():
    return LLAMA2


@pytest.fixture(scope="session")
def model_bytes(tmp_path_factory):
    """model_bytes(kind) -> the bytes of a .model file"""
    made = {}
    lines = CORPUS.split("\n")

    def make(kind):
        if kind in made:
            return made[kind]
        if kind in KINDS:
            made[kind] = library_train(lines, **KINDS[kind])
        elif kind in EDITS:
            of, edit = EDITS[kind]
            made[kind] = edited(make(of), edit)
        elif kind == "rules both ways":
            tsv = rules_tsv(tmp_path_factory.mktemp("rules"))
            made[kind] = library_train(
                lines, normalization_rule_tsv=tsv, denormalization_rule_tsv=tsv
            )
        elif kind == "ours":
            with pytest.warns(UserWarning, match="no more pairs"):
                made[kind] = BPETokenizer.train(CORPUS, 2000).to_bytes()
        return made[kind]

    return make


@pytest.fixture(scope="session", params=[*KINDS, *EDITS, "rules both ways", "ours"])
def both(request, model_bytes):
    """(our tokenizer, the library's), the same model in each."""
    data = model_bytes(request.param)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    return BPETokenizer.from_bytes(data), theirs


@pytest.fixture(scope="session")
def ours(model_bytes):
    return BPETokenizer.from_bytes(model_bytes("ours"))

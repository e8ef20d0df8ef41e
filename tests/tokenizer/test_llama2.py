"""Llama 2's own tokenizer.model, if there is one: it is Meta's, and no part of the course.

Set LLAMALAB_LLAMA2_TOKENIZER to the path of the file (499,723 bytes, 32,000 pieces).
"""

import os

import pytest
import sentencepiece

from llamalab.tokenizer import BPETokenizer

PATH = os.environ.get("LLAMALAB_LLAMA2_TOKENIZER")
pytestmark = pytest.mark.skipif(
    not PATH, reason="LLAMALAB_LLAMA2_TOKENIZER does not point to Llama 2's tokenizer.model"
)

# Measured with the sentencepiece library on Meta's file, without <s>.
KNOWN = {
    "": "",
    "I believe the meaning of life is": "306 4658 278 6593 310 2834 338",
    "Simply put, the theory of relativity states that ":
        "3439 17632 1925 29892 278 6368 310 14215 537 5922 393 29871",
    "A brief message congratulating the team on the launch:\n\n"
    "        Hi everyone,\n\n        I just ":
        "319 11473 2643 378 629 271 18099 278 3815 373 278 6826 29901 13 13 4706 6324 14332 29892 "
        "13 13 4706 306 925 29871",
    "Hello": "15043",
    " Hello": "29871 15043",
    "  Hello": "259 15043",
    "Hello world": "15043 3186",
    "Hello, world!": "15043 29892 3186 29991",
    "Hello\nworld": "15043 13 11526",
    "\n": "29871 13",
    " ": "259",
    "\t": "29871 12",
    "a": "263",
    "1234": "29871 29896 29906 29941 29946",
    "3.14": "29871 29941 29889 29896 29946",
    "The quick brown fox jumps over the lazy dog.":
        "450 4996 17354 1701 29916 432 17204 975 278 17366 11203 29889",
    "Llama 2": "365 29880 3304 29871 29906",
    "llama": "11148 3304",
    "Once upon a time": "9038 2501 263 931",
    "tokenization": "5993 2133",
    "This is a test": "910 338 263 1243",
    "I was born in 92000, and this is falsé.":
        "306 471 6345 297 29871 29929 29906 29900 29900 29900 29892 322 445 338 285 1338 29948 "
        "29889",
    "你好": "29871 30919 31076",
    "日本語": "29871 30325 30346 30968",
    "😀": "29871 243 162 155 131",
    "é": "904",
    "e\u0301": "321 30103",
    "ﬁ": "29871 31017",
    "ＡＢＣ": "29871 242 191 164 242 191 165 242 191 166",
    "def f(x):\n    return x+1": "822 285 29898 29916 1125 13 1678 736 921 29974 29896",
    "[INST]": "518 25580 29962",
    "[INST] Hi [/INST]": "518 25580 29962 6324 518 29914 25580 29962",
    "<s>": "529 29879 29958",
}  # fmt: skip
# Whitespace-only pieces by their length: all score -1e9, so that they merge last.
SPACES = [29871, 259, 1678, 268, 418, 539, 4706, 308, 3986, 965, 9651, 632, 795, 1669, 18884, 462]


@pytest.fixture(scope="module")
def llama2():
    return BPETokenizer.load(PATH)


@pytest.mark.parametrize("text", KNOWN)
def test_known_ids(llama2, text):
    ids = [int(i) for i in KNOWN[text].split()]
    assert llama2.encode(text) == ids
    assert llama2.encode(text, bos=True) == [1, *ids]
    assert llama2.decode(ids) == text


def test_the_layout(llama2):
    assert llama2.vocab_size == 32000
    assert (llama2.unk_id, llama2.bos_id, llama2.eos_id, llama2.pad_id) == (0, 1, 2, -1)
    for length, i in enumerate(SPACES, start=1):
        assert llama2.id_to_piece(i) == "▁" * length and llama2.scores[i] == -1e9
    for i in set(range(259, 32000)) - set(SPACES):
        assert llama2.scores[i] == -(i - 259)


def test_the_library_agrees_on_more_text(llama2, corpus):
    theirs = sentencepiece.SentencePieceProcessor(model_file=PATH)
    ids = theirs.encode(corpus)
    assert llama2.encode(corpus) == ids and llama2.decode(ids) == theirs.decode(ids)

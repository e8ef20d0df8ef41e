"""Training: Llama 2's layout, a stated tie rule, and the merges of SentencePiece's own trainer."""

import os
import pydoc_data.topics
import random
import subprocess
import sys
import time
import warnings

import pytest
import sentencepiece

from llamalab.tokenizer import BPETokenizer, trainer
from llamalab.tokenizer.sentencepiece.scripts import is_allowed, script

TOPICS = "\n".join(pydoc_data.topics.topics.values())  # 0.45 MB of English, on every machine


def vocabulary(tokenizer):
    return [tokenizer.id_to_piece(i) for i in range(tokenizer.vocab_size)]


def learnt(tokenizer):
    """The pieces made by merging."""
    return [piece for piece in vocabulary(tokenizer)[259:] if len(piece) > 1]


@pytest.fixture(scope="module")
def topics():
    start = time.perf_counter()
    tokenizer = BPETokenizer.train(TOPICS, 1024)
    return tokenizer, time.perf_counter() - start


def test_the_layout_is_llama_2s(topics):
    tokenizer, _ = topics
    pieces, scores = vocabulary(tokenizer), tokenizer.scores
    assert tokenizer.vocab_size == 1024
    assert pieces[:3] == ["<unk>", "<s>", "</s>"] and scores[:259] == [0.0] * 259
    assert pieces[3:259] == [f"<0x{byte:02X}>" for byte in range(256)]
    lengths = [len(piece) > 1 for piece in pieces[259:]]
    assert lengths == sorted(lengths, reverse=True)  # merges first, then characters
    assert pieces[259 + sum(lengths)] == "▁"  # the most frequent character
    for i in range(259, 1024):
        assert scores[i] == (-1e9 if set(pieces[i]) == {"▁"} else -float(i - 259))
    assert max(map(len, pieces[259:])) <= 16
    assert (tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (0, 1, 2, -1)


def test_1024_pieces_take_less_than_five_seconds(topics):
    _, seconds = topics
    assert seconds < 5


def test_the_library_opens_what_we_save_and_gives_our_ids(topics, tmp_path):
    tokenizer, _ = topics
    tokenizer.save(tmp_path / "own.model")
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "own.model"))
    ids = theirs.encode(TOPICS)
    assert tokenizer.encode(TOPICS) == ids
    assert tokenizer.decode(ids) == theirs.decode(ids) == TOPICS
    assert BPETokenizer.load(tmp_path / "own.model").to_bytes() == tokenizer.to_bytes()


def test_the_library_trains_the_same_merges(topics, train_library, llama2_options):
    tokenizer, _ = topics
    options = llama2_options | {"vocab_size": 1024, "character_coverage": 0.99995}
    theirs = BPETokenizer.from_bytes(train_library(TOPICS.split("\n"), **options))
    assert learnt(tokenizer) == learnt(theirs)  # every one, in the same order
    assert vocabulary(tokenizer) == vocabulary(theirs)


def test_other_languages_too(corpus, train_library, llama2_options):
    """The library leaves out lines that hold a special, which can only matter to that line."""
    lines = [line for line in corpus.split("\n") if "<" not in line]
    options = llama2_options | {"vocab_size": 850, "character_coverage": 1.0}
    theirs = BPETokenizer.from_bytes(train_library(lines, **options))
    ours = BPETokenizer.train("\n".join(lines), 850, character_coverage=1.0)
    assert learnt(ours) == learnt(theirs)
    assert vocabulary(ours) == vocabulary(theirs)


@pytest.mark.parametrize(
    "text, merges",
    [
        ("xy zw zw", ["zw", "▁zw", "xy", "▁xy"]),  # the higher count first
        ("ab cd", ["ab", "cd", "▁ab", "▁cd"]),  # then the shorter, then by code points: a, c, ▁
        ("aaab", ["aa", "ab", "▁aa", "▁aaab"]),
        ("1 12 123 a1 １２", ["▁a"]),  # digits stand alone
        ("a-b a-b (a)", ["▁a", "▁("]),  # no piece of two scripts
        ("a\tb", ["▁a"]),  # nothing merges with a tab or across it
        ("a  b", ["▁a", "▁b"]),  # the second ▁ is taken: ▁▁ comes too late
        ("a    b", ["▁▁", "▁a", "▁▁▁▁"]),
        ("aaaa aaa", ["aa", "▁aa", "▁aaa", "▁aaaa"]),
    ],
)
def test_merges_of_small_texts(text, merges):
    with pytest.warns(UserWarning, match="no more pairs"):
        assert learnt(BPETokenizer.train(text, 400, character_coverage=1.0)) == merges


def brute_force(words, n):
    """Count everything afresh before each merge, in words of tuples."""
    from llamalab.tokenizer.bpe import count_pairs, merge_pair

    pieces = []
    words = {tuple(word): count for word, count in words.items()}
    while len(pieces) < n:
        pairs = {
            pair: count
            for pair, count in count_pairs(words).items()
            if is_allowed("".join(pair)) and "".join(pair) not in pieces
            and len("".join(pair)) <= 16
        }  # fmt: skip
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], len("".join(p)), "".join(p), len(p[0])))
        pieces.append("".join(best))
        merged = {}
        for word, count in words.items():
            word = merge_pair(word, best)
            merged[word] = merged.get(word, 0) + count
        words = merged
    return pieces


def test_the_fast_trainer_merges_what_counting_afresh_merges(corpus):
    for seed in range(30):
        draw = random.Random(seed)
        text = "".join(draw.choices("aaab ab-1▁"[: 4 + seed % 7], k=300)) if seed else corpus[:600]
        words = trainer.count_words(text)
        characters = set(trainer.choose_characters(words, 1.0))
        fast = trainer.learn_merges(words, characters, 80, 16)
        assert fast == brute_force(words, 80), seed


def test_lines_are_sentences_wherever_the_text_is_cut(corpus):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = BPETokenizer.train(corpus, 800).to_bytes()
        assert BPETokenizer.train(iter(corpus.split("\n")), 800).to_bytes() == whole
        assert BPETokenizer.train(corpus.splitlines(keepends=True), 800).to_bytes() == whole
        assert BPETokenizer.train(corpus.replace("\n", "\r\n\r\n"), 800).to_bytes() == whole


def test_texts_are_read_once_and_not_kept():
    alive = []

    class Text(str):
        def __del__(self):
            alive.pop()

    def texts():
        for i in range(100):
            assert len(alive) <= 2
            alive.append(i)
            yield Text("the river and the sea\n" * 50)

    BPETokenizer.train(texts(), 275)


def test_the_order_of_words_and_the_hash_seed_do_not_matter(corpus, tmp_path):
    lines = [line for line in corpus.split("\n") if line]
    random.Random(3).shuffle(lines)
    expected = BPETokenizer.train(corpus, 700)
    assert BPETokenizer.train(lines, 700).to_bytes() == expected.to_bytes()
    path = tmp_path / "corpus.txt"
    path.write_text(corpus, encoding="utf-8", newline="\n")
    program = (
        "import hashlib, sys; from pathlib import Path;"
        "from llamalab.tokenizer import BPETokenizer;"
        "text = Path(sys.argv[1]).read_text(encoding='utf-8');"
        "print(hashlib.sha256(BPETokenizer.train(text, 700).to_bytes()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, str(path)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1


def test_tab_nul_and_newline_are_never_pieces():
    with pytest.warns(UserWarning):
        tokenizer = BPETokenizer.train("a\tb\0c\nd\r\n" * 20, 400, character_coverage=1.0)
    assert not any(set("\t\0\n\r") & set(piece) for piece in vocabulary(tokenizer))
    text = "a\tb\0c\nd"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_rare_characters_become_bytes():
    tokenizer = BPETokenizer.train("a" * 99 + " é", 261, character_coverage=0.98)
    assert "é" not in vocabulary(tokenizer)
    assert tokenizer.encode_pieces("é") == ["▁", "<0xC3>", "<0xA9>"]


def test_a_text_that_runs_out_of_pairs_says_so():
    with pytest.warns(UserWarning, match="vocab_size=500 was asked for, 264 pieces") as caught:
        tokenizer = BPETokenizer.train("ab", 500)
    assert tokenizer.vocab_size == 264  # 259, then ab, ▁ab, and three characters
    assert caught[0].filename == __file__


@pytest.mark.parametrize("text", ["", "\n\n", [], ["", "\n"], iter([])])
def test_nothing_to_train_on(text):
    with pytest.raises(ValueError, match="text is empty"):
        BPETokenizer.train(text, 500)


def test_a_vocabulary_that_cannot_hold_the_characters():
    with pytest.raises(ValueError, match="vocab_size=261 .* 262 pieces"):
        BPETokenizer.train("ab", 261)
    assert BPETokenizer.train("ab", 262).vocab_size == 262  # no merge at all is a vocabulary too


@pytest.mark.parametrize(
    "error, texts, options, match",
    [
        (ValueError, "a\ud800", {}, "position 1"),
        (TypeError, [b"ab"], {}, "must be a str, not bytes"),
        (ValueError, "ab", {"character_coverage": 0.0}, "character_coverage=0.0"),
        (ValueError, "ab", {"character_coverage": 1.5}, "character_coverage=1.5"),
        (ValueError, "ab", {"max_piece_length": 0}, "max_piece_length=0"),
    ],
)
def test_bad_arguments(error, texts, options, match):
    with pytest.raises(error, match=match):
        BPETokenizer.train(texts, 300, **options)


def test_a_long_text_without_spaces_trains_in_time():
    text = "".join(random.Random(0).choices("ACGT", k=200_000))
    start = time.perf_counter()
    tokenizer = BPETokenizer.train(text, 300)
    assert time.perf_counter() - start < 10
    assert tokenizer.vocab_size == 300


@pytest.mark.parametrize(
    "characters, expected",
    [
        ("aZéªKＡ", "latin"), ("Ωπ", "greek"), ("жЯ", "cyrillic"), ("大々〇カひーｶ⼀", "han"),
        ("강", "hangul"), ("नि", "devanagari"), ("1１.,-()!½€→。、ﾞ゛ \x01", "common"),
        ("\u0301\u200d\ufe0f", "inherited"), ("🦙", "after Unicode 3.2"), ("\u0660", "arabic"),
    ],
)  # fmt: skip
def test_scripts(characters, expected):
    for character in characters:
        assert script(character) == expected, character

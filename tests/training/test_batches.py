"""Token files and the batches that are cut out of them."""

import pickle
from collections import Counter
from itertools import islice

import numpy as np
import psutil
import pytest
import torch

from llamalab.tokenizer import BPETokenizer
from llamalab.training import Batches, documents, read_tokens, validation_batches, write_tokens
from llamalab.training.batches import epoch_seed

TEXT = "the hen went to the river, and the river went to the sea.\n" * 3


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train(TEXT, 290)


class Wide:
    """A stand-in with a large vocabulary: an id is a character's number times 1,000."""

    vocab_size = 200_000

    def encode_stream(self, chunks, bos=False, eos=False):
        yield [1] * bos
        for chunk in chunks:
            yield [1000 * ord(character) for character in chunk]
        yield [2] * eos


# ---- the file -------------------------------------------------------------------------------


def test_documents_are_packed_between_bos_and_eos(tokenizer, tmp_path):
    texts = ["the hen", "", "a river\nand the sea"]
    want = []
    for text in (texts[0], texts[2]):  # an empty document teaches nothing
        want += [tokenizer.bos_id, *tokenizer.encode(text), tokenizer.eos_id]
    path = tmp_path / "tokens.npy"
    assert write_tokens(path, texts, tokenizer) == len(want)
    plain = np.load(path)  # anybody can open it
    assert plain.dtype == np.uint16 and plain.tolist() == want
    assert read_tokens(path).tolist() == want
    assert [p.name for p in tmp_path.iterdir()] == ["tokens.npy"]


def test_a_document_in_chunks_is_the_same(tokenizer, tmp_path):
    write_tokens(tmp_path / "a.npy", [TEXT], tokenizer)
    cut = [TEXT[i : i + 7] for i in range(0, len(TEXT), 7)]
    write_tokens(tmp_path / "b.npy", [iter(cut)], tokenizer)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_empty_documents_at_the_ends_leave_nothing(tokenizer, tmp_path):
    write_tokens(tmp_path / "a.npy", ["", "the hen", iter([]), ""], tokenizer)
    write_tokens(tmp_path / "b.npy", ["the hen"], tokenizer)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_a_large_vocabulary_takes_32_bits(tmp_path):
    write_tokens(tmp_path / "t.npy", ["az"], Wide())
    tokens = read_tokens(tmp_path / "t.npy")
    assert tokens.dtype == np.uint32
    assert tokens.tolist() == [1, 97_000, 122_000, 2]
    batch = next(Batches(tokens, 1, 3))
    assert batch.dtype == torch.int64 and batch.tolist() == [[1, 97_000, 122_000, 2]]


@pytest.mark.parametrize("size, dtype", [(2**16, np.uint16), (2**16 + 1, np.uint32)])
def test_the_last_id_fits(tmp_path, size, dtype):
    class Full:
        vocab_size = size

        def encode_stream(self, chunks, bos=False, eos=False):
            yield [0, size - 1, size - 1]

    write_tokens(tmp_path / "t.npy", ["x"], Full())
    tokens = read_tokens(tmp_path / "t.npy")
    assert tokens.dtype == dtype and tokens.tolist() == [0, size - 1, size - 1]


def test_nothing_to_write_leaves_the_old_file(tokenizer, tmp_path):
    path = tmp_path / "t.npy"
    write_tokens(path, ["the hen"], tokenizer)
    before = path.read_bytes()

    def broken():
        yield "the river"
        raise ValueError("a bad byte")

    for texts, why in (([], "no text"), (["", iter([""])], "no text"), (broken(), "a bad byte")):
        with pytest.raises(ValueError, match=why):
            write_tokens(path, texts, tokenizer)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["t.npy"]


def test_a_file_larger_than_memory_is_mapped(tmp_path):
    """400 MB, a hole on the disk: neither opening it nor ten batches take its size."""
    path, count = tmp_path / "large.npy", 200_000_000
    with open(path, "wb") as file:
        fields = {"descr": "<u2", "fortran_order": False, "shape": (count,)}
        np.lib.format.write_array_header_1_0(file, fields)
        file.truncate(file.tell() + 2 * count)
    process = psutil.Process()
    before = process.memory_info().rss
    tokens = read_tokens(path)
    batches = Batches(tokens, 8, 256)
    rows = list(islice(batches, 10))
    grown = process.memory_info().rss - before
    assert isinstance(tokens, np.memmap) and len(tokens) == count
    assert rows[0].shape == (8, 257)
    assert grown < 60e6, f"{grown / 1e6:.0f} MB"


class Bomb:
    def __reduce__(self):
        return open, ("unpickled", "w")


@pytest.mark.parametrize(
    "kind", ["cut", "empty", "foreign", "pickle", "object", "floats", "table", "zip", "folder"]
)
def test_what_is_no_token_file_is_refused(kind, tokenizer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "t.npy"
    write_tokens(path, [TEXT], tokenizer)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "foreign":
        path.write_bytes(b"hello, I am a text of some length" * 9)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    elif kind == "object":
        np.save(path, np.array([Bomb(), 3], dtype=object), allow_pickle=True)
    elif kind == "floats":
        np.save(path, np.zeros(9))
    elif kind == "table":
        np.save(path, np.zeros((3, 3), np.uint16))
    elif kind == "zip":
        with open(path, "wb") as file:
            np.savez(file, a=np.zeros(3, np.uint16))
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(ValueError, match="t.npy"):
        read_tokens(path)
    assert not (tmp_path / "unpickled").exists()


def test_broken_headers_are_refused_too(tokenizer, tmp_path):
    """Each byte of the header changed: a ValueError, or a row of whole numbers."""
    path = tmp_path / "t.npy"
    write_tokens(path, ["the hen"], tokenizer)
    good = path.read_bytes()
    refused = 0
    for place in range(70):
        for byte in (0, 0x28, 0x39, 0xFF):
            path.write_bytes(good[:place] + bytes([byte]) + good[place + 1 :])
            try:
                assert read_tokens(path).ndim == 1
            except ValueError as error:
                refused += "t.npy" in str(error)
    assert refused > 200


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no token file"):
        read_tokens(tmp_path / "nowhere.npy")


# ---- texts ----------------------------------------------------------------------------------


def texts_of(path, **options):
    return [d if isinstance(d, str) else "".join(d) for d in documents(path, **options)]


def written(tmp_path, data: bytes):
    path = tmp_path / "a text.txt"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data, whole, lines",
    [
        (b"a\nb\n", "a\nb\n", ["a", "b"]),
        (b"a\nb", "a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", "a\nb\n", ["a", "b"]),
        (b"a\rb\r", "a\nb\n", ["a", "b"]),
        (b"\xef\xbb\xbfa\nb", "a\nb", ["a", "b"]),
        (b"a\xef\xbb\xbfb", "a\ufeffb", ["a\ufeffb"]),  # in the middle it is a character
        (b"a\n\nb\n", "a\n\nb\n", ["a", "", "b"]),
        ("a\u2028b\x85c\n".encode(), "a\u2028b\x85c\n", ["a\u2028b\x85c"]),
        (b"", "", []),
    ],
)
def test_line_ends_and_marks(tmp_path, data, whole, lines):
    path = written(tmp_path, data)
    assert texts_of(path) == [whole]
    assert texts_of(path, by_line=True) == lines


@pytest.mark.parametrize("before", range(2**20 - 4, 2**20 + 2))
@pytest.mark.parametrize("tail", ["é\r\nü", "🦙\n", "\r\n\r\n€"])
def test_characters_and_line_ends_cut_by_a_chunks_border(tmp_path, before, tail):
    data = b"x" * before + tail.encode()
    path = written(tmp_path, data)
    (chunks,) = documents(path)
    want = "x" * before + tail.replace("\r\n", "\n")
    assert "".join(chunks) == want
    assert texts_of(path, by_line=True) == want.removesuffix("\n").split("\n")


@pytest.mark.parametrize("by_line", [False, True])
@pytest.mark.parametrize(
    "data, place, byte",
    [
        (b"ab\xffcd", "2", "0xff"),
        (b"x" * (2**20 + 5) + b"\xe9!", "1,048,581", "0xe9"),
        (b"x" * (2**20 - 1) + b"\xc3(", "1,048,575", "0xc3"),  # the pair spans the border
        (b"x" * 2**21 + "é".encode() + b"\x80", "2,097,154", "0x80"),
        (b"abc\xf0\x9f", "3", "0xf0"),  # cut off at the end
        (b"\xff\xfea\x00", "0", "0xff"),  # UTF-16
    ],
)
def test_a_byte_that_is_no_utf8_is_named_with_its_place(tmp_path, data, place, byte, by_line):
    path = written(tmp_path, data)
    with pytest.raises(ValueError, match=f"byte {place} is {byte}") as caught:
        texts_of(path, by_line=by_line)
    assert "a text.txt is not UTF-8" in str(caught.value)


# ---- batches --------------------------------------------------------------------------------

TOKENS = np.arange(1000, 1000 + 11 * 4 + 3, dtype=np.uint16)  # 11 windows of 4, and a rest


def starts(batches, count):
    return [row[0] for batch in islice(batches, count) for row in batch.tolist()]


def test_a_row_is_a_window_and_the_target_the_next_id():
    batch = next(Batches(TOKENS, 3, 4))
    assert batch.shape == (3, 5) and batch.dtype == torch.int64
    for row in batch.tolist():
        assert row == list(range(row[0], row[0] + 5))
        assert (row[0] - 1000) % 4 == 0


@pytest.mark.parametrize("batch_size", [1, 2, 3, 11, 14, 40])
def test_each_epoch_visits_every_window_once(batch_size):
    batches = Batches(TOKENS, batch_size, 4)
    assert batches.windows == 11
    seen = starts(batches, 3 * 11)[: 3 * 11]
    want = [1000 + 4 * i for i in range(11)]
    orders = [seen[i : i + 11] for i in (0, 11, 22)]
    assert all(sorted(order) == want for order in orders)
    assert len(set(map(tuple, orders))) == 3  # and each epoch in an order of its own


def test_the_last_id_can_be_a_target():
    batches = Batches(np.arange(9), 2, 4)
    assert batches.windows == 2
    assert {row[-1] for row in next(batches).tolist()} == {4, 8}


def test_seeds_give_other_orders_and_the_same_seed_the_same():
    orders = [tuple(starts(Batches(TOKENS, 11, 4, seed=seed), 1)) for seed in (0, 1, 2, 0)]
    assert len(set(orders)) == 3 and orders[0] == orders[3]


def test_neighbouring_seeds_share_no_order():
    hashes = Counter(epoch_seed(seed, epoch) for seed in range(-50, 200) for epoch in range(200))
    assert max(hashes.values()) == 1
    assert all(0 <= h < 2**63 for h in hashes)


@pytest.mark.parametrize("position", [0, 1, 5, 23, 1000])
def test_a_position_set_is_a_position_counted_to(position):
    counted, jumped = Batches(TOKENS, 3, 4, seed=4), Batches(TOKENS, 3, 4, seed=4)
    for _ in islice(counted, position):
        pass
    assert counted.position == position
    assert counted.epoch == position * 3 // 11
    jumped.position = position
    for a, b in islice(zip(counted, jumped), 6):
        assert torch.equal(a, b)
    jumped.position = position  # and back again
    again = Batches(TOKENS, 3, 4, seed=4)
    again.position = position
    assert torch.equal(next(jumped), next(again))


@pytest.mark.parametrize("count", [0, 1, 4])
def test_too_little_text_is_said_with_both_numbers(count):
    for make in (Batches, validation_batches):
        with pytest.raises(ValueError, match=rf"{count} tokens are too few .* 4 \+ 1"):
            make(np.arange(count), 2, 4)


@pytest.mark.parametrize("sizes", [(0, 4), (2, 0), (-1, 4)])
def test_sizes_must_be_at_least_one(sizes):
    with pytest.raises(ValueError, match="at least 1"):
        Batches(TOKENS, *sizes)


def test_validation_is_every_window_once_in_order():
    batches = validation_batches(TOKENS, 4, 4)
    assert [len(batch) for batch in batches] == [4, 4, 3]
    rows = torch.cat(batches).tolist()
    assert [row[0] for row in rows] == [1000 + 4 * i for i in range(11)]
    assert all(row == list(range(row[0], row[0] + 5)) for row in rows)
    assert batches[0].dtype == torch.int64


def test_a_limit_spreads_validation_over_the_row():
    rows = torch.cat(validation_batches(TOKENS, 2, 4, limit=4))
    assert [(int(row[0]) - 1000) // 4 for row in rows] == [0, 2, 5, 8]
    assert len(torch.cat(validation_batches(TOKENS, 2, 4, limit=99))) == 11


# ---- windows that begin where documents do --------------------------------------------------


def slowly(tokens, seq_len, bos_id):
    """Each document's beginning and every seq_len further, while the document has a next id."""
    last, starts = len(tokens) - seq_len - 1, set()
    begins = [i for i, t in enumerate(tokens) if t == bos_id]
    for begin, end in zip(begins, [*begins[1:], len(tokens)]):
        place = begin
        while place == begin or place < end - 1:
            starts.add(min(place, last))
            place += seq_len
    return sorted(starts)


@pytest.mark.parametrize("lengths", [[5, 9, 1, 30, 4], [40], [2, 2, 2, 2, 8], [9, 8, 10], [1] * 9])
@pytest.mark.parametrize("seq_len", [3, 4, 8])
def test_windows_begin_where_documents_do(lengths, seq_len):
    tokens = np.concatenate([[1, *range(10, 9 + n)] for n in lengths]).astype(np.uint16)
    batches = Batches(tokens, 1, seq_len, bos_id=1)
    assert list(batches.starts) == slowly(tokens.tolist(), seq_len, 1)
    rows = [next(batches)[0].tolist() for _ in range(batches.windows)]
    want = [tokens[s : s + seq_len + 1].tolist() for s in batches.starts]
    assert sorted(rows) == sorted(want) and all(len(row) == seq_len + 1 for row in rows)
    seen = {s + i for s in batches.starts for i in range(1, seq_len + 1)}
    asked = {i for i in range(1, len(tokens)) if tokens[i] != 1}
    assert asked <= seen  # every id of every document is predicted
    validation = torch.cat(validation_batches(tokens, 2, seq_len, bos_id=1)).tolist()
    assert validation == want


def test_a_row_that_begins_within_a_document_is_used_from_its_start():
    """As the end of a book is that is held back for validation."""
    tokens = np.arange(5, 50)
    assert list(Batches(tokens, 2, 4, bos_id=1).starts) == list(Batches(tokens, 2, 4).starts)
    tokens = np.array([7, 8, 9, 1, 7, 8, 9, 9, 9])
    assert list(Batches(tokens, 2, 4, bos_id=1).starts) == [0, 3, 4]

"""Comparisons: what is written is what is read, any part of it, judged anew."""

import numpy as np
import pytest

from llamalab.alignment.comparisons import (
    FIRST,
    Answer,
    prompt_ids,
    read_comparisons,
    write_comparisons,
)
from llamalab.runtime import paths
from llamalab.tales.preferences import Worth, worth
from llamalab.tales.prompts import prompts
from llamalab.tales.story import tell
from llamalab.tokenizer import BPETokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.load(paths.data_folder() / "tokenizer.model")


@pytest.fixture
def sides(tokenizer):
    """Five prompts, an ended and an unended answer to each."""

    def answer(prompt, number, end):
        text = tell(number).text
        ids = [*prompt_ids(tokenizer, prompt), *tokenizer.encode(text), *end]
        return Answer(ids, text, worth(prompt, text), bool(end))

    asked = list(prompts(5, start=FIRST))
    first = [answer(p, FIRST + i, [tokenizer.eos_id]) for i, p in enumerate(asked)]
    return asked, first, [answer(p, i, []) for i, p in enumerate(asked)]


def test_what_is_written_is_read(tmp_path, tokenizer, sides):
    asked, first, second = sides
    write_comparisons(tmp_path / "c.npz", first, second)
    read = read_comparisons(tmp_path / "c.npz", tokenizer)
    assert read == sides
    assert [a.ended for a in read[1]] == [True] * 5 and not any(a.ended for a in read[2])
    assert read[1][0].worth.helpfulness > 0.9  # its own story


@pytest.mark.parametrize("start, stop", [(0, 2), (2, 4), (3, None), (-2, None), (4, 99)])
def test_a_part_is_that_part(tmp_path, tokenizer, sides, start, stop):
    asked, first, second = sides
    write_comparisons(tmp_path / "c.npz", first, second)
    read = read_comparisons(tmp_path / "c.npz", tokenizer, start=start, stop=stop)
    assert read == (asked[start:stop], first[start:stop], second[start:stop])


def test_what_makes_no_sense_is_refused(tmp_path, tokenizer, sides):
    _, first, second = sides
    with pytest.raises(ValueError, match="5 first answers, 4 second"):
        write_comparisons(tmp_path / "c.npz", first, second[:4])
    assert not list(tmp_path.iterdir())
    write_comparisons(tmp_path / "c.npz", first, second)
    with pytest.raises(ValueError, match="start=5, stop=None: none of the 5"):
        read_comparisons(tmp_path / "c.npz", tokenizer, start=5)


def test_the_shipped_file(tokenizer):
    path = paths.data_folder() / "comparisons.npz"
    with np.load(path, allow_pickle=False) as held:
        assert len(held["lengths"]) == 2 * 4608 and held["lengths"].sum() == len(held["ids"])
    asked, first, second = read_comparisons(path, tokenizer, start=4606)
    assert len(asked) == 2
    for prompt, a, b in zip(asked, first, second):
        start = prompt_ids(tokenizer, prompt)
        assert a.ids[: len(start)] == start == b.ids[: len(start)]
        assert isinstance(a.worth, Worth) and a.worth == worth(prompt, a.text)

"""The learner's whole model, and the page to print."""

import math
import re

import pytest

from llamalab.course import mine
from llamalab.course.engine import answers
from llamalab.course.whole import Whole
from llamalab.runtime import paths

RIGHT = "def rms_norm(x, weight, eps):\n    import torch\n    return torch.nn.functional.rms_norm(x, weight.shape, weight, eps)\n"  # noqa: E501
WITHOUT_EPS_AND_WEIGHT = (
    "def rms_norm(x, weight, eps):\n    return x / x.square().mean(-1, keepdim=True).sqrt()\n"  # noqa: E501
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.ANSWERS_VARIABLE, str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_before_anything_is_solved_it_is_the_courses_model(home):
    found = mine.whole()
    assert set(found.whose.values()) == {"ours"} and not found.finished
    assert found.loss == found.ours and 0.2 < found.loss < 0.35  # 0.30 with several tales a row
    assert "Mia" in found.said and "kite" in found.said
    words = repr(found)
    assert "none of the four functions yet" in words and "nothing noted yet" in words
    assert not home.exists()


def test_a_part_of_theirs_is_in_it_and_a_wrong_one_shows(home):
    answers.save("rms_norm", RIGHT)
    found = mine.whole()
    assert found.whose["rms_norm"] == "rms_norm" and found.whose["attention"] == "ours"
    assert math.isclose(found.loss, found.ours, abs_tol=1e-4)
    assert "the same as the course's own" in repr(found)
    answers.save("rms_norm", WITHOUT_EPS_AND_WEIGHT)
    wrong = mine.whole()
    assert wrong.loss > found.loss + 0.1 and wrong.ours == found.ours
    assert f"{wrong.loss - wrong.ours:+.4f} beside the course's own" in repr(wrong)


def test_a_file_that_is_broken_is_named(home):
    answers.save("rope", "def apply_rope(x, cos, sin:\n")
    with pytest.raises(ValueError, match="rope.py"):
        mine.whole()


def test_the_page(home):
    answers.save("next_token", "def inputs_and_targets(ids):\n    return ids[:-1], ids[1:]\n")
    path = mine.certificate("  Ada <b>Lovelace</b> ")
    assert path == home / "certificate.html"
    page = path.read_text(encoding="utf-8")
    assert "Ada &lt;b&gt;Lovelace&lt;/b&gt; is writing Llama 2" in page and "<b>" not in page
    assert "1 of 1: " in page and mine.progress("00").rows[0][2] in page and "0 of 5" in page
    assert not re.search(r"https?://|src=|<script", page)  # nothing from elsewhere
    assert mine.certificate(path=home / "other.html").read_text(encoding="utf-8") != page


def test_only_who_has_all_has_written_it():
    rows = (("00", ("one",), 1, 1, 1), ("01", ("one", "two"), 2, 11, 11))
    some = Whole({}, 0.3, 0.3, "", rows, mine.whole().kept)
    assert some.finished
    assert not Whole({}, 0.3, 0.3, "", (*rows, ("02", ("one",), 2, 9, 11)), some.kept).finished

"""The quizzes: neighbours are asked about other numbers, and what is right there is right."""

import math
import re

import pytest
import torch

from llamalab.config import ffn_hidden_dim
from llamalab.course.catalogue import questions, quiz
from llamalab.course.engine import Option, Question


@pytest.mark.parametrize("number", questions())
def test_a_varied_question_is_the_same_question(number):
    for question in questions()[number]:
        places = []
        for n in range(1, 9):
            made = question.varied(n)
            own = question.versions[n % len(question.versions)] if question.versions else question
            assert sorted(o.text for o in made.options) == sorted(o.text for o in own.options)
            assert made == question.varied(n) != question
            assert made.name == question.name
            places.append([option.right for option in made.options].index(True))
            assert made.answer(places[-1] + 1).startswith("Right.")
            assert f"quiz.{question.name}.varied({n}).answer(1)" in made.shown().text
        assert all(a != b for a, b in zip(places, places[1:])), "neighbours agree"
        assert question.varied(0) is question


VARYING = [q for group in questions().values() for q in group if q.versions]


@pytest.mark.parametrize("question", VARYING, ids=lambda question: question.name)
def test_neighbours_are_asked_about_other_numbers(question):
    texts = [(own.text, own.options) for own in question.versions]
    assert texts[0] == (question.text, question.options)
    assert all(a != b for i, a in enumerate(texts) for b in texts[:i])
    assert question.varied(1).text != question.varied(2).text
    for own in question.versions:
        # In every version the same belief is the right one, and none is asked twice.
        assert [o.right for o in own.options] == [o.right for o in question.options]


def test_nearly_every_lesson_has_a_question_about_numbers():
    without = {
        number for number, group in questions().items() if not any(q.versions for q in group)
    }
    assert without == {"00", "09"}  # nothing to compute: the map of the course, and manners


def numbers(name):
    """Each version's question, and its right option, as the numbers that stand in them."""
    for own in getattr(quiz, name).versions:
        right = next(option.text for option in own.options if option.right)
        yield tuple(
            [float(n.replace(",", "")) for n in re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)]
            for text in (own.text, right)
        )


def test_merges_make_up_the_vocabulary():
    for (pieces, _, characters), (merges,) in numbers("how_many_merges"):
        assert merges + 3 + 256 + characters == pieces


def test_the_scores_have_torchs_shape():
    for (b, t, heads, d, *k), shape in numbers("shape_of_scores"):
        q, k = torch.zeros(int(b), int(t), int(heads), int(d)), torch.zeros(*map(int, k))
        k = k.repeat_interleave(q.shape[2] // k.shape[2], dim=2)
        assert list(torch.einsum("bthd,bshd->bhts", q, k).shape) == shape


def test_the_width_is_that_of_the_models():
    for (dim, multiple_of), (width,) in numbers("which_width"):
        assert width == ffn_hidden_dim(int(dim), int(multiple_of))


def test_bits_a_weight():
    for (bits, block, *_), (whole,) in numbers("bits_per_weight"):
        assert whole == (bits * block + 16) / block


def test_losses_are_on_the_side_of_ln_v_that_is_asked_about():
    for (v, loss, *_), _ in numbers("what_loss_shows"):
        assert loss == round(math.log(v), 2)
    for (v, loss), _ in numbers("too_surprised"):
        assert loss > math.log(v) + 3


def test_what_counts_and_weighs():
    for (sure, p), _ in numbers("sure_model"):
        assert sure > p
    for (a, ratio, free, clipped), (counts, *_) in numbers("why_smaller_gain"):
        assert counts == min(free, clipped) == pytest.approx(min(a * ratio, a * 1.2))
    for (*_, tokens), (after,) in numbers("when_serving_wins"):
        assert after * 2 == tokens * 6
    times = {"Three": 3, "Four": 4, "Five": 5, "Six": 6, "Nine": 9}
    for own in quiz.whose_mean.versions:
        few, many = map(int, re.findall(r"\d+", own.text))
        assert times[own.options[1].text.split()[0]] * few == many


def test_a_question_with_an_option_twice_is_refused():
    options = (Option("1", "so", right=True), Option("1", "not so"))
    with pytest.raises(ValueError, match="'double' has an option twice"):
        Question("double", "How many?", options)

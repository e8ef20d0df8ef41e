"""Pairs to learn from: what was drawn is what is judged, and what annotators say is what counts."""

import pytest
import torch

from llamalab import load
from llamalab.alignment.comparisons import QUESTIONS, answers, compare, prompt_ids
from llamalab.tales.preferences import prefer, worth
from llamalab.tales.prompts import prompts
from llamalab.tokenizer.chat import encode_dialog


@pytest.fixture(scope="module")
def told():
    model, tokenizer = load("chat", dtype=torch.float32)
    asked = list(prompts(6, held_out=True, unkind=0.4))
    both = [
        answers(model, tokenizer, asked, temperature=t, max_new_tokens=200,
                generator=torch.Generator().manual_seed(seed))
        for seed, t in ((0, 0.7), (1, 1.2))
    ]  # fmt: skip
    return tokenizer, asked, both


def test_answers_are_prompt_and_answer_and_judged(told):
    tokenizer, asked, both = told
    for found in both:
        for prompt, answer in zip(asked, found):
            read = prompt_ids(tokenizer, prompt)
            assert read == encode_dialog(tokenizer, [{"role": "user", "content": prompt.text}])[0]
            assert answer.ids[: len(read)] == read and len(answer.ids) > len(read)
            assert answer.text == tokenizer.decode(answer.ids[len(read) :])
            assert answer.worth == worth(prompt, answer.text)
            assert answer.ended == (answer.ids[-1] == tokenizer.eos_id)


def test_the_chat_model_answers(told):
    _, asked, both = told
    kind = [answer for prompt, answer in zip(asked, both[0]) if not prompt.unkind]
    assert sum(answer.worth.helpfulness for answer in kind) / len(kind) > 0.5


def test_annotators_are_asked_about_the_worth(told):
    _, _, (first, second) = told
    for question in QUESTIONS:
        pairs, doubts = compare(first, second, question, seed=4)
        for number, (pair, doubt, a, b) in enumerate(zip(pairs, doubts, first, second)):
            said = prefer(getattr(a.worth, question), getattr(b.worth, question), number, seed=4)
            better, worse = (a, b) if said.first else (b, a)
            assert (pair.chosen, pair.rejected) == (better.ids, worse.ids)
            assert (pair.strength, doubt) == (said.strength, said.doubt)
    with pytest.raises(ValueError, match="question must be one of helpfulness, safety; got 'wit'"):
        compare(first, second, "wit")

"""The conversation in a notebook, without a front end, and with what a front end would send."""

import time

import pytest
import torch

from llamalab.config import LlamaConfig
from llamalab.course.figures import chat_box
from llamalab.course.figures.chat import conversation
from llamalab.course.figures.html import plain
from llamalab.course.figures.live import VIEW
from llamalab.generation import Chat
from llamalab.model import Llama
from llamalab.tokenizer import BPETokenizer

TEXT = "the hen went to the river, and the river went to the sea [INST] <<SYS>> <b>\n"


def endless(seed, context=3000, **sizes):
    """A model that never ends by itself."""
    sizes = {"dim": 24, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, **sizes}
    config = LlamaConfig(vocab_size=tokenizer().vocab_size, max_seq_len=context, **sizes)
    model = Llama(config, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        model.output.weight *= 20
        model.output.weight[:3] = 0
    return model


def tokenizer():
    return BPETokenizer.train(TEXT * 3, 300)


@pytest.fixture(scope="module")
def pieces():
    return tokenizer()


@pytest.fixture(scope="module")
def models():
    return {"before": endless(1, 1000), "after": endless(2, 1000, dim=32)}


@pytest.fixture
def two(models, pieces):
    return chat_box(models, pieces, length=12)


@pytest.fixture
def one(models, pieces):
    return chat_box(models["after"], pieces, length=12)


def by_hand(model, pieces, seed, *texts, system=None):
    chat, generator = Chat(model, pieces, system), torch.Generator().manual_seed(seed)
    options = {"temperature": 0.6, "top_p": 0.9, "max_new_tokens": 12, "generator": generator}
    return ["".join(chat.say(text, **options)).strip() for text in texts]


# ---- from a cell ----------------------------------------------------------------------------


def test_say_answers_there_and_then(one, models, pieces):
    due = by_hand(models["after"], pieces, 0, "the hen", "the sea")
    assert [one.say("the hen"), one.say("the sea")] == due
    assert repr(one) == f"you: the hen\nmodel: {due[0]}\nyou: the sea\nmodel: {due[1]}"
    one.clear()
    assert repr(one) == "a conversation with model" and one.turns == []
    assert one.say("the hen") == due[0], "clear begins the seed anew"


def test_several_answer_the_same_message(two, models, pieces):
    said = two.say("the hen")
    due = {name: by_hand(model, pieces, 0, "the hen")[0] for name, model in models.items()}
    assert said == f"before: {due['before']}\nafter: {due['after']}"
    assert due["before"] != due["after"] and two.turns == [("the hen", due)]
    second = two.say("the sea")
    for model in models.values():
        assert by_hand(model, pieces, 0, "the hen", "the sea")[1] in second
    shown = plain(two.shown.value)
    assert shown.count("you") == 2 and shown.count("before") == shown.count("after") == 2


def test_setting_the_box_says_it(one):
    one.box.value = "the hen"
    assert one.turns[0][0] == "the hen" and one.turns[0][1]["model"] and one.box.value == ""


def test_the_controls_are_heard(one, models, pieces):
    warm = one.say("the hen")
    one.clear()
    one.length.value = 3
    assert warm.startswith(one.say("the hen")) and one.chats["model"].ended == "length"
    assert "cut at its length" in one.words.value
    one.clear()
    one.length.value, one.system.value = 12, "the sea"
    assert one.say("the hen") == by_hand(models["after"], pieces, 0, "the hen", system="the sea")[0]
    one.clear()
    one.temperature.value = 0
    cold = one.say("the hen")
    one.clear()
    one.seed = 7
    one.clear()
    assert one.say("the hen") == cold


def test_what_is_wrong_is_said_and_nothing_is_kept(two):
    for text, words in (("a [INST] b", "the tag [INST]"), ("hen " * 999, "max_seq_len=1000")):
        assert words in two.say(text) and words in plain(two.words.value)
    two.system.value = "<<SYS>>"
    assert "the tag &lt;&lt;SYS&gt;&gt;" in two.words.value or "<<SYS>>" in two.say("the hen")
    assert two.turns == [] and all(chat.history == [] for chat in two.chats.values())
    two.system.value = ""
    assert two.say("the hen").startswith("before: ")


def test_a_full_context_is_remarked(pieces):
    talk = chat_box(endless(1, 120), pieces, length=20)
    for _ in range(6):
        talk.say("the hen")
    assert "the context is full, the oldest" in plain(talk.words.value) and len(talk.turns) == 6


def test_no_model_is_refused(pieces):
    with pytest.raises(ValueError, match="needs a model"):
        chat_box({}, pieces)


def test_an_interrupt_keeps_what_was_said(one, monkeypatch):
    chat, original = one.chats["model"], one.chats["model"].say

    def interrupted(text, **options):
        answer = original(text, **options)
        yield next(answer)
        try:
            raise KeyboardInterrupt
        finally:
            answer.close()

    monkeypatch.setattr(chat, "say", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.say("the hen")
    monkeypatch.undo()
    assert one.turns[0][1]["model"] == chat.history[1]["content"]
    assert one.say("the hen"), "and it goes on"


# ---- as a front end would have it -----------------------------------------------------------


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch):
    monkeypatch.setattr("llamalab.course.figures.chat.ARRIVES", 0.5)


def typed(talk, text, enter=True):
    if enter:  # Enter is told first, and then what the line holds
        talk.box._handle_custom_msg({"event": "submit"}, [])
    talk.box.set_state({"value": text})


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_typing_waits_for_enter(one):
    typed(one, "the hen", enter=False)  # the reader has gone to a slider, say
    time.sleep(0.8)
    assert one.turns == [] and one.box.value == "the hen"
    typed(one, "the hen went")
    until(lambda: one.turns and one.chats["model"].history)
    assert one.turns[0][0] == "the hen went" and one.box.value == ""
    typed(one, " ")
    time.sleep(0.8)
    assert len(one.turns) == 1


def test_stop_is_heard_while_it_answers(pieces):
    """The calling thread is free: it is the kernel's, and buttons speak in it."""
    talk = chat_box({"one": endless(1), "two": endless(2)}, pieces, length=512, temperature=2)
    for chat in talk.chats.values():
        slow(chat)
    typed(talk, "the hen")
    until(lambda: talk.turns and all(talk.turns[0][1].values()))
    assert "…" in talk.words.value
    growing = talk.shown.value
    until(lambda: talk.shown.value != growing)
    assert "One answer at a time" in talk.say("the sea")
    talk.stop_button.click()
    until(lambda: all(chat.history for chat in talk.chats.values()))
    until(lambda: "one: stopped. two: stopped." in plain(talk.words.value))
    said = talk.turns[0][1]
    for name, chat in talk.chats.items():
        assert chat.history[1]["content"] == said[name] and chat.ended == "stop"
    typed(talk, "the sea")
    until(lambda: len(talk.turns) == 2 and all(talk.turns[1][1].values()))
    talk.clear_button.click()  # stops, waits for the token, forgets
    assert talk.turns == [] and all(chat.history == [] for chat in talk.chats.values())


def slow(chat):
    """A hundredth of a second a token, as a larger model has it."""
    original = chat._counted

    def slowly(new, limit):
        for i in original(new, limit):
            time.sleep(0.01)
            yield i

    chat._counted = slowly


def test_send_is_enter(one):
    typed(one, "the hen", enter=False)
    one.send_button.click()
    until(lambda: one.chats["model"].history)
    assert one.turns[0][0] == "the hen"


# ---- what is seen ---------------------------------------------------------------------------


def test_text_comes_out_as_text():
    html = conversation([("<img src=x onerror=alert(1)>", {"<b>": "</div><script>"})], ["<b>"])
    assert "<img" not in html and "<script" not in html and "<b>" not in html
    assert "&lt;script&gt;" in html and "white-space:pre-wrap" in html


def test_it_can_be_seen_without_a_kernel_and_by_those_who_do_not_see(one):
    one.say("the hen")
    bundle = one._repr_mimebundle_()
    assert set(bundle) == {VIEW, "text/plain", "text/html"}
    assert bundle["text/plain"] == repr(one) and "the hen" in bundle["text/html"]
    for word in ("role='log'", "aria-live='polite'", "aria-label='The conversation'", "tabindex"):
        assert word in one.shown.value
    assert "role='status'" in one.words.value

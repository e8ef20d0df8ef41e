"""A conversation: what the model is shown, what is kept, and how an answer ends."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llamalab.generation import Chat, generate
from llamalab.generation.chat import until_tag
from llamalab.tokenizer import BPETokenizer
from llamalab.tokenizer.chat import TAGS, encode_dialog

TEXT = "[INST] the hen went to the river [/INST] and the river went to the sea\n<<SYS>> é 🦙\n"


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train(TEXT * 3, 310)


@pytest.fixture(scope="module")
def talker(small, tokenizer):
    return small(vocab_size=tokenizer.vocab_size, max_seq_len=120)


@pytest.fixture
def chat(talker, tokenizer):
    """It fills its context if it is asked greedily; where it draws, the answer may end at once."""
    return Chat(talker, tokenizer)


@pytest.fixture
def scripted(monkeypatch, tokenizer):
    """scripted(texts): the model says these, and `prompts` tells what it was shown."""

    def script(*texts):
        prompts, texts = [], iter(texts)

        def instead(model, ids, limit, *, stop_ids, **options):
            prompts.append((list(ids), limit))
            return iter(tokenizer.encode(next(texts))[:limit])

        monkeypatch.setattr("llamalab.generation.chat.generate", instead)
        return prompts

    return script


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def test_an_answer_is_what_generate_makes_of_the_dialog(chat, talker, tokenizer):
    said = "".join(chat.say("the hen", temperature=0, top_p=None, max_new_tokens=9))
    ids, _ = encode_dialog(tokenizer, [user("the hen")])
    new = list(generate(talker, ids, 9, temperature=0, stop_ids=[tokenizer.eos_id]))
    assert said == tokenizer.decode(new) and said.strip()
    assert chat.history == [user("the hen"), assistant(said.strip())]
    assert chat.ended == ("length" if len(new) == 9 else "end")


def test_the_model_is_shown_the_whole_conversation(talker, tokenizer, scripted):
    chat = Chat(talker, tokenizer, "the sea")
    prompts = scripted("to the river ", "and", "went")
    for text in ("the hen", " the river ", "é"):
        "".join(chat.say(text, max_new_tokens=5))
    dialog = [{"role": "system", "content": "the sea"}, user("the hen"), assistant("to the river"),
              user(" the river "), assistant("and"), user("é")]  # fmt: skip
    for (ids, limit), shown in zip(prompts, (dialog[:2], dialog[:4], dialog)):
        assert ids == encode_dialog(tokenizer, shown)[0] and limit == 5
    assert chat.history == [*dialog[1:], assistant("went")]
    chat.system = None
    prompts = scripted("the")
    list(chat.say("sea", max_new_tokens=1))
    assert (
        prompts[0][0] == encode_dialog(tokenizer, [*dialog[1:], assistant("went"), user("sea")])[0]
    )


@pytest.mark.parametrize("system", [None, "the sea"])
@pytest.mark.parametrize("most", [None, 1, 40])
def test_the_oldest_turns_go_whole_and_no_more_than_must(talker, tokenizer, scripted, system, most):
    chat, context = Chat(talker, tokenizer, system), talker.config.max_seq_len
    first = [{"role": "system", "content": system}] if system else []
    prompts = scripted(*["the river went " * (n % 3 + 1) for n in range(12)])
    reserve = context // 4 if most is None else most
    seen = 0
    for n in range(12):
        before = list(chat.history)
        list(chat.say("the hen " * (n % 2 + 1), max_new_tokens=most))
        ids, limit = prompts[-1]
        shown = [*before[2 * chat.left_out :], user("the hen " * (n % 2 + 1))]
        assert ids == encode_dialog(tokenizer, [*first, *shown])[0]
        assert len(ids) + min(limit, reserve) <= context and limit == min(
            most or 999, context - len(ids)
        )
        if chat.left_out > seen:  # one turn more would have been too many
            more = [*before[2 * chat.left_out - 2 :], shown[-1]]
            assert len(encode_dialog(tokenizer, [*first, *more])[0]) + reserve > context
        seen = chat.left_out
        assert len(chat.history) == 2 * n + 2, "the history itself is whole"
    assert chat.left_out >= 3
    chat.clear()
    assert (chat.history, chat.left_out, chat.system) == ([], 0, system)


def test_a_message_that_nearly_fills_the_context_gets_what_is_left(talker, tokenizer, scripted):
    chat, context = Chat(talker, tokenizer), talker.config.max_seq_len
    bare = len(encode_dialog(tokenizer, [user("z")])[0])
    prompts = scripted("the", "the")
    list(chat.say("z" * (context - bare), max_new_tokens=50))
    assert prompts[0][1] == 1
    with pytest.raises(ValueError, match=f"make {context} ids.*max_seq_len={context}") as error:
        chat.say("z" * (context - bare + 1))
    assert "system" not in str(error.value)
    chat.system = "z"
    with pytest.raises(ValueError, match="the message and the system text make"):
        chat.say("z" * (context - bare + 1))
    assert len(chat.history) == 2


# ---- how an answer ends ---------------------------------------------------------------------


def test_it_stops_behind_the_token_when_asked(chat):
    said = []
    for piece in chat.say("the hen", temperature=0):
        said.append(piece)
        if len(said) == 3:
            chat.stop()
    assert chat.ended == "stop" and len(said) == 3
    assert chat.history[1]["content"] == "".join(said).strip()
    assert "".join(chat.say("the hen", max_new_tokens=2, temperature=0)), (
        "the next one is free again"
    )


def test_another_thread_can_stop_it(small, tokenizer):
    chat = Chat(small(vocab_size=tokenizer.vocab_size, max_seq_len=4000), tokenizer)
    began, pieces = threading.Event(), []

    def listen():
        for piece in chat.say("the hen", temperature=0):
            pieces.append(piece)
            began.set()

    thread = threading.Thread(target=listen)
    thread.start()
    assert began.wait(60)
    chat.stop()
    thread.join(60)
    assert not thread.is_alive() and chat.ended == "stop"
    assert chat.history[-1]["content"] == "".join(pieces).strip()


def test_who_stops_listening_has_heard_what_is_kept(chat):
    answer = chat.say("the hen", temperature=0)
    said = next(answer) + next(answer)
    answer.close()
    assert chat.ended == "stop" and chat.history[1]["content"] == said.strip()
    chat.clear()
    chat.say("the hen")  # never begun: never said
    answer = chat.say("the hen", temperature=0)
    chat.stop()
    assert list(answer) == [] and chat.history == [] and chat.ended == "stop"


def test_an_answer_without_words_is_no_turn(chat, scripted):
    scripted("", "   ")
    for _ in range(2):
        assert "".join(chat.say("the hen")).strip() == ""
        assert chat.history == [] and chat.ended == "end"


def test_a_tag_ends_the_answer(chat, scripted):
    prompts = scripted("the sea [INST] the hen", "and [/INS the hen", "<</SYS>>", "the")
    assert "".join(chat.say("the hen")) == "the sea " and chat.ended == "end"
    assert "".join(chat.say("the river")) == "and [/INS the hen"
    assert "".join(chat.say("the river")) == ""
    list(chat.say("é"))  # a history with a tag in it could not be encoded
    assert len(prompts) == 4 and len(chat.history) == 6


@settings(max_examples=120)
@given(st.lists(st.sampled_from([*TAGS, *"[]/<>INSTY", "[IN", "a ", "[[INST", "é"]), max_size=8),
       st.lists(st.integers(1, 5), min_size=1))  # fmt: skip
def test_text_comes_whole_up_to_the_first_tag_however_it_is_cut(parts, sizes):
    text, pieces, start = "".join(parts), [], 0
    while start < len(text):
        pieces.append(text[start : start + sizes[len(pieces) % len(sizes)]])
        start += len(pieces[-1])
    begins = min((text.index(tag) for tag in TAGS if tag in text), default=len(text))
    given_in = []

    def watched():
        for piece in pieces:
            given_in.append(piece)
            yield piece

    out = ""
    for piece in until_tag(watched()):
        assert piece
        out += piece
        held = "".join(given_in)[len(out) :]
        longest = max(len(tag) for tag in TAGS)
        assert len(held) < longest or any(tag in held for tag in TAGS)
    assert out == text[:begins]


def test_the_first_tag_of_a_long_piece_ends_it():
    assert list(until_tag(["a [INST] b <<SYS>> c [INST]"])) == ["a "]
    assert list(until_tag(["a <<SYS>> b [INST]", "c"])) == ["a "]


def test_nothing_is_held_back_that_cannot_become_a_tag():
    assert list(until_tag(["a", " [", "b", "<", "<<SYS", ">", " "])) == [
        "a",
        " ",
        "[b",
        "<",
        "<<SYS> ",
    ]


# ---- chance, and what is refused ------------------------------------------------------------


def test_the_same_seed_is_the_same_conversation(talker, tokenizer):
    def talk(seed):
        chat, generator = Chat(talker, tokenizer), torch.Generator().manual_seed(seed)
        for text in ("the hen", "the sea"):
            list(chat.say(text, temperature=2, generator=generator, max_new_tokens=9))
        return chat.history

    torch.manual_seed(0)
    state = torch.get_rng_state()
    assert talk(1) == talk(1) != talk(2)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "text, options, words",
    [
        ("", {}, "the message .user. has no text"),
        (" \n", {}, "has no text"),
        ("the [/INST]", {}, r"holds the tag \[/INST\]"),
        ("the", {"temperature": -1}, "temperature=-1"),
        ("the", {"top_p": 2}, "top_p=2"),
        ("the", {"max_new_tokens": 0}, "max_new_tokens=0"),
    ],
)
def test_what_cannot_be_said_is_said_at_the_call(chat, text, options, words):
    with pytest.raises(ValueError, match=words):
        chat.say(text, **options)
    assert chat.history == []


def test_the_system_text_is_looked_at_too(talker, tokenizer):
    for bad in ("", "<<SYS>>"):
        with pytest.raises(ValueError, match="the system text"):
            Chat(talker, tokenizer, bad)


def test_a_history_that_was_made_shorter_by_hand(chat):
    """left_out is of the answer before; fewer turns than that may be left."""
    chat.left_out, chat.history = 3, []
    assert isinstance("".join(chat.say("hi", max_new_tokens=2)), str)
    assert chat.left_out == 0

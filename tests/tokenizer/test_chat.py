"""The chat format, against Llama 2's own ids and against transformers: ids, and what is learned."""

import os

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from llamalab.runtime import paths
from llamalab.tokenizer import BPETokenizer, chat

# Measured with Meta's tokenizer.model, without <s> and </s>. The texts are whole turns.
TURNS = {
    "[INST] Hi [/INST] Hello! ": "518 25580 29962 6324 518 29914 25580 29962 15043 29991 29871",
    "[INST] Hi [/INST]": "518 25580 29962 6324 518 29914 25580 29962",
    "[INST] How are you? [/INST]": "518 25580 29962 1128 526 366 29973 518 29914 25580 29962",
    "[INST] what is the recipe of mayonnaise? [/INST]":
        "518 25580 29962 825 338 278 9522 412 310 1122 11586 895 29973 518 29914 25580 29962",
}  # fmt: skip
HI, HELLO, HOW = (
    {"role": "user", "content": " Hi\n"},
    {"role": "assistant", "content": "Hello!  "},
    {"role": "user", "content": "How are you?"},
)
SYSTEM = {"role": "system", "content": "Be kind.\nBe brief."}
FINE = {"role": "assistant", "content": "Fine. 12 🦙, and you?"}
DIALOGS = {
    "a prompt": [HI],
    "an example": [HI, HELLO],
    "two turns": [SYSTEM, HI, HELLO, HOW, FINE],
    "three, the last open": [HI, HELLO, HOW, FINE, HI],
}


class Remembered:
    """Llama 2's tokenizer, as far as it is remembered: of another text it knows nothing."""

    bos_id, eos_id = 1, 2

    def encode(self, text, bos=False, eos=False):
        return [1] * bos + [int(i) for i in TURNS[text].split()] + [2] * eos


@pytest.fixture(params=["remembered", "Meta's file"])
def llama2(request):
    path = os.environ.get("LLAMALAB_LLAMA2_TOKENIZER")
    if request.param == "remembered":
        return Remembered()
    if not path:
        pytest.skip("LLAMALAB_LLAMA2_TOKENIZER does not point to Llama 2's tokenizer.model")
    return BPETokenizer.load(path)


@pytest.fixture(scope="module")
def small():
    return BPETokenizer.load(paths.checkpoints()["tales"] / "tokenizer.model")


# ---- Llama 2's own ids ----------------------------------------------------------------------


def test_the_ids_of_llama_2(llama2):
    ids, mask = chat.encode_dialog(llama2, [HI, HELLO, HOW])
    first = [1, 518, 25580, 29962, 6324, 518, 29914, 25580, 29962, 15043, 29991, 29871, 2]
    last = [1, 518, 25580, 29962, 1128, 526, 366, 29973, 518, 29914, 25580, 29962]
    assert ids == first + last
    assert mask == [0] * 9 + [1] * 4 + [0] * 12  # "Hello", "!", the space, </s>
    alone = chat.encode_dialog(
        llama2, [{"role": "user", "content": "what is the recipe of mayonnaise?"}]
    )
    assert alone[0][:5] == [1, 518, 25580, 29962, 825] and len(alone[0]) == 18 and not any(alone[1])
    assert chat.stop_ids(llama2) == (2,)


# ---- transformers, with its own way to the ids and to the mask ------------------------------

# The same format in the language of chat templates. What stands between generation and
# endgeneration is what transformers lets count.
TEMPLATE = (
    "{%- set first = namespace(system='') -%}{%- for m in messages -%}"
    "{%- if m.role == 'system' -%}"
    "{%- set first.system = '<<SYS>>\n' ~ m.content ~ '\n<</SYS>>\n\n' -%}"
    "{%- elif m.role == 'user' -%}"
    "{{ bos_token ~ '[INST] ' ~ (first.system ~ m.content).strip() ~ ' [/INST]' }}"
    "{%- set first.system = '' -%}"
    "{%- else -%}{% generation %}{{ ' ' ~ m.content.strip() ~ ' ' ~ eos_token }}{% endgeneration %}"
    "{%- endif -%}{%- endfor -%}"
)


@pytest.fixture(scope="module")
def theirs():
    # legacy: a space goes in front of each text between special tokens, as Meta's code has it.
    folder = paths.checkpoints()["tales"]
    tokenizer = transformers.LlamaTokenizer.from_pretrained(folder, legacy=True)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def their_ids_and_mask(theirs, messages):
    made = theirs.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    return made["input_ids"], made["assistant_masks"]


@pytest.mark.parametrize("name", DIALOGS)
def test_transformers_agrees(small, theirs, name):
    messages = DIALOGS[name]
    assert chat.encode_dialog(small, messages) == their_ids_and_mask(theirs, messages)
    assert chat.render_text(messages) == theirs.apply_chat_template(messages, tokenize=False)


# Texts as people write them, and as they do not: spaces within and around, digits, no ASCII.
# Left out: <s> and </s> as text, which transformers reads as the ids themselves.
texts = st.text("aehtn  \n\t.,12[]/🦙é大", min_size=1, max_size=25).filter(
    lambda text: text.strip() and not any(tag in text for tag in chat.TAGS)
)


@st.composite
def dialogs(draw):
    count = draw(st.integers(1, 5))
    messages = [{"role": "system", "content": draw(texts)}] if draw(st.booleans()) else []
    roles = ["user", "assistant"] * 3
    return messages + [{"role": role, "content": draw(texts)} for role in roles[:count]]


@settings(max_examples=150)
@given(messages=dialogs())
def test_transformers_agrees_on_anything(small, theirs, messages):
    assert chat.encode_dialog(small, messages) == their_ids_and_mask(theirs, messages)
    text = chat.render_text(messages)
    assert text == theirs.apply_chat_template(messages, tokenize=False)
    assert chat.render_text(chat.parse(text)) == text


# ---- what is learned ------------------------------------------------------------------------


def learned(tokenizer, messages, **options):
    """The runs of 1s as text, </s> shown."""
    ids, mask = chat.encode_dialog(tokenizer, messages, **options)
    runs, before = [], 0
    for i, counts in zip(ids, mask):
        if counts:
            runs += [[]] if not before else []
            runs[-1].append(i)
        before = counts
    assert all(run.count(tokenizer.eos_id) == 1 == (run[-1] == tokenizer.eos_id) for run in runs)
    return [tokenizer.decode(run) for run in runs]


def test_the_mask_is_the_answers_with_their_ends(small):
    two = DIALOGS["two turns"]
    assert learned(small, two) == ["Hello! ", "Fine. 12 🦙, and you? "]
    assert learned(small, two, last_turn_only=True) == ["Fine. 12 🦙, and you? "]
    ids, _ = chat.encode_dialog(small, two)
    assert chat.encode_dialog(small, two, last_turn_only=True)[0] == ids
    assert learned(small, two[:-1]) == ["Hello! "]
    with pytest.raises(ValueError, match="ends with an assistant"):
        chat.encode_dialog(small, two[:-1], last_turn_only=True)


KINDS = ["llama2", "suffix", "inner spaces", "no prefix", "nmt_nfkc", "equal scores, inner spaces"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_border_is_found_where_pieces_reach_over_it(model_bytes, kind):
    """The first id that counts is the first that holds anything behind [/INST]."""
    tokenizer = BPETokenizer.from_bytes(model_bytes(kind))
    for user, answer in (
        ("the tree", "the river went"),
        ("ab  ab", "the   sea"),
        ("é 🦙", "🦙 12"),
    ):
        ids, mask = chat.encode_turn(tokenizer, user, answer)
        start, prompt = mask.index(1), f"[INST] {user} [/INST]"
        prompt = tokenizer.decode(tokenizer.encode(prompt))
        assert mask == [0] * start + [1] * (len(ids) - start)
        assert prompt.startswith(tokenizer.decode(ids[:start]))
        assert not prompt.startswith(tokenizer.decode(ids[: start + 1]))


def test_a_piece_over_the_border_counts(train_library, llama2_options):
    """No space is a wall here: "] the" becomes one piece, and the answer begins inside it."""
    text = [f"{a}] t{b}" for a in "abcdefghij" for b in "klmnopqrst"]
    walls = {"split_by_whitespace": False, "split_by_unicode_script": False}
    options = llama2_options | walls | {"vocab_size": 320}
    tokenizer = BPETokenizer.from_bytes(train_library(text, **options))
    ids, mask = chat.encode_turn(tokenizer, "a", "the hen")
    pieces = [tokenizer.id_to_piece(i) for i in ids]
    assert "]" in pieces[mask.index(1)] and "t" in pieces[mask.index(1)], pieces


def test_together_is_not_apart(small):
    """Prompt and answer encoded apart: each gets the space in front that belongs to a text."""
    ids, _ = chat.encode_turn(small, "Hi", "Hello!")
    prompt, answer = small.encode("[INST] Hi [/INST]"), small.encode(" Hello! ")
    assert [small.bos_id, *prompt, *answer, small.eos_id] != ids
    assert small.decode(prompt + answer) == "[INST] Hi [/INST]  Hello! "  # two spaces


def test_ordinary_text_stays_text(small):
    """<s> and </s> in a message are letters."""
    ids, _ = chat.encode_dialog(small, [{"role": "user", "content": "</s><s> Hi"}])
    assert ids.count(small.bos_id) == 1 and small.eos_id not in ids


def test_what_the_tags_cost_our_small_tokenizer(small):
    """Llama 2 writes [INST] in 3 pieces and [/INST] in 4; 1,024 pieces have no brackets."""
    bare = len(small.encode("Hi"))
    assert len(chat.encode_turn(small, "Hi")[0]) - bare == 1 + 7 + 8
    assert len(chat.encode_turn(small, "Hi", "Hi")[0]) - 2 * bare == 1 + 7 + 8 + 1 + 1
    system = chat.encode_dialog(small, [{"role": "system", "content": "Hi"}, HI])[0]
    assert len(system) - 2 * bare == 1 + 7 + 8 + 9 + 11  # no space before H there: "Hi" is 2 too


# ---- looking at it --------------------------------------------------------------------------


def test_the_text_and_back():
    messages = DIALOGS["two turns"]
    text = chat.render_text(messages)
    assert text == (
        "<s>[INST] <<SYS>>\nBe kind.\nBe brief.\n<</SYS>>\n\n Hi [/INST] Hello! </s>"
        "<s>[INST] How are you? [/INST] Fine. 12 🦙, and you? </s>"
    )
    back = chat.parse(text)
    assert [m["role"] for m in back] == [m["role"] for m in messages]
    assert [m["content"].strip() for m in back] == [m["content"].strip() for m in messages]
    for bad in ("", "Hi", text[3:], text + " ", "<s>[INST]  [/INST]", "<s>[INST] Hi [/INST] "):
        with pytest.raises(ValueError):
            chat.parse(bad)


# ---- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("tag", chat.TAGS)
@pytest.mark.parametrize("place", range(5))
def test_a_tag_is_refused_and_named(small, tag, place):
    messages = [dict(message) for message in DIALOGS["two turns"]]
    messages[place]["content"] += f" x{tag}"
    for use in (chat.render_text, lambda m: chat.encode_dialog(small, m)):
        with pytest.raises(
            ValueError, match=rf"message {place + 1} \({messages[place]['role']}\)"
        ) as e:
            use(messages)
        assert f"the tag {tag} " in str(e.value)


@pytest.mark.parametrize(
    "messages, words",
    [
        ([], "at least one message"),
        ("Hi", "a list of at least one"),
        (HI, "a list of at least one"),
        (["Hi"], "message 1 must hold"),
        ([{"role": "user"}], "message 1 must hold"),
        ([HI | {"name": "Mia"}], "message 1 must hold"),
        ([HI, {"role": "bot", "content": "Hello!"}], "message 2 has the role 'bot'"),
        ([HI, {"role": "assistant", "content": " \n"}], r"message 2 \(assistant\) has no text"),
        ([{"role": "user", "content": None}], r"message 1 \(user\) has no text"),
        ([SYSTEM], "there must be a user's"),
        ([HELLO], "message 1 is the assistant's where the user's is due"),
        ([HI, HOW], "message 2 is the user's where the assistant's is due"),
        ([SYSTEM, HELLO], "message 2 is the assistant's where the user's is due"),
        ([HI, HELLO, SYSTEM], "message 3 is the system's where the user's is due"),
        ([SYSTEM, SYSTEM, HI], "message 2 is the system's where the user's is due"),
    ],
)
def test_what_is_no_dialog_is_said(small, messages, words):
    with pytest.raises(ValueError, match=words):
        chat.encode_dialog(small, messages)


def test_a_tokenizer_without_ends_is_refused(model_bytes):
    tokenizer = BPETokenizer.from_bytes(model_bytes("other specials"))
    with pytest.raises(ValueError, match="no bos piece"):
        chat.encode_dialog(tokenizer, [HI])
    tokenizer.eos_id = -1
    with pytest.raises(ValueError, match="could not end"):
        chat.stop_ids(tokenizer)


def test_messages_stay_as_they_were(small):
    messages = [dict(message) for message in DIALOGS["two turns"]]
    before = [dict(message) for message in messages]
    chat.encode_dialog(small, messages)
    assert messages == before

"""Notebook 09, exercise 1: A conversation as ids."""

from llamalab.course.engine import Exercise, WrongAnswers
from llamalab.course.lessons.nb09.common import bytes_of, dialog, pieces_of
from llamalab.tokenizer import chat

wrong = WrongAnswers()


def encode_dialog(messages, encode, bos, eos):
    texts = [message["content"] for message in messages]
    if messages[0]["role"] == "system":
        texts[:2] = [f"<<SYS>>\n{texts[0]}\n<</SYS>>\n\n{texts[1]}"]
    ids = []
    for i in range(0, len(texts), 2):
        turn = f"[INST] {texts[i].strip()} [/INST]"
        if i + 1 < len(texts):
            ids += [bos, *encode(f"{turn} {texts[i + 1].strip()} "), eos]
        else:
            ids += [bos, *encode(turn)]
    return ids


class _Tokenizer:
    """What the package's function asks of a tokenizer."""

    def __init__(self, encode, bos, eos):
        self._encode, self.bos_id, self.eos_id = encode, bos, eos

    def encode(self, text, bos=False, eos=False):
        return [self.bos_id] * bos + list(self._encode(text)) + [self.eos_id] * eos


def _encode_dialog_reference(messages, encode, bos, eos):
    """The package's own, which is compared with Meta's ids and with transformers."""
    return chat.encode_dialog(_Tokenizer(encode, bos, eos), messages)[0]


def _encode_dialog_probes():
    """Prompts and examples, one turn to three; a system text, with space around it, and a message
    behind it that begins with space; space around everything; <s> and </s> as text; two tokenizers,
    of which one puts a space in front of a text; several ids for BOS and EOS."""
    return [
        (dialog("Hi", "Hello!", "How are you?"), pieces_of, 1, 2),
        (dialog("  Tell me of a hen.\n"), bytes_of, 1, 2),
        (dialog(" Who had it?", "Mia had it. "), bytes_of, 0, 1),
        (dialog("  And then?", " The end.\n", "Why ", "So.", system="Be kind.\n"), pieces_of, 1, 2),
        (dialog("\n Begin.", " Once. ", " Go on", "No", system=" Be brief. "), bytes_of, 2, 1),
        (dialog("Hi </s>", "<s> 12 🦙", "é", "é", "Stop"), pieces_of, 7, 9),
        (dialog("Is it?", system="Say yes"), bytes_of, 1, 2),
    ]


def _fold(system, user):
    return f"<<SYS>>\n{system}\n<</SYS>>\n\n{user}"


def _prompt(user):
    return f"[INST] {user.strip()} [/INST]"


def _whole(prompt, answer):
    return f"{prompt} {answer.strip()} "


def _turns(messages, fold=_fold):
    texts = [message["content"] for message in messages]
    if messages[0]["role"] == "system":
        texts[:2] = [fold(texts[0], texts[1])]
    return [(texts[i], texts[i + 1] if i + 1 < len(texts) else None)
            for i in range(0, len(texts), 2)]  # fmt: skip


def _encoded(
    messages, encode, bos, eos, *, fold=_fold, prompt=_prompt, whole=_whole, last=None,
    begin=None, end=None,
):  # fmt: skip
    """The right answer with a part replaced. last(prompt) is the text of an open turn."""
    ids = []
    for user, answer in _turns(messages, fold):
        text = prompt(user)
        ids += [bos] if begin is None else begin
        if answer is None:
            ids += encode(text if last is None else last(text))
        else:
            ids += [*encode(whole(text, answer)), *([eos] if end is None else end)]
    return ids


@wrong(
    "The space behind the answer is missing. In the released format a bare space, 29871 for Llama "
    "2, stands before every </s>."
)
def no_space_behind(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, whole=lambda p, a: f"{p} {a.strip()}")


@wrong(
    "The space between [/INST] and the answer is missing: the answer's first piece is then one "
    "without a space in front, and another id."
)
def no_space_before_the_answer(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, whole=lambda p, a: f"{p}{a.strip()} ")


@wrong(
    "Your tags stand close to the message. There is a space behind [INST] and one before [/INST]; "
    "without them the message's first piece is another, and so is the tag's."
)
def tags_without_spaces(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, prompt=lambda u: f"[INST]{u.strip()}[/INST]")


@wrong("There is a line break where Llama 2 has a space: between the tags and the message.")
def newlines_for_spaces(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, prompt=lambda u: f"[INST]\n{u.strip()}\n[/INST]")


@wrong(
    "BOS stands at the very beginning only. Llama 2's turns are texts of their own: EACH begins "
    "with <s>."
)
def bos_once(messages, encode, bos, eos):
    return [bos, *_encoded(messages, encode, bos, eos, begin=[])]


@wrong("There is no BOS. Every turn begins with one, an open turn too.")
def no_bos(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, begin=[])


@wrong(
    "There is no EOS behind the answers. It is how the model learns to stop: it would go on, and "
    "write your next question itself."
)
def no_eos(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, end=[])


@wrong(
    "EOS stands at the very end only. Every completed turn ends with one, those in the middle too."
)
def eos_once(messages, encode, bos, eos):
    ids = _encoded(messages, encode, bos, eos, end=[])
    return [*ids, eos] if messages[-1]["role"] == "assistant" else ids


@wrong(
    "You closed the open turn with EOS. Behind its [/INST] the model is to go on; after </s> there "
    "is nothing to go on with."
)
def closes_the_open_turn(messages, encode, bos, eos):
    ids = _encoded(messages, encode, bos, eos)
    return ids if messages[-1]["role"] == "assistant" else [*ids, eos]


@wrong(
    "You wrote </s> into the text. The tokenizer reads it as letters, `<`, `/`, `s`, `>`: EOS is an"
    " id that is put behind the text's ids."
)
def eos_as_text(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, whole=lambda p, a: f"{p} {a.strip()} </s>", end=[])


@wrong(
    "You wrote <s> and </s> into the text. The tokenizer reads them as letters, as it must: else "
    "anybody could type an end. They are ids, put around the text's ids."
)
def both_as_text(messages, encode, bos, eos):
    return _encoded(
        messages, encode, bos, eos, begin=[], prompt=lambda u: f"<s>[INST] {u.strip()} [/INST]",
        whole=lambda p, a: f"{p} {a.strip()} </s>", end=[],
    )  # fmt: skip


@wrong(
    "You wrote the whole conversation as one text, <s> and </s> in it, and encoded that. Specials "
    "are never read from text: encode turn by turn, and put the ids around."
)
def one_text(messages, encode, bos, eos):
    return [bos, *encode(chat.render_text(messages).removeprefix("<s>"))]


@wrong(
    "You laid the turns end to end as one text, with one BOS and one EOS around all of it. Each "
    "turn is encoded by itself, between its own two."
)
def one_text_without_ends(messages, encode, bos, eos):
    text = "".join(_prompt(u) if a is None else _whole(_prompt(u), a) for u, a in _turns(messages))
    return [bos, *encode(text), *([eos] if messages[-1]["role"] == "assistant" else [])]


@wrong(
    "You gave the system text a turn of its own. It belongs INSIDE the first message, between "
    "[INST] and what the user says."
)
def a_turn_for_the_system(messages, encode, bos, eos):
    if messages[0]["role"] != "system":
        return _encoded(messages, encode, bos, eos)
    own = [bos, *encode(_prompt(_fold(messages[0]["content"], "")))]
    return own + _encoded(messages[1:], encode, bos, eos)


@wrong(
    "The system text stands before [INST]. It belongs behind it: for the model it is a part of "
    "what the user says."
)
def system_before_the_tag(messages, encode, bos, eos):
    if messages[0]["role"] != "system":
        return _encoded(messages, encode, bos, eos)
    system, first, ids = _fold(messages[0]["content"], ""), True, []
    for user, answer in _turns(messages[1:]):
        text = (system if first else "") + _prompt(user)
        tail = [] if answer is None else [eos]
        ids += [bos, *encode(text if answer is None else _whole(text, answer)), *tail]
        first = False
    return ids


@wrong("The system text is nowhere in your ids.")
def forgets_the_system(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, fold=lambda system, user: user)


@wrong(
    "The system text stands in every message. Llama 2 has it in the first only, and has to "
    "remember it from there: what ghost attention is for."
)
def system_in_every_turn(messages, encode, bos, eos):
    if messages[0]["role"] != "system":
        return _encoded(messages, encode, bos, eos)
    rest = [
        m
        if m["role"] == "assistant"
        else m | {"content": _fold(messages[0]["content"], m["content"])}
        for m in messages[1:]
    ]
    return _encoded(rest, encode, bos, eos)


@wrong(
    "The system text has no tags around it. <<SYS>> and <</SYS>> tell the model where your rules "
    "end and the user's words begin."
)
def system_without_tags(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, fold=lambda s, u: f"{s}\n\n{u}")


@wrong("Behind <</SYS>> there are two line breaks: an empty line. Yours has one.")
def one_newline_behind_the_system(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, fold=lambda s, u: f"<<SYS>>\n{s}\n<</SYS>>\n{u}")


@wrong(
    "The line breaks around the system text are missing: `<<SYS>>\\n` before it, "
    "`\\n<</SYS>>\\n\\n` behind it."
)
def spaces_around_the_system(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, fold=lambda s, u: f"<<SYS>> {s} <</SYS>> {u}")


@wrong("You did not strip the messages: what a user types before and behind the text got in.")
def strips_nothing(messages, encode, bos, eos):
    return _encoded(
        messages, encode, bos, eos, prompt=lambda u: f"[INST] {u} [/INST]",
        whole=lambda p, a: f"{p} {a} ",
    )  # fmt: skip


@wrong("You stripped the user's messages and not the answers.")
def strips_the_user_alone(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, whole=lambda p, a: f"{p} {a} ")


@wrong("You stripped the answers and not the user's messages.")
def strips_the_answer_alone(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, prompt=lambda u: f"[INST] {u} [/INST]")


STRIPPED_FIRST = (
    "You stripped before the system text was put in. Meta's code strips the whole first message "
    "once, with the system text in it: space behind <</SYS>>, and around the system text, stays."
)


@wrong(STRIPPED_FIRST)
def strips_the_user_before_the_fold(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, fold=lambda s, u: _fold(s, u.strip()))


@wrong(STRIPPED_FIRST)
def strips_all_before_the_fold(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, fold=lambda s, u: _fold(s.strip(), u.strip()))


@wrong(STRIPPED_FIRST)
def strips_the_system_too(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, fold=lambda s, u: _fold(s.strip(), u))


@wrong(
    "You encoded prompt and answer apart. The tokenizer puts a space in front of every text, so "
    "there are two before the answer now; and where it puts none, pieces may differ. A turn is "
    "encoded in one go."
)
def encodes_them_apart(messages, encode, bos, eos):
    ids = []
    for user, answer in _turns(messages):
        ids += [bos, *encode(_prompt(user))]
        if answer is not None:
            ids += [*encode(f" {answer.strip()} "), eos]
    return ids


@wrong(
    "You encoded prompt and answer apart and left the space between to the tokenizer. Ours happens "
    "to put one there; one that does not gives other ids. A turn is encoded in one go."
)
def leaves_the_space_to_the_tokenizer(messages, encode, bos, eos):
    ids = []
    for user, answer in _turns(messages):
        ids += [bos, *encode(_prompt(user))]
        if answer is not None:
            ids += [*encode(f"{answer.strip()} "), eos]
    return ids


@wrong(
    "A space stands behind the last [/INST]. The space belongs to the answer's first piece, which "
    "the model has to choose: with a bare space there already, that piece no longer fits."
)
def space_behind_the_prompt(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, last=lambda prompt: prompt + " ")


@wrong("The last message has no [/INST]: nothing says that it is the model's turn.")
def leaves_the_last_tag_open(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, last=lambda prompt: prompt.removesuffix(" [/INST]"))


@wrong("You closed [INST] with [INST]. The closing tag has a stroke: [/INST].")
def closes_with_the_opening_tag(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, prompt=lambda u: f"[INST] {u.strip()} [INST]")


@wrong(
    "The last message is missing: a user's message without an answer is a turn too, the one that "
    "the model is to answer."
)
def forgets_the_open_turn(messages, encode, bos, eos):
    ids = []
    for user, answer in _turns(messages):
        if answer is not None:
            ids += [bos, *encode(_whole(_prompt(user), answer)), eos]
    return ids


@wrong(
    "You put [INST] and [/INST] around the answers too. They enclose what the user says; what "
    "stands outside is the model's."
)
def tags_around_the_answers(messages, encode, bos, eos):
    return _encoded(messages, encode, bos, eos, whole=lambda p, a: f"{p} {_prompt(a)} ")


@wrong(
    "The ids are right, but you changed the messages that you were given: the system text was put "
    "into the first one, or its message taken out. Who encodes the same conversation twice gets "
    "other ids the second time."
)
def changes_the_messages(messages, encode, bos, eos):
    if messages[0]["role"] == "system":
        messages[1]["content"] = _fold(messages[0]["content"], messages[1]["content"])
        return _encoded(messages[1:], encode, bos, eos)
    return _encoded(messages, encode, bos, eos)


def _by_role(messages, encode, bos, eos, answer, *, end=None, begin=True):
    """A loop over the roles, in which each message is stripped and encoded as it comes."""
    ids, system = [], ""
    for message in messages:
        text = message["content"].strip()
        if message["role"] == "system":
            system = _fold(text, "")
        elif message["role"] == "user":
            ids += [bos] * begin + encode(f"[INST] {system}{text} [/INST]")
            system = ""
        else:
            ids += encode(answer.format(text)) + ([eos] if end is None else end)
    return ids


APART_AND_STRIPPED = (
    "You encoded message and answer apart, as they come. A turn is ONE text, encoded in one go: "
    "else the tokenizer puts its own space before the answer, beside yours or in its place. (And "
    "the first message is stripped once the system text is in it, not before.)"
)


@wrong(APART_AND_STRIPPED)
def message_by_message(messages, encode, bos, eos):
    return _by_role(messages, encode, bos, eos, " {} ")


@wrong(APART_AND_STRIPPED)
def message_by_message_without_the_first_space(messages, encode, bos, eos):
    return _by_role(messages, encode, bos, eos, "{} ")


@wrong(APART_AND_STRIPPED)
def message_by_message_without_the_last_space(messages, encode, bos, eos):
    return _by_role(messages, encode, bos, eos, " {}")


@wrong(APART_AND_STRIPPED)
def message_by_message_without_spaces(messages, encode, bos, eos):
    return _by_role(messages, encode, bos, eos, "{}")


@wrong(
    "You encoded message by message, with BOS at the very beginning only. A turn, message and "
    "answer together, is one text, and EACH turn begins with BOS."
)
def message_by_message_with_one_bos(messages, encode, bos, eos):
    return [bos, *_by_role(messages, encode, bos, eos, " {} ", begin=False)]


def _alone(messages, encode, bos, eos, answer):
    """The system text is encoded by itself too."""
    ids = [bos]
    for message in messages:
        text = message["content"].strip()
        if message["role"] == "system":
            ids += encode(_fold(text, ""))
        elif message["role"] == "user":
            ids += encode(f"[INST] {text} [/INST]")
        else:
            ids += encode(answer.format(text)) + [eos]
    return ids


EACH_ALONE = (
    "You encoded every message by itself behind one BOS, the system's too. The system text stands "
    "inside the first [INST], a turn is one text, and each turn begins with BOS."
)


@wrong(EACH_ALONE)
def every_message_alone(messages, encode, bos, eos):
    return _alone(messages, encode, bos, eos, "{}")


@wrong(EACH_ALONE)
def every_message_alone_with_spaces(messages, encode, bos, eos):
    return _alone(messages, encode, bos, eos, " {} ")


@wrong(
    "You wrote the whole conversation as one text, <s> and </s> in it, and no id besides. The "
    "tokenizer reads them as letters: they are ids, put around each turn's own."
)
def one_text_and_no_ids(messages, encode, bos, eos):
    return encode(chat.render_text(messages))


@wrong(
    "You wrote the whole conversation as one text, <s> and </s> in it, with the system text before "
    "the first of them. Specials are ids, put around each turn; the system text stands inside the "
    "first [INST]."
)
def one_text_with_the_system_in_front(messages, encode, bos, eos):
    system = messages[0]["role"] == "system"
    text = chat.render_text(messages[system:])
    return encode((_fold(messages[0]["content"], "") if system else "") + text)


@wrong(
    "Two things: the space behind the answer is missing, and you stripped before the system text "
    "was put in. Meta's code strips the whole first message once."
)
def strips_first_and_no_space_behind(messages, encode, bos, eos):
    return _encoded(
        messages, encode, bos, eos, fold=lambda s, u: _fold(s.strip(), u.strip()),
        whole=lambda p, a: f"{p} {a.strip()}",
    )  # fmt: skip


@wrong(
    "BOS and EOS stand at the conversation's own ends only. Each turn has both, those in the "
    "middle too: </s><s> stands between two turns."
)
def one_bos_and_one_eos(messages, encode, bos, eos):
    ids = [bos, *_encoded(messages, encode, bos, eos, begin=[], end=[])]
    return [*ids, eos] if messages[-1]["role"] == "assistant" else ids


@wrong(
    "You wrote the whole conversation as one text, with </s><s> typed in between two turns and the "
    "ids at the two ends alone. Specials are never read from text: encode turn by turn, and put "
    "the ids around each."
)
def one_text_with_ids_at_its_ends(messages, encode, bos, eos):
    text = chat.render_text(messages).removeprefix("<s>").removesuffix("</s>")
    return [bos, *encode(text), *([eos] if messages[-1]["role"] == "assistant" else [])]


def _in_pieces(messages, encode, bos, eos, tags, answers):
    ids = []
    for user, answer in _turns(messages):
        before, behind = tags
        ids += [bos, *encode(before), *encode(user.strip()), *encode(behind)]
        if answer is not None:
            ids += [*encode(answers.format(answer.strip())), eos]
    return ids


IN_PIECES = (
    "You encoded tags, message and answer apart. The tokenizer starts every text anew, with a "
    "space of its own or with none, and pieces never reach across your cuts. A turn is ONE text, "
    "encoded in one go."
)


@wrong(IN_PIECES)
def encodes_in_pieces(messages, encode, bos, eos):
    return _in_pieces(messages, encode, bos, eos, ("[INST]", "[/INST]"), "{} ")


@wrong(IN_PIECES)
def encodes_in_pieces_with_spaces(messages, encode, bos, eos):
    return _in_pieces(messages, encode, bos, eos, ("[INST] ", " [/INST]"), " {} ")


@wrong(IN_PIECES)
def encodes_in_pieces_with_one_space(messages, encode, bos, eos):
    return _in_pieces(messages, encode, bos, eos, ("[INST] ", " [/INST]"), "{} ")


@wrong(IN_PIECES)
def encodes_in_pieces_without_spaces(messages, encode, bos, eos):
    return _in_pieces(messages, encode, bos, eos, ("[INST]", "[/INST]"), "{}")


EXERCISE = Exercise(
    name="encode_dialog",
    title="A conversation as ids",
    points=3,
    minutes=12,
    answer=encode_dialog,
    reference=_encode_dialog_reference,
    probes=_encode_dialog_probes,
    misconceptions=wrong.all,
    hints=(
        "A turn is a message and its answer. Write one turn as a text first, every space and line "
        "break of it, and only then think of ids: which of them are not text at all?",
        "Fold the system text into the first message before you strip that. A turn with an answer "
        "is one text, encoded in one go, a space at its end, BOS before it and EOS behind it.",
        "Go through the texts two by two. Where the second of a pair is missing, the text ends "
        "with [/INST], without a space, and no EOS follows.",
    ),
)

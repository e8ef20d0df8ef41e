"""Notebook 09, exercise 4: Ghost attention."""

from dataclasses import dataclass

from llamalab.course.engine import Exercise, WrongAnswers

wrong = WrongAnswers()


def ghost_attention(instruction, users, answer):
    sampled, kept = [], []
    for turn, user in enumerate(users):
        with_it = {"role": "user", "content": f"{instruction} {user}"}
        reply = {"role": "assistant", "content": answer([*sampled, with_it])}
        sampled += [with_it, reply]
        kept += [with_it if turn == 0 else {"role": "user", "content": user}, reply]
    return kept, [0] * (len(kept) - 1) + [1]


def _message(role, content):
    return {"role": role, "content": content}


def _ghost_attention_reference(instruction, users, answer):
    """Phase by phase, as the paper tells it: first all the sampling, then the cutting."""
    attached = [_message("user", " ".join((instruction, user))) for user in users]
    whole = []
    while attached[len(whole) // 2 :]:
        asked = [*whole, attached[len(whole) // 2]]
        whole = [*asked, _message("assistant", answer(asked))]
    cut = len(instruction) + 1
    kept = [
        _message("user", m["content"][cut:]) if m["role"] == "user" and i else m
        for i, m in enumerate(whole)
    ]
    return kept, [int(i == len(kept) - 1) for i in range(len(kept))]


def a_model(messages):
    """It says how long each of the messages is that it has been shown."""
    lengths = [str(len(message["content"])) for message in messages]
    return f"I was shown texts of {', '.join(lengths)} letters"


def another_model(messages):
    """What it says depends on every letter that it has been shown."""
    total = 0
    for message in messages:
        for letter in message["role"] + message["content"]:
            total = (31 * total + ord(letter)) % 9973
    return f"I was shown {len(messages)} messages with the checksum {total}"


def an_echo(messages):
    return f"You say: {messages[-1]['content']}"


@dataclass
class _Numbers:
    """A model that numbers its answers: who asks it a second time gets another one."""

    asked: int = 0
    __name__ = "a_model_that_counts"

    def __call__(self, messages):
        self.asked += 1
        return f"This is my answer number {self.asked}"


def _ghost_attention_probes():
    """One turn to five; four models; an instruction that is also in a message, one that ends a
    message, one that the model repeats, and a message that occurs twice."""
    return [
        ("Answer with a rhyme.", ["Hi", "Who are you?", "And where from?"], a_model),
        ("Be Mia the hen:", ["What do you like?", "Why?", "Be Mia the hen: again", "Hm", "Bye"],
         another_model),
        ("In French,", ["hello"], a_model),
        ("Never say no.", ["Say no", "Say no", "Say no. Never say no.", "So"], a_model),
        ("Short.", ["Tell me of a hen", "Short. Go on", "And then?"], another_model),
        ("So:", ["Well", "why", "how", "go"], an_echo),
        ("Be brief.", ["Hi", "Why?", "And now?"], _Numbers()),
    ]  # fmt: skip


def _ghosted(
    instruction, users, answer, *, attach="{0} {1}".format, sampling=None, training=None,
    history=None, counts=None,
):  # fmt: skip
    """The right answer with a part replaced. sampling(turn), training(turn): does the instruction
    stand there; history(messages): what of the past the model is shown; counts(messages)."""
    sampling = sampling or (lambda turn: True)
    training = training or (lambda turn: turn == 0)
    past, kept = [], []
    for turn, user in enumerate(users):
        with_it = _message("user", attach(instruction, user))
        bare = _message("user", user)
        asked = with_it if sampling(turn) else bare
        shown = past if history is None else history(past)
        reply = _message("assistant", answer([*shown, asked]))
        past = [*past, asked, reply]
        kept += [with_it if training(turn) else bare, reply]
    return kept, [0] * (len(kept) - 1) + [1] if counts is None else counts(kept)


@wrong(
    "When you sample, the instruction stands in the first message only. Then the model forgets it "
    "as it always has, and you train on answers that do not follow it: that is the fault, copied."
)
def samples_with_the_first_alone(instruction, users, answer):
    return _ghosted(instruction, users, answer, sampling=lambda turn: turn == 0)


@wrong(
    "When you sample, the instruction stands nowhere. The answers must follow it, so the model has "
    "to see it in every message."
)
def samples_without_it(instruction, users, answer):
    return _ghosted(instruction, users, answer, sampling=lambda turn: False)


@wrong(
    "What you train on has the instruction in every message. The model learns to follow what it "
    "has just been told, which it could already; take it out of all but the first."
)
def trains_with_it_everywhere(instruction, users, answer):
    return _ghosted(instruction, users, answer, training=lambda turn: True)


@wrong(
    "What you train on has the instruction nowhere: the model would learn to follow an order that "
    "nobody gave. The first message keeps it."
)
def trains_without_it(instruction, users, answer):
    return _ghosted(instruction, users, answer, training=lambda turn: False)


@wrong(
    "You kept the instruction in the last message. It stays in the FIRST, so that the model has to "
    "carry it all the way to the last answer."
)
def keeps_it_in_the_last(instruction, users, answer):
    last = len(users) - 1
    return _ghosted(instruction, users, answer, training=lambda turn: turn == last)


@wrong(
    "You kept the instruction in the first message and in the last. With the last one reminding it,"
    " the model has nothing to remember."
)
def keeps_it_in_both(instruction, users, answer):
    ends = (0, len(users) - 1)
    return _ghosted(instruction, users, answer, training=lambda turn: turn in ends)


@wrong(
    "All answers are counted. Those of earlier turns were sampled with the instruction before "
    "their eyes, and here it is gone: the paper sets the loss to zero on all earlier turns, "
    "answers too."
)
def learns_every_answer(instruction, users, answer):
    return _ghosted(
        instruction, users, answer, counts=lambda ms: [int(m["role"] == "assistant") for m in ms]
    )


@wrong(
    "The last turn's message is counted beside its answer. A user's words are never learned: only "
    "the answer is the model's own."
)
def learns_the_last_message_too(instruction, users, answer):
    return _ghosted(instruction, users, answer, counts=lambda ms: [0] * (len(ms) - 2) + [1, 1])


@wrong("Everything is counted. The loss is on the last answer, and on nothing else.")
def learns_everything(instruction, users, answer):
    return _ghosted(instruction, users, answer, counts=lambda ms: [1] * len(ms))


@wrong("Nothing is counted, so nothing is learned. The last answer counts.")
def learns_nothing(instruction, users, answer):
    return _ghosted(instruction, users, answer, counts=lambda ms: [0] * len(ms))


@wrong(
    "You count the first answer. There the instruction stands right before it; what has to be "
    "learned is the answer that is furthest from it: the last."
)
def learns_the_first_answer(instruction, users, answer):
    return _ghosted(
        instruction, users, answer, counts=lambda ms: [int(i == 1) for i in range(len(ms))]
    )


@wrong("The counts are upside down: you learn the earlier turns, and the last answer is left out.")
def counts_upside_down(instruction, users, answer):
    return _ghosted(instruction, users, answer, counts=lambda ms: [1] * (len(ms) - 1) + [0])


@wrong(
    "You have one count for each turn. There is one for every message: a turn has two, and the "
    "user's is 0."
)
def a_count_a_turn(instruction, users, answer):
    return _ghosted(instruction, users, answer, counts=lambda ms: [0] * (len(ms) // 2 - 1) + [1])


@wrong(
    "The model was shown the newest message alone. It answers as a part of the conversation: show "
    "it all that was said before."
)
def samples_without_history(instruction, users, answer):
    return _ghosted(instruction, users, answer, history=lambda past: [])


@wrong(
    "You showed the model the user's messages and not its own answers: two users' messages follow "
    "each other, which is no dialog."
)
def samples_without_its_answers(instruction, users, answer):
    return _ghosted(
        instruction, users, answer, history=lambda past: [m for m in past if m["role"] == "user"]
    )


@wrong(
    "You showed the model the instruction in the newest message only: from the earlier ones you "
    "had taken it out already. While you sample it stands in ALL of them; take it out afterwards."
)
def cleans_the_history_while_sampling(instruction, users, answer):
    cut = len(instruction) + 1

    def history(past):
        return [_message("user", m["content"][cut:]) if m["role"] == "user" else m for m in past]

    return _ghosted(instruction, users, answer, history=history)


@wrong(
    "You showed the model the dialog that is to be trained on, with the instruction in the first "
    "message and the newest. While you sample it stands in ALL of them."
)
def shows_what_is_kept(instruction, users, answer):
    cut = len(instruction) + 1

    def history(past):
        return [
            _message("user", m["content"][cut:]) if m["role"] == "user" and i else m
            for i, m in enumerate(past)
        ]

    return _ghosted(instruction, users, answer, history=history)


@wrong(
    "The instruction stands behind the message. It comes first, then a space, then what the user "
    "says."
)
def puts_it_behind(instruction, users, answer):
    return _ghosted(instruction, users, answer, attach="{1} {0}".format)


@wrong("Between instruction and message the space is missing.")
def without_a_space(instruction, users, answer):
    return _ghosted(instruction, users, answer, attach="{0}{1}".format)


@wrong("Between instruction and message you have a line break; a space was asked for.")
def with_a_newline(instruction, users, answer):
    return _ghosted(instruction, users, answer, attach="{0}\n{1}".format)


@wrong(
    "You gave the instruction as a system message. Ghost attention writes it into the user's "
    "messages, in every one while sampling; so it can be taken out of all but the first."
)
def as_a_system_message(instruction, users, answer):
    past = [_message("system", instruction)]
    for user in users:
        past.append(_message("user", user))
        past.append(_message("assistant", answer(past)))
    return past, [0] * (len(past) - 1) + [1]


@wrong(
    "While you sample you gave the instruction as a system message, once. It has to stand in every "
    "user's message then, right before each answer."
)
def samples_with_a_system_message(instruction, users, answer):
    first = [_message("system", instruction)]
    return _ghosted(
        instruction, users, answer, sampling=lambda turn: False, history=lambda past: first + past
    )


LAST_WITHOUT = (
    "You drew the last answer from the dialog that is trained on, with the instruction in its "
    "first message alone. What is learned is the answer that was given with it in every message: "
    "that one follows it."
)


@wrong(LAST_WITHOUT)
def draws_the_last_from_what_is_kept(instruction, users, answer):
    whole, kept = [], []
    for turn, user in enumerate(users):
        whole.append(_message("user", f"{instruction} {user}"))
        kept.append(_message("user", user) if turn else whole[0])
        reply = _message("assistant", answer(kept if turn == len(users) - 1 else whole))
        whole.append(reply)
        kept.append(reply)
    return kept, [0] * (len(kept) - 1) + [1]


@wrong(LAST_WITHOUT)
def draws_the_last_anew(instruction, users, answer):
    kept, counts = _ghosted(instruction, users, answer)
    return [*kept[:-1], _message("assistant", answer(kept[:-1]))], counts


@wrong(
    "You removed every occurrence of the instruction from the later messages, also where the user "
    "had written those words. Keep the bare message beside the one that you attach it to."
)
def removes_it_from_the_users_words(instruction, users, answer):
    kept, counts = _ghosted(instruction, users, answer)
    cleaned = [
        m if m["role"] == "assistant" or i == 0
        else _message("user", m["content"].replace(instruction, "").strip())
        for i, m in enumerate(kept)
    ]  # fmt: skip
    return cleaned, counts


@wrong(
    "Only the last answer was sampled; the earlier turns have none. A dialog has an answer to each "
    "message, and each is sampled in its turn."
)
def answers_the_last_alone(instruction, users, answer):
    shown = [_message("user", f"{instruction} {user}") for user in users]
    kept = [shown[0], *(_message("user", user) for user in users[1:])]
    kept.append(_message("assistant", answer(shown)))
    return kept, [0] * (len(kept) - 1) + [1]


@wrong("The dialog is right, and the counts are missing: return both.")
def gives_no_counts(instruction, users, answer):
    return _ghosted(instruction, users, answer)[0]


def _answers(messages):
    return [int(m["role"] == "assistant") for m in messages]


@wrong(
    "This is the data that ghost attention sets out to mend: sampled with the instruction in the "
    "first message only, and learned from every answer. Sample with it in EVERY message; then "
    "count the last answer alone."
)
def nothing_but_the_fault(instruction, users, answer):
    return _ghosted(instruction, users, answer, sampling=lambda turn: turn == 0, counts=_answers)


@wrong(
    "Sampled rightly, and then nothing was taken away: the instruction stays in every message, and "
    "every answer is counted. Keep it in the first, and count the last answer alone."
)
def nothing_taken_away(instruction, users, answer):
    return _ghosted(instruction, users, answer, training=lambda turn: True, counts=_answers)


@wrong(
    "Two things: the instruction is gone from all messages, the first one too, and every answer is "
    "counted. Keep it in the first, and count the last answer alone."
)
def taken_away_and_all_counted(instruction, users, answer):
    return _ghosted(instruction, users, answer, training=lambda turn: False, counts=_answers)


REMOVED = (
    "You removed every occurrence of the instruction behind the first message, also where the user,"
    " or the model, had written those words. Keep the bare message beside the one with it."
)


@wrong(REMOVED)
def replaces_it_everywhere(instruction, users, answer):
    kept, counts = _ghosted(instruction, users, answer, training=lambda turn: True)
    head = f"{instruction} "
    rest = [_message(m["role"], m["content"].replace(head, "")) for m in kept[1:]]
    return [kept[0], *rest], counts


@wrong(REMOVED)
def replaces_it_in_the_users_words(instruction, users, answer):
    kept, counts = _ghosted(instruction, users, answer, training=lambda turn: True)
    head = f"{instruction} "
    rest = [
        m if m["role"] == "assistant" else _message("user", m["content"].replace(head, ""))
        for m in kept[1:]
    ]
    return [kept[0], *rest], counts


@wrong(
    "While you sample the instruction stands in the newest message alone, and afterwards you keep "
    "it in all. It is the other way round: in all while you sample, in the first to train on."
)
def the_other_way_round(instruction, users, answer):
    cut = len(instruction) + 1

    def history(past):
        return [_message("user", m["content"][cut:]) if m["role"] == "user" else m for m in past]

    return _ghosted(instruction, users, answer, history=history, training=lambda turn: True)


@wrong(
    "You sampled with the instruction in the first message, and trained with it in every one. It "
    "is the other way round: in all while you sample, in the first to train on."
)
def phases_exchanged(instruction, users, answer):
    return _ghosted(
        instruction, users, answer, sampling=lambda turn: turn == 0, training=lambda turn: True
    )


TWICE = (
    "You asked the model twice a turn. It draws its answers, so the second is another than the "
    "first: ask once, and put the one answer into both dialogs."
)


@wrong(TWICE)
def asks_twice_and_keeps_the_first(instruction, users, answer):
    def one_behind(messages):
        said = answer(messages)
        replies.append(said)
        return answer(messages)

    replies: list[str] = []
    kept, counts = _ghosted(instruction, users, one_behind)
    return [
        _message(m["role"], replies[i // 2]) if i % 2 else m for i, m in enumerate(kept)
    ], counts


@wrong(TWICE)
def asks_twice_and_keeps_the_second(instruction, users, answer):
    def again(messages):
        shown.append(answer(messages))
        return answer(messages)

    shown: list[str] = []

    def history(past):
        return [_message(m["role"], shown[i // 2]) if i % 2 else m for i, m in enumerate(past)]

    return _ghosted(instruction, users, again, history=history)


@wrong(TWICE)
def asks_all_turns_again(instruction, users, answer):
    """For the last turn the whole dialog is sampled once more."""
    _ghosted(instruction, users[:-1], answer)
    return _ghosted(instruction, users, answer)


@wrong(
    "You gave the instruction as a system message in what you train on. There the first message of "
    'the user has it, in its own text: `f"{instruction} {text}"`.'
)
def trains_with_a_system_message(instruction, users, answer):
    kept, _ = _ghosted(instruction, users, answer, training=lambda turn: False)
    return [_message("system", instruction), *kept], [0] * len(kept) + [1]


EXERCISE = Exercise(
    name="ghost_attention",
    title="Ghost attention: an order that lasts",
    points=3,
    minutes=15,
    answer=ghost_attention,
    reference=_ghost_attention_reference,
    probes=_ghost_attention_probes,
    misconceptions=wrong.all,
    hints=(
        "There are two dialogs: the one that the model sees while it answers, and the one that it "
        "is trained on. They share the answers. In which messages of each does the order stand?",
        "Go turn by turn and keep both lists. What the model is shown is everything of the first "
        "list, with the newest message at its end; its answer goes into both.",
        "Of the second list nothing counts but its last entry: on all earlier turns the loss is 0, "
        "on their answers too.",
    ),
)

"""Notebook 09, exercise 2: What is learned of a conversation."""

import re

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def answer_mask(tokens, close, eos):
    mask = torch.zeros_like(tokens, dtype=torch.bool)  # (B, T + 1): is this token an answer's?
    for row, token_ids in enumerate(tokens.tolist()):
        answering = False
        for i, token in enumerate(token_ids):
            mask[row, i] = answering
            if token == eos:
                answering = False
            elif token_ids[max(0, i + 1 - len(close)) : i + 1] == close:
                answering = True
    return mask[:, 1:]  # (B, T): is the target an answer's?


def _answer_mask_reference(tokens, close, eos):
    """Ids as characters, and a regular expression for what stands from [/INST] to </s>."""
    letter = lambda i: chr(0x4E00 + i)  # noqa: E731
    answer = re.compile("".join(map(letter, close)) + f"([^{letter(eos)}]*{letter(eos)}?)")
    rows = torch.zeros(len(tokens), tokens.shape[1], dtype=torch.bool)
    for row, ids in enumerate(tokens.tolist()):
        for found in answer.finditer("".join(map(letter, ids))):
            rows[row, found.start(1) : found.end(1)] = True
    return rows[:, 1:]


CLOSE = [518, 29914, 25580, 29962]  # Llama 2's [/INST]
OPEN = [518, 25580, 29962]


def _turn(user, answer, close=CLOSE, open_=OPEN, bos=1, eos=2):
    return [bos, *open_, *user, *close, *answer, eos]


def _filled(rows, length, filling):
    return torch.tensor([(row + [filling] * length)[:length] for row in rows])


def _answer_mask_probes():
    """One turn and several in a row; rows filled with </s>, with 0, and full; answers cut off by
    the row's end, and a row that ends behind [/INST] or inside it; a single row; a tag of one id,
    of two, of eight; parts of the tag inside messages and answers; another </s>."""
    g = seeded(92)

    def text(n, low=100, high=400):
        return torch.randint(low, high, (n,), generator=g).tolist()

    hi = _turn([6324], [15043, 29991, 29871])
    three = [_turn(text(n), text(m)) for n, m in ((3, 5), (1, 2), (6, 4))]
    brackets = _turn([29962, 518, 7, 29914], [518, 9, 29962, 25580, 29962, 5])
    short = dict(close=[70, 71], open_=[69], bos=3, eos=4)
    long = list(range(40, 48))
    pair = _turn([71, 5, 70], [6, 71, 70, 9], **short), _turn([5], [8], **short) * 2
    spelt = [_turn(text(n), text(m), long, long[2:], 1, 9) for n, m in ((2, 3), (4, 1), (1, 6))]
    return [
        (_filled([hi + _turn(text(4), text(3)), three[2]], 30, 2), CLOSE, 2),
        (_filled([three[0] + three[1] + three[2], brackets + hi, hi], 40, 2), CLOSE, 2),
        (_filled([three[2] + three[0], brackets + three[1]], 24, 0), CLOSE, 2),  # cut in an answer
        (_filled([_turn(text(3), text(4))], 15, 2), CLOSE, 2),
        (_filled([hi[:9], (hi + three[1])[:20], three[0][:10]], 9, 2), CLOSE, 2),
        (_filled(pair, 20, 4), [70, 71], 4),
        (_filled([[1, 6, 8, 50, 51, 2, 1, 7, 8, 52, 2], [1, 8, 2]], 13, 2), [8], 2),
        (_filled([spelt[0] + spelt[1], spelt[2]], 50, 9), long, 9),
    ]  # fmt: skip


def _marked(tokens, close, eos, *, before=0, at_eos=True, shift=True, ends=None, which=None):
    """The right mask with a part replaced. before: where it begins, counted from the tag's end;
    ends(token): what ends an answer; which(spans): those of a row that count."""
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    ends = ends or (lambda token: token == eos)
    for row, ids in enumerate(tokens.tolist()):
        spans, start = [], None
        for i, token in enumerate(ids):
            if start is not None and ends(token):
                spans.append((start, i + at_eos))
                start = None
            elif start is None and i + 1 >= len(close) and ids[i + 1 - len(close) : i + 1] == close:
                start = i + 1
        if start is not None:
            spans.append((start, len(ids)))
        for first, last in which(spans) if which else spans:
            mask[row, max(0, first + before) : last] = True
    return mask[:, 1:] if shift else mask


@wrong(
    "Your mask belongs to the inputs. What is counted is the loss at the TARGET, one place on: so "
    "you learn to write what follows each answer, and not its first token."
)
def masks_the_inputs(tokens, close, eos):
    return _marked(tokens, close, eos, shift=False)[:, :-1]


@wrong(
    "You shifted the wrong way: the mask is a place late against the inputs, and two against the "
    "targets."
)
def shifts_backwards(tokens, close, eos):
    mask = _marked(tokens, close, eos, shift=False)
    return torch.cat((torch.zeros_like(mask[:, :1]), mask[:, :-2]), 1)


@wrong(
    "You shifted twice: the mask is a place early, so the tag's last token is learned and </s> is "
    "not."
)
def shifts_twice(tokens, close, eos):
    mask = _marked(tokens, close, eos)
    return torch.cat((mask[:, 1:], torch.zeros_like(mask[:, :1])), 1)


@wrong(
    "Your mask is as long as the tokens. T + 1 tokens make T pairs of input and target: drop the "
    "first place, which is nobody's target."
)
def not_shifted_at_all(tokens, close, eos):
    return _marked(tokens, close, eos, shift=False)


@wrong(
    "</s> is not counted. Then nothing ever teaches the model to stop, and it talks until it is "
    "stopped."
)
def leaves_eos_out(tokens, close, eos):
    return _marked(tokens, close, eos, at_eos=False)


@wrong(
    "The answer's first token is not counted. It is predicted from [/INST], and is the hardest one:"
    " x-transformers' DPO loses it in the same way."
)
def loses_the_first_token(tokens, close, eos):
    return _marked(tokens, close, eos, before=1)


@wrong(
    "The tag's last token is counted as part of the answer. The model would learn to write what "
    "you write for it."
)
def counts_the_last_of_the_tag(tokens, close, eos):
    return _marked(tokens, close, eos, before=-1)


@wrong("[/INST] is counted: the mask begins with the tag, and should begin behind it.")
def counts_the_tag(tokens, close, eos):
    return _marked(tokens, close, eos, before=-len(close))


@wrong("The mask is upside down: the prompts are learned, and the answers are not.")
def upside_down(tokens, close, eos):
    return ~_marked(tokens, close, eos)


@wrong(
    "Everything is counted, the prompts too. The paper sets the loss on the prompt's tokens to "
    "zero: the model is to answer, not to ask."
)
def counts_everything(tokens, close, eos):
    return torch.ones_like(tokens[:, 1:], dtype=torch.bool)


@wrong(
    "Prompts are counted: you have left out the filling alone. Only what stands between [/INST] and"
    " </s> is the model's own."
)
def counts_all_but_the_filling(tokens, close, eos):
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for row, ids in enumerate(tokens.tolist()):
        last = max((i for i, token in enumerate(ids) if token == eos and ids[i - 1] != eos),
                   default=len(ids) - 1)  # fmt: skip
        mask[row, : last + 1] = True
    return mask[:, 1:]


@wrong(
    "The mask never ends: after the first [/INST] of a row everything counts, the next messages "
    "and the filling too. It ends with </s>, and begins again behind the next tag."
)
def never_ends(tokens, close, eos):
    return _marked(tokens, close, eos, ends=lambda token: False)


@wrong(
    "Only the first answer of a row is counted. A row holds several turns, and the answers of all "
    "are to be learned."
)
def the_first_answer_alone(tokens, close, eos):
    return _marked(tokens, close, eos, which=lambda spans: spans[:1])


@wrong(
    "Only the last answer of a row is counted. That is what ghost attention does; here every "
    "turn's answer is to be learned."
)
def the_last_answer_alone(tokens, close, eos):
    return _marked(tokens, close, eos, which=lambda spans: spans[-1:])


@wrong(
    "You stretched the mask from the first answer to the last: the messages between are counted "
    "too."
)
def from_the_first_to_the_last(tokens, close, eos):
    return _marked(tokens, close, eos,
                   which=lambda spans: [(spans[0][0], spans[-1][1])] if spans else [])  # fmt: skip


@wrong(
    "Every </s> is counted, also those that fill a row up. Only the one that ends an answer is the "
    "model's own; the rest would teach it to answer with silence."
)
def counts_the_filling(tokens, close, eos):
    return _marked(tokens, close, eos) | (tokens[:, 1:] == eos)


BY_ONE_ID = (
    "You look for one id of the tag. A bracket in a message has that id as well: only the whole "
    "row of ids is [/INST]."
)


def _by_one_id(tokens, id_, eos):
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for row, ids in enumerate(tokens.tolist()):
        answering = False
        for i, token in enumerate(ids):
            mask[row, i] = answering
            answering = (answering or token == id_) and token != eos
    return mask[:, 1:]


@wrong(BY_ONE_ID)
def looks_for_the_last_id(tokens, close, eos):
    return _by_one_id(tokens, close[-1], eos)


@wrong(BY_ONE_ID)
def looks_for_the_first_id(tokens, close, eos):
    return _by_one_id(tokens, close[0], eos)


@wrong(
    "An answer that the row's end cuts off is not counted. What there is of it was written by the "
    "model's teacher all the same."
)
def wants_an_end(tokens, close, eos):
    length = tokens.shape[1]
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for row, ids in enumerate(tokens.tolist()):
        for i in range(len(close) - 1, length):
            if ids[i + 1 - len(close) : i + 1] == close and eos in ids[i:]:
                mask[row, i + 1 : ids.index(eos, i) + 1] = True
    return mask[:, 1:]


@wrong(
    "You gave the targets with -100 where nothing is learned, as transformers has its labels. A "
    "mask of True and False was asked for."
)
def gives_labels(tokens, close, eos):
    return tokens[:, 1:].where(_marked(tokens, close, eos), -100)


@wrong(
    "You gave the ids of the answers, without their places. A mask has one entry for every target."
)
def gives_the_answers(tokens, close, eos):
    return tokens[:, 1:][_marked(tokens, close, eos)]


@wrong(
    "You set the mask to zero for all rows but the first. Is there an index that always stays 0?"
)
def the_first_row_alone(tokens, close, eos):
    mask = _marked(tokens, close, eos)
    mask[1:] = False
    return mask


@wrong(
    "Two things. You look for one id of the tag, and a bracket in a message has that id as well; "
    "and only the first answer of a row is counted."
)
def looks_for_one_id_once(tokens, close, eos):
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for row, ids in enumerate(tokens.tolist()):
        if close[-1] in ids:
            end = ids.index(eos) if eos in ids else len(ids)
            mask[row, ids.index(close[-1]) + 1 : end + 1] = True
    return mask[:, 1:]


@wrong(
    "Two things: </s> is not counted, so nothing teaches the model to stop, and the mask is that of"
    " the tokens, with all T + 1 places."
)
def without_eos_and_not_shifted(tokens, close, eos):
    return _marked(tokens, close, eos, at_eos=False, shift=False)


@wrong(
    "[/INST] is counted and </s> is not: the mask begins and ends one tag too early. It begins "
    "BEHIND the tag, and ends WITH </s>."
)
def counts_the_tag_and_not_eos(tokens, close, eos):
    return _marked(tokens, close, eos, before=-len(close), at_eos=False)


@wrong(
    "You took everything behind the row's last [/INST], the filling too. Every answer of a row is "
    "counted, each up to its own </s>."
)
def all_behind_the_last_tag(tokens, close, eos):
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for row, ids in enumerate(tokens.tolist()):
        n = len(close)
        found = [i + n for i in range(len(ids) - n + 1) if ids[i : i + n] == close]
        if found:
            mask[row, found[-1] :] = True
    return mask[:, 1:]


@wrong(
    "You looked for the answers in the first row and used its borders for all. Each row is another "
    "conversation: look in each."
)
def borders_of_the_first_row(tokens, close, eos):
    return _marked(tokens[:1], close, eos).expand(len(tokens), -1).clone()


EXERCISE = Exercise(
    name="answer_mask",
    title="Learn the answers, and nothing else",
    points=2,
    minutes=12,
    answer=answer_mask,
    reference=_answer_mask_reference,
    probes=_answer_mask_probes,
    misconceptions=wrong.all,
    hints=(
        "Forget the shift for a moment: which TOKENS are the model's own? The first stands behind "
        "the last id of the tag; the last one is something that you cannot see in a text.",
        "Walk along a row with one variable that says whether an answer is being written. What "
        "switches it on, what switches it off, and does the token that does so count itself?",
        "Make the mask for all T + 1 tokens first. Targets are the tokens from the second on: the "
        "mask is cut as they are.",
    ),
)

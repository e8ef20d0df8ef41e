"""Notebook 07, exercise 1: One long row, cut into windows."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers

wrong = WrongAnswers()


def pack(documents, bos, eos, T):
    row = [token for document in documents for token in [bos, *document, eos]]
    windows = (len(row) - 1) // T
    return torch.tensor([row[i * T : i * T + T + 1] for i in range(windows)])


def _pack_reference(documents, bos, eos, T):
    """torch's own sliding window, over the documents laid end to end."""
    ends = torch.tensor([bos]), torch.tensor([eos])
    pieces = [torch.cat([ends[0], torch.tensor(d), ends[1]]) for d in documents]
    return torch.cat(pieces).unfold(0, T + 1, T)


def _pack_probes():
    """Rows that fill their windows exactly, that miss that by one either way; long and short
    documents; more than one T; ids that are nobody's favourite padding."""
    return [
        ([[11, 12, 13], [21, 22], [31, 32, 33, 34, 35, 36, 37]], 1, 2, 5),  # 18 ids
        ([[5, 6, 7, 8, 9, 10, 11], [12, 13], [14]], 3, 4, 4),  # 16 ids: 3 windows and 3 left
        ([[5, 6, 7, 8, 9, 10, 11, 12], [13, 14, 15]], 1, 2, 7),  # 15 ids: 2 windows, just so
        ([[40], [50, 51, 52, 53, 54, 55, 56, 57, 58], [60, 61], [70]], 1, 2, 3),
        ([list(range(100, 131)), list(range(200, 217))], 1, 2, 6),
    ]


def _windows(row, T, step, length):
    starts = range(0, len(row) - length + 1, step)
    return torch.tensor([row[s : s + length] for s in starts])


def _laid(documents, before, after):
    return [token for document in documents for token in [*before, *document, *after]]


@wrong(
    "There is no BOS. It is how the model is told that what it sees before is another story; "
    "and when you ask for a new story later, BOS is all that you give it."
)
def drops_bos(documents, bos, eos, T):
    return _windows(_laid(documents, [], [eos]), T, T, T + 1)


@wrong(
    "There is no EOS, so nothing ever shows the model how a story ends. It would go on writing "
    "until it is stopped."
)
def drops_eos(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], []), T, T, T + 1)


@wrong("You put one BOS in front of the whole row. Every document needs its own.")
def one_bos_for_all(documents, bos, eos, T):
    return _windows([bos, *_laid(documents, [], [eos])], T, T, T + 1)


@wrong(
    "You wrapped the whole row in one BOS and one EOS. Between two documents there is nothing "
    "now, and the second reads like a sentence of the first."
)
def one_pair_for_all(documents, bos, eos, T):
    return _windows([bos, *_laid(documents, [], []), eos], T, T, T + 1)


@wrong("BOS and EOS have changed places: each document begins with its end.")
def changes_bos_and_eos(documents, bos, eos, T):
    return _windows(_laid(documents, [eos], [bos]), T, T, T + 1)


@wrong(
    "Your windows hold T ids. T inputs need T targets, each one place further on, so a window "
    "holds T + 1 ids."
)
def no_room_for_the_last_target(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, T, T)


@wrong(
    "Your windows hold T + 1 ids and begin T + 1 apart, so the last id of a window never serves"
    " as an input. Begin every T: neighbours share one id, a target here and an input there."
)
def steps_over_the_seam(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, T + 1, T + 1)


@wrong(
    "Your windows begin one id apart, so that every pair occurs T times over. An epoch then "
    "takes T times as long, and shuffled batches hold near-copies."
)
def steps_by_one(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, 1, T + 1)


@wrong(
    "A whole window is missing at the end. How many fit into n ids? Each takes T further on, "
    "and only the first needs the one id more."
)
def loses_the_last_window(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, T, T + 1)[:-1]


@wrong(
    "Where the row's length is a multiple of T you made a window too many: it has no target for"
    " its last input. Of n ids, n - 1 have a next one."
)
def one_window_too_many(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return torch.tensor([row[i * T : i * T + T + 1] for i in range(len(row) // T)])


@wrong(
    "You filled the last window up with EOS. The model would be paid for guessing EOS after "
    "EOS. What does not fill a window is left out."
)
def pads_the_last_window(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    row += [eos] * (-(len(row) - 1) % T)
    return _windows(row, T, T, T + 1)


@wrong(
    "You gave each document a window of its own: long ones lose their ends, short ones are "
    "mostly padding. Lay them end to end first, and then cut."
)
def a_document_a_window(documents, bos, eos, T):
    rows = [[bos, *document, eos][: T + 1] for document in documents]
    return torch.tensor([row + [eos] * (T + 1 - len(row)) for row in rows])


@wrong(
    "You cut each document by itself, so the rest of each, up to T ids, is never seen. A window"
    " may run across a seam: lay all of them end to end, then cut."
)
def cuts_each_document_alone(documents, bos, eos, T):
    rows = []
    for document in documents:
        row = [bos, *document, eos]
        rows += [row[i : i + T + 1] for i in range(0, len(row) - T, T)]
    return torch.tensor(rows)


@wrong(
    "You put a BOS in front of every window. BOS says that a story begins; most windows begin "
    "in the middle of one."
)
def bos_on_every_window(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    starts = range(0, len(row) - T + 1, T)
    return torch.tensor([[bos, *row[s : s + T]] for s in starts])


EXERCISE = Exercise(
    name="pack",
    title="One long row, cut into windows",
    points=2,
    minutes=8,
    answer=pack,
    reference=_pack_reference,
    probes=_pack_probes,
    misconceptions=wrong.all,
    hints=(
        "First forget the windows: what does the one long row look like? Only then cut it.",
        "Window i begins at place i T and is T + 1 long. So two neighbours share an id.",
        "Of n ids in the row, n - 1 have a successor. That many inputs make how many windows of T?",
    ),
)

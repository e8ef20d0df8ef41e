"""Notebook 07, exercise 1: One long row, cut into windows."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers

wrong = WrongAnswers()


def pack(documents, bos, eos, T):
    row = torch.tensor([token for document in documents for token in [bos, *document, eos]])
    windows = (len(row) - 1) // T
    starts = T * torch.arange(windows)[:, None]  # (windows, 1)
    return row[starts + torch.arange(T + 1)]  # (windows, T + 1), also where windows is 0


def _pack_reference(documents, bos, eos, T):
    """torch's own sliding window, over the documents laid end to end."""
    ends = torch.tensor([bos]), torch.tensor([eos])
    pieces = [torch.cat([ends[0], torch.tensor(d).long(), ends[1]]) for d in documents]
    row = torch.cat(pieces)
    return row.unfold(0, T + 1, T) if len(row) > T else row.new_empty(0, T + 1)


def _pack_probes():
    """Rows that fill their windows exactly, that miss that by one either way; long and short
    documents, and an empty one; more than one T; ids that are nobody's favourite padding; bos and
    eos among a document's own ids, also where it begins and ends; a row too short for a window."""
    return [
        ([[11, 12, 13], [21, 22], [31, 32, 33, 34, 35, 36, 37]], 1, 2, 5),  # 18 ids
        ([[5, 6, 7, 8, 9, 10, 11], [12, 13], [14]], 3, 4, 4),  # 16 ids: 3 windows and 3 left
        ([[5, 6, 7, 8, 9, 10, 11, 12], [13, 14, 15]], 1, 2, 7),  # 15 ids: 2 windows, just so
        ([[40], [50, 51, 52, 53, 54, 55, 56, 57, 58], [60, 61], [70]], 1, 2, 3),
        ([list(range(100, 131)), list(range(200, 217))], 1, 2, 6),
        ([[1, 41, 2], [42, 1, 43, 2, 44], [], [2, 45, 46, 1]], 1, 2, 4),  # 20 ids: 4 and 3 left
        ([[7, 8]], 1, 2, 5),
    ]


def _windows(row, T, step, length):
    starts = range(0, len(row) - length + 1, step)
    return torch.tensor([row[s : s + length] for s in starts])


def _laid(documents, before, after):
    return [token for document in documents for token in [*before, *document, *after]]


def _unfolded(row, T, step, length):
    return torch.tensor(row).unfold(0, length, step)


NO_BOS = (
    "There is no BOS. It is how the model is told that what it sees before is another story; "
    "and when you ask for a new story later, BOS is all that you give it."
)
NO_EOS = (
    "There is no EOS, so nothing ever shows the model how a story ends. It would go on writing "
    "until it is stopped."
)
WINDOWS_OF_T = (
    "Your windows hold T ids. T inputs need T targets, each one place further on, so a window "
    "holds T + 1 ids."
)
OVER_THE_SEAM = (
    "Your windows hold T + 1 ids and begin T + 1 apart, so the last id of a window never serves"
    " as an input. Begin every T: neighbours share one id, a target here and an input there."
)
BY_ONE = (
    "Your windows begin one id apart, so that every pair occurs T times over. An epoch then "
    "takes T times as long, and shuffled batches hold near-copies."
)
ONE_MISSING = (
    "A whole window is missing at the end. How many fit into n ids? Each takes T further on, "
    "and only the first needs the one id more."
)
PADDED = (
    "You filled the last window up. The model would be paid for guessing the filling, which no "
    "story holds. What does not fill a window is left out."
)


@wrong(NO_BOS)
def drops_bos(documents, bos, eos, T):
    return _windows(_laid(documents, [], [eos]), T, T, T + 1)


@wrong(NO_BOS)
def drops_bos_and_unfolds(documents, bos, eos, T):
    return _unfolded(_laid(documents, [], [eos]), T, T, T + 1)


@wrong(NO_EOS)
def drops_eos(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], []), T, T, T + 1)


@wrong(NO_EOS)
def drops_eos_and_unfolds(documents, bos, eos, T):
    return _unfolded(_laid(documents, [bos], []), T, T, T + 1)


@wrong(
    "You laid the bare documents end to end. Without BOS and EOS nothing says where a story "
    "begins or ends: every document needs both."
)
def drops_both(documents, bos, eos, T):
    return _windows(_laid(documents, [], []), T, T, T + 1)


@wrong(
    "Where the row fills its windows exactly, your last window is missing: either the last "
    "document has no EOS (it ends like any other), or your range ends one place too early."
)
def eos_only_between(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos])[:-1], T, T, T + 1)


@wrong(
    "You took bos and eos out of the documents' own ids. What the tokenizer has put there is "
    "text; your part is to add one of each, at the two ends."
)
def strips_what_is_inside(documents, bos, eos, T):
    bare = [[token for token in document if token not in (bos, eos)] for document in documents]
    return _windows(_laid(bare, [bos], [eos]), T, T, T + 1)


BOTH_ALWAYS = (
    "You leave BOS or EOS out where a document happens to begin or end with such an id. Every "
    "document gets both, an empty one too: what it holds is not your concern."
)


@wrong(BOTH_ALWAYS)
def looks_at_the_ends(documents, bos, eos, T):
    row = []
    for document in documents:
        row += [] if document[0] == bos else [bos]
        row += document
        row += [] if document[-1] == eos else [eos]
    return _windows(row, T, T, T + 1)


@wrong(BOTH_ALWAYS)
def never_doubles(documents, bos, eos, T):
    row = []
    for document in documents:
        row += [] if document[:1] == [bos] else [bos]
        row += document
        row += [] if document[-1:] == [eos] else [eos]
    return _windows(row, T, T, T + 1)


@wrong(
    "All is right but one thing: where the row is too short for a single window you return an "
    "empty tensor of floats, or stop with an error. No windows are (0, T + 1), in int64."
)
def floats_where_nothing_fits(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, T, T + 1)


@wrong(
    "All is right but one thing: where the row is too short for a single window you stop with "
    "an error. No windows are a tensor too: (0, T + 1)."
)
def stops_where_nothing_fits(documents, bos, eos, T):
    return _unfolded(_laid(documents, [bos], [eos]), T, T, T + 1)


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


@wrong(WINDOWS_OF_T)
def no_room_for_the_last_target(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, T, T)


@wrong(WINDOWS_OF_T)
def counts_right_and_cuts_short(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return torch.tensor([row[i * T : i * T + T] for i in range((len(row) - 1) // T)])


@wrong(WINDOWS_OF_T)
def no_room_and_unfolds(documents, bos, eos, T):
    return _unfolded(_laid(documents, [bos], [eos]), T, T, T)


@wrong(WINDOWS_OF_T)
def folds_into_rows_of_T(documents, bos, eos, T):
    row = torch.tensor(_laid(documents, [bos], [eos]))
    return row[: len(row) // T * T].view(-1, T)


@wrong(OVER_THE_SEAM)
def steps_over_the_seam(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, T + 1, T + 1)


@wrong(OVER_THE_SEAM)
def steps_over_the_seam_and_unfolds(documents, bos, eos, T):
    return _unfolded(_laid(documents, [bos], [eos]), T, T + 1, T + 1)


@wrong(OVER_THE_SEAM)
def folds_into_rows_of_T_and_one(documents, bos, eos, T):
    row = torch.tensor(_laid(documents, [bos], [eos]))
    windows = len(row) // (T + 1)
    return row[: windows * (T + 1)].view(windows, T + 1)


@wrong(
    "Your windows hold T + 1 ids and begin T - 1 apart: neighbours share two ids, and one pair "
    "of input and target occurs twice. Begin every T."
)
def shares_two_ids(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return torch.tensor([row[s : s + T + 1] for s in range(0, len(row) - T, T - 1)])


@wrong(BY_ONE)
def steps_by_one(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, 1, T + 1)


@wrong(BY_ONE)
def steps_by_one_and_unfolds(documents, bos, eos, T):
    return _unfolded(_laid(documents, [bos], [eos]), T, 1, T + 1)


@wrong(ONE_MISSING)
def loses_the_last_window(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, T, T + 1)[:-1]


@wrong(ONE_MISSING)
def counts_windows_of_T_and_one(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return torch.tensor([row[i * T : i * T + T + 1] for i in range(len(row) // (T + 1))])


@wrong(
    "Where the row's length is a multiple of T you made a window too many: it has no target for"
    " its last input. Of n ids, n - 1 have a next one."
)
def one_window_too_many(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return torch.tensor([row[i * T : i * T + T + 1] for i in range(len(row) // T)])


def _filled(row, T, end, filling):
    cut = [row[s : s + T + 1] for s in range(0, end, T)]
    return torch.tensor([window + [filling] * (T + 1 - len(window)) for window in cut])


@wrong(PADDED)
def pads_the_last_window(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return _filled(row, T, len(row) - 1, eos)


@wrong(PADDED)
def pads_from_the_last_id_on(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return _filled(row, T, len(row), eos)


@wrong(PADDED)
def pads_with_zeros(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return _filled(row, T, len(row) - 1, 0)


@wrong(PADDED)
def pads_with_zeros_from_the_last_id_on(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return _filled(row, T, len(row), 0)


@wrong(
    "You kept the short rest as a window of its own. Rows of a tensor have one length: what does"
    " not fill T + 1 places is left out."
)
def keeps_the_short_rest(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return torch.tensor([row[s : s + T + 1] for s in range(0, len(row), T)])


@wrong(
    "You moved the last window back, so that it ends with the row. Its first pairs have occurred"
    " in the window before: what does not fill a window is left out."
)
def moves_the_last_one_back(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    cut = [row[s : s + T + 1] for s in range(0, len(row) - T, T)]
    return torch.tensor(cut + ([row[-T - 1 :]] if (len(row) - 1) % T else []))


@wrong(
    "You gave each document a window of its own: long ones lose their ends, short ones are "
    "mostly padding. Lay them end to end first, and then cut."
)
def a_document_a_window(documents, bos, eos, T):
    rows = [[bos, *document, eos][: T + 1] for document in documents]
    return torch.tensor([row + [eos] * (T + 1 - len(row)) for row in rows])


CUT_ALONE = (
    "You cut each document by itself, so the rest of each, up to T ids, is never seen. A window "
    "may run across a seam: lay all of them end to end, then cut."
)


@wrong(CUT_ALONE)
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


@wrong("The windows are right, but they are a list of lists. Make a tensor of them, in int64.")
def gives_lists(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return [row[s : s + T + 1] for s in range(0, len(row) - T, T)]


@wrong("The windows are right, but they are a list of tensors. `torch.stack` makes one of them.")
def gives_a_list_of_tensors(documents, bos, eos, T):
    row = torch.tensor(_laid(documents, [bos], [eos]))
    return [row[s : s + T + 1] for s in range(0, len(row) - T, T)]


@wrong(
    "You have cut inputs and targets apart already. One tensor is asked for, with T + 1 ids in a"
    " row; `shift` cuts it later."
)
def gives_inputs_and_targets(documents, bos, eos, T):
    cut = _unfolded(_laid(documents, [bos], [eos]), T, T, T + 1)
    return cut[:, :-1], cut[:, 1:]


@wrong("The ids are right, but not in int64, which is what an embedding is indexed with.")
def in_int32(documents, bos, eos, T):
    return _unfolded(_laid(documents, [bos], [eos]), T, T, T + 1).int()


CHANGED = (
    "The windows are right, but you put BOS and EOS into the documents that you were given: "
    "`insert` and `append` change them, and who packs twice has two of each."
)


@wrong(CHANGED)
def changes_the_documents(documents, bos, eos, T):
    for document in documents:
        document.insert(0, bos)
        document.append(eos)
    return _windows(_laid(documents, [], []), T, T, T + 1)


def _cut(row, T, step, length, count=None):
    """As `_windows`, and right where nothing fits; `count` windows, if that is given."""
    count = max(0, (len(row) - length) // step + 1) if count is None else max(0, count)
    cut = [row[i * step : i * step + length] for i in range(count)]
    return torch.tensor(cut, dtype=torch.int64).reshape(-1, length)


@wrong(NO_BOS)
def drops_bos_and_minds_short_rows(documents, bos, eos, T):
    return _cut(_laid(documents, [], [eos]), T, T, T + 1)


@wrong(NO_EOS)
def drops_eos_and_minds_short_rows(documents, bos, eos, T):
    return _cut(_laid(documents, [bos], []), T, T, T + 1)


@wrong(BOTH_ALWAYS)
def never_doubles_and_minds_short_rows(documents, bos, eos, T):
    row = []
    for document in documents:
        row += [] if document[:1] == [bos] else [bos]
        row += document
        row += [] if document[-1:] == [eos] else [eos]
    return _cut(row, T, T, T + 1)


@wrong(
    "You leave BOS out where a document happens to begin with such an id. Every document gets "
    "one, an empty one too: what it holds is not your concern."
)
def never_doubles_bos(documents, bos, eos, T):
    row = []
    for document in documents:
        row += [] if document[:1] == [bos] else [bos]
        row += [*document, eos]
    return _cut(row, T, T, T + 1)


@wrong(
    "You leave EOS out where a document happens to end with such an id. Every document gets one, "
    "an empty one too: what it holds is not your concern."
)
def never_doubles_eos(documents, bos, eos, T):
    row = []
    for document in documents:
        row += [bos, *document]
        row += [] if document[-1:] == [eos] else [eos]
    return _cut(row, T, T, T + 1)


@wrong(
    "Where the row fills its windows exactly, your last window is missing: either the last "
    "document has no EOS, or you take two ids off where one is enough. Of n ids n - 1 have a next "
    "one, which makes (n - 1) // T windows."
)
def one_short_where_it_fits_exactly(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return _cut(row, T, T, T + 1, count=(len(row) - 2) // T)


@wrong(ONE_MISSING)
def one_short_and_minds_short_rows(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return _cut(row, T, T, T + 1, count=(len(row) - 1) // T - 1)


@wrong(ONE_MISSING)
def rows_of_T_and_one_and_minds_short_rows(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return _cut(row, T, T, T + 1, count=len(row) // (T + 1))


@wrong(BY_ONE)
def steps_by_one_and_minds_short_rows(documents, bos, eos, T):
    return _cut(_laid(documents, [bos], [eos]), T, 1, T + 1)


@wrong(CUT_ALONE)
def cuts_each_document_alone_and_minds_short_rows(documents, bos, eos, T):
    cut = [_cut([bos, *document, eos], T, T, T + 1) for document in documents]
    return torch.cat(cut)


@wrong(CHANGED)
def changes_the_documents_and_minds_short_rows(documents, bos, eos, T):
    for document in documents:
        document.insert(0, bos)
        document.append(eos)
    return _cut(_laid(documents, [], []), T, T, T + 1)


@wrong(
    "All is right but one thing: where the row is too short for a single window your tensor has "
    "the shape (0,). No windows are still windows of T + 1 ids: (0, T + 1)."
)
def loses_the_shape_where_nothing_fits(documents, bos, eos, T):
    cut = _cut(_laid(documents, [bos], [eos]), T, T, T + 1)
    return cut if len(cut) else cut.flatten()


@wrong(WINDOWS_OF_T)
def no_room_for_the_last_target_and_minds_short_rows(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return _cut(row, T, T, T, count=(len(row) - 1) // T)


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

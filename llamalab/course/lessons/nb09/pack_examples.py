"""Notebook 09, exercise 3: Whole examples in full rows."""

import torch
from torch.nn.utils.rnn import pad_sequence

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def pack_examples(examples, T, filling):
    rows, masks = [], []
    for ids, mask in examples:
        if len(ids) > T + 1:
            continue
        if not rows or len(rows[-1]) + len(ids) > T + 1:
            rows.append([])
            masks.append([])
        rows[-1] += ids
        masks[-1] += mask
    rows = [row + [filling] * (T + 1 - len(row)) for row in rows]
    masks = [mask + [0] * (T + 1 - len(mask)) for mask in masks]
    return tuple(torch.tensor(both).long().view(-1, T + 1) for both in (rows, masks))


def _pack_examples_reference(examples, T, filling):
    """Row numbers first, from lengths alone; then torch lays the rows side by side."""
    fitting = [(ids, mask) for ids, mask in examples if len(ids) <= T + 1]
    numbers, row, held = [], -1, T + 2
    for ids, _ in fitting:
        row, held = (row, held + len(ids)) if held + len(ids) <= T + 1 else (row + 1, len(ids))
        numbers.append(row)
    whole = torch.zeros(T + 1, dtype=torch.int64)  # one row too many, of the full length
    out = []
    for which, value in ((0, filling), (1, 0)):
        parts = [[torch.tensor(e[which]) for e, n in zip(fitting, numbers) if n == k]
                 for k in range(row + 1)]  # fmt: skip
        rows = [torch.cat(part) for part in parts]
        out.append(pad_sequence([*rows, whole], batch_first=True, padding_value=value)[:-1])
    return tuple(out)


def _pack_examples_probes():
    """Examples that fill a row exactly, that miss that by one either way; one that is too long by
    one id, at the start, amid and at the end; later ones that would fit into an earlier row; full
    rows alone; a single example; none that fits; several fillings, some of them among the ids."""
    g = seeded(93)

    def example(n, answer):
        ids = [1, *torch.randint(5, 90, (n - 2,), generator=g).tolist(), 2]
        return ids, [0] * (n - answer) + [1] * answer

    def examples(*lengths):
        return [example(n, 1 + n // 3) for n in lengths]

    return [
        (examples(7, 4, 5, 3, 8, 6), 11, 2),  # 7 + 4 leave one place free; 5 + 3 four
        (examples(6, 6, 5, 7, 4, 9, 2), 11, 2),  # 6 + 6 and 5 + 7 fill their rows
        (examples(10, 3, 10, 4, 9, 2, 10), 8, 0),  # 10 is one too many
        (examples(9, 5, 4, 9), 8, 7),
        (examples(5), 12, 2),
        (examples(8, 3, 8, 3, 2, 8), 9, 6),
        (examples(9, 12), 6, 2),
    ]


def _rows(
    examples, T, filling, *, length=None, fits=None, too_long="leave", between=(), count=None,
    filled=0, left=False,
):  # fmt: skip
    """The right answer with a part replaced. fits(held, new, length): into the row there is?
    too_long: "leave", "cut" at the row's length, or "split"; count(ids, mask): another mask."""
    length = T + 1 if length is None else length
    fits = fits or (lambda held, new, length: held + new <= length)
    rows, masks = [], []
    for ids, mask in examples:
        mask = list(mask) if count is None else count(ids, mask)
        parts = [(ids, mask)]
        if len(ids) > length:
            starts = {"leave": (), "cut": (0,), "split": range(0, len(ids), length)}[too_long]
            parts = [(ids[s : s + length], mask[s : s + length]) for s in starts]
        for some, counted in parts:
            if rows and fits(len(rows[-1]) + len(between), len(some), length):
                rows[-1] += [*between, *some]
                masks[-1] += [0] * len(between) + counted
            else:
                rows.append(list(some))
                masks.append(list(counted))
    return _even(rows, masks, length, filling, filled, left)


def _even(rows, masks, length, filling, filled=0, left=False):
    def to(row, value):
        more = [value] * (length - len(row))
        return more + row if left else row + more

    both = [to(row, filling) for row in rows], [to(mask, filled) for mask in masks]
    return tuple(torch.tensor(part, dtype=torch.int64).reshape(-1, length) for part in both)


def _laid(examples):
    return [i for ids, _ in examples for i in ids], [m for _, mask in examples for m in mask]


def _windows(examples, T, filling, step):
    """As in the exercise `pack` of pretraining: one long row, cut wherever that falls."""
    row, mask = _laid(examples)
    starts = range(0, len(row) - T, step)
    both = [row[s : s + T + 1] for s in starts], [mask[s : s + T + 1] for s in starts]
    return _even(*both, T + 1, filling)


CUT_ANYWHERE = (
    "You cut the long row every so many ids, as in pretraining. Here that tears a message from its "
    "answer: the rest of an answer is learned without having been asked for."
)


@wrong(CUT_ANYWHERE)
def cuts_anywhere(examples, T, filling):
    return _windows(examples, T, filling, T)


@wrong(CUT_ANYWHERE)
def cuts_anywhere_without_overlap(examples, T, filling):
    return _windows(examples, T, filling, T + 1)


@wrong(CUT_ANYWHERE)
def cuts_anywhere_and_fills_the_last(examples, T, filling):
    row, mask = _laid(examples)
    starts = range(0, len(row), T + 1)
    both = [row[s : s + T + 1] for s in starts], [mask[s : s + T + 1] for s in starts]
    return _even(*both, T + 1, filling)


@wrong(
    "Your rows hold T ids. T inputs need T targets, each one place further on: a row holds T + 1."
)
def rows_of_T(examples, T, filling):
    return _rows(examples, T, filling, length=T)


@wrong(
    "Your rows hold T + 1 ids, but you fill them up to T only: an example that fits exactly is "
    "left out or moved to the next row. `>` or `>=`?"
)
def one_place_unused(examples, T, filling):
    held = _rows(examples, T, filling, length=T)
    return tuple(
        torch.cat((part, torch.full_like(part[:, :1], value)), 1)
        for part, value in zip(held, (filling, 0))
    )


@wrong(
    "An example that would fill its row exactly starts a new one. What is allowed is up to and "
    "with T + 1 ids: `>` where you have `>=`."
)
def wants_room_to_spare(examples, T, filling):
    return _rows(examples, T, filling, fits=lambda held, new, length: held + new < length)


@wrong(
    "One example a row: nothing is packed, and most of what you compute is filling. A row takes as "
    "many examples as fit whole."
)
def an_example_a_row(examples, T, filling):
    return _rows(examples, T, filling, fits=lambda held, new, length: False)


@wrong("The filling is counted: the mask is 1 there. The model would be paid for writing filling.")
def counts_the_filling(examples, T, filling):
    return _rows(examples, T, filling, filled=1)


@wrong(
    "You filled the mask up with the same value as the ids. A mask is filled with 0: nothing "
    "there is to be learned."
)
def fills_the_mask_with_ids(examples, T, filling):
    return _rows(examples, T, filling, filled=filling)


@wrong(
    "You filled up with 0, which is <unk> in Llama 2, and not with the filling that was asked for."
)
def fills_with_zero(examples, T, filling):
    return _rows(examples, T, 0)


@wrong(
    "The filling stands in front. A row's first example then does not begin at position 0; the "
    "filling belongs behind. (On the left is where a batch of PROMPTS has it.)"
)
def fills_on_the_left(examples, T, filling):
    return _rows(examples, T, filling, left=True)


@wrong(
    "You kept the first T + 1 ids of an example that is too long. Its end, and </s>, are cut off, "
    "and the mask says that all is well: leave such an example out."
)
def cuts_the_long_ones(examples, T, filling):
    return _rows(examples, T, filling, too_long="cut")


@wrong(
    "You cut an example that is too long into several rows. The later parts are answers to nothing "
    "that the model can see: leave such an example out."
)
def splits_the_long_ones(examples, T, filling):
    return _rows(examples, T, filling, too_long="split")


@wrong(
    "You stopped at the first example that is too long. Only that one is left out; those behind it "
    "are still to come."
)
def stops_at_a_long_one(examples, T, filling):
    lengths = [len(ids) > T + 1 for ids, _ in examples]
    until = lengths.index(True) if True in lengths else len(examples)
    return _rows(examples[:until], T, filling)


@wrong(
    "An example that is too long has made you begin a new row, although it is left out: the row "
    "before still has room for the next."
)
def a_long_one_ends_the_row(examples, T, filling):
    rows, masks, fresh = [], [], True
    for ids, mask in examples:
        if len(ids) > T + 1:
            fresh = True
            continue
        if fresh or len(rows[-1]) + len(ids) > T + 1:
            rows.append([])
            masks.append([])
        rows[-1] = rows[-1] + ids
        masks[-1] = masks[-1] + mask
        fresh = False
    return _even(rows, masks, T + 1, filling)


@wrong(
    "The last row is missing. It is seldom full, and its examples are examples like the others: "
    "fill it up."
)
def loses_the_last_row(examples, T, filling):
    return tuple(part[:-1] for part in _rows(examples, T, filling))


@wrong("You dropped the rows that are not full. Hardly any is, since examples stay whole.")
def keeps_full_rows_only(examples, T, filling):
    rows, masks = _rows(examples, T, -1, filled=-1)
    full = (masks != -1).all(1)
    return rows[full], masks[full]


@wrong(
    "You put an example into the first row that has room. That packs closer, and it changes the "
    "order: here they stay in the order in which they come."
)
def into_the_first_with_room(examples, T, filling):
    rows, masks = [], []
    for ids, mask in examples:
        if len(ids) <= T + 1:
            place = next((k for k, row in enumerate(rows) if len(row) + len(ids) <= T + 1), None)
            if place is None:
                place = len(rows)
                rows.append([])
                masks.append([])
            rows[place] = rows[place] + ids
            masks[place] = masks[place] + mask
    return _even(rows, masks, T + 1, filling)


@wrong(
    "You sorted the examples by length. That packs closer, and puts all the short ones into the "
    "same batches; here they stay in the order in which they come."
)
def sorts_by_length(examples, T, filling):
    return _rows(sorted(examples, key=lambda e: -len(e[0])), T, filling)


@wrong(
    "You put the filling between the examples too. Each brings its own BOS and EOS: nothing "
    "stands between."
)
def filling_between(examples, T, filling):
    return _rows(examples, T, filling, between=(filling,))


@wrong(
    "Everything in the examples is counted: their own masks have got lost, and the prompts are "
    "learned."
)
def forgets_the_masks(examples, T, filling):
    return _rows(examples, T, filling, count=lambda ids, mask: [1] * len(ids))


@wrong(
    "You shifted the masks, example by example. Tokens and mask are packed alike here; `shift` "
    "cuts both later, and it would shift the mask a second time."
)
def shifts_the_masks(examples, T, filling):
    return _rows(examples, T, filling, count=lambda ids, mask: [*mask[1:], 0])


@wrong("You counted no </s>: where two examples meet, the first one's end is to be learned too.")
def drops_the_ends(examples, T, filling):
    return _rows(examples, T, filling, count=lambda ids, mask: [*mask[:-1], 0])


@wrong(
    "You have cut inputs and targets apart already. Rows of T + 1 ids were asked for, and their "
    "masks: `shift` cuts both later."
)
def shifts_already(examples, T, filling):
    rows, masks = _rows(examples, T, filling)
    return rows[:, :-1], rows[:, 1:], masks[:, 1:]


@wrong("The rows are right, and their masks are missing: return both.")
def gives_no_masks(examples, T, filling):
    return _rows(examples, T, filling)[0]


@wrong("Rows and masks have changed places: the rows come first.")
def masks_first(examples, T, filling):
    return tuple(reversed(_rows(examples, T, filling)))


@wrong("The rows are right, but they are lists. Make a tensor of the rows, and one of the masks.")
def gives_lists(examples, T, filling):
    return tuple(part.tolist() for part in _rows(examples, T, filling))


@wrong(
    "The rows are right, and your masks are True and False. What you were given are 0s and 1s, and "
    "as such they are wanted back, in int64: `.long()`."
)
def masks_of_true_and_false(examples, T, filling):
    rows, masks = _rows(examples, T, filling)
    return rows, masks.bool()


@wrong(
    "The rows are right, but you built them inside the examples that you were given: a row began as"
    " an example's own list, and `+=` or `append` made it longer. Begin with a new list."
)
def changes_the_examples(examples, T, filling):
    right = _rows(examples, T, filling)
    held = None
    for ids, mask in examples:
        if len(ids) > T + 1:
            continue
        if held is None or len(held[0]) + len(ids) > T + 1:
            held = (ids, mask)
        else:
            held[0].extend(ids)
            held[1].extend(mask)
    return right


@wrong(CUT_ANYWHERE)
def cuts_anywhere_and_stacks(examples, T, filling):
    both = _laid(examples)
    starts = range(0, len(both[0]) - T, T)
    return tuple(torch.stack([torch.tensor(part[s : s + T + 1]) for s in starts]) for part in both)


NO_ROW = (
    "Where no example fits there is no row: two tensors of the shape (0, T + 1) and of whole "
    "numbers, which `torch.tensor([])` alone does not give."
)


@wrong(NO_ROW)
def no_shape_for_nothing(examples, T, filling):
    right = _rows(examples, T, filling)
    return right if len(right[0]) else (torch.tensor([]), torch.tensor([]))


@wrong(NO_ROW)
def whole_numbers_and_no_shape(examples, T, filling):
    right = _rows(examples, T, filling)
    nothing = torch.tensor([], dtype=torch.int64)
    return right if len(right[0]) else (nothing, nothing.clone())


def _from_an_empty_row(examples, T, filling, leave):
    rows, masks = [[]], [[]]
    for ids, mask in examples:
        if leave and len(ids) > T + 1:
            continue
        if len(rows[-1]) + len(ids) > T + 1:
            rows.append([])
            masks.append([])
        rows[-1] = (rows[-1] + ids)[: T + 1]
        masks[-1] = (masks[-1] + mask)[: T + 1]
    return _even(rows, masks, T + 1, filling)


@wrong(
    "You begin with an empty row, and where no example fits, it stays: a row of nothing but "
    "filling. Begin with no row at all."
)
def a_row_of_filling(examples, T, filling):
    return _from_an_empty_row(examples, T, filling, leave=True)


@wrong(
    "An example that is too long gets a row and is cut off at its end, </s> and all; where it "
    "comes first, the empty row that you begin with is left before it. Leave such an example out."
)
def an_empty_row_and_a_cut_one(examples, T, filling):
    return _from_an_empty_row(examples, T, filling, leave=False)


@wrong(
    "Two things: the filling is counted, and so are the prompts. A mask of 1s everywhere learns "
    "everything; the examples bring their own masks, and the filling has 0."
)
def counts_everything(examples, T, filling):
    return _rows(examples, T, filling, count=lambda ids, mask: [1] * len(ids), filled=1)


@wrong(
    "One example a row, and long ones cut: that is padding, not packing. A row takes as many "
    "examples as fit whole, and one that is too long is left out."
)
def pads_and_cuts(examples, T, filling):
    never = lambda held, new, length: False  # noqa: E731
    return _rows(examples, T, filling, fits=never, too_long="cut")


EXERCISE = Exercise(
    name="pack_examples",
    title="Whole examples in full rows",
    points=2,
    minutes=12,
    answer=pack_examples,
    reference=_pack_examples_reference,
    probes=_pack_examples_probes,
    misconceptions=wrong.all,
    hints=(
        "What may be cut, and what may not? In pretraining a window may begin anywhere in a story. "
        "What would the second half of an answer teach, alone in a row?",
        "Keep a list of rows. For each example there are three cases: too long for any row, fits "
        "into the row that you are filling, or begins a new one.",
        "Fill up at the end, once: ids with the filling, masks with 0. `view(-1, T + 1)` gives the "
        "right shape even where there is no row at all.",
    ),
)

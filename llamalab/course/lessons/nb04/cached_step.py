"""Notebook 04, exercise 4: A step with a cache."""

import torch
import torch.nn.functional as F

from llamalab import layers
from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def cached_step(q, k, v, keys, values, length):
    T, end = q.shape[1], length + q.shape[1]
    keys, values = keys.clone(), values.clone()
    keys[:, length:end] = k
    values[:, length:end] = v
    seen_k, seen_v = keys[:, :end].transpose(1, 2), values[:, :end].transpose(1, 2)
    mask = torch.ones(T, end, dtype=torch.bool).tril(length)  # (T, S)
    out = F.scaled_dot_product_attention(q.transpose(1, 2), seen_k, seen_v, mask, enable_gqa=True)
    return out.transpose(1, 2), keys, values


def _cached_reference(q, k, v, keys, values, length):
    past_k, past_v = keys[:, :length], values[:, :length]
    out = layers.attention(q, torch.cat((past_k, k), 1), torch.cat((past_v, v), 1))
    left = slice(length + k.shape[1], None)
    new_keys = torch.cat((past_k, k, keys[:, left]), 1)
    return out, new_keys, torch.cat((past_v, v, values[:, left]), 1)


def _cached_probes():
    """One new token and several; one sentence alone; an empty cache, a half-full one, one that
    becomes full. The columns that are not filled hold old numbers, as they do after a rewind."""
    g = seeded(42)

    def probe(B, T, H, n_kv, D, room, length):
        sizes = ((B, T, H, D), *2 * [(B, T, n_kv, D)], *2 * [(B, room, n_kv, D)])
        return *(torch.randn(*size, generator=g) for size in sizes), length

    return [
        probe(2, 1, 6, 2, 4, 9, 5),
        probe(3, 4, 6, 3, 2, 7, 0),
        probe(2, 3, 4, 2, 8, 10, 4),
        probe(2, 1, 6, 1, 4, 6, 5),
        probe(3, 1, 4, 4, 6, 5, 0),
        probe(1, 1, 4, 2, 6, 8, 3),
        probe(2, 2, 6, 3, 4, 9, 3),
    ]


def _written(k, v, keys, values, start, end):
    keys, values = keys.clone(), values.clone()
    keys[:, start:end], values[:, start:end] = k, v
    return keys, values


@wrong(
    "You let the queries look at the whole room, also at columns that nobody has filled. Even a"
    " column of zeros gets a share, since exp(0) is 1. Cut at length + T."
)
def attends_over_the_empty_room(q, k, v, keys, values, length):
    keys, values = _written(k, v, keys, values, length, length + k.shape[1])
    mask = torch.arange(keys.shape[1]) <= torch.arange(length, length + q.shape[1])[:, None]
    mask[:, length + q.shape[1] :] = True
    return layers.attention(q, keys, values, mask), keys, values


@wrong(
    "Your queries see only what was there before. A token looks at itself as well: write first,"
    " then attend."
)
def does_not_see_itself(q, k, v, keys, values, length):
    new_keys, new_values = _written(k, v, keys, values, length, length + k.shape[1])
    if length == 0:
        return torch.full_like(q, float("nan")), new_keys, new_values
    mask = torch.ones(q.shape[1], length, dtype=torch.bool)
    out = layers.attention(q, keys[:, :length], values[:, :length], mask)
    return out, new_keys, new_values


@wrong(
    "You wrote the new columns over the first ones: the beginning of the text is gone. They "
    "belong behind the `length` columns that are filled."
)
def writes_from_the_start(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, 0, k.shape[1])
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


@wrong(
    "You wrote one column too early: over the last token, and a stale column takes its place at"
    " the end. Columns 0 to length - 1 are filled, so the next is `length`."
)
def writes_one_column_early(q, k, v, keys, values, length):
    start, end = max(length - 1, 0), length + k.shape[1]
    keys, values = _written(k, v, keys, values, start, start + k.shape[1])
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


@wrong(
    "You glued the new columns behind the empty ones. The room was taken beforehand so that "
    "nothing has to grow: write into it."
)
def writes_at_the_far_end(q, k, v, keys, values, length):
    keys, values = torch.cat((keys, k), 1), torch.cat((values, v), 1)
    return layers.attention(q, keys, values), keys, values


@wrong(
    "The output is right, but your cache shrank to what is filled: the next step has no room to"
    " write to. Give the whole room back."
)
def throws_the_room_away(q, k, v, keys, values, length):
    keys, values = torch.cat((keys[:, :length], k), 1), torch.cat((values[:, :length], v), 1)
    return layers.attention(q, keys, values), keys, values


@wrong(
    "The values are right, but you wrote into the caller's keys and values. A real cache does "
    "just that; here a copy is asked for, so that the step can be checked."
)
def writes_into_what_it_was_given(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys[:, length:end], values[:, length:end] = k, v
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


@wrong("You wrote the keys into the values and the values into the keys.")
def exchanges_keys_and_values(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(v, k, keys, values, length, end)
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


@wrong(
    "You wrote to all columns from `length` on. One token broadcasts into every empty column; "
    "only T columns are new."
)
def fills_all_that_is_left(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, length, None)
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


@wrong(
    "The output is right, but the keys and values that you return are the old ones: the next "
    "token will not know that this one was there."
)
def forgets_to_keep_it(q, k, v, keys, values, length):
    new = _written(k, v, keys, values, length, length + k.shape[1])
    end = length + k.shape[1]
    return layers.attention(q, new[0][:, :end], new[1][:, :end]), keys.clone(), values.clone()


@wrong(
    "You return the output alone. The caller needs the new keys and values too, as a tuple of "
    "three."
)
def returns_the_output_alone(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, length, end)
    return layers.attention(q, keys[:, :end], values[:, :end])


@wrong(
    "With one new token no mask is needed, and with several there is: yours see each other's "
    "future. Causal, aligned to the end."
)
def new_tokens_see_ahead(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, length, end)
    mask = torch.ones(q.shape[1], end, dtype=torch.bool)
    return layers.attention(q, keys[:, :end], values[:, :end], mask), keys, values


@wrong(
    "Your mask is lined up with the first column: query 0 sees column 0 and no more. The "
    "queries stand at length, length + 1 and so on."
)
def sees_the_first_columns_only(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, length, end)
    mask = torch.ones(q.shape[1], end, dtype=torch.bool).tril()
    return layers.attention(q, keys[:, :end], values[:, :end], mask), keys, values


@wrong("Your queries see the new tokens only. You filled the cache and then did not read it.")
def sees_the_new_tokens_only(q, k, v, keys, values, length):
    keys, values = _written(k, v, keys, values, length, length + k.shape[1])
    return layers.attention(q, k, v), keys, values


@wrong(
    "You laid the key heads out as K1 K2 K1 K2. Neighbouring query heads share one: K1 K1 K2 K2."
)
def cache_repeats_in_turn(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, length, end)
    times = (1, 1, q.shape[2] // k.shape[2], 1)
    out = layers.attention(q, keys[:, :end].repeat(times), values[:, :end].repeat(times))
    return out, keys, values


def _step(q, k, v, keys, values, length, see=None):
    """The right step, but for what is attended to: see(keys, values, end) gives the columns."""
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, length, end)
    seen = (keys[:, :end], values[:, :end]) if see is None else see(keys, values, end)
    return layers.attention(q, *seen), keys, values


@wrong(
    "You attend over the whole room. Columns behind length + T hold rubbish, and your causal mask, "
    "aligned to the end of the room, lets the queries see it. Cut keys and values at length + T."
)
def attends_over_the_whole_room(q, k, v, keys, values, length):
    return _step(q, k, v, keys, values, length, lambda keys, values, end: (keys, values))


@wrong(
    "You attend over the whole room and without a mask. Columns behind length + T hold rubbish, "
    "and of several new tokens the first must not see the later ones."
)
def whole_room_without_a_mask(q, k, v, keys, values, length):
    keys, values = _written(k, v, keys, values, length, length + k.shape[1])
    all_of_it = torch.ones(q.shape[1], keys.shape[1], dtype=torch.bool)
    return layers.attention(q, keys, values, all_of_it), keys, values


@wrong(
    "You attended over keys and values in which the new columns are not written (too early, or "
    "over the old tensors instead of your copies): old rubbish was read there. Write first, then "
    "attend over what was written."
)
def attends_before_it_writes(q, k, v, keys, values, length):
    end = length + k.shape[1]
    out = layers.attention(q, keys[:, :end], values[:, :end])
    return out, *_written(k, v, keys, values, length, end)


@wrong(
    "Your queries see the `length` columns from before, and not their own. A token looks at itself "
    "as well: the filled columns are length + T now."
)
def sees_the_old_columns_only(q, k, v, keys, values, length):
    return _step(
        q,
        k,
        v,
        keys,
        values,
        length,
        lambda keys, values, end: (keys[:, :length], values[:, :length]),
    )


@wrong(
    "You cut one column too early: a slice ends BEFORE its second number, so columns 0 to length "
    "+ T - 1 are `[:, :length + T]`."
)
def cuts_one_column_early(q, k, v, keys, values, length):
    return _step(
        q, k, v, keys, values, length,
        lambda keys, values, end: (keys[:, : end - 1], values[:, : end - 1]),
    )  # fmt: skip


@wrong(
    "You cut one column too late: column length + T holds rubbish. A slice ends BEFORE its second "
    "number, `[:, :length + T]`."
)
def cuts_one_column_late(q, k, v, keys, values, length):
    return _step(
        q, k, v, keys, values, length,
        lambda keys, values, end: (keys[:, : end + 1], values[:, : end + 1]),
    )  # fmt: skip


@wrong(
    "You left one column empty: you wrote from length + 1 on. Columns 0 to length - 1 are "
    "filled, so the next is `length` itself."
)
def writes_one_column_late(q, k, v, keys, values, length):
    start, end = length + 1, length + 1 + k.shape[1]
    keys, values = keys.clone(), values.clone()
    keys[:, start:end], values[:, start:end] = k, v
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


@wrong(
    "You wrote from length - 1 on, over the last token. Columns 0 to length - 1 are filled, so the "
    "next is `length`. (With an empty cache -1 even means the last column.)"
)
def writes_over_the_last_token(q, k, v, keys, values, length):
    start, end = length - 1, length - 1 + k.shape[1]
    keys, values = keys.clone(), values.clone()
    keys[:, start:end], values[:, start:end] = k, v
    end = length + k.shape[1]
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


@wrong("All three are right, in another order: (out, keys, values).")
def output_last(q, k, v, keys, values, length):
    out, keys, values = _step(q, k, v, keys, values, length)
    return keys, values, out


@wrong("You return the values before the keys: (out, keys, values).")
def values_before_keys(q, k, v, keys, values, length):
    out, keys, values = _step(q, k, v, keys, values, length)
    return out, values, keys


@wrong("You return the new length too. A tuple of three is asked for: (out, keys, values).")
def returns_the_length_too(q, k, v, keys, values, length):
    return *_step(q, k, v, keys, values, length), length + k.shape[1]


ONE_ALONE = (
    "You wrote one new token and left the others out. In prefill several come at once: T columns, "
    "from `length` on."
)


@wrong(ONE_ALONE)
def writes_the_first_and_sees_all(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k[:, :1], v[:, :1], keys, values, length, length + 1)
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


@wrong(ONE_ALONE)
def writes_the_last_and_sees_all(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k[:, -1:], v[:, -1:], keys, values, length, length + 1)
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


@wrong(ONE_ALONE)
def writes_the_first_alone(q, k, v, keys, values, length):
    keys, values = keys.clone(), values.clone()
    keys[:, length], values[:, length] = k[:, 0], v[:, 0]
    return layers.attention(q, keys[:, : length + 1], values[:, : length + 1]), keys, values


@wrong(
    "`keys[:, length]` is one column without its axis, (B, n_kv, D), and k is (B, T, n_kv, D). T "
    "columns are new: a slice, from length to length + T."
)
def one_column_for_all(q, k, v, keys, values, length):
    keys, values = keys.clone(), values.clone()
    keys[:, length] = k
    values[:, length] = v
    return layers.attention(q, keys[:, : length + 1], values[:, : length + 1]), keys, values


@wrong("Your slice is one column wide. T tokens are new: from length to length + T.")
def slice_of_one(q, k, v, keys, values, length):
    keys, values = _written(k, v, keys, values, length, length + 1)
    return layers.attention(q, keys[:, : length + 1], values[:, : length + 1]), keys, values


@wrong(
    "All of your queries see up to column `length`, where the first of them stands. The next one "
    "stands at length + 1, and sees one more."
)
def one_end_for_all_queries(q, k, v, keys, values, length):
    keys, values = _written(k, v, keys, values, length, length + k.shape[1])
    mask = (torch.arange(keys.shape[1]) <= length).expand(q.shape[1], -1)
    return layers.attention(q, keys, values, mask), keys, values


@wrong(
    "Your mask is off by one: `<` hides each query from itself. It stands at length + t, and may "
    "look up to there, `<=`."
)
def hides_it_from_itself(q, k, v, keys, values, length):
    keys, values = _written(k, v, keys, values, length, length + k.shape[1])
    mask = torch.arange(keys.shape[1]) < torch.arange(length, length + q.shape[1])[:, None]
    out = layers.attention(q, keys, values, mask)
    return out, keys, values


@wrong(
    "You made new, empty rooms and copied only what is filled. The columns behind length + T are "
    "to stay as they were: copy the whole room, `clone()`."
)
def cleans_the_room(q, k, v, keys, values, length):
    out, new_keys, new_values = _step(q, k, v, keys, values, length)
    end = length + k.shape[1]
    new_keys[:, end:], new_values[:, end:] = 0, 0
    return out, new_keys, new_values


@wrong(
    "You copied the keys, and wrote into the caller's values. Both are asked for as copies, so "
    "that the step can be checked."
)
def copies_the_keys_alone(q, k, v, keys, values, length):
    out, new_keys, _ = _step(q, k, v, keys, values, length)
    values[:, length : length + k.shape[1]] = v
    return out, new_keys, values


FAR_END = (
    "You wrote the new columns at the far end of the room. They belong directly behind the "
    "`length` columns that are filled; what lies between is rubbish."
)


@wrong(FAR_END)
def writes_at_the_end_of_the_room(q, k, v, keys, values, length):
    keys, values = keys.clone(), values.clone()
    keys[:, -k.shape[1] :], values[:, -k.shape[1] :] = k, v
    return layers.attention(q, keys, values), keys, values


@wrong(FAR_END)
def keeps_them_at_the_end_of_the_room(q, k, v, keys, values, length):
    out, _, _ = _step(q, k, v, keys, values, length)
    return out, *_written(k, v, keys, values, -k.shape[1], None)


@wrong(FAR_END)
def writes_at_the_end_and_reads_behind_the_filled(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, -k.shape[1], None)
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


@wrong(
    "Your slice cuts the first axis, the batch. Columns are the second: `keys[:, length:length + "
    "T]`."
)
def writes_along_the_batch(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = keys.clone(), values.clone()
    keys[length:end] = k
    values[length:end] = v
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


@wrong("You wrote the new keys into the values as well. Each has its own: values get v.")
def keys_into_both(q, k, v, keys, values, length):
    return _step(q, k, k, keys, values, length)


EXERCISE = Exercise(
    name="cached_step",
    title="A step with a cache",
    points=3,
    minutes=12,
    answer=cached_step,
    reference=_cached_reference,
    probes=_cached_probes,
    misconceptions=wrong.all,
    hints=(
        "Three things in this order: copy, write, attend. Which columns are new, and which may a "
        "query see?",
        "Columns 0 to length - 1 are filled. T new ones go behind them, and what comes after "
        "length + T must not be looked at, whatever it holds.",
        "`clone` copies. For the last step you have a function: hand your attention, or "
        "`layers.attention`, the filled columns alone, and its causal mask, aligned to the end, "
        "is the right one for one new token and for many.",
    ),
)

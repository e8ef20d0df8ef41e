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
    """One new token and several; an empty cache, a half-full one, one that becomes full. The
    columns that are not filled hold old numbers, as they do after a rewind."""
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

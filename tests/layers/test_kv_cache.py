"""The cache through a whole model: with it or without, at any cut, the logits are the same."""

import pytest
import torch

from llamalab.config import LlamaConfig
from llamalab.layers import KVCache
from llamalab.model import Llama

TINY = LlamaConfig.from_name("tiny")
B, T = 2, 9


@pytest.fixture(scope="module")
def model():
    model = Llama(TINY, generator=torch.Generator().manual_seed(0)).double()
    return model.requires_grad_(False)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(1)


def new_tokens(generator, *size):
    return torch.randint(TINY.vocab_size, size, generator=generator)


def new_cache(rows=B, room=None, **settings):
    return KVCache(TINY, rows, room, dtype=torch.float64, **settings)


def in_pieces(model, tokens, cuts, cache):
    """The logits of all pieces, as one."""
    ends = [*cuts, tokens.shape[1]]
    pieces = [tokens[:, a:b] for a, b in zip([0, *cuts], ends)]
    return torch.cat([model(piece, cache) for piece in pieces], dim=1)


def close(got, want):
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


# -- any cut ---------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(1, T))
def test_every_prefill_then_one_token_a_step(model, first, generator):
    tokens = new_tokens(generator, B, T)
    cache = new_cache()
    close(in_pieces(model, tokens, range(first, T), cache), model(tokens))
    assert cache.length == T


@pytest.mark.parametrize("seed", range(20))
def test_any_cuts_at_all(model, seed):
    g = torch.Generator().manual_seed(seed)
    length = int(torch.randint(2, 25, (), generator=g))
    tokens = new_tokens(g, 3, length)
    cuts = [s for s in range(1, length) if torch.rand((), generator=g) < 0.3]
    close(in_pieces(model, tokens, cuts, new_cache(3, length)), model(tokens))


def test_up_to_the_very_last_position_of_the_context(model, generator):
    tokens = new_tokens(generator, 1, TINY.max_seq_len)
    cuts = [TINY.max_seq_len - 2, TINY.max_seq_len - 1]
    close(in_pieces(model, tokens, cuts, new_cache(1)), model(tokens))


def test_in_float32_and_bfloat16_too(generator):
    tokens = new_tokens(generator, B, T)
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 0.1)):
        model = Llama(TINY, generator=torch.Generator().manual_seed(0)).to(dtype)
        cache = KVCache(TINY, B, dtype=dtype)
        with torch.no_grad():
            got, want = in_pieces(model, tokens, [4, 5], cache), model(tokens)
        assert got.dtype == dtype
        torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


# -- prompts of different length -------------------------------------------------------------

LENGTHS = (5, 2, 4)  # of three prompts, padded on the left to 5


def padded(generator, filler):
    """Three prompts, their padded batch with `filler` in the empty columns, and the counts."""
    prompts = [new_tokens(generator, n) for n in LENGTHS]
    empty = [max(LENGTHS) - n for n in LENGTHS]
    rows = [torch.cat((torch.full((e,), filler), p)) for e, p in zip(empty, prompts)]
    return prompts, torch.stack(rows), empty


@pytest.mark.parametrize("cuts", [[], [5], [5, 6, 7], [6], [4, 7]])
def test_a_padded_row_is_what_it_is_alone(model, cuts, generator):
    prompts, tokens, empty = padded(generator, filler=3)
    more = new_tokens(generator, 3, 4)
    tokens = torch.cat((tokens, more), 1)  # (3, 9)
    together = in_pieces(model, tokens, cuts, new_cache(3, padding=empty))
    for b, prompt in enumerate(prompts):
        alone = model(torch.cat((prompt, more[b]))[None])
        close(together[b, empty[b] :], alone[0])


def test_what_stands_in_the_empty_columns_makes_no_difference(model):
    logits = []
    for filler in (0, 3, 511):
        _, tokens, empty = padded(torch.Generator().manual_seed(2), filler)
        cache = new_cache(3, padding=torch.tensor(empty))
        model(tokens, cache)
        step = model(torch.tensor([[7], [8], [9]]), cache)
        assert step.isfinite().all()
        logits.append(step)
    assert torch.equal(logits[0], logits[1]) and torch.equal(logits[0], logits[2])


def test_positions_start_at_each_rows_first_token():
    cache = new_cache(3, padding=[0, 3, 1])
    want = [[0, 1, 2, 3, 4], [0, 0, 0, 0, 1], [0, 0, 1, 2, 3]]
    assert cache.positions(5).tolist() == want
    cache.advance(5)
    assert cache.positions(2).tolist() == [[5, 6], [2, 3], [4, 5]]
    assert new_cache().positions(3).tolist() == [0, 1, 2]


def test_the_mask_hides_the_future_and_the_empty_columns():
    cache = new_cache(2, padding=[0, 2])
    first, second = cache.mask(4)
    assert torch.equal(first, torch.ones(4, 4).tril().bool())
    want = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]  # an empty one sees itself
    assert second.int().tolist() == want
    cache.advance(4)
    assert cache.mask(1).int().tolist() == [[[1, 1, 1, 1, 1]], [[0, 0, 1, 1, 1]]]
    assert new_cache().mask(4) is None


# -- what is refused, and that nothing is written then ---------------------------------------


def refused(model, tokens, cache, words):
    before = cache.keys.clone(), cache.values.clone(), cache.length
    with pytest.raises(ValueError, match=words):
        model(tokens, cache)
    assert torch.equal(cache.keys, before[0]) and torch.equal(cache.values, before[1])
    assert cache.length == before[2]


def test_past_the_caches_room(model, generator):
    cache = new_cache(room=6)
    model(new_tokens(generator, B, 4), cache)
    words = r"room for 6 positions: 4 are filled, and 3 more do not fit.*larger max_seq_len"
    refused(model, new_tokens(generator, B, 3), cache, words)
    model(new_tokens(generator, B, 2), cache)  # what fits still goes in
    refused(model, new_tokens(generator, B, 1), cache, "6 are filled, and 1 more do not fit")


def test_past_the_models_context(model, generator):
    cache = new_cache(room=TINY.max_seq_len + 10)
    model(new_tokens(generator, B, TINY.max_seq_len), cache)
    words = "193 positions are past this model's context, max_seq_len=192"
    refused(model, new_tokens(generator, B, 1), cache, words)
    with pytest.raises(ValueError, match=words):
        model(new_tokens(generator, B, TINY.max_seq_len + 1))


def test_another_number_of_rows(model, generator):
    cache = new_cache(B)
    refused(model, new_tokens(generator, 3, 2), cache, "the cache has 2 rows, the batch has 3")


def test_a_row_without_a_first_token(model, generator):
    cache = new_cache(B, padding=[0, 4])
    words = "row 1 has 4 empty columns, but only 4 columns have come"
    refused(model, new_tokens(generator, B, 4), cache, words)
    model(new_tokens(generator, B, 5), cache)


@pytest.mark.parametrize("padding", [[1], [1, 2, 3], [0, -1], [[0, 1]]])
def test_padding_that_fits_no_row(padding):
    with pytest.raises(ValueError, match="one count of at least 0 for each of the 2 rows"):
        new_cache(B, padding=padding)


@pytest.mark.parametrize("rows, room", [(0, 5), (2, 0)])
def test_no_room_at_all(rows, room):
    with pytest.raises(ValueError, match=f"max_seq_len={room} and batch_size={rows} must be"):
        new_cache(rows, room)


# -- going back ------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [0, 1, 3, 5])
def test_after_a_rewind_it_is_as_if_the_rest_had_not_been(model, back, generator):
    tokens, other = new_tokens(generator, B, 5), new_tokens(generator, B, 4)
    cache = new_cache()
    model(tokens, cache)
    cache.rewind(back)
    assert cache.length == back
    want = model(torch.cat((tokens[:, :back], other), 1))
    close(model(other, cache), want[:, back:])


@pytest.mark.parametrize("to", [-1, 4])
def test_a_rewind_to_where_nothing_is(model, to, generator):
    cache = new_cache()
    model(new_tokens(generator, B, 3), cache)
    with pytest.raises(ValueError, match=f"cannot rewind to {to}: 3 positions are filled"):
        cache.rewind(to)
    assert cache.length == 3


# -- what is kept ----------------------------------------------------------------------------


def test_one_key_and_one_value_for_each_kv_head_and_no_more(model, generator):
    cache = new_cache(B, room=7)
    assert cache.keys.shape == cache.values.shape == (3, B, 7, TINY.n_kv_heads, TINY.head_dim)
    model(new_tokens(generator, B, 4), cache)
    assert (cache.keys[:, :, :4] != 0).flatten(3).any(-1).all()
    assert (cache.keys[:, :, 4:] == 0).all() and (cache.values[:, :, 4:] == 0).all()


def test_keys_are_turned_and_values_are_not(model, generator):
    """The same token at positions 0 and 1: the first layer's values agree, its keys do not, and
    the key at 1 is the one at 0 turned by the first angles (written out by hand)."""
    token = new_tokens(generator, 1, 1)
    cache = new_cache(1)
    model(token.repeat(1, 2), cache)
    keys, values = cache.keys[0, 0, :2], cache.values[0, 0, :2]  # (2, n_kv, D)
    close(values[0], values[1])
    a, b = keys[0, :, 0], keys[0, :, 1]  # the first pair: one radian a position
    cos, sin = torch.tensor(1.0).cos().double(), torch.tensor(1.0).sin().double()
    close(keys[1, :, 0], a * cos - b * sin)
    close(keys[1, :, 1], a * sin + b * cos)


# -- other rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [None, [0, 5, 2]])
@pytest.mark.parametrize("rows", [[1], [2, 1], [2, 0, 1], [0, 2, 2, 1, 0]])
def test_rows_that_are_kept(model, generator, rows, padding):
    """Left out, changed about, or come twice: each goes on as if it had always stood there."""
    tokens, new = new_tokens(generator, 3, T), new_tokens(generator, len(rows), 4)
    cache = new_cache(3, 14, padding=padding)
    model(tokens, cache)
    cache.keep(rows)
    got = model(new, cache)[:, -1]
    cache.keep([len(rows) - 1])
    last = model(new[:1, :1], cache)[:, -1]
    assert cache.batch_size == 1 and cache.length == T + 5
    for row, old in enumerate(rows):
        text = torch.cat((tokens[old], new[row]))[padding[old] if padding else 0 :]
        close(got[row], model(text[None])[0, -1])
    close(last, model(torch.cat((text, new[0, :1]))[None])[:, -1])
    with pytest.raises(IndexError):
        cache.keep([1])

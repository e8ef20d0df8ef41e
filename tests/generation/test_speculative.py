"""Speculative decoding leaves the distribution as it is: by arithmetic, by counting, greedily."""

import pytest
import torch

from llamalab.generation import accept_or_resample, generate, speculate
from llamalab.layers import KVCache
from llamalab.sampling import draw, probabilities

PROMPT = [3, 1, 4, 1, 5]


def draft_of(small, seed=9, **sizes):
    usual = dict(dim=16, n_layers=1, n_heads=2, n_kv_heads=1)
    return small(seed, **{**usual, **sizes})


# -- the heart --------------------------------------------------------------------------------


P = torch.tensor([0.5, 0.2, 0.0, 0.3])
DRAFTS = {
    "flat": [0.25, 0.25, 0.25, 0.25],
    "sure and wrong": [0.01, 0.01, 0.97, 0.01],
    "never the likeliest": [0.0, 0.5, 0.1, 0.4],
    "the same": [0.5, 0.2, 0.0, 0.3],
}


@pytest.mark.parametrize("name", DRAFTS)
def test_what_comes_out_is_distributed_as_p(name, seeded, count_off):
    q, generator, n = torch.tensor(DRAFTS[name]), seeded(1), 20_000
    guesses = draw(q.expand(n, 4), generator).tolist()
    counts, accepted = torch.zeros(4), 0
    for guess in guesses:
        token, kept = accept_or_resample(P, q, guess, generator)
        assert token == guess or not kept
        counts[token] += 1
        accepted += kept
    assert count_off(counts, P) < 4.5
    chance = float(torch.minimum(P, q).sum())  # the overlap of the two
    assert abs(accepted - n * chance) <= 4 * (n * chance * (1 - chance)) ** 0.5


def test_two_mistakes_that_the_counting_sees(seeded, count_off):
    """Drawing anew from p instead of p - q, and taking every guess: both are noticed."""
    q, generator = torch.tensor(DRAFTS["flat"]), seeded(2)
    counts = torch.zeros(2, 4)
    for guess in draw(q.expand(20_000, 4), generator).tolist():
        token, kept = accept_or_resample(P, q, guess, generator)
        counts[0, token if kept else draw(P, generator)] += 1
        counts[1, guess] += 1
    assert count_off(counts[0], P) > 10
    with pytest.raises(AssertionError):
        count_off(counts[1], P)


def test_certain_cases(seeded):
    one, other = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([1.0, 0.0, 0.0])
    for n in range(50):
        assert accept_or_resample(one, one, 1, seeded(n)) == (1, True)
        assert accept_or_resample(one, other, 0, seeded(n)) == (1, False)


def test_a_guess_that_cannot_have_been(seeded):
    with pytest.raises(ValueError, match="cannot have guessed 2: its probability is 0"):
        accept_or_resample(P, P, 2, seeded())
    with pytest.raises(ValueError, match=r"\(4,\), \(3,\)"):
        accept_or_resample(P, torch.ones(3), 2, seeded())


# -- the loop ---------------------------------------------------------------------------------


@pytest.mark.parametrize("guesses", [1, 4, 11])
@pytest.mark.parametrize("seed", range(2))
def test_greedy_is_exactly_generate(small, guesses, seed):
    model = small(seed)
    want = list(generate(model, PROMPT, 40, temperature=0))
    nearly = small(seed)
    with torch.no_grad():
        nearly.output.weight += 0.3 * torch.randn(nearly.output.weight.shape, generator=gen())
    for draft in (draft_of(small), nearly, model):
        stream = speculate(model, draft, PROMPT, 40, guesses=guesses, temperature=0)
        assert list(stream) == want
        assert 0 <= stream.accepted <= stream.proposed
    assert stream.accepted == stream.proposed  # the model is its own perfect draft
    assert stream.passes == -(-40 // (guesses + 1))
    stream = speculate(model, nearly, PROMPT, 40, guesses=guesses, temperature=0)
    list(stream)
    assert 0 < stream.accepted < stream.proposed
    assert stream.passes == 40 - stream.accepted


def gen(seed=3):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "guesses, options", [(1, dict(temperature=0.8)), (2, dict(top_p=0.7)), (5, dict(top_k=3))]
)
def test_three_tokens_follow_the_exact_distribution(small, options, guesses, seeded, count_off):
    """A model of 4 ids: all 64 texts and their probabilities, against 1,200 streams."""
    model, V = small(3, vocab_size=4, dim=12, n_layers=1), 4
    draft = draft_of(small, vocab_size=4)

    def following(*text):
        return probabilities(model(torch.tensor([[1, *text]]))[0, -1].detach(), **options)

    exact = torch.stack(
        [following()[a] * following(a)[b] * following(a, b) for a in range(V) for b in range(V)]
    ).flatten()
    generator, counts, proposed, accepted = seeded(6), torch.zeros(V**3), 0, 0
    for _ in range(1200):
        stream = speculate(model, draft, [1], 3, guesses=guesses, generator=generator, **options)
        a, b, c = stream
        counts[(a * V + b) * V + c] += 1
        proposed, accepted = proposed + stream.proposed, accepted + stream.accepted
    assert count_off(counts, exact) < 4.5
    assert 0.1 < accepted / proposed < 0.95  # both ways have been gone


def test_stop_ids_and_the_last_position(small):
    model, draft = small(), draft_of(small)
    whole = list(generate(model, PROMPT, 123, temperature=0))
    assert list(speculate(model, draft, PROMPT, 123, temperature=0)) == whole
    for stop in (whole[0], whole[9]):
        for other in (draft, model):
            ids = list(speculate(model, other, PROMPT, 60, temperature=0, stop_ids=[stop]))
            assert ids == whole[: whole.index(stop)]


def test_the_same_seed_the_same_ids(small, seeded):
    model, draft = small(), draft_of(small)
    one, two, other = (
        list(speculate(model, draft, PROMPT, 40, generator=seeded(n))) for n in (1, 1, 2)
    )
    assert one == two != other


def test_the_target_is_asked_once_for_many(small, monkeypatch):
    """And both caches hold no refused guess: each pass brings only what is new."""
    model, sizes = small(), []
    original = KVCache.make_room

    def make_room(self, batch_size, new):
        sizes.append(new)
        return original(self, batch_size, new)

    monkeypatch.setattr(KVCache, "make_room", make_room)
    stream = speculate(model, model, PROMPT, 30, guesses=4, temperature=0)
    ids = list(stream)
    assert len(ids) == 30 and stream.passes == 6
    assert sizes[:5] == [5, 1, 1, 1, 5 + 4]  # the draft's first guesses, the target's first pass
    # the last accepted guess and the token after it are new to the draft
    assert sizes[5:10] == [2, 1, 1, 1, 1 + 4]


def test_between_tokens_and_closed_early(small):
    model = small().train()
    stream = speculate(model, draft_of(small), PROMPT, 30)
    next(stream)
    assert not torch.is_inference_mode_enabled()
    stream.close()
    assert list(stream) == [] and model.training


@pytest.mark.parametrize(
    "draft, prompt, new, options, words",
    [
        ({"vocab_size": 48}, [1], 5, {}, "47 and 48 ids"),
        ({"max_seq_len": 20}, [1] * 10, 11, {}, "for the draft, .* 10 new tokens would fit"),
        ({}, [1] * 120, 9, {}, "8 new tokens would fit"),
        ({}, [], 9, {}, "holds no ids"),
        ({}, [1], 9, {"guesses": 0}, "guesses=0"),
        ({}, [1], 9, {"temperature": -2}, "temperature=-2"),
        ({}, [1], 9, {"top_p": 2}, "top_p=2"),
    ],
)
def test_errors(small, draft, prompt, new, options, words):
    with pytest.raises(ValueError, match=words):
        speculate(small(), draft_of(small, **draft), prompt, new, **options)

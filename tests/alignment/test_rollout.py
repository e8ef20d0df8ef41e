"""Rollouts: each row as if alone, drawn from what is scored, and nothing left behind."""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F

from llamalab import layers
from llamalab.alignment import rollout
from llamalab.alignment.rollout import Rollout, pick, sample, score
from llamalab.config import LlamaConfig
from llamalab.generation import FusedDecoder, generate
from llamalab.model import Llama, Parts

PROMPTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5], [9], [3, 5, 8, 9, 7, 9, 3], [2, 6, 5], [2, 6, 5]]
EOS = 11
GREEDY = 1e-6  # a temperature so low that the largest logit alone is left


def small(seed=0, *, dtype=torch.float32, parts=None, loud=2.0, **sizes):
    """Sizes all different, random norms, and a head that is not almost silent."""
    usual = dict(dim=36, n_layers=3, n_heads=6, n_kv_heads=2, vocab_size=47, multiple_of=8)
    config = LlamaConfig(**{**usual, "max_seq_len": 96, **sizes})
    generator = torch.Generator().manual_seed(seed)
    model = Llama(config, parts or Parts(), generator=generator)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.uniform_(0.5, 1.5, generator=generator)
        if not config.tie_embeddings:
            model.output.weight *= loud * config.dim**0.5
    return model.to(dtype)


def seeded(number=0):
    return torch.Generator().manual_seed(number)


@pytest.fixture
def plainly(monkeypatch):
    """After plainly(), nobody makes a FusedDecoder."""
    return lambda: monkeypatch.setattr(
        "llamalab.generation.steps.why_not", lambda model: "the test says so"
    )


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def alone(model, prompt, numbers, temperature=0.8):
    """The slow oracle: one row, no cache, every token from the whole text's logits. The first id
    whose summed probability is above the number."""
    ids = list(prompt)
    for number in numbers:
        logits = model(torch.tensor([ids]))[0, -1].double()
        ids.append(int(((logits / temperature).softmax(-1).cumsum(-1) <= number).sum()))
        if ids[-1] == EOS:
            break
    return ids[len(prompt) :]


# -- each row as if it were alone ------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 5, 40])
@pytest.mark.parametrize("road", ["fused", "plain"])
def test_greedy_rows_are_those_of_generate(most, road, plainly):
    model = small()
    want = [list(generate(model, ids, most, temperature=0, stop_ids=[EOS])) for ids in PROMPTS]
    if road == "plain":
        plainly()
    drawn = sample(model, PROMPTS, most, temperature=GREEDY, eos_id=EOS)
    got = drawn.answers()
    assert [[i for i in row if i != EOS] for row in got] == want
    assert drawn.ended.tolist() == [row[-1] == EOS for row in got]


@pytest.fixture(scope="module")
def drawn_alone():
    """A model, prompts, and what each gives alone with the numbers of its own line."""
    model, prompts = small(loud=0.7, dtype=torch.float64), PROMPTS * 3
    numbers = torch.rand(len(prompts), 40, generator=seeded(3), dtype=torch.float64)
    with torch.no_grad():
        return model, prompts, [alone(model, *pair) for pair in zip(prompts, numbers)]


@pytest.mark.parametrize("at_once, road", [(1, "fused"), (3, "fused"), (128, "fused"), (3, "plain"),
                                           (128, "plain")])  # fmt: skip
def test_drawn_rows_depend_on_their_own_numbers_alone(
    at_once, road, drawn_alone, plainly, monkeypatch
):
    model, prompts, want = drawn_alone
    monkeypatch.setattr(rollout, "AT_ONCE", at_once)
    if road == "plain":
        plainly()
    got = sample(model, prompts, 40, temperature=0.8, eos_id=EOS, generator=seeded(3)).answers()
    assert got == want
    assert len({len(row) for row in got}) > 4  # they end at many different places
    assert sum(row[-1] == EOS for row in got) > 4


def test_the_layout():
    model = small(loud=0.7)
    drawn = sample(model, PROMPTS, 30, temperature=1.0, eos_id=EOS, generator=seeded(1))
    T = drawn.tokens.shape[1]
    assert drawn.mask.shape == (len(PROMPTS), T - 1) and drawn.mask.dtype == torch.bool
    assert drawn.prompt_lengths.tolist() == [len(ids) for ids in PROMPTS]
    assert T == max(len(p) + len(a) for p, a in zip(PROMPTS, drawn.answers()))
    for ids, tokens, mask, answer in zip(PROMPTS, drawn.tokens, drawn.mask, drawn.answers()):
        assert tokens.tolist() == ids + answer + [EOS] * (T - len(ids) - len(answer))
        places = mask.nonzero()[:, 0].tolist()  # whose NEXT token is an answer's
        assert places == list(range(len(ids) - 1, len(ids) + len(answer) - 1))
        assert EOS not in answer[:-1] and len(answer) <= 30
    assert drawn.ended.tolist() == [answer[-1] == EOS for answer in drawn.answers()]


def test_a_mini_batch_is_as_long_as_its_longest_row():
    model = small(loud=0.7)
    drawn = sample(model, PROMPTS, 30, temperature=1.0, eos_id=EOS, generator=seeded(1))
    lengths = [len(p) + len(a) for p, a in zip(PROMPTS, drawn.answers())]
    few = sorted(range(len(PROMPTS)), key=lengths.__getitem__)[:3][::-1]
    part = drawn.rows(few)
    assert part.tokens.shape == (3, lengths[few[0]]) and max(lengths) > lengths[few[0]]
    assert part.answers() == [drawn.answers()[row] for row in few]
    assert part.ended.tolist() == drawn.ended[few].tolist()
    whole = score(model, drawn, 1.0)[few, : part.tokens.shape[1] - 1]
    torch.testing.assert_close(score(model, part, 1.0), whole)


# -- the distribution ------------------------------------------------------------------------------


def test_answers_come_as_often_as_their_exact_probability():
    """Every answer of at most three tokens of a vocabulary of 5, enumerated."""
    model, prompt, eos, n = small(vocab_size=5, loud=0.5).double(), [1, 3], 0, 20000
    exact = {}
    for ids in itertools.product(range(5), repeat=3):
        answer = ids[: ids.index(eos) + 1] if eos in ids else ids
        logits = model(torch.tensor([[*prompt, *answer]]))[0].detach() / 0.9
        places = torch.arange(len(answer)) + len(prompt) - 1
        exact[answer] = float(logits.log_softmax(-1)[places, list(answer)].sum().exp())
    assert sum(exact.values()) == pytest.approx(1)
    drawn = sample(model, [prompt] * n, 3, temperature=0.9, eos_id=eos, generator=seeded(5))
    counts = dict.fromkeys(exact, 0)
    for answer in drawn.answers():
        counts[tuple(answer)] += 1
    square = sum((counts[a] - n * p) ** 2 / (n * p) for a, p in exact.items())
    assert len(exact) == 1 + 4 + 4 * 4 * 5 and min(exact.values()) * n > 1
    df = len(exact) - 1
    assert abs(square - df) < 4 * (2 * df) ** 0.5  # chi-square: mean df, variance 2 df


@pytest.mark.parametrize("dtype, close", [(torch.float32, 2e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("road", ["fused", "plain"])
def test_what_is_drawn_from_is_what_is_scored(dtype, close, road, plainly, monkeypatch):
    """The log-probabilities at the moment of drawing, seen through `pick`, beside score's."""
    model, seen = small(loud=0.7, dtype=dtype), []

    def spy(logits, numbers, temperature):
        ids = pick(logits, numbers, temperature)
        logs = (logits.double() / temperature).log_softmax(-1)
        seen.append(logs[range(len(ids)), ids])
        return ids

    monkeypatch.setattr(rollout, "pick", spy)
    if road == "plain":
        plainly()
    drawn = sample(model, PROMPTS, 40, temperature=0.8, eos_id=EOS, generator=seeded(2))
    got = score(model, drawn, 0.8)
    assert got.dtype == dtype and got.shape == drawn.mask.shape
    assert (got[~drawn.mask] == 0).all() and (got[drawn.mask] < 0).all()
    assert sorted(torch.cat(seen).tolist()) == pytest.approx(
        sorted(got[drawn.mask].tolist()), abs=close
    )


def test_pick_is_the_inverse_of_the_summed_probabilities():
    logits = torch.tensor([[1.0, 2.0, 4.0, 1.0]]).log().repeat(6, 1)
    numbers = torch.tensor([0, 0.124, 0.126, 0.374, 0.376, 1 - 2**-53], dtype=torch.float64)
    assert pick(logits, numbers, 1.0).tolist() == [0, 0, 1, 1, 2, 3]
    # at half the temperature the weights are 1, 4, 16, 1
    numbers = torch.tensor([0.9, 1.1, 4.9, 5.1, 20.9, 21.1], dtype=torch.float64) / 22
    assert pick(logits, numbers, 0.5).tolist() == [0, 1, 1, 2, 2, 3]
    gone = torch.tensor([[float("-inf"), 0.0]])
    assert pick(gone, torch.zeros(1, dtype=torch.float64), 1.0).tolist() == [1]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_of_which_no_largest_can_be_told(bad):
    logits = torch.zeros(3, 4)
    logits[1, 2] = bad
    with pytest.raises(ValueError, match="1 rows of logits"):
        pick(logits, torch.full((3,), 0.5, dtype=torch.float64), 1.0)
    with pytest.raises(ValueError, match="3 rows of logits"):
        pick(torch.full((3, 4), -float("inf")), torch.zeros(3, dtype=torch.float64), 1.0)


# -- the ends --------------------------------------------------------------------------------------


def test_eos_at_once():
    model = small()
    first = next(generate(model, PROMPTS[0], 1, temperature=0))
    drawn = sample(model, [PROMPTS[0]] * 2, 40, temperature=GREEDY, eos_id=first)
    assert drawn.answers() == [[first]] * 2 and drawn.ended.all()
    assert drawn.tokens.tolist() == [PROMPTS[0] + [first]] * 2


def test_eos_never():
    drawn = sample(small(), PROMPTS, 20, temperature=1.0, eos_id=None, generator=seeded())
    assert not drawn.ended.any() and drawn.mask.sum(-1).tolist() == [20] * len(PROMPTS)


def test_one_token_for_one_prompt_of_one_id():
    drawn = sample(small(), [[7]], 1, temperature=1.0, eos_id=EOS, generator=seeded())
    assert drawn.tokens.shape == (1, 2) and drawn.mask.tolist() == [[True]]
    assert score(small(), drawn).shape == (1, 1)


def test_the_whole_context():
    model, prompt = small(max_seq_len=24), list(range(4))
    drawn = sample(model, [prompt, [5]], 20, temperature=1.0, eos_id=None, generator=seeded())
    assert drawn.tokens.shape == (2, 24)
    with pytest.raises(ValueError, match="prompt 1 holds 5 ids and max_new_tokens=20.*=24. 19 new"):
        sample(model, [prompt, prompt + [1]], 20, temperature=1.0, eos_id=EOS)


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(prompts=[]), "0 prompts"),
        (dict(prompts=[[1], []]), "prompt 1 holds no ids"),
        (dict(prompts=[[1], [47]]), "prompt 1 holds 47"),
        (dict(max_new_tokens=0), "max_new_tokens=0"),
        (dict(eos_id=47), "eos_id=47 is no id of 0 to 46"),
        (dict(eos_id=-1), "eos_id=-1"),
        (dict(temperature=0), "temperature=0"),
        (dict(temperature=-1.0), "temperature=-1.0"),
        (dict(temperature=float("nan")), "temperature=nan"),
    ],
)
def test_what_cannot_be_drawn(change, words):
    usual = dict(prompts=PROMPTS, max_new_tokens=5, temperature=1.0, eos_id=EOS)
    with pytest.raises(ValueError, match=words):
        sample(small(), **{**usual, **change})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_refused(dtype):
    with pytest.raises(ValueError, match=f"{dtype}.*model.float"):
        sample(small(dtype=dtype), PROMPTS, 5, temperature=1.0, eos_id=EOS)


# -- what is left behind ---------------------------------------------------------------------------


def test_the_generator_decides():
    model = small(loud=0.5)

    def answers(generator):
        return sample(model, PROMPTS, 20, eos_id=EOS, generator=generator).answers()

    assert answers(seeded(1)) == answers(seeded(1)) != answers(seeded(2))
    generator, state = seeded(1), torch.get_rng_state()
    assert answers(generator) != answers(generator)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert answers(None) == answers(seeded(1))


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training):
    model = small().train(training)
    model.layers[0].train(not training)
    model.norm.weight.grad = torch.ones(36)
    prompts, modes = copy.deepcopy(PROMPTS), [module.training for module in model.modules()]
    before = copy.deepcopy(model.state_dict())
    drawn = sample(model, prompts, 20, temperature=1.0, eos_id=EOS, generator=seeded())
    score(model, drawn)
    assert prompts == PROMPTS and [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.requires_grad for weight in model.parameters())
    assert torch.equal(model.norm.weight.grad, torch.ones(36))
    assert all(w.grad is None for name, w in model.named_parameters() if name != "norm.weight")
    assert torch.is_grad_enabled() and not drawn.tokens.is_inference()


def test_training_in_between_is_seen():
    model = small()
    before = sample(model, PROMPTS, 20, temperature=GREEDY, eos_id=EOS).answers()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=seeded(1)), alpha=0.1)
    after = sample(model, PROMPTS, 20, temperature=GREEDY, eos_id=EOS).answers()
    assert after != before
    assert after == sample(copy.deepcopy(model), PROMPTS, 20, temperature=GREEDY,
                           eos_id=EOS).answers()  # fmt: skip


def test_a_learners_own_parts_are_used():
    calls = []

    def own(x, weight, eps):
        calls.append(tuple(x.shape))
        return layers.rms_norm(x, weight, eps)

    mine, ours = small(parts=Parts(rms_norm=own)), small()
    got = sample(mine, PROMPTS, 20, temperature=GREEDY, eos_id=EOS)
    assert calls[0] == (4, 7, 36)  # the prompts that differ, as long as the longest
    assert all(shape[:2] == (shape[0], 1) for shape in calls[7:])
    assert got.answers() == sample(ours, PROMPTS, 20, temperature=GREEDY, eos_id=EOS).answers()
    calls.clear()
    torch.testing.assert_close(score(mine, got), score(ours, got), rtol=1e-4, atol=1e-5)
    assert len(calls) == 7 * len(PROMPTS[:: rollout.PORTION])


def test_rows_that_have_ended_cost_nothing(monkeypatch):
    model, rows, step = small(loud=0.7), [], FusedDecoder._step

    def counted(self, tokens):
        rows.append(len(tokens))
        return step(self, tokens)

    monkeypatch.setattr(FusedDecoder, "_step", counted)
    drawn = sample(model, PROMPTS * 3, 40, temperature=1.0, eos_id=EOS, generator=seeded())
    lengths = [len(answer) for answer in drawn.answers()]
    assert rows == [sum(length > n for length in lengths) for n in range(1, max(lengths))]
    assert rows[0] > rows[-1]


# -- scoring ---------------------------------------------------------------------------------------


def plain_score(model, drawn, temperature):
    """torch's own, from all logits."""
    logits = model(drawn.tokens[:, :-1]) / temperature
    each = -F.cross_entropy(logits.flatten(0, 1), drawn.tokens[:, 1:].flatten(), reduction="none")
    return each.view(drawn.mask.shape) * drawn.mask


@pytest.mark.parametrize("portion", [3, 16])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("way", ["torch", "fused"])
def test_score_and_its_gradients(way, tied, portion, monkeypatch):
    monkeypatch.setattr(rollout, "PORTION", portion)
    model = small(loud=0.7, dtype=torch.float64, tie_embeddings=tied)
    drawn = sample(model, PROMPTS, 25, temperature=1.0, eos_id=EOS, generator=seeded(4))
    g = torch.randn(drawn.mask.shape, generator=seeded(1), dtype=torch.float64)
    results = []
    for scored in (score(model, drawn, 0.7, way=way), plain_score(model, drawn, 0.7)):
        grads = torch.autograd.grad((scored * g).sum(), list(model.parameters()))
        results.append([scored, *grads])
    for got, want in zip(*results):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-10)


def test_score_without_gradients():
    model = small()
    drawn = sample(model, PROMPTS, 25, temperature=1.0, eos_id=EOS, generator=seeded(4))
    with torch.no_grad():
        scored = score(model, drawn, 0.7)
    assert not scored.requires_grad
    torch.testing.assert_close(scored, score(model, drawn, 0.7).detach())


def test_what_stands_in_the_padding_changes_nothing():
    model = small(loud=0.7)
    drawn = sample(model, PROMPTS, 25, temperature=1.0, eos_id=EOS, generator=seeded(4))
    ends = drawn.prompt_lengths + drawn.mask.sum(-1)
    empty = torch.arange(drawn.tokens.shape[1]) >= ends[:, None]
    assert empty.any()
    other = Rollout(drawn.tokens.masked_fill(empty, 5), drawn.prompt_lengths, drawn.mask,
                    drawn.ended)  # fmt: skip
    assert torch.equal(score(model, drawn), score(model, other))


def test_half_precision_is_scored_in_float32():
    """A reference model may be kept in 16 bits."""
    model = small(loud=0.7)
    drawn = sample(model, PROMPTS, 25, temperature=1.0, eos_id=EOS, generator=seeded(4))
    with torch.no_grad():
        half, whole = score(copy.deepcopy(model).bfloat16(), drawn), score(model, drawn)
    assert half.dtype == torch.float32 and 0 < (half - whole).abs().max() < 1


def test_another_way_is_refused():
    drawn = sample(small(), [[7]], 1, eos_id=EOS, generator=seeded())
    with pytest.raises(ValueError, match="matmul='slow' must be one of"):
        score(small(), drawn, way="slow")
    with pytest.raises(ValueError, match="temperature=0"):
        score(small(), drawn, 0)

"""generate and generate_batch: against no cache at all and against transformers; seeds, stops,
the distribution by counting; what is refused, and when."""

import gc
import weakref

import pytest
import torch

from llamalab.config import LlamaConfig
from llamalab.generation import generate, generate_batch, generate_samples
from llamalab.layers import KVCache
from llamalab.model import Llama
from llamalab.sampling import probabilities

PROMPTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5, 3, 5, 8, 9, 7], [9, 3, 2]]


def without_a_cache(model, prompt, new):
    """Greedy, the obvious way: the whole text through the model for every token."""
    text = list(prompt)
    for _ in range(new):
        text.append(int(model(torch.tensor([text]))[0, -1].argmax()))
    return text[len(prompt) :]


# -- the ids ----------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_without_a_cache(model, prompt):
    want = without_a_cache(model, prompt, 30)
    assert list(generate(model, prompt, 30, temperature=0)) == want
    assert list(generate(model, torch.tensor(prompt), 30, temperature=0)) == want
    assert list(generate(model, prompt, 5, temperature=0)) == want[:5]  # too short to fuse


@pytest.mark.parametrize("penalty", [1.0, 1.4, 0.8])
def test_greedy_as_transformers(small, transformers_peer, penalty):
    model = small(1)
    peer = transformers_peer(model)
    for prompt in PROMPTS:
        theirs = peer.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt)),
            max_new_tokens=40,
            do_sample=False,
            repetition_penalty=penalty,
            pad_token_id=0,
            eos_token_id=None,
        )
        ours = generate(model, prompt, 40, temperature=0, repetition_penalty=penalty)
        assert list(ours) == theirs[0, len(prompt) :].tolist()


@pytest.mark.parametrize("penalty", [1.0, 1.4])
@pytest.mark.parametrize("new", [10, 50])
def test_every_row_of_a_batch_is_as_if_alone(model, penalty, new):
    options = dict(temperature=0, repetition_penalty=penalty)
    rows = generate_batch(model, PROMPTS, new, **options)
    assert rows == [list(generate(model, prompt, new, **options)) for prompt in PROMPTS]
    assert len(set(map(tuple, rows))) == 4


def test_prompts_of_one_length(model):
    prompts = [prompt[-1:] for prompt in PROMPTS]
    rows = generate_batch(model, prompts, 20, temperature=0)
    assert rows == [list(generate(model, prompt, 20, temperature=0)) for prompt in prompts]
    assert generate_batch(model, [], 20) == []


def test_a_batch_as_transformers(small, transformers_peer):
    model = small(2)
    peer, longest = transformers_peer(model), max(map(len, PROMPTS))
    filled = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in PROMPTS])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in PROMPTS])
    theirs = peer.generate(
        filled, attention_mask=mask, max_new_tokens=30, do_sample=False, pad_token_id=0,
        eos_token_id=None,
    )  # fmt: skip
    assert generate_batch(model, PROMPTS, 30, temperature=0) == theirs[:, longest:].tolist()


# -- stopping ---------------------------------------------------------------------------------


def test_a_stop_id_ends_the_text_and_is_not_in_it(model):
    whole = list(generate(model, PROMPTS[0], 30, temperature=0))
    stop = whole[7]
    end = whole.index(stop)
    assert list(generate(model, PROMPTS[0], 30, temperature=0, stop_ids=[stop])) == whole[:end]
    both = [whole[12], stop]
    assert list(generate(model, PROMPTS[0], 30, temperature=0, stop_ids=both)) == whole[:end]
    assert list(generate(model, PROMPTS[0], 30, temperature=0, stop_ids=[whole[0]])) == []


def test_rows_stop_each_at_its_own_time(model):
    whole = generate_batch(model, PROMPTS, 40, temperature=0)
    stops = {whole[0][3], whole[2][20]}
    rows = generate_batch(model, PROMPTS, 40, temperature=0, stop_ids=stops)
    for prompt, row in zip(PROMPTS, rows):
        assert row == list(generate(model, prompt, 40, temperature=0, stop_ids=stops))
    assert len({len(row) for row in rows}) > 1


def test_a_stopped_batch_asks_no_more(small):
    model, calls = small(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    first = generate_batch(model, PROMPTS, 1, temperature=0)
    calls.clear()
    generate_batch(model, PROMPTS, 30, temperature=0, stop_ids=[row[0] for row in first])
    assert len(calls) == 1


def test_to_the_last_position_of_the_context(model):
    assert len(list(generate(model, PROMPTS[0], 123, temperature=0))) == 123
    assert len(list(generate(model, [7] * 128, 0))) == 0


# -- drawing ----------------------------------------------------------------------------------


def test_the_same_seed_the_same_ids(model, seeded):
    options = dict(temperature=0.9, top_k=30, top_p=0.95)
    one, two, other = (
        list(generate(model, PROMPTS[0], 40, generator=seeded(n), **options)) for n in (1, 1, 2)
    )
    assert one == two != other
    rows = [generate_batch(model, PROMPTS, 20, generator=seeded(n), **options) for n in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]


def test_the_global_seed_serves_if_there_is_no_generator(model):
    texts = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        texts.append(list(generate(model, PROMPTS[0], 20)))
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    "options", [dict(temperature=0.7), dict(top_k=5), dict(top_p=0.6), dict(repetition_penalty=3.0)]
)
def test_two_tokens_follow_the_exact_distribution(small, options, seeded, count_off):
    """A model of 6 ids: all 36 pairs and their probabilities, against 6,000 drawn pairs."""
    model, prompt, V = small(3, vocab_size=6, dim=12, n_layers=1), [2, 4], 6
    asked = {key: value for key, value in options.items() if key != "repetition_penalty"}

    def following(text):
        logits = model(torch.tensor([text]))[0, -1].detach()
        for i in set(text) if "repetition_penalty" in options else ():
            logits[i] *= 3.0 if logits[i] < 0 else 1 / 3
        return probabilities(logits, **asked)

    exact = torch.stack([following(prompt)[a] * following([*prompt, a]) for a in range(V)])
    pairs = generate_batch(model, [prompt] * 6000, 2, generator=seeded(4), **options)
    counts = torch.tensor([a * V + b for a, b in pairs]).bincount(minlength=V * V)
    assert count_off(counts, exact.flatten()) < 4.5
    generator, counts = seeded(5), torch.zeros(V * V)
    for _ in range(1000):
        a, b = generate(model, prompt, 2, generator=generator, **options)
        counts[a * V + b] += 1
    assert count_off(counts, exact.flatten()) < 4.5


# -- what is left behind ----------------------------------------------------------------------


def test_one_token_at_a_time(small):
    model, calls = small(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    stream = generate(model, PROMPTS[0], 100)
    assert calls == []
    for n in range(1, 4):
        next(stream)
        assert len(calls) == n


def test_between_tokens_the_world_is_as_before(small):
    model, inside = small(), []
    model.register_forward_hook(lambda *_: inside.append(torch.is_inference_mode_enabled()))
    stream = generate(model, PROMPTS[0], 30)
    next(stream)
    assert inside == [True]
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()
    assert torch.ones(1, requires_grad=True).sum().requires_grad


@pytest.mark.parametrize("new", [10, 100])
def test_a_closed_stream_leaves_nothing(small, monkeypatch, new):
    kept, original = [], KVCache.__init__

    def init(self, *arguments, **options):
        original(self, *arguments, **options)
        kept.append(weakref.ref(self))

    monkeypatch.setattr(KVCache, "__init__", init)
    model = small().train()
    stream = generate(model, PROMPTS[0], new)
    next(stream), next(stream)
    assert kept
    stream.close()
    gc.collect()
    assert all(reference() is None for reference in kept)
    assert model.training and not torch.is_inference_mode_enabled()


# -- errors, all of them at the call ----------------------------------------------------------


@pytest.mark.parametrize(
    "ids, new, words",
    [
        ([], 5, "holds no ids: start with the tokenizer's bos_id"),
        (torch.tensor([], dtype=torch.long), 5, "holds no ids"),
        ([1, 47], 5, "holds 47, which is no id of 0 to 46"),
        ([1, -1], 5, "holds -1"),
        (torch.tensor([[1, 2]]), 5, r"its shape is \(1, 2\)"),
        (torch.tensor([1.5]), 5, "holds 1.5"),
        ([1, 2.0], 5, "holds 2.0"),
        (["1"], 5, "holds '1'"),
        ([1] * 129, 1, "129 ids .* max_seq_len=128. 0 new tokens would fit"),
        ([1] * 100, 29, "100 ids and max_new_tokens=29: .* 28 new tokens would fit"),
        ([1], -1, "max_new_tokens=-1"),
        ([1], 2.5, "max_new_tokens=2.5"),
    ],
)
def test_prompts_and_lengths(model, ids, new, words):
    with pytest.raises(ValueError, match="(?s)" + words):
        generate(model, ids, new)
    with pytest.raises(ValueError, match="(?s)" + words):
        generate_batch(model, [[1, 2], ids], new)


def test_which_prompt_of_a_batch(model):
    with pytest.raises(ValueError, match="prompt 1 holds no ids"):
        generate_batch(model, [[1], []], 5)
    with pytest.raises(ValueError, match="prompt 1 holds 128 ids"):
        generate_batch(model, [[1], [1] * 128], 5)


@pytest.mark.parametrize(
    "options",
    [dict(temperature=-1), dict(top_k=0), dict(top_p=1.5), dict(repetition_penalty=0)],
)
def test_options(model, options):
    for run in (generate, generate_batch):
        with pytest.raises(ValueError, match="=".join(map(str, *options.items()))):
            run(model, [1] if run is generate else [[1]], 5, **options)


@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize("new", [5, 50])
def test_a_broken_model_says_so(small, temperature, new):
    model = small()
    with torch.no_grad():
        model.layers[1].attention.wo.weight[3, 3] = float("nan")
    with pytest.raises(ValueError, match="logits are nan"):
        list(generate(model, [1, 2], new, temperature=temperature))


@pytest.mark.parametrize("new", [5, 30])
def test_several_texts_read_their_prompt_once_and_are_what_one_by_one_would_be(new, monkeypatch):
    model = Llama(LlamaConfig.from_name("tiny"), generator=torch.Generator().manual_seed(4))
    prompt, lengths, forward = [1, 7, 9, 30], [], Llama.forward

    def counted(self, tokens, cache=None):
        lengths.append(tokens.shape[1])
        return forward(self, tokens, cache)

    monkeypatch.setattr(Llama, "forward", counted)
    together = torch.Generator().manual_seed(8)
    texts = [list(t) for t in generate_samples(model, prompt, new, 3, generator=together)]
    assert lengths.count(len(prompt)) == 1
    alone = torch.Generator().manual_seed(8)
    assert texts == [list(generate(model, prompt, new, generator=alone)) for _ in range(3)]
    assert len(set(map(tuple, texts))) == 3
    with pytest.raises(ValueError, match="samples=0"):
        generate_samples(model, prompt, new, 0)

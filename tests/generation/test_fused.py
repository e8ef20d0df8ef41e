"""The FusedDecoder against its oracle, the model with a KV cache: logits, ids, refusals."""

import copy

import pytest
import torch
from torch import nn

from llamalab import layers
from llamalab.generation import FusedDecoder, generate, generate_batch
from llamalab.generation.fused import LARGEST, why_not
from llamalab.layers import KVCache
from llamalab.model import Parts

SHAPES = {
    "grouped": dict(),
    "one KV head": dict(n_heads=6, n_kv_heads=1),
    "a KV head each": dict(n_heads=3, n_kv_heads=3),
    "tied": dict(tie_embeddings=True),
    "one layer, other theta and eps": dict(n_layers=1, rope_theta=100.0, norm_eps=0.1),
}


@torch.inference_mode()
def both(model, tokens, prompt, padding=None):
    """Logits behind each column from the prompt's last one on, from FusedDecoder and from model."""
    B, T = tokens.shape
    decoder = FusedDecoder(model, B, T, padding=padding)
    cache = KVCache(model.config, B, T, padding=padding, dtype=model.norm.weight.dtype)
    pieces = [tokens[:, :prompt], *tokens[:, prompt:].split(1, dim=1)]
    ours = torch.stack([decoder(piece).clone() for piece in pieces], 1)
    theirs = torch.stack([model(piece, cache)[:, -1] for piece in pieces], 1)
    return ours, theirs


def random_tokens(model, B, T, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(model.config.vocab_size, (B, T), generator=generator)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rows, prompt", [(1, 1), (1, 7), (3, 7)])
def test_a_hundred_steps(small, shape, rows, prompt):
    model = small(**SHAPES[shape])
    ours, theirs = both(model, random_tokens(model, rows, prompt + 100), prompt)
    assert ours.shape == (rows, 101, 47)
    assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()


@pytest.mark.parametrize("rows", [1, 3])
def test_in_float64_to_its_last_digits(small, rows):
    model = small(dtype=torch.float64)
    ours, theirs = both(model, random_tokens(model, rows, 60), 5)
    assert (ours - theirs).abs().max() < 1e-11 * theirs.abs().max()


def test_padded_rows(small):
    model, padding = small(dtype=torch.float64), torch.tensor([0, 5, 2, 6])
    tokens = random_tokens(model, 4, 50)
    ours, theirs = both(model, tokens, 7, padding)
    assert (ours - theirs).abs().max() < 1e-11 * theirs.abs().max()
    alone = model(tokens[1:2, 5:])[:, 6 - 5 :]  # the oracle's oracle: no cache, no padding
    assert (ours[1:2] - alone).abs().max() < 1e-11 * theirs.abs().max()


def test_several_tokens_behind_a_prompt(small):
    model = small(dtype=torch.float64)
    tokens = random_tokens(model, 2, 12)
    decoder = FusedDecoder(model, 2, 12)
    decoder(tokens[:, :5])
    torch.testing.assert_close(decoder(tokens[:, 5:]), model(tokens)[:, -1].detach())


@pytest.mark.parametrize("padding", [None, [0, 5, 2]])
@pytest.mark.parametrize("rows", [[1], [2, 1], [2, 0, 1], [0, 2, 2, 1, 0]])
def test_rows_that_are_kept(small, rows, padding):
    """Left out, changed about, or come twice: each goes on as if it had always stood there."""
    model, padding = small(dtype=torch.float64), padding and torch.tensor(padding)
    tokens, new = random_tokens(model, 3, 9), random_tokens(model, len(rows), 4, seed=2)
    decoder = FusedDecoder(model, 3, 14, padding=padding)
    decoder(tokens[:, :7])
    decoder(tokens[:, 7:])
    decoder.keep(rows)
    got = decoder(new)
    decoder.keep([len(rows) - 1])
    last = decoder(new[:1, :1])
    for row, old in enumerate(rows):
        text = torch.cat((tokens[old], new[row]))[0 if padding is None else padding[old] :]
        want = model(text[None])[0, -1].detach()
        torch.testing.assert_close(got[row], want, rtol=1e-10, atol=1e-11)
    longer = torch.cat((text, new[0, :1]))  # the last row's
    torch.testing.assert_close(last, model(longer[None])[:, -1].detach(), rtol=1e-10, atol=1e-11)
    with pytest.raises(IndexError):
        decoder.keep([1])


def test_logits_are_the_callers_to_keep(small):
    model = small()
    tokens = random_tokens(model, 1, 4)
    decoder = FusedDecoder(model, 1, 9)
    decoder(tokens)
    first = decoder(tokens[:, :1])
    before = first.clone()
    decoder(tokens[:, 1:2])
    assert torch.equal(first, before)


def test_the_model_is_left_as_it_was(small):
    model = small().train()
    before = copy.deepcopy(model.state_dict())
    list(generate(model, [1, 2], 40, temperature=0))
    assert model.training and all(weight.requires_grad for weight in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model(torch.tensor([[1, 2]])).sum().backward()  # no inference tensors were left in it


# -- generate uses it, and nobody can tell ----------------------------------------------------


@pytest.fixture
def made(monkeypatch):
    """The Decoders that were made."""
    made, original = [], FusedDecoder.__init__

    def init(self, *arguments, **options):
        original(self, *arguments, **options)
        made.append(self)

    monkeypatch.setattr(FusedDecoder, "__init__", init)
    return made


@pytest.mark.parametrize("seed", range(4))
def test_the_same_ids_either_way(small, plainly, made, seed, seeded):
    model, prompts = small(seed), [[3, 1, 4, 1, 5], [9], [2, 6, 5]]

    def texts():
        greedy = list(generate(model, prompts[0], 100, temperature=0))
        drawn = list(generate(model, prompts[0], 100, generator=seeded(seed)))
        return greedy, drawn, generate_batch(model, prompts, 60, temperature=0)

    fast = texts()
    assert len(made) == 3
    plainly()
    assert texts() == fast
    assert len(made) == 3


def test_training_in_between_is_seen(small, plainly):
    model = small()
    before = list(generate(model, [1, 2, 3], 40, temperature=0))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    after = list(generate(model, [1, 2, 3], 40, temperature=0))
    plainly()
    assert after == list(generate(model, [1, 2, 3], 40, temperature=0)) != before


class Changed(nn.Linear):
    """As a quantized layer, or one with an adapter, would be."""

    def forward(self, x):
        return 2 * super().forward(x)


def with_another_layer(model):
    old = model.layers[1].attention.wq
    model.layers[1].attention.wq = Changed(old.in_features, old.out_features, bias=False)


def with_a_hook(model):
    model.layers[0].feed_forward.register_forward_hook(lambda module, inputs, output: 2 * output)


@pytest.mark.parametrize(
    "change, words",
    [
        (with_another_layer, "own parts alone"),
        (with_a_hook, "hooks are listening"),
        (lambda model: model.bfloat16(), "torch.bfloat16"),
        (lambda model: model.layers[0].half(), "torch.float16"),
    ],
)
def test_a_model_that_it_does_not_fit(small, made, change, words):
    model = small()
    change(model)
    with pytest.raises(ValueError, match=words):
        FusedDecoder(model, 1, 10)
    if words != "torch.float16":  # a mixture that torch itself cannot multiply
        cache = KVCache(model.config, 1, 21, dtype=model.norm.weight.dtype)
        want = [5]
        for _ in range(20):
            want.append(int(model(torch.tensor([want[-1:]]), cache)[0, -1].argmax()))
        assert list(generate(model, [5], 20, temperature=0)) == want[1:]
    assert not made


def test_a_learners_own_parts_are_used(small, made):
    calls = []

    def own(x, weight, eps):
        calls.append(x.shape)
        return layers.rms_norm(x, weight, eps)

    mine, ours = small(parts=Parts(rms_norm=own)), small()
    ids = list(generate(mine, [5, 6], 30, temperature=0))
    assert not made and len(calls) == 30 * (2 * 3 + 1)
    assert ids == list(generate(ours, [5, 6], 30, temperature=0)) and made


def test_large_models_are_not_copied(small, monkeypatch):
    model = small()
    size = sum(weight.numel() for weight in model.parameters())
    assert why_not(model) is None and size < LARGEST
    monkeypatch.setattr("llamalab.generation.fused.LARGEST", size - 1)
    assert f"{size} parameters" in why_not(model)


def test_room(small):
    model = small()
    with pytest.raises(ValueError, match="max_seq_len=129 is past the model's 128"):
        FusedDecoder(model, 1, 129)
    decoder = FusedDecoder(model, 2, 6)
    with pytest.raises(ValueError, match="has 2 rows, the batch 1"):
        decoder(torch.zeros(1, 2, dtype=torch.long))
    decoder(torch.zeros(2, 5, dtype=torch.long))
    with pytest.raises(ValueError, match="room for 6 positions: 5 are filled, and 2 more"):
        decoder(torch.zeros(2, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="47"):
        decoder(torch.full((2, 1), 47))
    assert decoder.length == 5

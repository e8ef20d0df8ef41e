"""The whole model: Meta's names and counts, its laws, its parts, its errors. Logits against
transformers stand in tests/interop, through the real converter."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from llamalab import layers
from llamalab.accounting import count_parameters
from llamalab.config import PRESETS, LlamaConfig
from llamalab.layers import KVCache
from llamalab.model import Llama, Parts, init_weights

TINY = LlamaConfig.from_name("tiny")


def seeded(number=0):
    return torch.Generator().manual_seed(number)


@pytest.fixture
def model():
    return Llama(TINY, generator=seeded())


@pytest.fixture
def tokens():
    return torch.randint(TINY.vocab_size, (3, 20), generator=seeded(1))


# -- names and counts -------------------------------------------------------------------------


def test_metas_names_and_shapes(model):
    shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    kv = TINY.n_kv_heads * TINY.head_dim
    expected = {
        "tok_embeddings.weight": (512, 96),
        "norm.weight": (96,),
        "output.weight": (512, 96),
    }
    for i in range(3):
        for name, shape in {
            "attention.wq": (96, 96), "attention.wk": (kv, 96), "attention.wv": (kv, 96),
            "attention.wo": (96, 96), "feed_forward.w1": (256, 96), "feed_forward.w2": (96, 256),
            "feed_forward.w3": (256, 96), "attention_norm": (96,), "ffn_norm": (96,),
        }.items():  # fmt: skip
            expected[f"layers.{i}.{name}.weight"] = shape
    assert shapes == expected


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("tied", [False, True])
def test_counts_of_every_preset_without_allocating(name, tied):
    config = replace(LlamaConfig.from_name(name), tie_embeddings=tied)
    with torch.device("meta"):
        model = Llama(config)
    assert all(weight.is_meta for weight in model.parameters())
    total = sum(weight.numel() for weight in model.parameters())
    assert total == count_parameters(config)["total"]


def test_tied_means_one_matrix():
    model = Llama(replace(TINY, tie_embeddings=True), generator=seeded())
    assert model.output.weight is model.tok_embeddings.weight


# -- laws -------------------------------------------------------------------------------------


def test_no_logit_depends_on_a_later_token(model, tokens):
    changed = tokens.clone()
    changed[:, 7] = (changed[:, 7] + 1) % TINY.vocab_size
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert ((before - after).abs().amax(-1)[:, 7:] > 0).all()


def test_rows_of_a_batch_do_not_meet(model, tokens):
    alone = torch.cat([model(row[None]) for row in tokens])
    torch.testing.assert_close(model(tokens), alone, rtol=1e-4, atol=1e-5)


def test_the_position_matters(model):
    """Two tokens in the other order: without RoPE the last logits would be the same."""
    a, b = torch.tensor([[5, 9, 7]]), torch.tensor([[9, 5, 7]])
    gap = (model(a)[0, -1] - model(b)[0, -1]).abs().max()
    still = Llama(TINY, Parts(apply_rope=lambda x, cos, sin: x), generator=seeded())
    assert gap > 1e-4
    # one layer of attention over a set has no order; deeper ones get it from the causal mask
    shallow = replace(TINY, n_layers=1)
    still = Llama(shallow, Parts(apply_rope=lambda x, cos, sin: x), generator=seeded())
    torch.testing.assert_close(still(a)[0, -1], still(b)[0, -1])


@pytest.mark.parametrize("dim, vocab_size", [(96, 512), (192, 1024)])
def test_a_fresh_model_knows_nothing(dim, vocab_size):
    config = replace(TINY, dim=dim, vocab_size=vocab_size)
    model = Llama(config, generator=seeded())
    ids = torch.randint(vocab_size, (4, 64), generator=seeded(2))
    loss = F.cross_entropy(model(ids).flatten(0, 1), ids.flatten())
    assert abs(loss - math.log(vocab_size)) < 0.05


def test_fresh_weights_have_the_deviation_that_is_said():
    config = replace(TINY, n_layers=2)
    model = Llama(config, generator=seeded())
    for std in (None, 0.02):
        init_weights(model, std=std, generator=seeded())
        base = 96**-0.5 if std is None else std
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                assert (weight == 1).all()
                continue
            want = base
            if name.endswith(("wo.weight", "w2.weight")):
                want = base / 2  # sqrt(2 * 2 layers)
            if name == "output.weight":
                want = base / 96**0.5
            assert abs(weight.std() / want - 1) < 0.05, name


def test_the_generator_decides():
    one, two, other = (Llama(TINY, generator=seeded(n)) for n in (3, 3, 4))
    assert torch.equal(one.output.weight, two.output.weight)
    assert not torch.equal(one.output.weight, other.output.weight)


def test_gradients_reach_every_weight(model, tokens):
    model(tokens).pow(2).mean().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.abs().max() > 0, name


# -- parts ------------------------------------------------------------------------------------


def test_every_part_is_used(tokens):
    calls = dict.fromkeys(("rms_norm", "apply_rope", "attention", "swiglu"), 0)

    def counted(name):
        def call(*arguments):
            calls[name] += 1
            return getattr(layers, name)(*arguments)

        return call

    model = Llama(TINY, Parts(**{name: counted(name) for name in calls}), generator=seeded())
    expected = Llama(TINY, generator=seeded())(tokens)
    assert torch.equal(model(tokens), expected)
    assert calls == {"rms_norm": 7, "apply_rope": 6, "attention": 3, "swiglu": 3}


# -- devices and dtypes -----------------------------------------------------------------------


def test_the_rope_table_stays_in_float32(model, tokens):
    before = model.rope.cos.clone()
    model.bfloat16()
    assert model.rope.cos.dtype == torch.float32 and torch.equal(model.rope.cos, before)
    assert model(tokens).dtype == torch.bfloat16
    model.float()
    assert torch.equal(model.rope.cos, before)


def test_in_bfloat16_it_is_nearly_the_same(model, tokens):
    wide = model(tokens)
    narrow = model.bfloat16()(tokens).float()
    assert (wide - narrow).abs().max() < 0.05 * wide.abs().max()


def test_from_meta_to_a_real_device_keeps_the_table():
    with torch.device("meta"):
        model = Llama(TINY)
    assert model.rope.cos.device.type == "cpu"
    model.to_empty(device="cpu")
    cos, _ = layers.rope_table(TINY.head_dim, TINY.max_seq_len, TINY.rope_theta)
    assert torch.equal(model.rope.cos, cos)


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ids, words",
    [
        (torch.zeros(4, dtype=torch.long), "(4,)"),
        (torch.zeros(1, 0, dtype=torch.long), "(1, 0)"),
        (torch.zeros(1, 4), "float32"),
        (torch.full((1, 4), 512), "512"),
        (torch.full((1, 4), -1), "-1"),
        (torch.zeros(1, 193, dtype=torch.long), "193"),
    ],
)
def test_bad_tokens(model, ids, words):
    with pytest.raises(ValueError) as caught:
        model(ids)
    assert words in str(caught.value)


def test_past_the_context_behind_a_cache(model):
    cache = KVCache(TINY, 1, 300)
    model(torch.zeros(1, 190, dtype=torch.long), cache)
    with pytest.raises(ValueError, match="193 positions.*max_seq_len=192"):
        model(torch.zeros(1, 3, dtype=torch.long), cache)
    assert cache.length == 190

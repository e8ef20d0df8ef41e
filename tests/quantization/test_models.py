"""A quantized model beside the plain model that has its dequantized weights."""

import copy
import gc

import pytest
import torch
import torch.nn.functional as F

from llamalab import generation
from llamalab.generation import generate, generate_batch
from llamalab.layers import KVCache
from llamalab.model import Llama, Parts
from llamalab.quantization import (
    FORMATS,
    Int8KVCache,
    PackedLinear,
    bits_per_weight,
    quantize_model,
    weight_bytes,
)
from llamalab.quantization.calibrate import own_text

SIZE = {"group_size": 32}  # divides tiny's 96 and 256
TEXT = torch.randint(0, 512, (3, 20), generator=torch.Generator().manual_seed(9))
FLOATS = [name for name in FORMATS if name != "int8"]  # whose activations are not rounded


def unpacked(model: Llama, parts: Parts | None = None) -> Llama:
    """A plain model with the numbers that the blocks stand for."""
    plain = Llama(model.config, parts)
    with torch.no_grad():
        for name, weight in plain.named_parameters():
            module = model.get_submodule(name.removesuffix(".weight"))
            packed = module.weight
            weight.copy_(packed if isinstance(packed, torch.Tensor) else packed.unpacked())
    return plain


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("format", FLOATS)
def test_it_runs_as_its_numbers_say(format, tied, small):
    model = small(tie_embeddings=tied)
    state = copy.deepcopy(model.state_dict())
    packed = quantize_model(model, format, text=TEXT, **SIZE)
    plain = unpacked(packed)
    tokens = torch.randint(0, 512, (2, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(packed(tokens), plain(tokens), atol=2e-5, rtol=1e-5)
        cache = KVCache(model.config, 2)
        steps = [packed(tokens[:, :4], cache), packed(tokens[:, 4:], cache)]
        torch.testing.assert_close(torch.cat(steps, 1), plain(tokens), atol=2e-5, rtol=1e-5)
    assert all(torch.equal(x, state[name]) for name, x in model.state_dict().items())
    assert all(x.requires_grad for x in model.parameters())
    assert {name for name, _ in packed.named_parameters()} == {
        name for name in state if "norm" in name
    }


@pytest.mark.parametrize("format", FORMATS)
def test_what_it_weighs(format, small):
    model = small()
    packed = quantize_model(model, format, text=TEXT, **SIZE)
    outer = {"q8_0": 8.5, "q4_0": 4.5, "q4_1": 5.0}.get(format, 8.5)
    inner = {"nf4": 4.14, "int8": 8.3}.get(format, outer if format[0] == "q" else 4 + 24 / 32)
    sizes = {name: x.numel() for name, x in model.named_parameters()}
    norms = sum(n for name, n in sizes.items() if "norm" in name)
    ends = sizes["tok_embeddings.weight"] + sizes["output.weight"]
    total = sum(sizes.values())
    want = (ends * outer + (total - ends - norms) * inner + 32 * norms) / total
    assert bits_per_weight(packed) == pytest.approx(want, rel=0.01)
    assert bits_per_weight(model) == 32
    assert weight_bytes(model) == 4 * total


def test_float_weights_are_gone(small):
    """Nothing of the size of a float matrix is alive once the given model is."""
    packed = quantize_model(small(), "q4_0")
    gc.collect()
    largest = max(x.nbytes for x in (*packed.parameters(), *packed.buffers()))
    assert largest == 512 * 96 * 18 // 32
    assert sum(isinstance(m, PackedLinear) for m in packed.modules()) == 3 * 7 + 2


class Calls:
    """A learner's own parts, which count how often they were called."""

    def __init__(self, product):
        self.product, self.seen = product, 0

    def swiglu(self, x, w1, w2, w3):
        self.seen += 1
        assert w1.shape == w3.shape == (256, 96) and w2.shape[::-1] == w1.shape
        gate, up = self.product(x, w1), self.product(x, w3)
        return self.product(gate * torch.sigmoid(gate) * up, w2)


PRODUCTS = {
    "linear": F.linear,
    "@": lambda x, w: x @ w.T,
    "t()": lambda x, w: torch.matmul(x, w.t()),
    "transpose": lambda x, w: x.matmul(w.transpose(0, 1)),
    "mT": lambda x, w: x @ w.mT,
    "keyword": lambda x, w: F.linear(x, weight=w),
    "einsum": lambda x, w: torch.einsum("bti,oi->bto", x, w),
    "other side": lambda x, w: (w @ x.transpose(1, 2)).transpose(1, 2),
    "elementwise": lambda x, w: (w * x[..., None, :]).sum(-1),
    "elementwise, other side": lambda x, w: (x[..., None, :] * w).sum(-1),
    "row by row": lambda x, w: torch.stack([x @ w[i] for i in range(w.size(0))], -1),
    "a clone": lambda x, w: x @ w.clone().mT,
}


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("format", ["q4_0", "int8"])
def test_parts_of_ones_own_apply(format, name, small):
    mine = Calls(PRODUCTS[name])
    model = small()
    own = Llama(model.config, Parts(swiglu=mine.swiglu))
    own.load_state_dict(model.state_dict())
    tokens = TEXT[:2, :7]
    with torch.no_grad():
        found = quantize_model(own, format)(tokens)
        want = quantize_model(model, format)(tokens)
    assert mine.seen == 3
    tolerance = 2e-5 if format == "q4_0" else 0.2  # what is unpacked has exact activations
    torch.testing.assert_close(found, want, atol=tolerance, rtol=1e-5)


@pytest.mark.parametrize("name", ["@", "transpose", "keyword"])
def test_parts_of_ones_own_are_heard_by_gptq(name, small):
    model = small(n_layers=1)
    own = Llama(model.config, Parts(swiglu=Calls(PRODUCTS[name]).swiglu))
    own.load_state_dict(model.state_dict())
    found, want = (quantize_model(m, "gptq-4", text=TEXT, **SIZE) for m in (own, model))
    assert (found(TEXT) - want(TEXT)).abs().mean() < 0.02  # equal, but for codes on an edge


def test_a_part_that_gptq_cannot_hear_is_named(small):
    model = small(n_layers=1)
    own = Llama(model.config, Parts(swiglu=Calls(PRODUCTS["einsum"]).swiglu))
    with pytest.raises(ValueError, match=r"nothing was multiplied with feed_forward\.w1"):
        quantize_model(own, "gptq-4", text=TEXT, **SIZE)


def test_gptq_beats_rounding_on_the_shipped_model(tales, texts):
    """Layer by layer on what the layers are really given, and as a whole on unseen tales."""
    model, (read, unseen) = tales[0], texts
    with torch.no_grad():
        want = model(unseen).log_softmax(-1).flatten(0, 1)

        def divergence(format):
            found = quantize_model(model, format, text=read)(unseen).log_softmax(-1).flatten(0, 1)
            return float(F.kl_div(found, want, log_target=True, reduction="batchmean"))

        nearest, ours = divergence("rtn-3"), divergence("gptq-3")
    assert ours < 0.85 * nearest


def test_more_bits_are_nearer(tales, texts):
    model, unseen = tales[0], texts[1][:3]
    with torch.no_grad():
        want = model(unseen)
        gaps = [float((quantize_model(model, name)(unseen) - want).square().mean())
                for name in ("rtn-8", "q8_0", "rtn-5", "nf4", "q4_0", "rtn-3")]  # fmt: skip
    assert gaps[0] < gaps[2] < gaps[4] < gaps[5]
    assert 30 * gaps[1] < gaps[3] < gaps[4]


def test_it_generates_and_learns_below(tales):
    model, tokenizer = tales
    packed = quantize_model(model, "q8_0")
    ids = tokenizer.encode("Mia had a red kite.", bos=True)
    plain = unpacked(packed)
    want = list(generate(plain, ids, 30, temperature=0))
    assert list(generate(packed, ids, 30, temperature=0)) == want
    assert generate_batch(packed, [ids, ids[:3]], 30, temperature=0)[0] == want
    x = torch.randn(1, 2, 192, requires_grad=True)
    packed.layers[0].feed_forward(x).sum().backward()
    y = x.detach().clone().requires_grad_()
    plain.layers[0].feed_forward(y).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, atol=1e-5, rtol=1e-5)


def test_state_and_copies(small):
    packed = quantize_model(small(tie_embeddings=True), "nf4")
    again = copy.deepcopy(packed)
    other = quantize_model(small(tie_embeddings=True).requires_grad_(False), "nf4")
    for name, x in other.state_dict().items():
        assert torch.equal(x, packed.state_dict()[name]), name
    with torch.no_grad():
        again.tok_embeddings.data.zero_()
        assert torch.equal(other(TEXT), packed(TEXT))
        assert again.output(torch.ones(1, 96)).std() == 0  # its own embedding, and not the first's


@pytest.mark.parametrize("rows, length", [(1, 1), (3, 17)])
def test_the_text_that_a_model_writes(small, rows, length):
    model = small()
    text = own_text(model, rows, length)
    assert text.shape == (rows, length) and (text[:, 0] == 1).all()
    assert torch.equal(text, own_text(model, rows, length))
    assert own_text(model, 1, 1000).shape == (1, model.config.max_seq_len)


def test_ids_out_of_range(small):
    packed = quantize_model(small(), "q8_0")
    for bad in (-1, 512):
        with pytest.raises(ValueError, match=f"token ids run from .*{bad}"):
            packed(torch.tensor([[3, bad]]))


def test_what_is_refused(small):
    with pytest.raises(ValueError, match="no format called 'q5_0'; there are q8_0, q4_0"):
        quantize_model(small(), "q5_0")
    with pytest.raises(ValueError, match="group_size=64 must divide the row's 96"):
        quantize_model(small(), "rtn-4")
    with pytest.raises(ValueError, match="blocks of 32 must divide a row, and a row has 36"):
        quantize_model(small(dim=36, n_heads=6, n_kv_heads=2), "q8_0")
    with pytest.raises(ValueError, match="quantized already"):
        quantize_model(quantize_model(small(), "q8_0"), "q4_0")


def random_kv(config, T, seed):
    shape = (2, T, config.n_kv_heads, config.head_dim)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator) * 9


def test_the_int8_cache_is_within_half_a_step(small):
    config = small().config
    cache, plain = Int8KVCache(config, 2, 11), KVCache(config, 2, 11)
    for T in (5, 1, 3):
        for layer in range(config.n_layers):
            k, v = random_kv(config, T, 10 * layer + T)
            before = k.clone()
            for got, want in zip(cache.update(layer, k, v), plain.update(layer, k, v)):
                step = want.abs().amax(-1, keepdim=True) / 127
                assert ((got - want).abs() <= 0.5 * step + 1e-3 * want.abs()).all()
            assert torch.equal(k, before)
        cache.advance(T)
        plain.advance(T)
    cache.rewind(2)
    assert cache.length == 2
    numbers = 2 * plain.keys.numel()
    assert cache.nbytes == numbers + 2 * numbers // config.head_dim
    with pytest.raises(ValueError, match="room for 11"):
        cache.make_room(2, 12)


def test_generating_with_an_int8_cache(tales, texts):
    """The option of generate; a padded batch; the same greedy words as with floats for a while."""
    model, tokenizer = tales
    ids = tokenizer.encode("Mia had a red kite.", bos=True)
    want = list(generate(model, ids, 40, temperature=0))
    found = list(generate(model, ids, 40, temperature=0, kv_cache=Int8KVCache))
    assert found[:10] == want[:10]
    rows = generate_batch(model, [ids, ids[:4]], 10, temperature=0, kv_cache=Int8KVCache)
    assert rows[0] == want[:10]
    with torch.no_grad():
        cache = Int8KVCache(model.config, 8)
        gap = model(texts[1], cache) - model(texts[1])
    assert 0 < gap.square().mean().sqrt() < 0.05


def test_the_option_reaches_the_cache(tales, monkeypatch):
    model, made = tales[0], []

    class Seen(Int8KVCache):
        def __init__(self, *given, **options):
            super().__init__(*given, **options)
            made.append(self)

    list(generate(model, [1, 2], 20, kv_cache=Seen))
    assert len(made) == 1 and made[0].length == 21
    monkeypatch.setattr(generation.steps, "FusedDecoder", None)  # would fail if it were made
    list(generate(model, [1, 2], 20, kv_cache=Seen))

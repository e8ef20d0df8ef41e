"""LoRA against a dense W + (alpha/r) B A under autograd, and against what it promises."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from llamalab import layers
from llamalab.accounting import lora_parameters
from llamalab.alignment import lora
from llamalab.config import LlamaConfig
from llamalab.generation import FusedDecoder, generate
from llamalab.generation.fused import why_not
from llamalab.layers import KVCache
from llamalab.model import Llama, Parts
from llamalab.runtime import fused_layers
from llamalab.training import TrainConfig, make_optimizer, next_token_loss, shift, train
from llamalab.training.fused import in_fewer_passes

SIZES = dict(dim=24, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=50, hidden_dim=40)
TOKENS = torch.randint(0, 50, (3, 9), generator=torch.Generator().manual_seed(0))
EVERY = lora.TARGETS
FFN, ATTENTION = ("w1", "w2", "w3"), ("wq", "wk", "wv", "wo")


def plain(parts=None, **sizes):
    config = LlamaConfig(**{**SIZES, "max_seq_len": 20, **sizes})
    return Llama(config, parts, generator=torch.Generator().manual_seed(3))


def grown(model, targets=EVERY, rank=2, alpha=3.0, seed=5):
    """Adapters that have learned something: B is not zero any more."""
    generator = torch.Generator().manual_seed(seed)
    lora.add(model, rank, alpha, targets, generator=generator)
    for adapter in lora.adapters(model).values():
        adapter.lora_B.data.normal_(0, 0.3, generator=generator)
    return model


def loss_of(forward, tokens=TOKENS):
    inputs, targets = shift(tokens)
    return next_token_loss(forward(inputs), targets)


def dense(model):
    """A plain Llama whose matrices are W + (alpha/r) B A, as functions of A and B."""
    twin = plain(**{name: getattr(model.config, name) for name in ("n_kv_heads", "tie_embeddings")})
    twin = twin.to(model.norm.weight.dtype)
    weights = {name: weight.detach() for name, weight in twin.state_dict().items()}
    weights |= {n: w for n, w in model.state_dict(keep_vars=True).items() if "lora" not in n}
    for name, adapter in lora.adapters(model).items():
        product = torch.einsum("or,ri->oi", adapter.lora_B, adapter.lora_A)
        weights[f"{name}.weight"] = adapter.frozen + product * adapter.alpha / adapter.rank
    return lambda tokens: torch.func.functional_call(twin, weights, (tokens,))


# ---- at birth -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("sizes", [{}, {"tie_embeddings": True}, {"n_kv_heads": 6}])
def test_at_birth_nothing_is_changed(sizes, dtype):
    model = plain(**sizes).to(dtype)
    before = model(TOKENS)
    given = lora.add(model, 4, 8, EVERY)
    assert given is model
    assert torch.equal(model(TOKENS), before)
    assert all(a.lora_A.dtype == a.lora_B.dtype == dtype for a in lora.adapters(model).values())


def test_what_is_drawn():
    """B is zero. A is normal with deviation 1/sqrt(in), and a generator decides all of it."""
    model = lora.add(plain(dim=600, hidden_dim=900), 8, 8, EVERY)
    for name, adapter in lora.adapters(model).items():
        assert not adapter.lora_B.any()
        a, inputs = adapter.lora_A.detach(), adapter.frozen.shape[1]
        assert a.std().item() == pytest.approx(inputs**-0.5, rel=0.06), name
        beyond = (a.abs() > inputs**-0.5).float().mean().item()  # never, for the uniform one
        assert beyond == pytest.approx(2 * 0.1587, abs=0.05)

    def drawn(seed):
        model = lora.add(plain(), 2, 1, generator=torch.Generator().manual_seed(seed))
        return torch.cat([a.lora_A.flatten() for a in lora.adapters(model).values()])

    state = torch.get_rng_state()
    once, again, other = drawn(1), drawn(1), drawn(2)
    assert torch.equal(once, again) and not torch.equal(once, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(once.unique()) == len(once)  # every layer has its own


def test_names_and_what_is_trainable():
    model = plain()
    names = list(model.state_dict())
    lora.add(model, 2, 4)
    state = model.state_dict()
    assert [name for name in state if "lora" not in name] == names
    assert list(lora.adapters(model)) == [
        f"layers.{i}.attention.{leaf}" for i in (0, 1) for leaf in ("wq", "wv")
    ]
    only = lora.adapter_state(model)
    assert set(only) == set(state) - set(names) == set(lora.trainable_parameters(model))
    assert tuple(only["layers.1.attention.wv.lora_A"].shape) == (2, 24)
    assert tuple(only["layers.1.attention.wv.lora_B"].shape) == (8, 2)
    assert not any(tensor.requires_grad for tensor in only.values())
    fresh = lora.add(plain(), 2, 3.0)
    for assign in (False, True):
        fresh.load_state_dict(grown(plain(), ("wq", "wv")).state_dict(), assign=assign)
        assert torch.equal(fresh(TOKENS), grown(plain(), ("wq", "wv"))(TOKENS))


@pytest.mark.parametrize("targets", [("wq", "wv"), ("wk",), FFN, EVERY])
@pytest.mark.parametrize("rank", [1, 3, 8])
def test_how_many_learn(targets, rank):
    model = lora.add(plain(), rank, 1, targets)
    count = sum(weight.numel() for weight in lora.trainable_parameters(model).values())
    sides = {"wq": 48, "wk": 32, "wv": 32, "wo": 48, "w1": 64, "w2": 64, "w3": 64}
    assert count == 2 * rank * sum(sides[name] for name in targets)
    assert count == lora_parameters(model.config, rank, targets)["total"]


# ---- values and gradients -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7,), (1, 7), (2, 5, 7)])
@pytest.mark.parametrize("rank", [1, 3, 4])
def test_one_layer_is_the_dense_product(rank, shape):
    generator = torch.Generator().manual_seed(rank)
    weight = nn.Parameter(torch.randn(4, 7, generator=generator, dtype=torch.float64), False)
    layer = lora.LoRALinear(weight, rank, 5.0, generator=generator)
    layer.lora_B.data.normal_(generator=generator)
    x = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    out = torch.randn(*shape[:-1], 4, generator=generator, dtype=torch.float64)
    leaves = (x, layer.lora_A, layer.lora_B)
    whole = weight + 5.0 / rank * layer.lora_B @ layer.lora_A
    for got in (layer(x), F.linear(x, layer.weight)):
        want = torch.einsum("...i,oi->...o", x, whole)
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
        for ours, theirs in zip(
            torch.autograd.grad(got, leaves, out),
            torch.autograd.grad(want, leaves, out, retain_graph=True),
        ):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)
    assert weight.grad is None


def test_one_layer_by_hand():
    """alpha/r = 6/2 = 3; x A^T = (1 + 2, 2) = (3, 2); B gives (3 + 2) = 5; W x = 10: 10 + 15."""
    layer = lora.LoRALinear(nn.Parameter(torch.tensor([[4.0, 3.0]]).repeat(2, 1), False), 2, 6.0)
    layer.lora_A.data = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    layer.lora_B.data = torch.tensor([[1.0, 1.0], [0.0, -1.0]])
    assert layer(torch.tensor([1.0, 2.0])).tolist() == [25.0, 4.0]


@pytest.mark.parametrize("sizes", [{}, {"tie_embeddings": True}, {"n_kv_heads": 6}])
@pytest.mark.parametrize("targets", [("wq", "wv"), FFN, EVERY])
@pytest.mark.parametrize("forward", ["plain", "fused"])
def test_the_model_is_the_dense_one_and_only_a_and_b_have_gradients(targets, sizes, forward):
    model = grown(plain(**sizes).double(), targets)
    learned = lora.trainable_parameters(model)
    want = loss_of(dense(model))
    expected = torch.autograd.grad(want, list(learned.values()))
    got = loss_of(model if forward == "plain" else in_fewer_passes(model, "fused"))
    got.backward()
    assert got.item() == pytest.approx(want.item(), rel=1e-12)
    for (name, weight), gradient in zip(learned.items(), expected, strict=True):
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(weight.grad, gradient, rtol=0, atol=1e-12)
    assert all(w.grad is None for n, w in model.named_parameters() if n not in learned)


def test_the_short_road_is_taken_where_it_is_the_same_function(monkeypatch):
    taken = []
    for name in ("attention_half", "feed_forward_half"):
        half = getattr(fused_layers, name)
        monkeypatch.setattr(
            fused_layers, name, lambda *a, name=name, half=half: taken.append(name) or half(*a)
        )
    for targets, halves in {("wv",): ["feed_forward_half"] * 2, ("w2",): ["attention_half"] * 2,
                            EVERY: []}.items():  # fmt: skip
        in_fewer_passes(grown(plain(), targets), "fused")(TOKENS)
        assert taken == halves
        taken.clear()
    model = plain()
    twin = in_fewer_passes(model, "fused")  # made before the adapters, and it sees them
    grown(model)
    assert torch.equal(twin(TOKENS), model(TOKENS)) and not taken


def test_a_learners_parts_are_adapted_too():
    calls = []

    def swiglu(x, w1, w2, w3):
        calls.append(w1.requires_grad)
        return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T

    def attention(q, k, v, mask=None):
        return layers.attention_slowly(q, k, v, mask)[0]

    mine = grown(plain(Parts(swiglu=swiglu, attention=attention)).double())
    ours = grown(plain().double())
    torch.testing.assert_close(mine(TOKENS), ours(TOKENS), rtol=0, atol=1e-12)
    assert calls == [True, True]
    for model in (mine, ours):
        loss_of(model).backward()
    for a, b in zip(*(lora.trainable_parameters(m).values() for m in (mine, ours)), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-12)


def test_a_cache_gives_the_same_logits():
    model = grown(plain())
    whole, cache = model(TOKENS), KVCache(model.config, 3, 9)
    for part in (TOKENS[:, :4], TOKENS[:, 4:5], TOKENS[:, 5:]):
        logits = model(part, cache)
    torch.testing.assert_close(logits, whole[:, 5:], rtol=0, atol=1e-5)


# ---- training -------------------------------------------------------------------------------


@pytest.mark.parametrize("matmul", ["torch", "fused"])
def test_training_changes_the_adapters_alone(matmul):
    model = lora.add(plain(), 2, 4, EVERY, generator=torch.Generator().manual_seed(1))
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    learned = set(lora.trainable_parameters(model))
    config = TrainConfig(steps=8, warmup_steps=1, lr=3e-2, matmul=matmul)
    records = list(train(model, [TOKENS] * 8, config))
    assert records[-1].loss < records[0].loss - 0.1
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name]) == (name not in learned), name
    optimizer = make_optimizer(model, config)
    held = [weight for group in optimizer.param_groups for weight in group["params"]]
    assert {id(w) for w in held} == {id(w) for w in lora.trainable_parameters(model).values()}


def test_at_birth_only_b_moves():
    """The gradient of A is a product with B, which is zero."""
    model = lora.add(plain(), 2, 4, EVERY)
    loss_of(model).backward()
    for adapter in lora.adapters(model).values():
        assert not adapter.lora_A.grad.any() and adapter.lora_B.grad.any()


# ---- merged ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype, close", [(torch.float64, 1e-13), (torch.float32, 3e-5), (torch.bfloat16, 0.12)]
)
@pytest.mark.parametrize("sizes", [{}, {"tie_embeddings": True}, {"n_kv_heads": 6}])
@pytest.mark.parametrize("rank", [1, 2, 8])
def test_merged_it_is_the_same_function(rank, sizes, dtype, close):
    """close: of the largest logit."""
    model = grown(plain(**sizes).to(dtype), rank=rank)
    before, frozen = model(TOKENS), model.layers[0].attention.wq.frozen.clone()
    assert lora.merge(model) is model
    after = model(TOKENS)
    assert (after - before).abs().max() <= close * before.abs().max()
    assert not torch.equal(model.layers[0].attention.wq.weight, frozen)
    assert list(model.state_dict()) == list(plain(**sizes).state_dict())
    assert all(type(p) is nn.Linear for n, p in model.named_modules() if n[-2:] in EVERY)
    if sizes.get("tie_embeddings"):
        assert model.output.weight is model.tok_embeddings.weight


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_merging_rounds_once(dtype):
    """The weights are those of float64 arithmetic, rounded once: half a step of the dtype off, and
    float32's roundings of the summands."""
    model = grown(plain().to(dtype))
    wanted = {}
    for name, a in lora.adapters(model).items():
        W, A, B = (t.detach().double() for t in (a.frozen, a.lora_A, a.lora_B))
        summands = W.abs() + a.alpha / a.rank * B.abs() @ A.abs()
        wanted[name] = W + a.alpha / a.rank * B @ A, summands
    lora.merge(model)
    for name, (want, summands) in wanted.items():
        error = (model.get_parameter(f"{name}.weight").double() - want).abs()
        half = 0.5 * torch.finfo(dtype).eps * want.abs().clamp(min=torch.finfo(dtype).tiny)
        assert (error <= half + 2 * torch.finfo(torch.float32).eps * summands).all(), name


def test_merging_leaves_the_rest_as_it_was():
    model = plain()
    model.tok_embeddings.weight.requires_grad_(False)
    model.layers[1].attention.wv.weight.requires_grad_(False)
    model.eval()
    model.layers[0].attention.wq.train()
    asked = {name: weight.requires_grad for name, weight in model.named_parameters()}
    modes = {name: part.training for name, part in model.named_modules()}
    known, held = set(vars(model)), {n: id(w) for n, w in model.named_parameters()}
    grown(model)
    assert {n: part.training for n, part in model.named_modules() if n in modes} == modes
    adapted = copy.deepcopy(model)
    lora.merge(model)
    assert {name: weight.requires_grad for name, weight in model.named_parameters()} == asked
    assert {name: part.training for name, part in model.named_modules()} == modes
    assert {n: id(w) for n, w in model.named_parameters()} == held and set(vars(model)) == known
    inside = nn.Sequential(adapted)  # merged by way of what it stands in
    lora.merge(inside)
    assert {n: w.requires_grad for n, w in adapted.named_parameters()} == asked
    with torch.no_grad():
        torch.testing.assert_close(adapted(TOKENS), model(TOKENS), rtol=0, atol=0)
    assert loss_of(lora.merge(grown(plain()))).requires_grad


def test_a_copy_is_merged_for_decoding():
    """An adapted model takes the plain road; a FusedDecoder wants the merged copy."""
    model = grown(plain())
    assert "own parts" in why_not(model)
    with pytest.raises(ValueError, match="own parts"):
        FusedDecoder(model, 1, 20)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    merged = lora.merge(copy.deepcopy(model))
    assert why_not(merged) is None
    assert all(torch.equal(w, before[n]) for n, w in model.state_dict().items())
    decoder = FusedDecoder(merged, 3, 20)
    torch.testing.assert_close(decoder(TOKENS), model(TOKENS)[:, -1], rtol=0, atol=1e-5)
    torch.testing.assert_close(
        decoder(TOKENS[:, :1]), model(torch.cat((TOKENS, TOKENS[:, :1]), 1))[:, -1],
        rtol=0, atol=1e-5,
    )  # fmt: skip
    ids = TOKENS[0].tolist()
    slow = list(generate(model, ids, 9, temperature=0))
    assert slow == list(generate(merged, ids, 9, temperature=0))


# ---- switched off ---------------------------------------------------------------------------


def test_disabled_it_is_the_base_bit_for_bit():
    base = plain()
    model = grown(plain())
    want, adapted = base(TOKENS), model(TOKENS)
    assert not torch.equal(want, adapted)
    with lora.disabled(model) as same:
        assert same is model and torch.equal(model(TOKENS), want)
        assert torch.equal(in_fewer_passes(model, "fused")(TOKENS), want)
        assert not model(TOKENS).requires_grad
        with lora.disabled(model):
            assert torch.equal(model(TOKENS), want)
        assert torch.equal(model(TOKENS), want)  # the inner one did not switch them on
    assert torch.equal(model(TOKENS), adapted)
    with pytest.raises(KeyError, match="inside"), lora.disabled(model):
        raise KeyError("inside")
    assert torch.equal(model(TOKENS), adapted)


def test_policy_and_reference_in_one_backward_pass():
    """KL of policy and reference, one set of weights: the gradient is that of two models."""
    model, reference = grown(plain().double()), plain().double()

    def kl(policy, fixed):
        logp, logq = policy.log_softmax(-1), fixed.log_softmax(-1)
        return (logp.exp() * (logp - logq)).sum(-1).mean()

    learned = list(lora.trainable_parameters(model).values())
    with lora.disabled(model):
        fixed = model(TOKENS)
    got = torch.autograd.grad(kl(model(TOKENS), fixed), learned)
    want = torch.autograd.grad(kl(model(TOKENS), reference(TOKENS).detach()), learned)
    assert all(torch.equal(a, b) for a, b in zip(got, want))


# ---- refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rank, alpha, targets, says",
    [
        (2, 1, ("wq", "query"), "'query'; there are wq, wk, wv, wo, w1, w2, w3"),
        (2, 1, "wq", "no target called 'q'"),
        (2, 1, (), "targets is empty"),
        (2, 1, ("output",), "'output'"),
        (0, 1, ("wq",), "rank=0 must be a whole number from 1 to 24"),
        (-3, 1, ("wq",), "rank=-3"),
        (2.0, 1, ("wq",), "rank=2.0"),
        (True, 1, ("wq",), "rank=True"),
        (9, 1, ("wq", "wk"), r"rank=9 must be a whole number from 1 to 8.*\(8, 24\)"),
        (2, 0, ("wq",), "alpha=0"),
        (2, math.nan, ("wq",), "alpha=nan"),
    ],
)
def test_bad_wishes_change_nothing(rank, alpha, targets, says):
    model = plain()
    with pytest.raises(ValueError, match=says):
        lora.add(model, rank, alpha, targets)
    assert all(weight.requires_grad for weight in model.parameters())
    assert not lora.adapters(model) and set(vars(model)) == set(vars(plain()))


def test_twice_and_never():
    model = lora.add(plain(), 2, 1)
    with pytest.raises(ValueError, match="4 adapters already"):
        lora.add(model, 2, 1, ("wo",))
    with lora.disabled(model), pytest.raises(ValueError, match="wq is disabled"):
        lora.merge(model)
    lora.merge(model)
    for call in (lora.merge, lora.adapter_state, lambda m: lora.disabled(m).__enter__()):
        with pytest.raises(ValueError, match="no adapters"):
            call(model)
    with pytest.raises(ValueError, match="no linear layer called w1"):
        lora.add(plain().layers[0].attention, 2, 1, ("wq", "w1"))


def test_the_largest_rank_is_the_smaller_side():
    model = grown(plain(), ("wk", "w2"), rank=8)
    assert model.layers[0].feed_forward.w2.lora_A.shape == (8, 40)
    model = grown(plain(), ("w2",), rank=24)
    torch.testing.assert_close(
        lora.merge(copy.deepcopy(model))(TOKENS), model(TOKENS), rtol=0, atol=2e-5
    )


def test_on_the_meta_device_nothing_is_drawn():
    with torch.device("meta"):
        model = lora.add(Llama(LlamaConfig.from_name("llama-2-70b", n_layers=4)), 8, 16)
    count = sum(weight.numel() for weight in lora.trainable_parameters(model).values())
    assert count == 16_384_000 // 20 and all(weight.is_meta for weight in model.parameters())


# ---- the tests can fail ---------------------------------------------------------------------

MUTANTS = {
    "alpha times rank": ("self.alpha / self.rank", "self.alpha * self.rank"),
    "no scale": ("self.alpha / self.rank * F", "F"),
    "another scale in merge": ("adapter.alpha / adapter.rank", "adapter.alpha / 2"),
    "merge keeps the adapter": ("setattr(model.get_submodule(parent)", "(lambda *a: 0)(parent"),
    "merge subtracts": ("weight.to(wide) +", "weight.to(wide) -"),
    "all stays trainable": ("weight.requires_grad_(False)", "weight.requires_grad_()"),
    "B is drawn": ("drawn.new_zeros(outputs, rank)", "drawn.new_zeros(outputs, rank) + 1e-4"),
    "disabled forgets to come back": ("adapter.enabled = enabled", "adapter.enabled = False"),
    "disabled does not nest": ("adapter.enabled = enabled", "adapter.enabled = True"),
    "disabled in half": ("if not self.enabled:\n            return y", "if 0:\n            pass"),
    "the frozen one is read": ("return self.frozen + self", "return self.frozen + 0 * self"),
    "nothing is given back": ("weight.requires_grad or name in learned", "True"),
}  # fmt: skip


def probes(module):
    """The claims above in one function, so that they can be asked of a broken copy."""
    base, model = plain(), plain()
    model.tok_embeddings.weight.requires_grad_(False)
    module.add(model, 3, 5.0, EVERY, generator=torch.Generator().manual_seed(2))
    want = base(TOKENS)
    assert torch.equal(model(TOKENS), want)
    assert all("lora" in name for name in lora.trainable_parameters(model))
    for adapter in module.adapters(model).values():
        adapter.lora_B.data.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    for name, adapter in module.adapters(model).items():
        whole = base.get_parameter(f"{name}.weight") + 5 / 3 * adapter.lora_B @ adapter.lora_A
        x = torch.ones(whole.shape[1])
        torch.testing.assert_close(adapter(x), whole @ x, rtol=0, atol=1e-5)
        torch.testing.assert_close(adapter.weight, whole, rtol=0, atol=1e-6)
    adapted = model(TOKENS)
    with module.disabled(model):
        with module.disabled(model):
            pass
        assert torch.equal(model(TOKENS), want)
    assert torch.equal(model(TOKENS), adapted)
    module.merge(model)
    torch.testing.assert_close(model(TOKENS), adapted, rtol=0, atol=3e-5)
    assert not module.adapters(model)
    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    assert frozen == ["tok_embeddings.weight"]


@pytest.mark.parametrize("name", [None, *MUTANTS])
def test_a_broken_copy_is_caught(name):
    with open(lora.__file__, encoding="utf-8") as file:
        text = file.read()
    broken = type(lora)("broken")
    if name is None:
        exec(text, vars(broken))
        return probes(broken)
    right, wrong = MUTANTS[name]
    assert right in text
    exec(text.replace(right, wrong), vars(broken))
    with pytest.raises((AssertionError, ValueError, AttributeError, TypeError)):
        probes(broken)

"""A right answer passes however it sums; a gradient that is cut, nan or wrong is told by name."""

import pytest
import torch

from llamalab.course.catalogue import find
from llamalab.course.engine import Exercise, seeded
from llamalab.course.engine.cuts import cut_words
from llamalab.course.engine.gradients import Gradients, gradient_difference, leaves, pull_back
from tests.course.engine.learner import cell

HEAD = "import math, torch\nimport torch.nn.functional as F\nfrom torch import einsum\n"

RIGHT = {
    "embed_product": [
        "def embed_product(tokens, weight):\n"
        "    return F.one_hot(tokens, len(weight)).to(weight) @ weight",
        "def embed_product(tokens, weight):\n    return weight[tokens]",
        "def embed_product(tokens, weight):\n"
        "    hot = torch.eye(len(weight), dtype=weight.dtype)[tokens]\n"
        "    return einsum('btv,vd->btd', hot, weight)",
    ],
    "rms_norm": [
        "def rms_norm(x, weight, eps):\n    return F.rms_norm(x, weight.shape, weight, eps)",
        "def rms_norm(x, weight, eps):\n"
        "    size = x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5\n"
        "    return weight * x / (size**2 + eps).sqrt()",
        "def rms_norm(x, weight, eps):\n"
        "    square = (x * x).sum(-1) / x.size(-1)\n"
        "    return weight * (x / torch.sqrt(square + eps)[..., None])",
        "def rms_norm(x, weight, eps):\n"
        "    return einsum('...d,d,...->...d', x, weight, (x.square().mean(-1) + eps) ** -0.5)",
    ],
    "rms_norm_half": [
        "def rms_norm_half(x, weight, eps):\n"
        "    w = x.to(torch.float32)\n"
        "    return weight * (w / (w.square().mean(-1, True) + eps).sqrt()).type_as(x)",
        "def rms_norm_half(x, weight, eps):\n"
        "    return F.rms_norm(x.float(), x.shape[-1:], None, eps).to(x.dtype) * weight",
    ],
    "rope": [
        "def apply_rope(x, cos, sin):\n"
        "    z = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)).contiguous())\n"
        "    z = z * torch.complex(cos, sin).unsqueeze(-2)\n"
        "    return torch.view_as_real(z).flatten(3).type_as(x)",
        "def apply_rope(x, cos, sin):\n"
        "    c, s = (t.repeat_interleave(2, -1).unsqueeze(-2) for t in (cos, sin))\n"
        "    y = x.float()\n"
        "    partner = torch.stack((-y[..., 1::2], y[..., ::2]), -1).flatten(-2)\n"
        "    return (y * c + partner * s).to(x.dtype)",
        "def apply_rope(x, cos, sin):\n"
        "    out = torch.empty_like(x)\n"
        "    c, s = cos.unsqueeze(-2), sin.unsqueeze(-2)\n"
        "    out[..., ::2] = x[..., ::2] * c - x[..., 1::2] * s\n"
        "    out[..., 1::2] = x[..., ::2] * s + x[..., 1::2] * c\n"
        "    return out",
    ],
    "one_head": [
        "def one_head(q, k, v):\n"
        "    mask = torch.ones(len(q), len(k), dtype=torch.bool).tril(len(k) - len(q))\n"
        "    return F.scaled_dot_product_attention(q[None], k[None], v[None], mask)[0]",
        "def one_head(q, k, v):\n"
        "    T, S = len(q), len(k)\n"
        "    out = []\n"
        "    for t in range(T):\n"
        "        seen = S - T + t + 1\n"
        "        s = (k[:seen] * q[t]).sum(1) / math.sqrt(q.shape[1])\n"
        "        e = (s - s.max()).exp()\n"
        "        out.append((e[:, None] * v[:seen]).sum(0) / e.sum())\n"
        "    return torch.stack(out)",
    ],
    "attention": [
        "def attention(q, k, v, mask=None):\n"
        "    n = q.shape[2] // k.shape[2]\n"
        "    if mask is None:\n"
        "        T, S = q.shape[1], k.shape[1]\n"
        "        mask = torch.ones(T, S, dtype=torch.bool).tril(S - T)\n"
        "    if mask.ndim == 3:\n        mask = mask[:, None]\n"
        "    q, k, v = (x.transpose(1, 2) for x in (q, k, v))\n"
        "    out = F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True)\n"
        "    return out.transpose(1, 2)",
        "def attention(q, k, v, mask=None):\n"
        "    B, T, H, D = q.shape\n"
        "    S, G = k.shape[1:3]\n"
        "    if mask is None:\n        mask = torch.ones(T, S, dtype=torch.bool).tril(S - T)\n"
        "    if mask.ndim == 2:\n        mask = mask[None]\n"
        "    grouped = q.reshape(B, T, G, H // G, D)\n"
        "    s = einsum('btgnd,bsgd->bgnts', grouped, k).float() / math.sqrt(D)\n"
        "    s = s + torch.zeros_like(s).masked_fill(~mask[:, None, None], -math.inf)\n"
        "    e = (s - s.amax(-1, keepdim=True)).exp()\n"
        "    w = (e / e.sum(-1, keepdim=True)).type_as(v)\n"
        "    return einsum('bgnts,bsgd->btgnd', w, v).reshape(B, T, H, D)",
    ],
    "silu": [
        "def silu(x):\n    return F.silu(x)",
        "def silu(x):\n    return x.sigmoid() * x",
        "def silu(x):\n    return x * torch.exp(F.logsigmoid(x))",
        "def silu(x):\n"
        "    wide = torch.promote_types(x.dtype, torch.float32)\n"
        "    e = torch.exp(-x.to(wide).abs())\n"
        "    return (x * torch.where(x >= 0, 1 / (1 + e), e / (1 + e))).type_as(x)",
    ],
    "swiglu": [
        "def swiglu(x, w1, w2, w3):\n    return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T",
        "def swiglu(x, w1, w2, w3):\n"
        "    return F.linear(F.silu(F.linear(x, w1)) * F.linear(x, w3), w2)",
        "def swiglu(x, w1, w2, w3):\n"
        "    both = x @ torch.cat((w1, w3)).T\n"
        "    gate, up = both.chunk(2, -1)\n"
        "    return einsum('...h,dh->...d', up * gate * gate.sigmoid(), w2)",
    ],
    "block": [
        "def block(x, attention_norm, attention, ffn_norm, feed_forward):\n"
        "    x = attention(attention_norm(x)) + x\n"
        "    return feed_forward(ffn_norm(x)) + x",
    ],
    "masked_loss": [
        "def masked_loss(logits, tokens, mask):\n"
        "    p = logits[:, :-1].float().log_softmax(-1)\n"
        "    chosen = p.gather(2, tokens[:, 1:, None])[..., 0]\n"
        "    return -chosen[mask[:, 1:]].mean()",
        "def masked_loss(logits, tokens, mask):\n"
        "    targets = tokens[:, 1:].masked_fill(~mask[:, 1:], -100)\n"
        "    return F.cross_entropy(logits[:, :-1].float().transpose(1, 2), targets)",
        "def masked_loss(logits, tokens, mask):\n"
        "    x, y, m = logits[:, :-1].float(), tokens[:, 1:], mask[:, 1:].float()\n"
        "    lse = x.logsumexp(-1)\n"
        "    picked = (x * F.one_hot(y, x.shape[-1])).sum(-1)\n"
        "    return ((lse - picked) * m).sum() / m.sum()",
    ],
}


@pytest.fixture(autouse=True)
def my_llama(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMALAB_MY_LLAMA", str(tmp_path))


def answer(code, name):
    return cell(HEAD + code)[find(name).answer.__name__]


@pytest.mark.parametrize(
    "name, code", [(n, c) for n, codes in RIGHT.items() for c in codes],
    ids=[f"{n}-{i}" for n, codes in RIGHT.items() for i in range(len(codes))],
)  # fmt: skip
def test_a_right_answer_in_another_order_passes(name, code):
    result = find(name).check(answer(code, name))
    assert result == find(name).points, result.text


WRONG = {
    "a weight by .data": ("swiglu", "no gradient reaches `w1`",
        "def swiglu(x, w1, w2, w3):\n    return (F.silu(x @ w1.data.T) * (x @ w3.T)) @ w2.T"),
    "half of a product": ("silu", "the gradient of `x` is wrong in",
        "def silu(x):\n    return x * torch.sigmoid(x.detach())"),
    "nan": ("silu", "the gradient of `x` is nan or infinite in",
        "def silu(x):\n    y = x if x.dtype == torch.float64 else x.float()\n"
        "    e = torch.exp(-y)\n    return (y / (1 + e)).to(x.dtype)"),
    "some rows": ("one_head", "the gradient reaches `q` only in part",
        "def one_head(q, k, v):\n    q = torch.cat((q[:1].detach(), q[1:]))\n"
        "    T, S = len(q), len(k)\n"
        "    hidden = torch.ones(T, S, dtype=torch.bool).triu(S - T + 1)\n"
        "    return (q @ k.T / q.shape[1]**0.5).masked_fill(hidden, -math.inf).softmax(-1) @ v"),
    "weights under no_grad": ("attention", "no gradient reaches `q`",
        "def attention(q, k, v, mask=None):\n"
        "    (B, T, H, D), (S, G) = q.shape, k.shape[1:3]\n"
        "    k, v = (x.repeat_interleave(H // G, 2) for x in (k, v))\n"
        "    q, k, v = (x.transpose(1, 2) for x in (q, k, v))\n"
        "    if mask is None:\n        mask = torch.ones(T, S, dtype=torch.bool).tril(S - T)\n"
        "    with torch.no_grad():\n"
        "        s = (q @ k.transpose(2, 3) / D**0.5).masked_fill(~mask.unsqueeze(-3), -math.inf)\n"
        "        w = s.float().softmax(-1).type_as(v)\n"
        "    return (w @ v).transpose(1, 2)"),
    "a gradient of 1 everywhere": ("masked_loss", "the gradient of `logits` is wrong in",
        "def masked_loss(logits, tokens, mask):\n"
        "    x, y, m = logits[:, :-1].float(), tokens[:, 1:], mask[:, 1:]\n"
        "    l = F.cross_entropy(x.detach().transpose(1, 2), y, reduction='none')\n"
        "    return (l * m).sum() / m.sum() + (x - x.detach()).sum()"),
    "a skip detached": ("block", "the gradient of `x` is wrong in",
        "def block(x, attention_norm, attention, ffn_norm, feed_forward):\n"
        "    h = x.detach() + attention(attention_norm(x))\n"
        "    return h + feed_forward(ffn_norm(h))"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_gradient_is_told_by_name_place_and_numbers(what):
    name, words, code = WRONG[what]
    result = find(name).check(answer(code, name))
    assert (result, result.kind) == (0, "gradient"), result.text
    assert words[1:] in result.text, result.text
    assert "and should be" in result.text and "expected" in result.text


def scaled(parts, table, factor):
    return [p * table["by"] * factor for p in parts]


SCALED = Exercise(
    name="scaled",
    title="Scale all",
    points=1,
    minutes=1,
    answer=scaled,
    reference=scaled.__class__(scaled.__code__, {}),
    probes=lambda: [
        ([torch.randn(2, 3, generator=seeded(1)), torch.ones(4)], {"by": torch.tensor(2.0)}, 3.0),
        ((torch.ones(2).double(), torch.ones(1).double()), {"by": torch.tensor(2.0).double()}, 1),
    ],
    misconceptions=(),
    hints=("Multiply.", "Multiply each."),
    gradients=True,
)


def judged(body):
    code = f"def scaled(parts, table, factor):\n    {body}\n"
    return SCALED.check(cell(HEAD + code)["scaled"])


def test_tensors_inside_lists_and_tables_are_asked_too():
    assert judged("return [p * factor * table['by'] for p in parts]") == 1
    cut = judged(
        "return [parts[0] * table['by'] * factor, parts[1].detach() * table['by'] * factor]"
    )
    assert cut.kind == "gradient" and "`parts[1]`" in cut.text and "`.detach`" in cut.text
    cut = judged("return [p * table['by'].item() * factor for p in parts]")
    assert cut.kind == "gradient" and "`table['by']`" in cut.text and "`.item`" in cut.text


def test_what_autograd_cannot_do_is_told_kindly():
    body = "p = parts[0]\n    p *= 1\n    return [x * table['by'] * factor for x in parts]"
    result = judged(body)
    assert result.kind == "gradient" and "Build a new tensor" in result.text
    assert "`p *= 1`" in result.text and "leaf Variable" not in result.text
    body = "y = [torch.exp(p * 0) for p in parts]\n    out = [p * table['by'] * factor * e "
    body += "for p, e in zip(parts, y)]\n    y[0].mul_(1)\n    return out"
    result = judged(body)
    assert result.kind == "gradient" and "Build a new tensor" in result.text
    body = "return [torch.from_numpy(p.numpy()) * table['by'] * factor for p in parts]"
    result = judged(body)
    assert result.kind == "gradient" and "numpy" in result.text


def test_a_notebook_that_switched_gradients_off_is_judged_all_the_same():
    with torch.no_grad():
        assert judged("return [p * factor * table['by'] for p in parts]") == 1


def test_a_view_stays_a_view():
    whole = torch.arange(12.0).reshape(3, 4)
    given, found = leaves((whole.T[1:],), ["x"])
    assert given[0].stride() == whole.T[1:].stride() and given[0].requires_grad
    assert list(found) == ["x"] and not whole.requires_grad


def test_none_counts_as_zeros_and_what_the_reference_loses_is_not_asked():
    x = torch.ones(3, requires_grad=True)
    nothing, zeros = Gradients({"x": None}), Gradients({"x": torch.zeros(3)})
    assert gradient_difference(nothing, zeros) is None
    assert gradient_difference(zeros, nothing) is None
    lost = Gradients({"x": torch.tensor([float("nan"), 1.0, 1.0])})
    assert gradient_difference(Gradients({"x": torch.ones(3)}), lost) is None
    assert "nan" in gradient_difference(lost, Gradients({"x": torch.ones(3)})).says
    assert pull_back(x * 2, {"x": x}, 3).of["x"].equal(pull_back(x + x, {"x": x}, 3).of["x"])


def test_a_gradient_that_should_not_be_is_called_that_and_the_right_cut_is_not_pointed_at():
    code = (
        "def ppo_loss(logp_new, logp_old, advantages, mask, clip):\n"
        "    rho = (logp_new - logp_old.detach()).exp()\n"
        "    gain = torch.min(rho * advantages, rho.clamp(1 - clip, 1 + clip) * advantages)\n"
        "    return -(gain * mask).sum() / mask.sum()"
    )
    result = find("ppo_loss").check(cell(HEAD + code)["ppo_loss"])
    assert (result.kind, result.named) == ("gradient", "advantages_learn")
    assert "A gradient reaches `advantages`, and none should" in result.text
    assert "Look at" not in result.text


def test_the_guilty_cut_is_pointed_at_and_not_the_first():
    code = (
        "def ppo_loss(logp_new, logp_old, advantages, mask, clip):\n"
        "    old, A = logp_old.detach(), advantages.detach()\n"
        "    rho = (logp_new - old).exp()\n"
        "    held = rho.detach().clamp(1 - clip, 1 + clip)\n"
        "    gain = torch.min(rho * A, held * A)\n"
        "    return -(gain * mask).sum() / mask.sum()"
    )
    result = find("ppo_loss").check(cell(HEAD + code)["ppo_loss"])
    assert result.kind == "gradient"
    assert "Look at `.detach` in line 4 of the function" in result.text


POINTED_AT = {
    "y = x.detach()\n    return y * w": ("w", ""),
    "y = w.detach()\n    z = x.detach()\n    return y * z": ("x", "`.detach` in line 3"),
    "a, b = w.detach(), x\n    return a * b.data": ("x", "`.data` in line 3"),
    "y = w.item()\n    with torch.no_grad():\n        z = x + 1\n    return y * z":
        ("x", "`no_grad` in line 3"),
    "parts = []\n    for v in x:\n        parts.append(v)\n    y = torch.stack(parts)\n"
    "    return w.detach() * y.detach()": ("x", "`.detach` in line 6"),
    "y = torch.exp(w).detach()\n    return torch.tensor([float(v) for v in x]) * y":
        ("x", "`torch.tensor` in line 3"),
    "y = w.detach() * x\n    y += y.detach()\n    return y": ("x", "`.detach` in line 3"),
    "return x * w.detach()": ("x[0]", ""),
    "return w * x.detach()": ("x[0]", "`.detach` in line 2"),
}  # fmt: skip


@pytest.mark.parametrize("body", POINTED_AT)
def test_a_cut_counts_if_the_argument_is_in_what_it_cuts_off(body):
    place, words = POINTED_AT[body]
    function = cell(f"import torch\n\n\ndef f(x, w):\n    {body}\n")["f"]
    said = cut_words(function, place)
    assert (words in said) if words else said == ""


def test_a_decorator_that_cuts_is_pointed_at_and_a_function_without_a_text_is_not():
    code = "import torch\n@torch.no_grad()\ndef f(x):\n    return x * 2\n"
    assert "`no_grad` in line 1" in cut_words(cell(code)["f"], "x")
    assert cut_words(torch.exp, "x") == ""


def test_a_cut_that_is_only_looked_at_is_not_the_guilty_one():
    code = """
def looks(x):
    with torch.no_grad():
        size = x.norm()
    print(size, x.detach().sum())
    if x.max().item() > 3:
        pass
    y = x.data * 2
    return y

def sums(x):
    parts = []
    for row in x:
        parts.append(row.detach())
    return torch.stack(parts)

def blocks(x):
    with torch.no_grad():
        y = x * 2
    return y + 1

def returns(x):
    return x.detach() + 1

def in_place(x):
    y = x * 1
    y.detach_()
    return y
"""
    found = cell(code, torch=torch)
    shown = {name: cut_words(found[name], "x") for name in
             ("looks", "sums", "blocks", "returns", "in_place")}  # fmt: skip
    assert "`.data` in line 7" in shown["looks"], shown
    assert "`.detach` in line 4" in shown["sums"] and "`no_grad` in line 2" in shown["blocks"]
    assert "`.detach` in line 2" in shown["returns"]
    assert "`.detach_` in line 3" in shown["in_place"]

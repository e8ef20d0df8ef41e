"""The learner's debugger: a model broken in one place is found in that place."""

import pytest
import torch

from llamalab import layers
from llamalab.config import LlamaConfig
from llamalab.course import mine
from llamalab.course.catalogue import find
from llamalab.course.engine import answers, source
from llamalab.course.trace import compare_models, fresh_pair, trace
from llamalab.layers import KVCache
from llamalab.model import Llama, Parts
from tests.course.engine.learner import cell

TINY = LlamaConfig.from_name("tiny")
TABLE = layers.rope_table(TINY.head_dim, TINY.max_seq_len, TINY.rope_theta)


def repeats_wrongly(q, k, v, mask=None):
    n = q.shape[2] // k.shape[2]
    return layers.attention(q, k.repeat(1, 1, n, 1), v.repeat(1, 1, n, 1), mask)


def starts_at_zero(x, cos, sin):
    return layers.apply_rope(x, TABLE[0][: x.shape[1]], TABLE[1][: x.shape[1]])


def late_slip(x, cos, sin):
    turned = layers.apply_rope(x, cos, sin)
    turned[:, 17:] *= 1.01
    return turned


def test_equal_models_agree_in_every_step():
    theirs, ours, tokens = fresh_pair(TINY, Parts())
    found = compare_models(theirs, ours, tokens)
    assert found.same and found.agreed == found.steps == len(trace(ours, tokens))
    assert "agree" in repr(found)


@pytest.mark.parametrize(
    "parts, step, position",
    [
        (Parts(attention=repeats_wrongly), "layers.0.attention.attention", 0),
        (Parts(apply_rope=late_slip), "layers.0.attention.apply_rope (q)", 17),
        (Parts(rms_norm=lambda x, w, eps: x), "layers.0.attention_norm.rms_norm", 0),
        (Parts(swiglu=lambda x, w1, w2, w3: layers.swiglu(x, w3, w2, w1)),
         "layers.0.feed_forward.swiglu", 0),
    ],
)  # fmt: skip
def test_a_broken_part_is_found(parts, step, position):
    found = compare_models(*fresh_pair(TINY, parts))
    assert (found.step, found.position, found.layer) == (step, position, 0)
    assert found.size > 0 and step in repr(found) and f"position {position}" in repr(found)


def test_a_rope_that_ignores_its_positions_is_found_behind_a_cache():
    found = compare_models(*fresh_pair(TINY, Parts(apply_rope=starts_at_zero)))
    assert found.step == "layers.0.attention.apply_rope (q)" and found.position == 8
    assert "behind a cache of 8" in repr(found)


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("name", ["attention.wk", "attention.wo", "feed_forward.w3"])
def test_a_broken_weight_is_found(layer, name):
    theirs, ours, tokens = fresh_pair(TINY, Parts())
    with torch.no_grad():
        theirs.get_parameter(f"layers.{layer}.{name}.weight")[5] += 1.0
    found = compare_models(theirs, ours, tokens)
    assert found.layer == layer
    part = "feed_forward.swiglu" if "w3" in name else name
    assert found.step == f"layers.{layer}.{part}"


def under_no_grad(q, k, v, mask=None):
    """Right values; the weights are cut off, so wq and wk never learn."""
    with torch.no_grad():
        _, weights = layers.attention_slowly(q, k, v, mask)
    spread = v.repeat_interleave(q.shape[2] // v.shape[2], dim=2)
    return torch.einsum("bhts,bshd->bthd", weights, spread)


def gate_by_data(x, w1, w2, w3):
    return layers.swiglu(x, w1.data, w2, w3)


def nan_behind_large_gates(x, w1, w2, w3):
    gate = x @ w1.T
    return (gate / (1 + torch.exp(-gate)) * (x @ w3.T)) @ w2.T


def norm_cut(x, weight, eps):
    return layers.rms_norm(x, weight.detach(), eps)


@pytest.mark.parametrize(
    "parts, step, words",
    [
        (Parts(attention=under_no_grad), "layers.1.attention.attention", "reaches `q`"),
        (Parts(swiglu=gate_by_data), "layers.1.feed_forward.swiglu", "reaches `w1`"),
        (Parts(swiglu=nan_behind_large_gates), "layers.1.feed_forward.swiglu", "nan"),
        (Parts(rms_norm=norm_cut), "norm.rms_norm", "reaches `weight`"),
        (Parts(apply_rope=lambda x, c, s: layers.apply_rope(x.detach(), c, s)),
         "layers.1.attention.apply_rope (k)", "reaches `x`"),
    ],
)  # fmt: skip
def test_a_gradient_that_is_cut_is_found_where_it_is_cut(parts, step, words):
    last = TINY.n_layers - 1
    found = compare_models(*fresh_pair(TINY, parts))
    step = step.replace("layers.1", f"layers.{last}")
    assert (found.kind, found.step) == ("gradient", step), found
    assert not found.same and words in found.says and step in repr(found)


def test_right_parts_in_another_order_agree_on_the_way_back_too():
    parts = Parts(
        attention=lambda q, k, v, mask=None: layers.attention_slowly(q, k, v, mask)[0],
        swiglu=lambda x, w1, w2, w3: ((x @ w1.T).sigmoid() * (x @ w1.T) * (x @ w3.T)) @ w2.T,
        rms_norm=lambda x, w, eps: torch.nn.functional.rms_norm(x, w.shape, w, eps),
    )
    found = compare_models(*fresh_pair(TINY, parts))
    assert found.same, found


def test_one_token_alone_and_one_row_alone_are_read_too():
    def squeezes(q, k, v, mask=None):
        return layers.attention(q, k, v, mask).squeeze(1)

    found = compare_models(*fresh_pair(TINY, Parts(attention=squeezes)))
    assert not found.same and "shape" in found.says

    def only_many(x, cos, sin):
        return layers.apply_rope(x, cos, sin) * (1.0 if len(x) > 1 else 2.0)

    assert not compare_models(*fresh_pair(TINY, Parts(apply_rope=only_many))).same


def test_a_model_is_as_it_was_after_the_way_back():
    theirs, ours, tokens = fresh_pair(TINY, Parts())
    before = {name: w.clone() for name, w in theirs.named_parameters()}
    compare_models(theirs, ours, tokens)
    assert all(torch.equal(w, before[n]) for n, w in theirs.named_parameters())
    assert all(w.grad is None for w in theirs.parameters())


def test_errors_none_and_shapes_are_said():
    def raises(x, cos, sin):
        return x @ torch.zeros(7, 7)

    found = compare_models(*fresh_pair(TINY, Parts(apply_rope=raises)))
    assert "RuntimeError" in found.says and found.step.endswith("apply_rope (q)")
    found = compare_models(*fresh_pair(TINY, Parts(swiglu=lambda *a: None)))
    assert "return" in found.says
    found = compare_models(*fresh_pair(TINY, Parts(rms_norm=lambda x, w, eps: x[:, 1:] * w)))
    assert "(2, 23, 96), and should be (2, 24, 96)" in found.says
    nan = Parts(rms_norm=lambda x, w, eps: layers.rms_norm(x, w, eps) * float("nan"))
    assert compare_models(*fresh_pair(TINY, nan)).step == "layers.0.attention_norm.rms_norm"


def test_a_traced_model_is_as_it_was():
    _, model, tokens = fresh_pair(TINY, Parts())
    before = model(tokens)
    trace(model, tokens)
    assert torch.equal(model(tokens), before)
    block = model.layers[0].attention
    assert block.apply_rope is layers.apply_rope
    assert not any(module._forward_hooks for module in model.modules())


def test_two_shapes_are_refused():
    other = Llama(LlamaConfig.from_name("tales"))
    _, ours, tokens = fresh_pair(TINY, Parts())
    with pytest.raises(ValueError, match="shapes"):
        compare_models(other, ours, tokens)


# -- the learner's own ------------------------------------------------------------------------


@pytest.fixture
def my_llama(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMALAB_MY_LLAMA", str(tmp_path))
    return tmp_path


ROPE = """import torch

def apply_rope(x, cos, sin):
    a, b = x[..., 0::2], x[..., 1::2]
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return torch.stack((a * cos {sign} b * sin, a * sin + b * cos), -1).flatten(-2)
"""


def test_parts_are_the_learners_where_there_are_any(my_llama):
    assert mine.parts() == Parts()
    assert set(mine.whose().values()) == {"ours"}
    answers.save("rope", ROPE.format(sign="-"))
    parts = mine.parts()
    assert parts.apply_rope is not layers.apply_rope and parts.attention is layers.attention
    assert mine.whose()["apply_rope"] == "rope"
    assert mine.compare().same


def test_compare_runs_the_learners_model(my_llama):
    answers.save("rope", ROPE.format(sign="+"))
    found = mine.compare()
    assert found.step == "layers.0.attention.apply_rope (q)"
    assert found.position == 1  # at position 0 nothing turns, and both are right


def test_compare_takes_a_model(my_llama):
    broken = Llama(TINY, Parts(attention=repeats_wrongly))
    assert mine.compare(broken).step == "layers.0.attention.attention"


def test_the_half_precision_norm_is_preferred(my_llama):
    text = "def {}(x, weight, eps):\n    return x * {}\n"
    answers.save("rms_norm", text.format("rms_norm", 1))
    assert mine.whose()["rms_norm"] == "rms_norm"
    answers.save("rms_norm_half", text.format("rms_norm_half", 2))
    assert mine.whose()["rms_norm"] == "rms_norm_half"
    assert mine.parts().rms_norm(3, None, None) == 6


def test_the_banks_answers_make_a_whole_model(my_llama):
    """Solve the four exercises as a learner would; their model is ours to the last step, padded
    batches and a bfloat16 model included."""
    for exercise in map(find, ("rms_norm_half", "rope", "attention", "swiglu")):
        answer = cell(source.source_of(exercise.answer), **exercise.answer.__globals__)
        assert exercise.check(answer[exercise.answer.__name__]) == exercise.points
    assert "ours" not in mine.whose().values()
    assert mine.compare().same
    theirs, ours, tokens = fresh_pair(TINY, mine.parts())
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.01)):
        logits = []
        for model in (theirs.to(dtype), ours.to(dtype)):
            cache = KVCache(TINY, 2, 24, padding=torch.tensor([5, 0]), dtype=dtype)
            pieces = [model(piece, cache) for piece in tokens.split([9, 1, 14], dim=1)]
            logits.append(torch.cat(pieces, dim=1)[0, 5:])
        torch.testing.assert_close(*logits, rtol=tolerance, atol=tolerance)

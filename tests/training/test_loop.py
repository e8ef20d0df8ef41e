"""The loop: its records, its refusals, and ten steps against the same ten of transformers."""

import math

import pytest
import torch
from torch import nn
from transformers import LlamaForCausalLM, get_cosine_with_min_lr_schedule_with_warmup

from llamalab import formats
from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.training import (
    NonFiniteLoss,
    TrainConfig,
    TrainState,
    evaluate,
    make_optimizer,
    next_token_loss,
    shift,
    train,
)

CONFIG = LlamaConfig(dim=24, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=40, max_seq_len=16)


def small(dtype=torch.float32):
    return Llama(CONFIG, generator=torch.Generator().manual_seed(0)).to(dtype)


def batches_of(count, rows=3, length=10, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(40, (rows, length), generator=generator) for _ in range(count)]


def weights_of(model):
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def largest_difference(a, b):
    return max(float((a[name] - b[name]).abs().max()) for name in a)


# ---- against transformers -------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Detected call of")
def test_ten_steps_are_those_of_transformers(tmp_path):
    """The same model, the same batches, torch's own loss, clip and AdamW, their schedule."""
    ours = small()
    formats.save(ours, tmp_path / "before", format="hf")
    theirs = LlamaForCausalLM.from_pretrained(tmp_path / "before", dtype=torch.float32)
    batches = batches_of(10)
    config = TrainConfig(steps=10, lr=0.01, warmup_steps=3)
    records = list(train(ours, batches, config))

    matrices = [w for n, w in theirs.named_parameters() if w.ndim == 2 and "embed_tokens" not in n]
    others = [w for n, w in theirs.named_parameters() if w.ndim == 1 or "embed_tokens" in n]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=0.01, betas=(0.9, 0.95), eps=1e-5, fused=False, foreach=False,
    )  # fmt: skip
    schedule = get_cosine_with_min_lr_schedule_with_warmup(optimizer, 3, 10, min_lr_rate=0.1)
    for record, tokens in zip(records, batches):
        schedule.step()
        loss = theirs(tokens, labels=tokens).loss
        loss.backward()
        norm = nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        assert record.loss == pytest.approx(loss.item(), abs=1e-5), record.step
        assert record.grad_norm == pytest.approx(norm.item(), rel=1e-4)
    assert len(records) == 10 and any(r.grad_norm > 1 for r in records)
    theirs.save_pretrained(tmp_path / "after")
    held, _ = formats.load(tmp_path / "after")
    assert largest_difference(weights_of(held), weights_of(ours)) < 1e-4
    assert largest_difference(weights_of(held), weights_of(small())) > 0.02


# ---- accumulation ---------------------------------------------------------------------------


class Watched(torch.optim.Optimizer):
    """Takes no step, and keeps the gradients that it was given."""

    def __init__(self, model):
        super().__init__(model.parameters(), {"lr": 0.0})
        self.model, self.seen = model, []

    def step(self):
        self.seen.append({n: w.grad.clone() for n, w in self.model.named_parameters()})


def gradients(model, batches, accumulate):
    state = TrainState(Watched(model))
    config = TrainConfig(steps=1, grad_accum_steps=accumulate, max_grad_norm=1e9)
    (record,) = train(model, batches, config, state=state)
    return state.optimizer.seen[0], record


def masked(dtype):
    """Six rows in three micro-batches whose masks count very different numbers."""
    tokens = torch.cat(batches_of(3, rows=2))  # (6, 10)
    mask = torch.zeros(6, 10, dtype=torch.bool)
    mask[0, 3] = True
    mask[2:4, 1:] = True
    mask[4, 5:8] = True
    if dtype is torch.bool:
        return tokens, mask
    return tokens, mask * torch.rand(6, 10, generator=torch.Generator().manual_seed(2)).to(dtype)


@pytest.mark.parametrize("kind", [torch.bool, torch.float64])
def test_micro_batches_add_up_to_the_whole_batch(kind):
    tokens, mask = masked(kind)
    parts = [(tokens[i : i + 2], mask[i : i + 2]) for i in (0, 2, 4)]
    got, record = gradients(small(torch.float64), parts, 3)
    want, whole = gradients(small(torch.float64), [(tokens, mask)], 1)
    assert largest_difference(got, want) < 1e-12
    assert record.loss == pytest.approx(whole.loss, abs=1e-12)
    assert record.tokens == whole.tokens == round(float(mask[:, 1:].sum()))

    model = small(torch.float64)  # the same without the loop, by torch alone
    inputs, targets = shift(tokens)
    loss = next_token_loss(model(inputs), targets, mask[:, 1:])
    loss.backward()
    outside = {name: weight.grad for name, weight in model.named_parameters()}
    assert largest_difference(got, outside) < 1e-12
    assert record.loss == pytest.approx(loss.item(), abs=1e-12)

    model = small(torch.float64)  # and the mean of means is another thing
    for part, held in parts:
        inputs, targets = shift(part)
        (next_token_loss(model(inputs), targets, held[:, 1:]) / 3).backward()
    means = {name: weight.grad for name, weight in model.named_parameters()}
    assert largest_difference(got, means) > 1e-3


def test_weights_of_a_mask_are_not_rounded():
    """Every token half counted is every token counted, and a sum below 1 is not none."""
    tokens = batches_of(1)[0]
    want, whole = gradients(small(torch.float64), [tokens], 1)
    for weight in (0.5, 0.01):
        mask = torch.full(tokens.shape, weight, dtype=torch.float64)
        got, record = gradients(small(torch.float64), [(tokens, mask)], 1)
        assert largest_difference(got, want) < 1e-12
        assert record.loss == pytest.approx(whole.loss, abs=1e-12)


def test_a_micro_batch_without_a_counted_token_is_no_harm():
    tokens, mask = masked(torch.bool)
    empty = (tokens[:2], torch.zeros(2, 10, dtype=torch.bool))
    got, _ = gradients(small(torch.float64), [empty, (tokens[2:], mask[2:])], 2)
    want, _ = gradients(small(torch.float64), [(tokens[2:], mask[2:])], 1)
    assert largest_difference(got, want) < 1e-12


# ---- records --------------------------------------------------------------------------------


def test_a_record_says_what_happened():
    model, valid = small(), batches_of(2, seed=8)
    config = TrainConfig(steps=7, lr=0.01, warmup_steps=2, grad_accum_steps=2, eval_every=3)
    records = list(train(model, batches_of(14), config, validation=valid))
    assert [r.step for r in records] == list(range(1, 8))
    assert [r.tokens for r in records] == [54 * n for n in range(1, 8)]
    assert records[0].lr == pytest.approx(0.005) and records[-1].lr == pytest.approx(0.001)
    assert all(r.seconds > 0 and r.grad_norm > 0 for r in records)
    assert all(r.tokens_per_second == pytest.approx(54 / r.seconds) for r in records)
    assert [r.step for r in records if r.val_loss is not None] == [3, 6, 7]
    assert records[-1].val_loss == pytest.approx(evaluate(model, valid), abs=1e-6)
    assert abs(records[0].loss - math.log(40)) < 0.1


def test_without_validation_there_is_no_val_loss():
    config = TrainConfig(steps=2, eval_every=1)
    assert [r.val_loss for r in train(small(), batches_of(2), config)] == [None, None]
    config = TrainConfig(steps=3)  # eval_every=0: after the last step
    records = list(train(small(), batches_of(3), config, validation=batches_of(1)))
    assert [r.val_loss is None for r in records] == [True, True, False]


def test_it_is_a_generator_that_goes_on_from_a_state():
    """Stopped behind step 2 and gone on with: the same as without the stop."""
    config, batches = TrainConfig(steps=5, lr=0.01, warmup_steps=2), batches_of(5)
    whole = small()
    want = [r.loss for r in train(whole, batches, config)]
    model = small()
    state = TrainState(make_optimizer(model, config))
    got = []
    for record in train(model, batches, config, state=state):
        got.append(record.loss)
        if record.step == 2:
            break
    assert (state.step, state.tokens) == (2, 54)
    got += [r.loss for r in train(model, batches[2:], config, state=state)]
    assert got == want
    assert largest_difference(weights_of(model), weights_of(whole)) == 0
    assert list(train(model, [], config, state=state)) == []  # there is nothing left to do


def test_evaluate_is_the_mean_over_tokens_not_over_batches():
    model, (tokens, mask) = small(), masked(torch.bool)
    parts = [(tokens[:2], mask[:2]), (tokens[2:], mask[2:])]
    inputs, targets = shift(tokens)
    with torch.no_grad():
        want = next_token_loss(model(inputs), targets, mask[:, 1:]).item()
    assert evaluate(model, parts) == pytest.approx(want, abs=1e-6)
    assert all(weight.grad is None for weight in model.parameters())
    with pytest.raises(ValueError, match="no token"):
        evaluate(model, [(tokens, torch.zeros_like(mask))])
    with pytest.raises(ValueError, match="no token"):
        evaluate(model, [])


def test_modes_are_as_they_were():
    model, seen = small(), []
    model.eval()
    model.register_forward_pre_hook(lambda module, _: seen.append(module.training))
    evaluate(model, batches_of(1))
    assert not model.training
    config = TrainConfig(steps=2, eval_every=1)
    list(train(model, batches_of(2), config, validation=batches_of(1)))
    assert model.training and seen == [False, True, False, True, False]

    with pytest.raises(ValueError, match="past this model's context"):
        evaluate(model, batches_of(1, length=30))
    assert model.training  # whatever happens


# ---- refusals -------------------------------------------------------------------------------


def test_a_rate_beyond_reason_stops_before_the_weights_change():
    model = small()
    config = TrainConfig(steps=50, lr=1e30, warmup_steps=0)
    state = TrainState(make_optimizer(model, config))
    records, before = [], weights_of(model)
    with pytest.raises(NonFiniteLoss) as caught:
        for record in train(model, batches_of(50), config, state=state):
            records.append(record)
            before = weights_of(model)
    step = records[-1].step + 1
    assert all(torch.equal(before[n], w) for n, w in model.named_parameters())
    assert state.step == records[-1].step and state.tokens == records[-1].tokens
    assert all(weight.grad is None for weight in model.parameters())
    for word in (f"step {step}", "nan", "1e+30", "warm-up (0 steps)", "batch", f"step {step - 1}"):
        assert word in str(caught.value), word


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_weight_that_is_no_number_stops_at_once(bad):
    model = small()
    with torch.no_grad():
        model.layers[1].feed_forward.w2.weight[3, 2] = bad
    before = weights_of(model)
    with pytest.raises(NonFiniteLoss, match="step 1: the loss is nan"):
        next(train(model, batches_of(1), TrainConfig(steps=1)))
    after = weights_of(model)
    assert all(torch.equal(before[n].nan_to_num(7), after[n].nan_to_num(7)) for n in before)


class Steep(nn.Module):
    """A finite loss with a gradient that is not: the root of 0."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, tokens):
        return self.weight.sqrt() * torch.ones(*tokens.shape, 40) * torch.arange(40)


def test_a_gradient_that_is_no_number_stops_too():
    model = Steep()
    with pytest.raises(NonFiniteLoss, match=r"the loss is 3\.68.* the gradient's length (nan|inf)"):
        next(train(model, batches_of(1), TrainConfig(steps=1)))
    assert model.weight.item() == 0


def test_batches_that_run_out_are_said():
    with pytest.raises(ValueError, match="ran out in step 3 of 5: a step takes 2"):
        list(train(small(), batches_of(5), TrainConfig(steps=5, grad_accum_steps=2)))


def test_masks_of_zeros_are_said():
    tokens, mask = masked(torch.bool)
    with pytest.raises(ValueError, match="step 1: the masks count no token"):
        next(train(small(), [(tokens, mask * 0)], TrainConfig(steps=1)))


# ---- it learns ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_sentence_is_memorised(dtype):
    model = small()
    sentence = torch.tensor([[1, 7, 7, 30, 2, 19, 7, 5, 30, 11, 3, 39]])
    config = TrainConfig(steps=60, lr=0.01, warmup_steps=5, dtype=dtype)
    *_, last = train(model, iter(lambda: sentence, None), config)
    assert last.loss < 0.05
    with torch.no_grad():
        guessed = model(sentence[:, :-1]).argmax(-1)
    assert torch.equal(guessed, sentence[:, 1:])
    assert all(weight.dtype == torch.float32 for weight in model.parameters())

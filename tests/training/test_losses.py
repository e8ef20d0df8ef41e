"""The loss against torch's and transformers' own, and accumulation against one large batch."""

import math

import pytest
import torch
import torch.nn.functional as F
from transformers import LlamaForCausalLM

from llamalab import formats
from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.training import next_token_loss, shift, summed_loss

B, T, V = 3, 5, 11


def random(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=dtype)


@pytest.fixture
def logits():
    return random(B, T, V)


@pytest.fixture
def targets():
    return torch.arange(B * T).reshape(B, T) * 7 % V


def test_shift_pairs_each_token_with_its_next():
    inputs, targets = shift(torch.tensor([[5, 6, 7, 8], [1, 2, 3, 4]]))
    assert inputs.tolist() == [[5, 6, 7], [1, 2, 3]]
    assert targets.tolist() == [[6, 7, 8], [2, 3, 4]]


def test_a_mask_shifts_with_the_targets():
    """Counted are the tokens to be predicted: here the 8 behind 7, and not the one behind 8."""
    tokens = torch.tensor([[5, 6, 7, 8, 9]])
    _, targets = shift(tokens)
    _, counted = shift(tokens == 8)
    assert targets[counted].tolist() == [8]


@pytest.mark.parametrize("shape", [(4,), (2, 1), (2, 3, 4)])
def test_shift_refuses_what_has_no_next(shape):
    with pytest.raises(ValueError, match="B, T"):
        shift(torch.zeros(shape, dtype=torch.long))


def test_it_is_torchs_cross_entropy(logits, targets):
    want = F.cross_entropy(logits.reshape(-1, V), targets.reshape(-1))
    got = next_token_loss(logits, targets)
    assert got.dtype == torch.float64 and got.shape == ()
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    torch.testing.assert_close(summed_loss(logits, targets), want * B * T, rtol=0, atol=1e-12)


def test_by_hand():
    """Odds of 1 : 3 for the right one of two pieces: ln 4."""
    logits = torch.tensor([[[0.0, math.log(3)]]])
    assert next_token_loss(logits, torch.tensor([[0]])).item() == pytest.approx(math.log(4))
    assert next_token_loss(logits, torch.tensor([[1]])).item() == pytest.approx(math.log(4 / 3))


def test_a_mask_is_torchs_ignored_index(logits, targets):
    mask = torch.arange(B * T).reshape(B, T) % 4 != 0
    ignored = targets.where(mask, -100)
    want = F.cross_entropy(logits.reshape(-1, V), ignored.reshape(-1), ignore_index=-100)
    for unseen in (targets, ignored, targets.where(mask, V + 5)):  # any id, under the mask
        got = next_token_loss(logits, unseen, mask)
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    for kind in (torch.int64, torch.float64):
        got = next_token_loss(logits, targets, mask.to(kind))
        torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


def test_a_mask_of_weights_is_a_weighted_mean(logits, targets):
    weights = torch.rand(B, T, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    surprise = -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    want = (surprise * weights).sum() / weights.sum()
    got = next_token_loss(logits, targets, weights)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


def test_masked_tokens_have_no_gradient(logits, targets):
    logits.requires_grad_()
    mask = torch.zeros(B, T, dtype=torch.bool)
    mask[1, 2] = mask[2, 4] = True
    next_token_loss(logits, targets, mask).backward()
    assert torch.equal(logits.grad.abs().sum(-1) > 0, mask)


def test_half_precision_logits_are_summed_in_float32(targets):
    logits = random(B, T, V).to(torch.bfloat16) * 20
    got = next_token_loss(logits, targets)
    want = F.cross_entropy(logits.double().reshape(-1, V), targets.reshape(-1))
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(want.item(), rel=1e-6)


def test_a_mask_of_zeros_is_refused(logits, targets):
    with pytest.raises(ValueError, match="none of the 15 tokens"):
        next_token_loss(logits, targets, torch.zeros(B, T))


@pytest.mark.parametrize(
    "sizes",
    [((B, T, V), (B, T - 1), None), ((B, T, V), (T, B), None), ((B, T, V), (B, T), (B, T + 1))],
)
def test_sizes_that_do_not_go_together_are_named(sizes):
    logits, targets, mask = sizes
    with pytest.raises(ValueError, match="do not go together") as caught:
        next_token_loss(
            torch.zeros(logits),
            torch.zeros(targets, dtype=torch.long),
            None if mask is None else torch.ones(mask),
        )
    assert str(targets) in str(caught.value)


def test_it_is_the_loss_of_transformers(tmp_path):
    """Labels there are the inputs themselves, shifted inside; -100 is not counted."""
    config = LlamaConfig(dim=24, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=50, max_seq_len=16)
    ours = Llama(config, generator=torch.Generator().manual_seed(0))
    formats.save(ours, tmp_path, format="hf")
    theirs = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    tokens = torch.randint(50, (4, 9), generator=torch.Generator().manual_seed(1))
    inputs, targets = shift(tokens)
    with torch.no_grad():
        want = theirs(tokens, labels=tokens).loss
        torch.testing.assert_close(next_token_loss(ours(inputs), targets), want)
        mask = tokens % 3 > 0
        want = theirs(tokens, labels=tokens.where(mask, -100)).loss
        torch.testing.assert_close(next_token_loss(ours(inputs), targets, shift(mask)[1]), want)


def test_a_fresh_model_knows_nothing():
    config = LlamaConfig.from_name("tiny")
    model = Llama(config, generator=torch.Generator().manual_seed(0))
    tokens = torch.randint(512, (4, 33), generator=torch.Generator().manual_seed(1))
    inputs, targets = shift(tokens)
    with torch.no_grad():
        loss = next_token_loss(model(inputs), targets).item()
    assert loss == pytest.approx(math.log(512), abs=0.05)

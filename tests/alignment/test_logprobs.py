"""Log-probabilities against torch's cross-entropy and its Categorical, and by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from llamalab.alignment import entropy, sequence_log_prob, token_log_probs

B, T, V = 3, 5, 7
NEVER = float("-inf")


@pytest.fixture
def logits():
    g = torch.Generator().manual_seed(3)
    return 2 * torch.randn(B, T, V, generator=g, dtype=torch.float64)


@pytest.fixture
def tokens():
    return torch.randint(V, (B, T), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("temperature", [1.0, 0.7, 2.5])
def test_it_is_torchs_cross_entropy_of_the_next_token(logits, tokens, temperature):
    got = token_log_probs(logits, tokens, temperature)
    flat = (logits[:, :-1] / temperature).reshape(-1, V)
    want = -F.cross_entropy(flat, tokens[:, 1:].reshape(-1), reduction="none")
    torch.testing.assert_close(got, want.reshape(B, T - 1), rtol=0, atol=1e-12)


def test_by_hand():
    """The token after the first is 1, at odds of 3 to 1; at temperature 2, of sqrt(3) to 1."""
    logits = torch.tensor([[[0.0, math.log(3)], [5.0, -5.0]]])
    tokens = torch.tensor([[0, 1]])
    assert token_log_probs(logits, tokens).item() == pytest.approx(math.log(3 / 4))
    root = math.sqrt(3)
    want = math.log(root / (1 + root))
    assert token_log_probs(logits, tokens, 2.0).item() == pytest.approx(want)


def test_the_last_logits_and_the_first_token_do_not_matter(logits, tokens):
    want = token_log_probs(logits, tokens)
    logits[:, -1], tokens[:, 0] = 99.0, (tokens[:, 0] + 1) % V
    assert torch.equal(token_log_probs(logits, tokens), want)


def test_gradients_are_those_of_the_definition(logits, tokens):
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: token_log_probs(x, tokens, 0.8), logits)
    assert torch.autograd.gradcheck(lambda x: entropy(x, 0.8), logits)


def test_an_answer_is_a_sum_over_its_own_tokens(logits, tokens):
    mask = torch.zeros(B, T, dtype=torch.bool)
    mask[0, 3:], mask[1, 1:3], mask[2, :] = True, True, True
    each = -F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    want = torch.stack((each[0, 2:].sum(), each[1, :2].sum(), each[2].sum()))
    torch.testing.assert_close(sequence_log_prob(logits, tokens, mask), want, rtol=0, atol=1e-12)


def test_what_is_not_the_answer_changes_nothing(logits, tokens):
    mask = torch.arange(T).expand(B, T) < torch.tensor([[3], [4], [2]])
    logits.requires_grad_()
    want = sequence_log_prob(logits, tokens, mask)
    want.sum().backward()
    reached = logits.grad.abs().sum(-1) > 0
    assert torch.equal(reached[:, :-1], mask[:, 1:]) and not reached[:, -1].any()
    other = torch.where(mask, tokens, (tokens + 1) % V)
    assert torch.equal(sequence_log_prob(logits, other, mask), want)


def test_an_answer_of_nothing_is_refused(logits, tokens):
    mask = torch.zeros(B, T, dtype=torch.bool)
    with pytest.raises(ValueError, match="3 of 3 rows"):
        sequence_log_prob(logits, tokens, mask)
    mask[:, 0] = True  # nothing comes before the first: it is never predicted
    with pytest.raises(ValueError, match="3 of 3 rows"):
        sequence_log_prob(logits, tokens, mask)


@pytest.mark.parametrize("temperature", [1.0, 0.3, 4.0])
def test_entropy_is_torchs(logits, temperature):
    want = torch.distributions.Categorical(logits=logits / temperature).entropy()
    got = entropy(logits, temperature)
    assert got.shape == (B, T)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


def test_entropy_at_its_ends():
    assert entropy(torch.zeros(2, 9)).tolist() == pytest.approx([math.log(9)] * 2)
    assert entropy(torch.tensor([0.0, 1e4, -1e4])).item() == 0


def test_a_token_that_cannot_come_adds_nothing():
    logits = torch.tensor([[0.5, NEVER, 1.5]], requires_grad=True)
    got = entropy(logits)
    assert got.item() == pytest.approx(entropy(torch.tensor([[0.5, 1.5]])).item())
    got.sum().backward()
    assert logits.grad.isfinite().all() and logits.grad[0, 1] == 0


def test_16_bits_are_widened(logits, tokens):
    small = logits.bfloat16()
    got = token_log_probs(small, tokens)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, token_log_probs(small.double(), tokens).float())


def test_a_row_and_a_vocabulary_of_one():
    assert token_log_probs(torch.zeros(1, 2, 1), torch.zeros(1, 2, dtype=torch.long)).item() == 0


def test_what_does_not_go_together_is_refused(logits, tokens):
    for bad in (tokens[:, :-1], tokens[:1]):
        with pytest.raises(ValueError, match="do not go together"):
            token_log_probs(logits, bad)
    with pytest.raises(ValueError, match="T at least 1"):
        token_log_probs(logits[:, :1], tokens[:, :1])
    for temperature in (0.0, -1.0):
        with pytest.raises(ValueError, match="temperature"):
            token_log_probs(logits, tokens, temperature)

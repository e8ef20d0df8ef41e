"""Notebook 07, exercise 5: A batch in pieces."""

import copy

import torch
from torch import nn

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.training import summed_loss

wrong = WrongAnswers()


def accumulate(model, micro_batches, clip):
    model.zero_grad()
    counted = sum(mask.sum().item() for _, _, mask in micro_batches)
    loss = 0.0
    for inputs, targets, mask in micro_batches:
        part = summed_loss(model(inputs), targets, mask) / counted
        part.backward()
        loss += part.item()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    return loss, norm.item(), [weight.grad for weight in model.parameters()]


class _Pairs(nn.Module):
    """A model of two matrices, that has been stepped before: old gradients lie in it. A copy has
    the same ones, and two with the same numbers are equal."""

    def __init__(self, vocab, dim, seed, scale=1.0):
        super().__init__()
        g = seeded(seed)
        self.embedding = nn.Parameter(scale * torch.randn(vocab, dim, generator=g))
        self.head = nn.Parameter(torch.randn(vocab, dim, generator=g))
        for weight in self.parameters():
            weight.grad = torch.randn(weight.shape, generator=g)

    def forward(self, tokens):
        return self.embedding[tokens].cumsum(1).tanh() @ self.head.T  # (B, T, V)

    def __deepcopy__(self, memo):
        twin = _Pairs(*self.head.shape, 0)
        for mine, theirs in zip(twin.parameters(), self.parameters()):
            mine.data, mine.grad = theirs.data.clone(), copy.deepcopy(theirs.grad)
        return twin

    def __eq__(self, other):
        pairs = zip(self.parameters(), other.parameters())
        return all(torch.equal(a, b) and torch.equal(a.grad, b.grad) for a, b in pairs)

    __hash__ = nn.Module.__hash__


def _accumulate_reference(model, micro_batches, clip):
    """Everything as one graph, with autograd's own call, and the length by hand."""
    total = sum(summed_loss(model(i), t, m) for i, t, m in micro_batches)
    total = total / sum(int(m.sum()) for *_, m in micro_batches)
    grads = torch.autograd.grad(total, list(model.parameters()))
    norm = torch.cat([g.flatten() for g in grads]).norm()
    return total.item(), norm.item(), [g * min(1.0, clip / norm.item()) for g in grads]


def _accumulate_probes():
    """Micro-batches of different sizes and with very different numbers of counted tokens. The
    gradient is longer than `clip`, shorter, and much shorter."""
    probes = []
    for seed, clip, shapes in (
        (80, 0.05, ((2, 7), (3, 4), (1, 5))),
        (81, 50.0, ((1, 9), (4, 3))),
        (82, 0.1, ((2, 5), (1, 3), (3, 6), (2, 2))),
        (83, 1.0, ((3, 4), (2, 8), (1, 6))),
    ):
        g, micro = seeded(seed), []
        for number, (B, T) in enumerate(shapes):
            tokens = torch.randint(6, (B, T + 1), generator=g)
            mask = torch.rand(B, T, generator=g) < (0.9, 0.25, 0.6, 0.4)[number]
            mask[0, 0] = True
            mask[-1, -1] = number % 2 == 0 and B > 1
            micro.append((tokens[:, :-1].clone(), tokens[:, 1:].clone(), mask))
        probes.append((_Pairs(6, 4, seed), micro, clip))
    return probes


def _accumulated(model, micro_batches, clip, *, weigh=None, masked=True, clear=True, cut=None):
    """With a part replaced. weigh(part's sum, its mask, all masks so far, all) -> its loss."""
    if clear:
        model.zero_grad()
    masks = [mask for *_, mask in micro_batches]
    loss = 0.0
    for number, (inputs, targets, mask) in enumerate(micro_batches):
        part = summed_loss(model(inputs), targets, mask if masked else None)
        counted = sum(int(m.sum()) for m in masks)
        part = part / counted if weigh is None else weigh(part, mask, masks[: number + 1], masks)
        part.backward()
        loss += part.item()
    norm = torch.cat([w.grad.flatten() for w in model.parameters()]).norm().item()
    (cut or _clip_all)(list(model.parameters()), clip)
    return loss, norm, [weight.grad for weight in model.parameters()]


def _clip_all(weights, clip):
    nn.utils.clip_grad_norm_(weights, clip)


@wrong(
    "You averaged the means of the pieces. A token in a piece with few counted tokens then "
    "pulls harder than one in a full piece, and the step depends on how the batch was cut."
)
def mean_of_means(model, micro_batches, clip):
    return _accumulated(
        model, micro_batches, clip, weigh=lambda s, mask, _, masks: s / mask.sum() / len(masks)
    )


@wrong(
    "You added the means of the pieces and never divided: the gradient grows with their number."
    " Adam shrugs at a constant factor, clipping does not: you clip that many times as hard "
    "(karpathy/nanoGPT#168)."
)
def sum_of_means(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, weigh=lambda s, mask, *_: s / mask.sum())


@wrong(
    "You divided by all places, counted or not. The loss looks smaller than it is, the more so "
    "the more is masked."
)
def divides_by_every_place(model, micro_batches, clip):
    return _accumulated(
        model, micro_batches, clip, weigh=lambda s, *ms: s / sum(m.numel() for m in ms[-1])
    )


@wrong("The masks have no effect: places that are not to be learned have pulled at the weights.")
def learns_every_place(model, micro_batches, clip):
    return _accumulated(
        model,
        micro_batches,
        clip,
        masked=False,
        weigh=lambda s, *ms: s / sum(m.numel() for m in ms[-1]),
    )


@wrong(
    "You weighed the pieces by their rows. What must count alike is a token, and rows hold "
    "different numbers of counted ones."
)
def weighs_by_rows(model, micro_batches, clip):
    def weigh(total, mask, _, masks):
        return total / mask.sum() * len(mask) / sum(len(m) for m in masks)

    return _accumulated(model, micro_batches, clip, weigh=weigh)


@wrong(
    "You divided each piece by the tokens counted so far. The first piece was divided by too "
    "few and pulls too hard. All masks have to be counted before the first backward."
)
def divides_by_the_count_so_far(model, micro_batches, clip):
    def weigh(total, mask, so_far, masks):
        return total / sum(m.sum() for m in so_far)

    return _accumulated(model, micro_batches, clip, weigh=weigh)


@wrong(
    "You added up the tokens' losses and divided by the number of pieces. The number to divide "
    "by is that of the counted tokens."
)
def divides_by_the_number_of_parts(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, weigh=lambda s, mask, _, masks: s / len(masks))


@wrong("Those are sums. Divide by the number of tokens counted in all pieces together.")
def divides_nothing(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, weigh=lambda s, *_: s)


@wrong(
    "You cleared the gradients for every piece, so that only the last one's are left. "
    "`backward` adds to what lies in .grad: clear once, before the first."
)
def clears_every_time(model, micro_batches, clip):
    counted = sum(int(mask.sum()) for *_, mask in micro_batches)
    loss = 0.0
    for inputs, targets, mask in micro_batches:
        model.zero_grad()
        part = summed_loss(model(inputs), targets, mask) / counted
        part.backward()
        loss += part.item()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    return loss, norm.item(), [weight.grad for weight in model.parameters()]


@wrong("You never cleared the gradients, and those of the step before are still in the sum.")
def never_clears(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, clear=False)


@wrong(
    "You clipped after every piece: what comes first is shortened again and again. The limit is"
    " for the whole sum, once."
)
def clips_every_part(model, micro_batches, clip):
    model.zero_grad()
    counted = sum(int(mask.sum()) for *_, mask in micro_batches)
    loss = 0.0
    for inputs, targets, mask in micro_batches:
        part = summed_loss(model(inputs), targets, mask) / counted
        part.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
        loss += part.item()
    return loss, norm.item(), [weight.grad for weight in model.parameters()]


@wrong(
    "You clipped each weight tensor by itself, which turns the step into another direction. One"
    " length for all of them together, one factor."
)
def clips_every_matrix(model, micro_batches, clip):
    def cut(weights, clip):
        for weight in weights:
            nn.utils.clip_grad_norm_([weight], clip)

    return _accumulated(model, micro_batches, clip, cut=cut)


@wrong(
    "You cut off single numbers at ±clip. That bends the direction; clipping by length "
    "multiplies everything by one factor."
)
def clips_every_number(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, cut=nn.utils.clip_grad_value_)


@wrong(
    "You always scale to the length `clip`, short gradients too. A gradient that has become "
    "small is good news: leave it alone."
)
def always_stretches(model, micro_batches, clip):
    def cut(weights, clip):
        norm = torch.cat([w.grad.flatten() for w in weights]).norm()
        for weight in weights:
            weight.grad *= clip / norm

    return _accumulated(model, micro_batches, clip, cut=cut)


@wrong(
    "Nothing is clipped: where the length is above `clip` the gradients must be scaled down to it."
)
def does_not_clip(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, cut=lambda weights, clip: None)


@wrong(
    "That is the length after clipping, which says nothing: it is `clip` whenever it matters. "
    "The length before is what warns you of a run going wrong."
)
def length_after_clipping(model, micro_batches, clip):
    loss, norm, grads = _accumulated(model, micro_batches, clip)
    return loss, min(norm, clip), grads


@wrong("The gradients are right, but the loss that you return is the last piece's alone.")
def loss_of_the_last_part(model, micro_batches, clip):
    _, norm, grads = _accumulated(model, micro_batches, clip)
    inputs, targets, mask = micro_batches[-1]
    return (summed_loss(model(inputs), targets, mask) / mask.sum()).item(), norm, grads


EXERCISE = Exercise(
    name="accumulate",
    title="A batch in pieces",
    points=5,
    minutes=30,
    answer=accumulate,
    reference=_accumulate_reference,
    probes=_accumulate_probes,
    rtol=1e-4,
    atol=1e-6,
    misconceptions=wrong.all,
    hints=(
        "Write down the loss of the whole batch, as one fraction. Which part of it can each piece "
        "compute by itself, and which number must be known before the first piece?",
        "`backward` adds. So: clear once; for each piece the sum of its counted losses, divided "
        "by the count of ALL pieces, then backward; clip once at the end.",
        "`nn.utils.clip_grad_norm_` takes all parameters and returns the length before clipping.",
    ),
)

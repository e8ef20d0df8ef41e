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
    """A model that has been stepped before: two matrices and, as in a norm, one weight a channel;
    old gradients lie in it. In training it drops the same channels every time, unless `kept` says
    that it drops none. Where memory is `small` it holds one piece's graph at a time. Two are the
    same with the same weights, in the same mode, as trainable; gradients do not count."""

    def __init__(self, vocab, dim, seed, small=False):
        super().__init__()
        g = seeded(seed)
        self.embedding = nn.Parameter(torch.randn(vocab, dim, generator=g))
        self.gain = nn.Parameter(2 + torch.randn(dim, generator=g))
        self.head = nn.Parameter(torch.randn(vocab, dim, generator=g))
        self.kept = 1.5 * (torch.arange(dim) % 3 != seed % 3).float()  # (dim,)
        self.small, self.alive = small, 0
        for weight in self.parameters():
            weight.grad = torch.randn(weight.shape, generator=g)

    def forward(self, tokens):
        x = self.embedding[tokens].cumsum(1).tanh() * self.gain  # (B, T, dim)
        logits = (x * self.kept if self.training else x) @ self.head.T  # (B, T, V)
        if logits.requires_grad:
            self.alive += 1
            logits.register_hook(self._freed)
            if self.small and self.alive > 1:
                raise RuntimeError("out of memory: the graph of the piece before is still alive")
        return logits

    def _freed(self, gradient):
        self.alive = 0

    def __deepcopy__(self, memo):
        twin = _Pairs(*self.head.shape, 0, self.small)
        twin.kept, twin.training = self.kept, self.training
        for mine, theirs in zip(twin.parameters(), self.parameters()):
            mine.data, mine.grad = theirs.data.clone(), copy.deepcopy(theirs.grad)
            mine.requires_grad_(theirs.requires_grad)
        return twin

    def __eq__(self, other):
        pairs = zip(self.parameters(), other.parameters())
        same = all(torch.equal(a, b) and a.requires_grad == b.requires_grad for a, b in pairs)
        return same and self.training == other.training

    __hash__ = nn.Module.__hash__


def _accumulate_reference(model, micro_batches, clip):
    """A piece at a time, with autograd's own call, which leaves .grad alone; the sums and the
    length by hand."""
    counted = sum(int(m.sum()) for *_, m in micro_batches)
    total, long = 0.0, None  # long: all gradients as one vector
    for inputs, targets, mask in micro_batches:
        part = summed_loss(model(inputs), targets, mask) / counted
        grads = torch.autograd.grad(part, list(model.parameters()))
        piece = torch.cat([g.flatten() for g in grads])
        total, long = total + part.item(), piece if long is None else long + piece
    norm = long.norm().item()
    cut = (long * min(1.0, clip / norm)).split([w.numel() for w in model.parameters()])
    return total, norm, [c.view_as(w) for c, w in zip(cut, model.parameters())]


def _accumulate_probes():
    """Micro-batches of different sizes and with very different numbers of counted tokens. The
    gradient is longer than `clip`, shorter, and much shorter. Two models have little memory. The
    last is in eval(), and drops nothing in either mode: only that it stays there is at issue."""
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
        probes.append((_Pairs(6, 4, seed, small=seed > 81), micro, clip))
    evaluated = probes[-1][0].eval()
    evaluated.kept = torch.ones_like(evaluated.kept)
    return probes


def _accumulated(
    model, micro_batches, clip, *, weigh=None, masked=True, clear=True, cut=None, told=None,
    length=None,
):  # fmt: skip
    """With a part replaced. weigh(part's sum, its mask, all masks so far, all) -> its loss;
    told(the same) -> what is added to the loss that is returned; length(weights) -> the norm."""
    if clear:
        model.zero_grad()
    masks = [mask for *_, mask in micro_batches]
    loss = 0.0
    for number, (inputs, targets, mask) in enumerate(micro_batches):
        total = summed_loss(model(inputs), targets, mask if masked else None)
        counted = sum(int(m.sum()) for m in masks)
        of = (mask, masks[: number + 1], masks)
        part = total / counted if weigh is None else weigh(total, *of)
        part.backward()
        loss += part.item() if told is None else float(told(total.detach(), *of))
    norm = (length or _length)(list(model.parameters()))
    (cut or _clip_all)(list(model.parameters()), clip)
    return loss, norm, [weight.grad for weight in model.parameters()]


def _clip_all(weights, clip):
    nn.utils.clip_grad_norm_(weights, clip)


def _length(weights):
    return torch.cat([weight.grad.flatten() for weight in weights]).norm().item()


def _scaled(weights, factor):
    for weight in weights:
        weight.grad *= factor


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
    "You reported the average of the pieces' means, while the gradients are those of their sum. "
    "Neither is the loss of the batch: sum up, divide by the count of all pieces."
)
def sum_of_means_told_as_their_mean(model, micro_batches, clip):
    return _accumulated(
        model,
        micro_batches,
        clip,
        weigh=lambda s, mask, *_: s / mask.sum(),
        told=lambda s, mask, _, masks: s / mask.sum() / len(masks),
    )


@wrong(
    "The gradients are right. The loss that you return is the mean of the pieces' means, which "
    "is another function: the one whose gradients these are has one count for all."
)
def tells_the_mean_of_means(model, micro_batches, clip):
    return _accumulated(
        model, micro_batches, clip, told=lambda s, mask, _, masks: s / mask.sum() / len(masks)
    )


@wrong("The gradients are right. The loss that you return is the sum: divide it by the count too.")
def tells_the_sum(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, told=lambda s, *_: s)


@wrong(
    "You clipped the gradients of the SUM and divided by the count afterwards. Whether they are "
    "too long can only be said of the mean's: divide first, then clip."
)
def divides_after_clipping(model, micro_batches, clip):
    counted = sum(int(mask.sum()) for *_, mask in micro_batches)
    loss, norm, grads = _accumulated(model, micro_batches, clip, weigh=lambda s, *_: s)
    return loss / counted, norm, [gradient / counted for gradient in grads]


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
    "The masks have no effect on the losses, although you divide by what they count: places that "
    "are not to be learned have pulled at the weights."
)
def counts_with_the_mask_alone(model, micro_batches, clip):
    return _accumulated(
        model, micro_batches, clip, masked=False,
        weigh=lambda s, *ms: s / sum(m.sum() for m in ms[-1]),
    )  # fmt: skip


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
    "You clipped each piece's gradients and added what was left. The limit is for the whole sum: "
    "pieces that pull in opposite directions need no clipping at all."
)
def clips_the_pieces_and_adds(model, micro_batches, clip):
    weights, counted = list(model.parameters()), sum(int(m.sum()) for *_, m in micro_batches)
    grads, loss, norm = [torch.zeros_like(weight) for weight in weights], 0.0, 0.0
    for inputs, targets, mask in micro_batches:
        model.zero_grad()
        part = summed_loss(model(inputs), targets, mask) / counted
        part.backward()
        norm += nn.utils.clip_grad_norm_(weights, clip).item()
        loss += part.item()
        grads = [gradient + weight.grad for gradient, weight in zip(grads, weights)]
    return loss, norm, grads


LENGTH = (
    "That is not the length of all gradients together. Lengths do not add up: 3 one way and 4 "
    "the other are 5. Square, add ALL squares, and take one root."
)


def _sum_of_lengths(weights):
    return sum(weight.grad.norm().item() for weight in weights)


def _sum_of_squares(weights):
    return sum(weight.grad.pow(2).sum().item() for weight in weights)


def _longest(weights):
    return max(weight.grad.norm().item() for weight in weights)


@wrong(LENGTH)
def adds_the_lengths(model, micro_batches, clip):
    def cut(weights, clip):
        _scaled(weights, min(1.0, clip / _sum_of_lengths(weights)))

    return _accumulated(model, micro_batches, clip, length=_sum_of_lengths, cut=cut)


@wrong(LENGTH)
def tells_the_sum_of_lengths(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, length=_sum_of_lengths)


@wrong("That is the length squared: the root is missing. So you clip short gradients too hard.")
def forgets_the_root(model, micro_batches, clip):
    def cut(weights, clip):
        _scaled(weights, min(1.0, clip / _sum_of_squares(weights)))

    return _accumulated(model, micro_batches, clip, length=_sum_of_squares, cut=cut)


@wrong("That is the length squared: the root is missing.")
def tells_the_square(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, length=_sum_of_squares)


@wrong(
    "You took the longest single tensor's length for that of all. Together they are longer: add "
    "all squares, and take one root."
)
def takes_the_longest(model, micro_batches, clip):
    def cut(weights, clip):
        _scaled(weights, min(1.0, clip / _longest(weights)))

    return _accumulated(model, micro_batches, clip, length=_longest, cut=cut)


@wrong(
    "Your length is that of the last tensor alone: `=` in the loop where `+=` was meant, so that "
    "each one's squares replace those of all before."
)
def takes_the_last_tensor_s(model, micro_batches, clip):
    def last(weights):
        return weights[-1].grad.norm().item()

    def cut(weights, clip):
        _scaled(weights, min(1.0, clip / last(weights)))

    return _accumulated(model, micro_batches, clip, length=last, cut=cut)


@wrong(
    "You left the one-dimensional weights (a norm's) out of the clipping. Leaving them out is a "
    "custom of weight decay; the length is that of all gradients."
)
def clips_the_matrices_alone(model, micro_batches, clip):
    def matrices(weights):
        return [weight for weight in weights if weight.ndim > 1]

    return _accumulated(
        model, micro_batches, clip,
        length=lambda weights: _length(matrices(weights)),
        cut=lambda weights, clip: _clip_all(matrices(weights), clip),
    )  # fmt: skip


@wrong(
    "Your factor is turned round: you stretch short gradients to `clip` and leave long ones as "
    "they are. The factor is at most 1."
)
def stretches_the_short(model, micro_batches, clip):
    def cut(weights, clip):
        _scaled(weights, max(1.0, clip / _length(weights)))

    return _accumulated(model, micro_batches, clip, cut=cut)


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


@wrong(
    "You made one graph of all pieces and went back through it at the end. That is right, and "
    "needs the memory of the whole batch, for which the pieces were made: `backward` after each."
)
def one_graph_for_all(model, micro_batches, clip):
    model.zero_grad()
    counted = sum(int(mask.sum()) for *_, mask in micro_batches)
    loss = sum(summed_loss(model(inputs), t, mask) for inputs, t, mask in micro_batches) / counted
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    return loss.item(), norm.item(), [weight.grad for weight in model.parameters()]


@wrong(
    "You put the model into `eval()`. What is different in training (dropout) is then not "
    "trained with, and whoever called finds the model in another mode."
)
def evaluates(model, micro_batches, clip):
    model.eval()
    return _accumulated(model, micro_batches, clip)


@wrong(
    "The three results are right, but you put the model into `train()` and left it there: whoever "
    "had it in `eval()`, to measure, finds dropout switched on. The mode is the caller's."
)
def leaves_it_in_training(model, micro_batches, clip):
    model.train()
    return _accumulated(model, micro_batches, clip)


@wrong(
    "The three results are right, but the model is not what it was: a step was taken inside, or "
    "it was left in `eval()`, or with `requires_grad` off. The step comes later, and takes what "
    "you return."
)
def leaves_another_model(model, micro_batches, clip):
    found = _accumulated(model, micro_batches, clip)
    model.requires_grad_(False)
    return found


@wrong(
    "The values are right, but loss and length are tensors. A float is asked for: `.item()`, "
    "which also lets the graph go."
)
def gives_tensors(model, micro_batches, clip):
    loss, norm, grads = _accumulated(model, micro_batches, clip)
    return torch.tensor(loss), torch.tensor(norm), grads


@wrong(
    "The values are right, but the length is a tensor, which is what `clip_grad_norm_` gives. A "
    "float is asked for: `.item()`."
)
def gives_the_length_as_a_tensor(model, micro_batches, clip):
    loss, norm, grads = _accumulated(model, micro_batches, clip)
    return loss, torch.tensor(norm), grads


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

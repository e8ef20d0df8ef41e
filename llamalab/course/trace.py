"""Where two models differ: run them on the same tokens, step by step, and find the first place.

A trace is the list of everything a model computes, in order: what each module gives out and what
each of its four parts gives out, under names like `layers.1.attention.apply_rope (q)`. Two models
that agree up to a step and differ in it got the same input there, so that step is the culprit:
all later differences are its children. On the way back (way_back.py) the order is the other one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from llamalab.config import LlamaConfig
from llamalab.course.figures import palette
from llamalab.course.figures.html import Html, banner
from llamalab.course.part_calls import call_names, wrapped_parts
from llamalab.course.way_back import Returned, first_wrong_return, way_back
from llamalab.layers import KVCache
from llamalab.model import Llama


@dataclass(frozen=True)
class Step:
    """One thing computed: its name, and the tensor, or the error that came instead of it."""

    name: str
    value: torch.Tensor | None
    error: Exception | None = None


@torch.no_grad()
def trace(model: Llama, tokens: torch.Tensor, past: int = 0) -> list[Step]:
    """All steps of model(tokens); with `past`, of the tokens after the first `past`, which a
    cache holds. A step that raises is the last one, with its error."""
    steps: list[Step] = []
    weight, cache = model.norm.weight, None
    if past:
        rows, room = len(tokens), tokens.shape[1]
        cache = KVCache(model.config, rows, room, dtype=weight.dtype, device=weight.device)
        model(tokens[:, :past], cache)
    with _recording(model, steps):
        try:
            model(tokens[:, past:], cache)
        except Exception as error:
            if not steps or steps[-1].error is None:
                steps.append(Step("the model around its parts", None, error))
    return steps


@contextmanager
def _recording(model: Llama, steps: list[Step]) -> Iterator[None]:
    """Listen at every module and every part; afterwards the model is as it was."""

    def listen(name: str):
        def hook(module, inputs, output):
            steps.append(Step(name, output.detach().clone()))

        return hook

    def wrapped(path: str, part: str, function):
        names = call_names(path, part)

        def call(*arguments):
            name = next(names)
            try:
                value = function(*arguments)
            except Exception as error:
                steps.append(Step(name, None, error))
                raise
            kept = value.detach().clone() if isinstance(value, torch.Tensor) else None
            steps.append(Step(name, kept))
            return value

        return call

    hooks = [
        module.register_forward_hook(listen(path))
        for path, module in model.named_modules()
        if path and not isinstance(module, nn.ModuleList)
    ]
    try:
        with wrapped_parts(model, wrapped):
            yield
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True)
class Comparison:
    """What `compare_models` found: `step` names the first step that differs ("" if none does),
    `layer` its layer (None outside the layers), `index` where in its tensor the first difference
    stands, `position` which token that is, `size` the largest difference in that step."""

    steps: int
    agreed: int
    step: str = ""
    layer: int | None = None
    index: tuple[int, ...] = ()
    position: int | None = None
    size: float = 0.0
    says: str = ""
    kind: str = "value"

    @property
    def same(self) -> bool:
        return not self.step

    def __repr__(self) -> str:
        if self.same:
            says = f"All {self.steps} steps agree, from the embedding to the logits"
            return f"{says}, and so do the gradients on the way back."
        if self.kind == "gradient":
            return f"All values agree. On the way back from the logits, {self.step}: {self.says}"
        return f"{self.agreed} of {self.steps} steps agree. Then {self.step}: {self.says}"

    def _repr_html_(self) -> Html:
        return banner(palette.RIGHT if self.same else palette.WRONG, repr(self))


def compare_models(
    theirs: Llama, ours: Llama, tokens: torch.Tensor, *, rtol: float = 1e-4, atol: float = 1e-5
) -> Comparison:
    """The first step in which two models of one shape differ on the same tokens: read at once,
    after a cache, the last one alone, and one row alone. If all values agree, the first part, from
    the logits back, whose gradients differ. ValueError for two shapes."""
    if theirs.config != ours.config:
        raise ValueError(f"two shapes cannot be compared: {theirs.config} and {ours.config}")
    for batch, past in _readings(tokens):
        got, want = trace(theirs, batch, past), trace(ours, batch, past)
        for number, right in enumerate(want):
            left = got[number] if number < len(got) else Step(right.name, None)
            found = _difference(left, right, past, rtol, atol)
            if found:
                layer = _layer(right.name)
                return Comparison(len(want), number, right.name, layer, **found)
    steps = len(trace(ours, tokens))
    back = _on_the_way_back(theirs, ours, tokens)
    if back is None:
        return Comparison(steps, steps)
    return Comparison(steps, steps, back.step, _layer(back.step), says=back.says, kind="gradient")


def _readings(tokens: torch.Tensor) -> list[tuple[torch.Tensor, int]]:
    """(batch, how many of its tokens a cache holds): read at once; the last two thirds after
    the first; the last token alone after all others; and the first row alone."""
    T, alone = tokens.shape[1], tokens[:1]
    wanted = [(tokens, 0), (tokens, T // 3), (tokens, T - 1), (alone, 0), (alone, T - 1)]
    return [(b, past) for i, (b, past) in enumerate(wanted) if past or i in (0, 3)]


def _on_the_way_back(theirs: Llama, ours: Llama, tokens: torch.Tensor) -> Returned | None:
    """The first part, from the logits back, whose gradients differ: with the weights as they are,
    and with gates that are large, where a formula may be right and its gradient nan."""
    for loudness in (1.0, 300.0):
        pair = [way_back(model, tokens, loudness) for model in (theirs, ours)]
        found = first_wrong_return(*pair)
        if found is not None:
            return found
    return None


def _difference(left: Step, right: Step, past: int, rtol: float, atol: float) -> dict | None:
    if left.error is not None:
        words = " ".join(str(left.error).split())
        return {"says": f"it raised {type(left.error).__name__}: {words[:300]}"}
    if left.value is None:
        return {"says": "it gave no tensor. Is there a `return`?"}
    assert right.value is not None  # ours does not fail
    if left.value.shape != right.value.shape:
        shapes = f"{tuple(left.value.shape)}, and should be {tuple(right.value.shape)}"
        return {"says": f"its shape is {shapes}."}
    if left.value.dtype != right.value.dtype:
        return {"says": f"its dtype is {left.value.dtype}, and should be {right.value.dtype}."}
    a, b = left.value.double(), right.value.double()
    gap = (a - b).abs().nan_to_num(nan=float("inf"))
    wrong = gap > atol + rtol * b.abs()
    if not wrong.any():
        return None
    index = tuple(wrong.nonzero()[0].tolist())
    if wrong.ndim > 1:  # (B, T, …): the earliest token of any row
        token = int(wrong.flatten(2).any(-1).any(0).nonzero()[0]) if wrong.ndim > 2 else index[1]
        index = tuple(wrong[:, token : token + 1].nonzero()[0].tolist())
        index = (index[0], token, *index[2:])
    position = index[1] + past if len(index) > 1 else None
    behind = f" (behind a cache of {past})" if past else ""
    size, place = gap.max().item(), ", ".join(map(str, index))
    says = (
        f"first at position {position}{behind} (index [{place}]): {a[index]:.4f}, and should be "
        f"{b[index]:.4f}. {int(wrong.sum())} of {wrong.numel()} numbers differ, "
        f"by {size:.3g} at the most."
    )
    return {"index": index, "position": position, "size": size, "says": says}


def _layer(name: str) -> int | None:
    parts = name.split(".")
    return int(parts[1]) if parts[0] == "layers" else None


def fresh_pair(config: LlamaConfig, parts, seed: int = 0) -> tuple[Llama, Llama, torch.Tensor]:
    """(a model of these parts, one of the package's on the same weights, tokens to run).
    Norm weights are drawn too: ones would hide a weight that is never used."""
    generator = torch.Generator().manual_seed(seed)
    ours = Llama(config, generator=generator)
    with torch.no_grad():
        for weight in ours.parameters():
            if weight.ndim == 1:
                weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
    theirs = Llama(config, parts, generator=generator)
    theirs.load_state_dict(ours.state_dict())
    tokens = torch.randint(config.vocab_size, (2, 24), generator=generator)
    return theirs, ours, tokens

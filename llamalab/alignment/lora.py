"""LoRA: leave the big matrix alone, and learn a thin correction beside it.

    y = x W^T + (alpha / r) (x A^T) B^T        W (out, in) frozen, A (r, in), B (out, r)

B starts at zero, so at first nothing is changed; A is drawn from a normal distribution of deviation
1/sqrt(in), which keeps a vector's size. (peft draws A from the uniform one between ±1/sqrt(in).)
With both at zero nothing would ever move: the gradient of each is a product with the other.
alpha / r is there so that a rate found for one rank serves another.

The frozen matrix keeps its place and its Meta name; beside it stand `lora_A` and `lora_B`.
`layer.weight` is the whole matrix that the layer stands for, W + (alpha/r) B A. Attention calls the
layer and never makes it; `swiglu(x, w1, w2, w3)`, which may be a learner's, asks for matrices and
gets it, at the price of one more matrix in memory, and of its rounding where weights are 16 bits.
An adapted model takes the plain path: `training.fused` speeds up only halves of a block without
adapters, and a `FusedDecoder` needs `merge(copy.deepcopy(model))`.
Source: Hu et al. 2021, "LoRA". Left out: dropout, adapters of embedding and head, several at once.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

TARGETS = ("wq", "wk", "wv", "wo", "w1", "w2", "w3")


class LoRALinear(nn.Module):
    """A linear layer (in -> out) without a bias, its matrix frozen, and the correction beside it.

    The dtype and the device of lora_A and lora_B are the matrix's. ValueError for a rank that is
    not 1 … min(in, out), or an alpha that is not above 0."""

    lora_A: nn.Parameter
    lora_B: nn.Parameter

    def __init__(
        self,
        weight: nn.Parameter,
        rank: int,
        alpha: float,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        _check(weight.shape, rank, alpha)
        outputs, inputs = weight.shape
        self.rank, self.alpha, self.enabled = rank, alpha, True
        self._parameters["weight"] = weight  # its name; reading `weight` is the property below
        drawn = torch.empty_like(weight[:rank], requires_grad=False)  # (r, in)
        self.lora_A = nn.Parameter(drawn.normal_(0, inputs**-0.5, generator=generator))
        self.lora_B = nn.Parameter(drawn.new_zeros(outputs, rank))

    @property
    def frozen(self) -> nn.Parameter:
        """W (out, in), as it was before."""
        weight = self._parameters["weight"]
        assert weight is not None
        return weight

    @property
    def weight(self) -> torch.Tensor:
        """The matrix that this layer stands for, (out, in)."""
        if not self.enabled:
            return self.frozen
        return self.frozen + self.alpha / self.rank * (self.lora_B @ self.lora_A)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) -> (..., out)"""
        y = F.linear(x, self.frozen)  # (..., out)
        if not self.enabled:
            return y
        narrow = F.linear(x, self.lora_A)  # (..., r): B A itself is never made
        return y + self.alpha / self.rank * F.linear(narrow, self.lora_B)


def add(
    model: nn.Module,
    rank: int,
    alpha: float,
    targets: Iterable[str] = ("wq", "wv"),
    *,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Put an adapter on each matrix of the model that is called one of `targets`, freeze all else,
    and give the same model back; `adapters(model)` lists them. Its outputs are what they were.

    ValueError, with nothing changed, for an unknown target, a rank that is not 1 … the smaller side
    of each matrix, an alpha that is not above 0, and a model that has adapters already.
    """
    targets = tuple(targets)
    if unknown := set(targets) - set(TARGETS):
        raise ValueError(f"no target called {min(unknown)!r}; there are {', '.join(TARGETS)}")
    if not targets:
        raise ValueError(f"targets is empty; there are {', '.join(TARGETS)}")
    if there := adapters(model):
        raise ValueError(f"this model has {len(there)} adapters already: merge them first")
    found: list[tuple[nn.Module, str, Any]] = [
        (module, leaf, child)
        for module in model.modules()
        for leaf, child in module.named_children()
        if leaf in targets and type(child) is nn.Linear and child.bias is None
    ]
    if missing := set(targets) - {leaf for _, leaf, _ in found}:
        raise ValueError(f"this model has no linear layer called {min(missing)}")
    for _, _, linear in found:
        _check(linear.weight.shape, rank, alpha)
    learned = [name for name, weight in model.named_parameters() if weight.requires_grad]
    for weight in model.parameters():
        weight.requires_grad_(False)
    for module, leaf, linear in found:
        adapter = LoRALinear(linear.weight, rank, alpha, generator=generator)
        setattr(module, leaf, adapter.train(linear.training))
    vars(model)["frozen_by_lora"] = learned  # for `merge`
    return model


@torch.no_grad()
def merge(model: nn.Module) -> nn.Module:
    """Add each correction into its matrix, and give the same model back: plain linear layers, and
    the weights that learned before `add` learn again.

    The product and the sum are made in float32 (float64 for float64) and rounded once. The matrices
    are changed in place, for every model that shares them. ValueError for a model
    without adapters, and inside `disabled`.
    """
    there = _require(model)
    if off := [name for name, adapter in there.items() if not adapter.enabled]:
        raise ValueError(f"{off[0]} is disabled: merge outside of `with disabled(model)`")
    for name, adapter in there.items():
        weight = adapter.frozen
        wide = torch.promote_types(weight.dtype, torch.float32)
        correction = adapter.lora_B.to(wide) @ adapter.lora_A.to(wide)  # (out, in)
        weight.copy_(weight.to(wide) + adapter.alpha / adapter.rank * correction)
        outputs, inputs = weight.shape
        linear = nn.Linear(inputs, outputs, bias=False, device="meta")
        linear.weight = weight
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, linear.train(adapter.training))
    for part in list(model.modules()):  # the model that was given to `add` may be inside this one
        learned = vars(part).pop("frozen_by_lora", ())
        for name, weight in part.named_parameters():
            weight.requires_grad_(weight.requires_grad or name in learned)
    return model


@contextlib.contextmanager
def disabled(model: nn.Module) -> Iterator[nn.Module]:
    """Inside of `with disabled(model):` the model is the one from before `add`, bit for bit: one
    set of weights is policy and reference. ValueError for a model without adapters."""
    there = list(_require(model).values())
    before = [adapter.enabled for adapter in there]
    try:
        for adapter in there:
            adapter.enabled = False
        yield model
    finally:
        for adapter, enabled in zip(there, before):
            adapter.enabled = enabled


def adapters(model: nn.Module) -> dict[str, LoRALinear]:
    """Each adapted layer under its name, "layers.0.attention.wq"."""
    return {name: part for name, part in model.named_modules() if isinstance(part, LoRALinear)}


def adapter_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The corrections alone, as `state_dict` has them (no copies): "layers.0.attention.wq.lora_A"
    (r, in), "….lora_B" (out, r). ValueError for a model without adapters."""
    return {
        f"{name}.{part}": getattr(adapter, part).detach()
        for name, adapter in _require(model).items()
        for part in ("lora_A", "lora_B")
    }


def trainable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters with requires_grad, by name: what an optimizer would change."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def _require(model: nn.Module) -> dict[str, LoRALinear]:
    there = adapters(model)
    if not there:
        raise ValueError("this model has no adapters: lora.add(model, rank, alpha) gives it some")
    return there


def _check(shape: Any, rank: int, alpha: float) -> None:
    outputs, inputs = shape
    if type(rank) is not int or not 1 <= rank <= min(outputs, inputs):
        raise ValueError(
            f"rank={rank!r} must be a whole number from 1 to {min(outputs, inputs)}, the smaller "
            f"side of a matrix ({outputs}, {inputs})"
        )
    if not 0 < alpha < math.inf:
        raise ValueError(f"alpha={alpha!r} must be a finite number above 0")

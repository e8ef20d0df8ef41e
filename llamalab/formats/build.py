"""From what a file holds to a model, tensor by tensor and without a second copy.

A reader says what there is before anything is read (`StoredModel`): names and shapes are compared
with the config's, then the memory is checked, then the model is made without weights (meta device)
and each weight is put in its place. A file that is mapped into memory stays there: its pages are
the weights, and a page that training writes to becomes a copy; the file itself never changes.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from llamalab.accounting.memory import refuse_if_too_large
from llamalab.config import LlamaConfig
from llamalab.model import Llama, Parts
from llamalab.quantization import Blocks
from llamalab.quantization.packed import put_weight

from . import names
from .files import FLOATS

LONGEST_CONTEXT = 2**20  # positions: the table of angles is made for all of them


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """What a checkpoint holds, under Meta's names; `read(name)` fetches one weight in Meta's row
    order. `where` stands in error messages. scoring: the head gives one number."""

    where: Path
    config: LlamaConfig
    shapes: Mapping[str, tuple[int, ...]]
    stored: torch.dtype
    read: Callable[[str], torch.Tensor]
    scoring: bool = False
    packed: Callable[[str], Blocks | None] | None = None  # the blocks that a weight is stored in


def make_config(where: Path, **sizes) -> LlamaConfig:
    """A LlamaConfig. ValueError, naming the file, for sizes that cannot be built, and for a context
    of more than LONGEST_CONTEXT positions."""
    try:
        config = LlamaConfig(**sizes)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if config.max_seq_len > LONGEST_CONTEXT:
        raise ValueError(
            f"{where}: a context of {config.max_seq_len} positions; at most {LONGEST_CONTEXT}"
        )
    return config


def widest(dtypes: Iterable[torch.dtype]) -> torch.dtype:
    """The dtype that holds all of these: a model computes in one."""
    return functools.reduce(torch.promote_types, dtypes)


def build_model(
    held: StoredModel, *, dtype: torch.dtype | None, device: torch.device | str, parts: Parts | None
) -> Llama:
    """The model that `held` describes. ValueError for what does not fit, before it is read."""
    config = held.config
    dtype = dtype or held.stored
    if dtype not in FLOATS:
        raise ValueError(f"dtype={dtype} is none that a model can compute in: {FLOATS}")
    check_shapes(held)
    refuse_if_too_large(config, dtype.itemsize, available=_free_on(device))
    with torch.device("meta"):
        model = Llama(config, parts)
        if held.scoring:
            model.output = nn.Linear(config.dim, 1, bias=False)
    for name, _ in names.shapes(config, scoring=held.scoring):
        weight = held.read(name).to(device=device, dtype=dtype).contiguous()
        check_finite(weight, name, held.where)
        put_weight(model, name, weight)
    if config.tie_embeddings and not held.scoring:
        model.output.weight = model.tok_embeddings.weight
        check_tie(held, model.tok_embeddings.weight)
    return model.to(device)  # the weights are there; this moves the table of angles


def _free_on(device: torch.device | str) -> int | None:
    """Bytes free on a GPU, to which weights go one by one; None: what this machine has."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return None


def check_shapes(held: StoredModel) -> None:
    """ValueError for a weight too few, too many, or of another shape than the config's. Counts come
    first: a lying number of layers must not make us list them all."""
    config, there = held.config, set(held.shapes)
    if config.tie_embeddings and not held.scoring:
        there.discard("output.weight")  # may be there once more; compared when it is read
    wanted = names.weight_count(config, scoring=held.scoring)
    every = functools.partial(names.shapes, config, scoring=held.scoring)
    if len(there) < wanted:
        first = next(name for name, _ in every() if name not in there)
        raise ValueError(
            f"{held.where} lacks {first}: it holds {len(there)} weights, and n_layers="
            f"{config.n_layers} need {wanted}"
        )
    for name, shape in every():
        if name not in there:
            raise ValueError(f"{held.where} lacks {name}")
        if held.shapes[name] != shape:
            raise ValueError(
                f"{held.where}: {name} has shape {held.shapes[name]}, but the config asks for "
                f"{shape}"
            )
        there.discard(name)
    if there:
        raise ValueError(
            f"{held.where}: {len(there)} weights too many for n_layers={config.n_layers}, "
            f"among them {min(there)}"
        )


def check_finite(weight: torch.Tensor, name: str, where: Path) -> None:
    """ValueError for NaN and infinity."""
    low, high = (float(end) for end in weight.detach().aminmax())
    if not (float("-inf") < low and high < float("inf")):  # NaN fails every comparison
        raise ValueError(
            f"{where}: {name} holds NaN or infinity as {weight.dtype} (from {low} to {high})"
        )


def check_tie(held: StoredModel, embedding: torch.Tensor | None = None) -> None:
    """A tied head that is in the file once more. ValueError where it differs from the embedding, as
    that is stored, or as it is given."""
    if "output.weight" not in held.shapes:
        return
    shape = held.shapes["tok_embeddings.weight"]
    if held.shapes["output.weight"] != shape:
        raise ValueError(
            f"{held.where}: the head has shape {held.shapes['output.weight']}, but it is tied to "
            f"an embedding of shape {shape}"
        )
    embedding = held.read("tok_embeddings.weight") if embedding is None else embedding
    head = held.read("output.weight").to(device=embedding.device, dtype=embedding.dtype)
    if not torch.equal(head, embedding):
        raise ValueError(f"{held.where}: the head is said to be tied, but differs from embedding")


def scores(model: Llama) -> bool:
    """Whether the model's head gives one number a token and no logits: a reward or value model."""
    return getattr(model.output, "out_features", None) == 1 != model.config.vocab_size


def weights_of(model: Llama) -> dict[str, torch.Tensor]:
    """The weights to write, under Meta's names, checked. Nothing is copied; a tied head is not
    listed. ValueError for a model that could not be loaded again."""
    held = {name: weight.detach() for name, weight in model.named_parameters()}
    wanted = dict(names.shapes(model.config, scoring=scores(model)))
    if unknown := sorted(held.keys() ^ wanted.keys()):
        raise ValueError(f"this is no plain Llama: {unknown[0]} is missing, or one too many")
    for name, shape in wanted.items():
        if held[name].is_meta:
            raise ValueError(f"{name} has no values: the model is on the meta device")
        if tuple(held[name].shape) != shape or held[name].dtype not in FLOATS:
            raise ValueError(
                f"{name} is {held[name].dtype} {tuple(held[name].shape)}, not floats {shape}"
            )
        check_finite(held[name], name, Path("the model"))
    return {name: held[name] for name in wanted}

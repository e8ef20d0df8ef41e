"""A run's place on disk, whole or not at all: weights, optimizer, step, data position, randomness.

    run/checkpoints/step-00000400/   config.json  model.safetensors  tokenizer.model
                                     optimizer.safetensors  training.json
                                     adapter.safetensors    of a model with LoRA
                                     values/…               a second model, where there is one

A checkpoint is written into a folder beside, flushed to the disk, and renamed: whoever looks finds
whole ones only, and a crash, a kill or a full disk leaves the last one as it was. The model's half
is an ordinary Hugging Face folder. Only tensors and JSON: nothing is unpickled. What is restored
is every bit that the next step depends on, so a resumed run gives the losses of one that never
stopped. With several processes, all call `save`, and process 0 writes the whole. A model with
adapters lies there merged, to be tried; what is restored are the adapters, onto their own base.
"""

import contextlib
import copy
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from llamalab import formats
from llamalab.alignment import lora
from llamalab.formats.adapter import save_adapter
from llamalab.model import Llama
from llamalab.runtime import distributed
from llamalab.runtime.json_files import Fields, write_json
from llamalab.tokenizer import BPETokenizer
from llamalab.training.loop import TrainState

from .places import all_whole, flush, latest, put, remove, writing

__all__ = ["full_model", "latest", "restore", "restore_optimizer", "save", "writing"]

Beside = tuple[Llama, torch.optim.Optimizer]
AVERAGES = ("exp_avg", "exp_avg_sq", "step")  # what AdamW knows of a weight


def save(
    folder: Path,
    model: nn.Module,
    state: TrainState,
    *,
    tokenizer: BPETokenizer | None = None,
    notes: dict | None = None,
    keep: int = 2,
    beside: Mapping[str, Beside] | None = None,
    generators: Mapping[str, torch.Generator] | None = None,
) -> Path:
    """Write `folder`/step-N and, once it is there, remove all but the newest `keep`. `notes` are
    JSON of the caller's, given back by `restore`. beside: other models that are trained with this
    one. OSError if the disk is full; nothing is lost."""
    path = Path(folder) / f"step-{state.step:08}"
    distributed.reshard(model)
    whole, averages = full_model(model), _averages(model, state)  # every process takes part
    if distributed.rank() > 0:
        return path
    part = path.with_name(f"{path.name}.part")
    with writing(path, folder):
        for left in Path(folder).glob("step-*.part"):  # by a kill in the midst of this
            shutil.rmtree(left)
        try:
            _write(part, whole, averages | _random(generators), tokenizer)
            for name, (other, optimizer) in (beside or {}).items():
                _write(part / name, other, _averages(other, TrainState(optimizer)), None)
            about = {"step": state.step, "tokens": state.tokens, "notes": notes or {}}
            write_json(part / "training.json", about)
            for file in (*part.rglob("*"), part):
                flush(file)
            put(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    with contextlib.suppress(OSError):  # an old one too many is no reason to end a run
        for old in all_whole(folder)[:-keep]:
            if old != path:
                remove(old)
    return path


def _write(
    folder: Path, model: Llama, tensors: dict[str, torch.Tensor], tokenizer: BPETokenizer | None
) -> None:
    if lora.adapters(model):
        folder.mkdir(parents=True)
        save_adapter(model, folder / "adapter.safetensors")
        model = copy.deepcopy(model)
        lora.merge(model)
    formats.save(model, folder, tokenizer=tokenizer)
    save_file(tensors, folder / "optimizer.safetensors")


def restore(
    path: Path, model: Any, state: TrainState, *, beside: Mapping[str, Beside] | None = None
) -> dict:
    """Put a checkpoint into a model and a state of the same shape; its notes. Call it before the
    model is spread over processes; `restore_optimizer` comes after. ValueError names what is
    wrong with a file, and nothing has changed then."""
    about = Fields(Path(path) / "training.json")
    step, tokens = (about.whole(name, least=0) for name in ("step", "tokens"))
    notes = about.inner("notes").values
    models = {Path(path): model}
    models |= {Path(path) / name: other for name, (other, _) in (beside or {}).items()}
    held = [(other, _weights_in(folder, other)) for folder, other in models.items()]
    for other, weights in held:
        other.load_state_dict(weights)
    state.step, state.tokens = step, tokens
    return notes


def _weights_in(folder: Path, model: Any) -> dict[str, torch.Tensor]:
    """A checkpoint's weights for a model of this shape: all of them, the adapters' too."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is missing: this checkpoint is not whole")
    held, _ = formats.load(folder)
    _require_equal(folder, asdict(held.config), asdict(model.config))
    if not lora.adapters(model):
        here, weights = model.state_dict(), held.state_dict()
        _require_equal(folder, _kinds(weights), _kinds(here))
        return weights
    file = folder / "adapter.safetensors"
    weights, own = _read(file), lora.adapter_state(model)
    _require_equal(file, _kinds(weights), _kinds(own))
    return model.state_dict() | weights


def _read(file: Path) -> dict[str, torch.Tensor]:
    try:
        return {name: tensor.clone() for name, tensor in load_file(file).items()}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is no sound safetensors file: {error}") from None


def restore_optimizer(
    path: Path,
    model: nn.Module,
    state: TrainState,
    *,
    beside: Mapping[str, Beside] | None = None,
    generators: Mapping[str, torch.Generator] | None = None,
) -> None:
    """The optimizers' averages and all random states, into a model that may be spread. ValueError
    names what is wrong with a file."""
    name = "optimizer.safetensors"
    file, random = Path(path) / name, _random(generators)
    stored = _averages_in(file, model, state, random)
    others = [
        (other, TrainState(optimizer), Path(path) / folder / name)
        for folder, (other, optimizer) in (beside or {}).items()
    ]
    found = [
        (other, known, _averages_in(place, other, known, {})) for other, known, place in others
    ]
    for kind in random:
        try:
            torch.Generator().set_state(stored[kind])
        except RuntimeError as error:
            raise ValueError(f"{file}: {kind} is no random state of torch's: {error}") from None
    torch.set_rng_state(stored["random.torch"])
    for kind, generator in (generators or {}).items():
        generator.set_state(stored[f"random.{kind}"])
    for other, known, averages in [(model, state, stored), *found]:
        _put_averages(other, known, averages)


def _random(generators: Mapping[str, torch.Generator] | None) -> dict[str, torch.Tensor]:
    """The random states, torch's own and the generators', by name."""
    own = {f"random.{name}": one.get_state() for name, one in (generators or {}).items()}
    return {"random.torch": torch.get_rng_state()} | own


def _averages_in(
    file: Path, model: nn.Module, state: TrainState, random: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """What a file holds, if it is what this model's optimizer knows."""
    stored, wanted = _read(file), _kinds(random)
    for name, weight in _trained(model, state).items():
        wanted |= {f"{kind}.{name}": _kind(weight) for kind in AVERAGES}
        wanted[f"step.{name}"] = _kind(torch.zeros(()))
    _require_equal(file, _kinds(stored), wanted)
    return stored


def _put_averages(model: nn.Module, state: TrainState, stored: dict[str, torch.Tensor]) -> None:
    weights = _trained(model, state)
    held = state.optimizer.state_dict()
    held["state"] = {
        number: {
            kind: distributed.shard_like(tensor, weight) if kind != "step" else tensor
            for kind, tensor in ((kind, stored[f"{kind}.{name}"]) for kind in AVERAGES)
        }
        for number, (name, weight) in enumerate(weights.items())
    }
    state.optimizer.load_state_dict(held)


def full_model(model: Any) -> Llama:
    """The whole model on process 0, gathered from all if it is spread; every process has to ask."""
    model = distributed.unwrap(model)
    if not any(hasattr(weight, "full_tensor") for weight in model.parameters()):
        return model
    gathered = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        whole = distributed.full_tensor(weight)
        if distributed.rank() == 0:
            gathered[name] = whole.cpu()
    with torch.device("meta"):
        result = Llama(model.config)
    if gathered:
        result.load_state_dict(gathered, assign=True)
        if model.config.tie_embeddings:
            result.output.weight = result.tok_embeddings.weight
    return result


def _averages(model: nn.Module, state: TrainState) -> dict[str, torch.Tensor]:
    """The optimizer's averages by the names of the weights, on process 0; zeros before step 1."""
    found = {}
    for name, weight in _trained(model, state).items():
        known = state.optimizer.state.get(weight) or {"step": torch.zeros(())}
        for kind in AVERAGES:
            own = known[kind] if kind in known else torch.zeros_like(weight)
            tensor = distributed.full_tensor(own)
            if distributed.rank() == 0:
                found[f"{kind}.{name}"] = tensor.cpu().contiguous()
    return found


def _trained(model: nn.Module, state: TrainState) -> dict[str, torch.Tensor]:
    """The optimizer's weights by name, in its own order."""
    names = {weight: name for name, weight in distributed.unwrap(model).named_parameters()}
    return {names[w]: w for group in state.optimizer.param_groups for w in group["params"]}


def _kinds(tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    return {name: _kind(tensor) for name, tensor in tensors.items()}


def _kind(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


def _require_equal(file: Path, theirs: dict, ours: dict) -> None:
    for name in sorted(theirs.keys() | ours.keys()):
        there, here = theirs.get(name, "missing"), ours.get(name, "missing")
        if there != here:
            raise ValueError(f"{file} is of another model: {name} is {there} there, {here} here")

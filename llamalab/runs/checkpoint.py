"""A run's place on disk, whole or not at all: weights, optimizer, step, data position, randomness.

    run/checkpoints/step-00000400/   config.json  model.safetensors  tokenizer.model
                                     optimizer.safetensors  training.json

A checkpoint is written into a folder beside, flushed to the disk, and renamed: whoever looks finds
whole ones only, and a crash, a kill or a full disk leaves the last one as it was. The model's half
is an ordinary Hugging Face folder. Only tensors and JSON: nothing is unpickled. What is restored
is every bit that the next step depends on, so a resumed run gives the losses of one that never
stopped. With several processes, all call `save`, and process 0 writes the whole.
"""

import contextlib
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from llamalab import formats
from llamalab.model import Llama
from llamalab.runtime import distributed
from llamalab.runtime.json_files import Fields, write_json
from llamalab.tokenizer import BPETokenizer
from llamalab.training.loop import TrainState

from .places import all_whole, flush, latest, put, remove, writing

__all__ = ["full_model", "latest", "restore", "restore_optimizer", "save", "writing"]

AVERAGES = ("exp_avg", "exp_avg_sq", "step")  # what AdamW knows of a weight


def save(
    folder: Path,
    model: nn.Module,
    state: TrainState,
    *,
    tokenizer: BPETokenizer | None = None,
    notes: dict | None = None,
    keep: int = 2,
) -> Path:
    """Write `folder`/step-N and, once it is there, remove all but the newest `keep`. `notes` are
    JSON of the caller's, given back by `restore`. OSError if the disk is full; nothing is lost."""
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
            formats.save(whole, part, tokenizer=tokenizer)
            tensors = averages | {"random.torch": torch.get_rng_state()}
            save_file(tensors, part / "optimizer.safetensors")
            about = {"step": state.step, "tokens": state.tokens, "notes": notes or {}}
            write_json(part / "training.json", about)
            for file in (*part.iterdir(), part):
                flush(file)
            put(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    with contextlib.suppress(OSError):  # an old one too many is no reason to end a run
        for old in all_whole(folder)[:-keep]:
            if old != path:
                remove(old)
    return path


def restore(path: Path, model: Any, state: TrainState) -> dict:
    """Put a checkpoint into a model and a state of the same shape; its notes. Call it before the
    model is spread over processes; `restore_optimizer` comes after. ValueError names what is
    wrong with a file."""
    about = Fields(Path(path) / "training.json")
    step, tokens = (about.whole(name, least=0) for name in ("step", "tokens"))
    notes = about.inner("notes").values
    held, _ = formats.load(path)
    _require_equal(path, asdict(held.config), asdict(model.config))
    model.load_state_dict(held.state_dict())
    state.step, state.tokens = step, tokens
    return notes


def restore_optimizer(path: Path, model: nn.Module, state: TrainState) -> None:
    """The optimizer's averages and torch's random state, into a model that may be spread.
    ValueError names what is wrong with the file."""
    file = Path(path) / "optimizer.safetensors"
    try:
        stored = {name: tensor.clone() for name, tensor in load_file(file).items()}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is no sound safetensors file: {error}") from None
    wanted = {"random.torch": _kind(torch.get_rng_state())}
    weights = _trained(model, state)
    for name, weight in weights.items():
        wanted |= {f"{kind}.{name}": _kind(weight) for kind in AVERAGES}
        wanted[f"step.{name}"] = _kind(torch.zeros(()))
    _require_equal(file, {name: _kind(tensor) for name, tensor in stored.items()}, wanted)
    try:
        torch.set_rng_state(stored["random.torch"])
    except RuntimeError as error:
        raise ValueError(f"{file}: random.torch is no random state of torch's: {error}") from None
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


def _kind(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


def _require_equal(file: Path, theirs: dict, ours: dict) -> None:
    for name in sorted(theirs.keys() | ours.keys()):
        there, here = theirs.get(name, "missing"), ours.get(name, "missing")
        if there != here:
            raise ValueError(f"{file} is of another model: {name} is {there} there, {here} here")

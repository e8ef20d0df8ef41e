"""A run's place on disk, whole or not at all: weights, optimizer, step, data position, randomness.

    run/checkpoints/step-00000400/   config.json  model.safetensors  tokenizer.model
                                     optimizer.safetensors  training.json

A checkpoint is written into a folder beside, flushed to the disk, and renamed: whoever looks finds
whole ones only, and a crash, a kill or a full disk leaves the last one as it was. The model's half
is an ordinary Hugging Face folder. Only tensors and JSON: nothing is unpickled. What is restored
is every bit that the next step depends on, so a resumed run gives the losses of one that never
stopped. With several processes, all call `save`, and process 0 writes the whole.
"""

import json
import os
import re
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from llamalab import interop
from llamalab.interop.fields import Fields
from llamalab.model import Llama
from llamalab.tokenizer import BPETokenizer

from . import distributed
from .loop import TrainState

NAME = re.compile(r"step-([0-9]{8,})")
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
    whole = full_model(model)  # every process takes part in this and the next
    averages = _averages(model, state)
    if distributed.rank() == 0:
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            interop.save(whole, part, tokenizer=tokenizer)
            random = {"torch": torch.get_rng_state()}
            save_file(averages | {f"random.{k}": v for k, v in random.items()},
                      part / "optimizer.safetensors")  # fmt: skip
            about = {"step": state.step, "tokens": state.tokens, "notes": notes or {}}
            text = json.dumps(about, indent=1) + "\n"
            (part / "training.json").write_text(text, encoding="utf-8", newline="\n")
            _flush(part)
            if path.exists():
                shutil.rmtree(path)
            os.replace(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        for old in _all(folder)[:-keep]:
            shutil.rmtree(old)
    return path


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint of a run's folder of checkpoints; None if there is none."""
    found = _all(folder)
    return found[-1] if found else None


def restore(path: Path, model: nn.Module, state: TrainState) -> dict:
    """Put a checkpoint into a model and a state of the same shape; its notes. Call it before the
    model is spread over processes; `restore_optimizer` comes after. ValueError names what is
    wrong with a file."""
    held, _ = interop.load(path)
    theirs, ours = ({n: tuple(w.shape) for n, w in m.state_dict().items()} for m in (held, model))
    if theirs != ours:
        odd = min(name for name, _ in theirs.items() ^ ours.items())
        raise ValueError(
            f"{path} holds another model: {odd} is {theirs.get(odd)} there and {ours.get(odd)} here"
        )
    model.load_state_dict(held.state_dict())
    about = Fields(path / "training.json")
    state.step, state.tokens = (about.whole(name, least=0) for name in ("step", "tokens"))
    return about.values.get("notes", {})


def restore_optimizer(path: Path, model: nn.Module, state: TrainState) -> None:
    """The optimizer's averages and torch's random state, into a model that may be spread."""
    file = path / "optimizer.safetensors"
    try:
        stored = {name: tensor.clone() for name, tensor in load_file(file).items()}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is no sound safetensors file: {error}") from None
    torch.set_rng_state(stored.pop("random.torch"))
    names = [name for name, _ in distributed.bare(model).named_parameters()]
    wanted = {f"{kind}.{name}" for name in names for kind in AVERAGES}
    if stored.keys() != wanted:
        odd = min(stored.keys() ^ wanted)
        raise ValueError(f"{file}: {odd} is in the file or in the model, but not in both")
    options = StateDictOptions(full_state_dict=True)
    held = get_optimizer_state_dict(model, state.optimizer, options=options)
    held["state"] = {n: {kind: stored[f"{kind}.{n}"] for kind in AVERAGES} for n in names}
    set_optimizer_state_dict(model, state.optimizer, held, options=options)


def full_model(model: nn.Module) -> Llama:
    """The whole model on the CPU, gathered from all processes; whole on process 0 only."""
    if isinstance(model, Llama) and distributed.world() == 1:
        return model
    config = distributed.bare(model).config
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights = get_model_state_dict(model, options=options)
    with torch.device("meta"):
        whole = Llama(config)
    if distributed.rank() == 0:
        whole.load_state_dict(weights, assign=True)
        if config.tie_embeddings:
            whole.output.weight = whole.tok_embeddings.weight
    return whole


def _averages(model: nn.Module, state: TrainState) -> dict[str, torch.Tensor]:
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    held = get_optimizer_state_dict(model, state.optimizer, options=options)["state"]
    return {
        f"{kind}.{name}": averages[kind].contiguous()
        for name, averages in held.items()
        for kind in AVERAGES
    }


def _all(folder: Path) -> list[Path]:
    folder = Path(folder)
    found = folder.iterdir() if folder.is_dir() else ()
    whole = [p for p in found if NAME.fullmatch(p.name) and (p / "training.json").is_file()]
    return sorted(whole, key=lambda p: int(NAME.fullmatch(p.name)[1]))


def _flush(folder: Path) -> None:
    """Ask the disk to have everything before the rename makes it count."""
    for path in folder.iterdir():
        with open(path, "rb+") as file:
            os.fsync(file.fileno())

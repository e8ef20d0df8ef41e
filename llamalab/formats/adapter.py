"""A LoRA adapter without its model: a file of the course's own, or the folder that peft opens.

    adapter.safetensors      Meta's names; rank, alpha and targets in the file's metadata
    folder (format="peft")   adapter_config.json and adapter_model.safetensors, Hugging Face's names

Rows of wq and wk stand in another order there (`names`). A correction is B A, so the rows of B
follow those of the matrix, and A, whose columns are the inputs, stays as it is.
"""

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from llamalab.alignment import lora
from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.runtime.files import atomic_write, brief, require_file
from llamalab.runtime.json_files import Fields, write_json

from . import names
from .files import FLOATS

FORMATS = ("llamalab", "peft")
KIND = "llamalab LoRA 1"
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."  # peft's wrapper around the wrapper around the model
PEFT_TARGETS = {
    names.TO_HF[kind].rpartition(".")[2]: kind.rpartition(".")[2]
    for kind in names.TO_HF
    if kind.rpartition(".")[2] in lora.TARGETS
}  # q_proj: wq, …


def save_adapter(model: Llama, path: str | os.PathLike, *, format: str = "llamalab") -> None:
    """Write the adapters of `model`: a file for "llamalab", a folder for "peft". The model stays
    as it is. ValueError for an unknown format, a model without adapters, and weights that are not
    finite; nothing is written then."""
    path, state = Path(path), lora.adapter_state(model)
    if format not in FORMATS:
        raise ValueError(f"no format called {format!r}; there are {', '.join(FORMATS)}")
    for name, tensor in state.items():
        _check_finite(tensor, f"{name} of the model")
    there = lora.adapters(model)
    rank, alpha = next((adapter.rank, adapter.alpha) for adapter in there.values())
    targets = sorted({name.rpartition(".")[2] for name in there}, key=lora.TARGETS.index)
    if format == "llamalab":
        says = {"kind": KIND, "rank": str(rank), "alpha": repr(float(alpha))}
        _write(state, path, says | {"targets": " ".join(targets)})
        return
    path.mkdir(parents=True, exist_ok=True)
    to_hf = {
        _peft_name(n): _turn(model.config, n, t, names.permute_to_hf) for n, t in state.items()
    }
    _write(to_hf, path / WEIGHTS, {"format": "pt"})
    theirs = {meta: hf for hf, meta in PEFT_TARGETS.items()}
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": None,
        "r": rank, "lora_alpha": alpha, "target_modules": [theirs[name] for name in targets],
        "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": False, "inference_mode": True,
    }  # fmt: skip
    write_json(path / CONFIG, config)


def load_adapter(model: Llama, path: str | os.PathLike) -> Llama:
    """Add adapters to a plain `model` and fill them from a file of ours, or from peft's folder; the
    numbers are turned to the model's dtype. Gives the same model back, all but the adapters frozen.

    FileNotFoundError where there is no file; ValueError, with the model as it was, for a file that
    is not an adapter, is one of another model, or needs a feature that is not supported here
    (dropout is ignored).
    """
    path = Path(path)
    peft = path.is_dir()
    rank, alpha, targets = _peft_config(path / CONFIG) if peft else (0, 0.0, [])
    file = path / WEIGHTS if peft else path
    found, says = _read(file)
    if not peft:
        rank, alpha, targets = _our_config(file, says)
    else:
        found = {_meta_name(file, name): tensor for name, tensor in found.items()}
    _check_shapes(file, model, found, rank, targets)
    own = torch.Generator(next(model.parameters()).device)  # the global one is left alone
    try:
        lora.add(model, rank, alpha, targets, generator=own)
    except ValueError as error:
        raise ValueError(f"{path} does not fit: {error}") from None
    for name, tensor in found.items():
        tensor = _turn(model.config, name, tensor, names.permute_to_meta) if peft else tensor
        model.get_parameter(name).data.copy_(tensor)
    return model


def _turn(config: LlamaConfig, name: str, tensor: torch.Tensor, permute: Any) -> torch.Tensor:
    """B of wq and wk has the rows that RoPE turns; all else stays."""
    matrix, _, part = name.rpartition(".")
    heads = names.turned_heads(f"{matrix}.weight", config)
    return tensor if heads is None or part == "lora_A" else permute(tensor, heads)


def _peft_name(name: str) -> str:
    matrix, _, part = name.rpartition(".")
    return f"{PREFIX}{names.hf_name(f'{matrix}.weight')}".removesuffix("weight") + f"{part}.weight"


def _meta_name(file: Path, name: str) -> str:
    matrix, _, part = name.removeprefix(PREFIX).removesuffix(".weight").rpartition(".")
    meta = names.meta_name(f"{matrix}.weight")
    if meta is None or part not in ("lora_A", "lora_B"):
        raise ValueError(f"{file}: {brief(name)} is no lora_A or lora_B of a Llama 2's matrix")
    return f"{meta.removesuffix('weight')}{part}"


def _our_config(file: Path, says: dict[str, str]) -> tuple[int, float, list[str]]:
    if says.get("kind") != KIND:
        raise ValueError(f"{file} is no adapter of this course: its kind is {says.get('kind')!r}")
    try:
        return int(says["rank"]), float(says["alpha"]), says["targets"].split()
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file}: rank, alpha and targets cannot be read: {error}") from None


def _peft_config(file: Path) -> tuple[int, float, list[str]]:
    fields = Fields(file)
    fields.fixed("peft_type", "LORA", "other adapters are not known here")
    fields.fixed("bias", "none", "Llama 2 has no biases")
    for name in ("use_rslora", "use_dora", "fan_in_fan_out", "lora_bias"):
        fields.fixed(name, False, "another formula than W + (alpha/r) B A")
    for name in ("rank_pattern", "alpha_pattern"):
        fields.fixed(name, {}, "here all adapters of a model have one rank and one alpha")
    listed = fields.values.get("target_modules")
    if type(listed) is not list or not listed or set(map(str, listed)) - set(PEFT_TARGETS):
        known = ", ".join(PEFT_TARGETS)
        raise ValueError(f"{file}: target_modules={brief(listed)} must be a list of {known}")
    return fields.whole("r"), fields.number("lora_alpha"), [PEFT_TARGETS[name] for name in listed]


def _check_shapes(
    file: Path, model: nn.Module, found: dict[str, torch.Tensor], rank: int, targets: list[str]
) -> None:
    wanted: dict[str, tuple[int, int]] = {}
    for name, part in model.named_modules():
        if name.rpartition(".")[2] in targets and isinstance(part, nn.Linear):
            wanted[f"{name}.lora_A"] = rank, part.in_features
            wanted[f"{name}.lora_B"] = part.out_features, rank
    if lora.adapters(model):
        return  # `add` will say so
    if odd := wanted.keys() ^ found.keys():
        side = "lacks" if min(odd) in wanted else "holds, and the model has no place for,"
        raise ValueError(f"{file} {side} {min(odd)}")
    for name, shape in wanted.items():
        if tuple(found[name].shape) != shape:
            raise ValueError(
                f"{file}: {name} has shape {tuple(found[name].shape)}, but this model and "
                f"rank={rank} ask for {shape}"
            )
        _check_finite(found[name], f"{name} in {file}")


def _check_finite(tensor: torch.Tensor, what: str) -> None:
    if tensor.dtype not in FLOATS or not tensor.isfinite().all():
        raise ValueError(f"{what} is {tensor.dtype} and holds what is no finite float")


def _write(state: dict[str, torch.Tensor], file: Path, says: dict[str, str]) -> None:
    with atomic_write(file) as part:
        save_file({n: t.cpu().contiguous() for n, t in state.items()}, part, metadata=says)


def _read(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with safe_open(require_file(file), framework="pt") as held:
            return {name: held.get_tensor(name) for name in held.keys()}, held.metadata() or {}
    except FileNotFoundError:
        raise
    except Exception as error:  # the library's own kinds
        raise ValueError(f"{file} is no sound safetensors file: {error}") from None

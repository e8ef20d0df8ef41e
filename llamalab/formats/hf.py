"""Hugging Face's folder: config.json, safetensors in one file or in shards, tokenizer.model.

safetensors are mapped into memory and read weight by weight. Of older folders pytorch_model.bin is
read, without running what it holds. Rows of wq and wk are put into Meta's order and back (`names`);
config.json is the matter of `hf_config`. A reward or value model, whose head gives one number, is a
LlamaForSequenceClassification there: its score is the one at the last token that is not padding.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.runtime.files import atomic_write, require_file
from llamalab.runtime.json_files import Fields, write_json
from llamalab.tokenizer import BPETokenizer

from . import names
from .build import StoredModel, scores, weights_of, widest
from .files import FLOATS, inside, read_pickle
from .hf_config import config_json, read_config, scoring_json

WEIGHTS = ("model.safetensors", "model.safetensors.index.json",
           "pytorch_model.bin", "pytorch_model.bin.index.json")  # fmt: skip
OURS = re.compile(r"model(-[0-9]{5}-of-[0-9]{5}\.safetensors|\.safetensors(\.index\.json)?)")
KINDS = ("Llama 2", "Llama 2 that scores")
IN_FILE = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
Stored = tuple[tuple[int, ...], torch.dtype, Callable[[], torch.Tensor]]  # shape, dtype, how to get


def read(folder: Path) -> StoredModel:
    """What the folder holds; the weights stay on disk until they are asked for. ValueError says
    which file is not sound."""
    config, scoring = read_config(folder / "config.json")
    tensors: dict[str, Stored] = {}
    for path, listed in _weight_files(folder):
        stored = _safetensors(path) if path.suffix == ".safetensors" else _bin(path)
        if listed is not None and stored.keys() != listed:
            odd = min(stored.keys() ^ listed)
            raise ValueError(f"{path}: {odd} is in the file or in the index, but not in both")
        for hf_name, tensor in stored.items():
            if hf_name.endswith("rotary_emb.inv_freq"):  # a table that follows from rope_theta
                continue
            name = names.meta_name(hf_name, scoring=scoring)
            if name is None:
                raise ValueError(f"{path}: {hf_name} is no weight of a {KINDS[scoring]}")
            tensors[name] = tensor

    def fetch(name: str) -> torch.Tensor:
        weight, heads = tensors[name][2](), names.turned_heads(name, config)
        return weight if heads is None else names.permute_to_meta(weight, heads)

    if not tensors:
        raise ValueError(f"{folder}: there are no weights in its files")
    return StoredModel(
        where=folder,
        config=config,
        shapes={name: shape for name, (shape, _, _) in tensors.items()},
        stored=widest(dtype for _, dtype, _ in tensors.values()),
        read=fetch,
        scoring=scoring,
    )


def _weight_files(folder: Path) -> Iterator[tuple[Path, set[str] | None]]:
    """The files with weights, each with the names that an index lists for it."""
    there = [name for name in WEIGHTS if (folder / name).exists()]
    if not there:
        raise ValueError(f"{folder} has a config.json, but none of {', '.join(WEIGHTS)}")
    if not there[0].endswith(".json"):
        yield require_file(folder / there[0]), None
        return
    index = Fields(folder / there[0]).inner("weight_map")
    listed: dict[str, set[str]] = {}
    for name, file in index.values.items():
        if not isinstance(file, str) or Path(file).suffix != Path(there[0][:-11]).suffix:
            raise index.wrong(name, f"in weight_map is no {Path(there[0][:-11]).suffix} file")
        listed.setdefault(file, set()).add(name)
    for file in sorted(listed):
        yield inside(folder, file), listed[file]


def _safetensors(path: Path) -> dict[str, Stored]:
    try:
        file = safe_open(path, framework="pt")
        found: dict[str, Stored] = {}
        for name in file.keys():
            part = file.get_slice(name)
            shape, kind = tuple(part.get_shape()), str(part.get_dtype())
            if kind not in IN_FILE and not name.endswith("rotary_emb.inv_freq"):
                raise ValueError(f"{name} is stored as {kind}, not as one of {', '.join(IN_FILE)}")
            found[name] = shape, IN_FILE.get(kind, torch.float32), partial(file.get_tensor, name)
        return found
    except Exception as error:  # the library's own kinds
        raise ValueError(f"{path} is no sound safetensors file: {error}") from None


def _bin(path: Path) -> dict[str, Stored]:
    found = read_pickle(path)
    for name, tensor in found.items():
        if tensor.dtype not in FLOATS:
            raise ValueError(f"{path}: {name} is stored as {tensor.dtype}, not as floats")
    return {n: (tuple(t.shape), t.dtype, partial(_itself, t)) for n, t in found.items()}


def _itself(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def write(
    model: Llama,
    folder: Path,
    tokenizer: BPETokenizer | None,
    max_shard_bytes: int | None,
    offset: float = 0.0,
) -> None:
    """Weights first, config.json last; then the shards of an earlier save are removed. offset: see
    `hf_config.read_offset`."""
    weights, scoring = weights_of(model), scores(model)
    shards = _shards(weights, max_shard_bytes)
    files: set[str] = set()
    places: dict[str, str] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        file = file if len(shards) > 1 else "model.safetensors"
        tensors = {
            str(names.hf_name(name, scoring=scoring)): _to_hf(model.config, name, weights[name])
            for name in shard
        }
        with atomic_write(folder / file) as part:
            save_file(tensors, part, metadata={"format": "pt"})
        files.add(file)
        places |= dict.fromkeys(tensors, file)
    if len(shards) > 1:
        size = sum(weight.nbytes for weight in weights.values())
        index = {"metadata": {"total_size": size}, "weight_map": places}
        write_json(folder / WEIGHTS[1], index)
        files.add(WEIGHTS[1])
    dtype = str(next(iter(weights.values())).dtype).removeprefix("torch.")
    config = config_json(model.config, dtype, tokenizer)
    if scoring:
        config |= scoring_json(tokenizer, offset)
    write_json(folder / "config.json", config)
    for old in folder.iterdir():
        if OURS.fullmatch(old.name) and old.name not in files:
            old.unlink()


def _to_hf(config: LlamaConfig, name: str, weight: torch.Tensor) -> torch.Tensor:
    heads = names.turned_heads(name, config)
    weight = weight if heads is None else names.permute_to_hf(weight, heads)
    return weight.cpu().contiguous()


def _shards(weights: dict[str, torch.Tensor], most: float | None) -> list[list[str]]:
    """Names in their order, as many to a shard as fit; a weight that is larger gets its own."""
    shards: list[list[str]] = [[]]
    room = most = float("inf") if most is None else most
    for name, weight in weights.items():
        if weight.nbytes > room and shards[-1]:
            shards.append([])
            room = most
        shards[-1].append(name)
        room -= weight.nbytes
    return shards

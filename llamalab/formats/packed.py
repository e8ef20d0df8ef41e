"""A quantized model in a folder of our own: config.json, model.safetensors, tokenizer.model.

Every format that `quantize_model` has; the tensors are the blocks' own, under Meta's names
(layers.0.attention.wq.data). config.json is Hugging Face's with a quantization_config that says
"llamalab", so that no other reader takes the codes for weights. What each matrix must consist of
follows from the config (`quantization.layout`); anything else is refused.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from llamalab.accounting.compute import count_parameters
from llamalab.accounting.memory import refuse_if_too_large
from llamalab.config import LlamaConfig
from llamalab.model import Llama, Parts
from llamalab.quantization import Blocks, Grid, PackedEmbedding, PackedLinear
from llamalab.quantization.blocks import STRIP
from llamalab.quantization.layout import GROUP_SIZE, Layout, layout, outer_kind, planned_bytes
from llamalab.quantization.packed import TiedHead, put, put_weight
from llamalab.quantization.quantize import read_format
from llamalab.runtime.files import atomic_write, require_file
from llamalab.runtime.json_files import Fields, read_json, write_json

from . import names
from .build import check_finite
from .hf_config import config_json, from_fields

METHOD, KEY, FILE = "llamalab", "quantization_config", "model.safetensors"


def recognises(folder: Path) -> bool:
    """Whether this is such a folder. ValueError for a config.json that cannot be read."""
    path = folder / "config.json"
    found = read_json(path).get(KEY) if path.exists() else None
    return isinstance(found, dict) and found.get("quant_method") == METHOD


def read(folder: Path, parts: Parts | None) -> Llama:
    """The model, in the blocks that it was saved in. ValueError for a file that is not sound,
    MemoryError, before it is read, for one that does not fit."""
    fields = Fields(folder / "config.json")
    said = fields.inner(KEY)
    name = said.values.get("format")
    if not isinstance(name, str) or set(said.values) != {"quant_method", "format", "group_size"}:
        raise fields.wrong(KEY, "must say quant_method, format and group_size")
    (kind, bits), group_size = read_format(name), said.whole("group_size")
    config = from_fields(Fields(fields.path, {**fields.values, KEY: None}))
    need = planned_bytes(config, kind, bits, group_size)
    try:
        file = safe_open(require_file(folder / FILE), framework="pt")
        there = set(file.keys())
    except FileNotFoundError:
        raise ValueError(f"{folder} has a config.json, but no {FILE}") from None
    except Exception as error:  # the library's own kinds
        raise ValueError(f"{folder / FILE} is no sound safetensors file: {error}") from None
    count = _count(config, kind, bits, group_size)
    if len(there) != count:
        raise ValueError(f"{folder / FILE} holds {len(there)} tensors; {count} are needed")
    refuse_if_too_large(config, need / count_parameters(config)["total"])
    with torch.device("meta"):
        model = Llama(config, parts)
    for name, what in _wanted(config, kind, bits, group_size).items():
        if isinstance(what, Layout):
            blocks = _blocks(folder, file, there, name.removesuffix(".weight"), what)
            module = PackedEmbedding(blocks) if name.startswith("tok_") else PackedLinear(blocks)
            put(model, name.removesuffix(".weight"), module)
        else:
            weight = _tensor(folder, file, there, name, what, torch.float32)
            check_finite(weight, name, folder)
            put_weight(model, name, weight)
    if config.tie_embeddings:
        embedding = model.get_submodule("tok_embeddings")
        assert isinstance(embedding, PackedEmbedding)
        put(model, "output", TiedHead(embedding))
    return model.requires_grad_(False)


def write(model: Llama, folder: Path, format: str) -> None:
    """A model of `quantize_model(…, format)`. ValueError for another one."""
    (kind, bits), group_size = read_format(format), _group_size(model)
    state = {name: x.detach().cpu().contiguous() for name, x in model.state_dict().items()}
    for name, what in _wanted(model.config, kind, bits, group_size).items():
        found = model.get_submodule(name.removesuffix(".weight"))
        if isinstance(what, Layout) and not isinstance(found, PackedLinear):
            raise ValueError(f"{name} is not packed: quantize_model(model, {format!r}) comes first")
        if (
            isinstance(what, Layout)
            and {key: (tuple(x.shape), x.dtype) for key, x in found.named_buffers()} != what.tensors
        ):
            raise ValueError(f"{name} is not packed as {format} with groups of {group_size}")
    said = {"quant_method": METHOD, "format": format, "group_size": group_size}
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / FILE) as part:
        save_file(state, part, metadata={"format": "pt"})
    config = config_json(model.config, "float32")
    write_json(folder / "config.json", {**config, KEY: said})


def _group_size(model: Llama) -> int:
    wq = model.get_submodule("layers.0.attention.wq")
    blocks = wq.blocks if isinstance(wq, PackedLinear) else None
    return blocks.shape[1] // blocks.scales.shape[1] if isinstance(blocks, Grid) else GROUP_SIZE


def _wanted(
    config: LlamaConfig, kind: str, bits: int, group_size: int
) -> dict[str, Layout | tuple[int, ...]]:
    """What each weight consists of: a layout, or the shape of a norm."""
    found: dict[str, Layout | tuple[int, ...]] = {}
    for name, shape in names.shapes(config):
        if len(shape) == 1:
            found[name] = shape
            continue
        ends = name in ("tok_embeddings.weight", "output.weight")
        size = (shape[0], shape[1])
        found[name] = (
            layout(outer_kind(kind), 0, size) if ends else layout(kind, bits, size, group_size)
        )
    return found


def _count(config: LlamaConfig, kind: str, bits: int, group_size: int) -> int:
    """How many tensors there must be, without listing layers: their number may be a lie."""
    one = _wanted(replace(config, n_layers=1), kind, bits, group_size)
    found = {name: len(x.tensors) if isinstance(x, Layout) else 1 for name, x in one.items()}
    layer = sum(n for name, n in found.items() if name.startswith("layers."))
    return sum(found.values()) + (config.n_layers - 1) * layer


def _blocks(folder: Path, file, there: set[str], stem: str, what: Layout) -> Blocks:
    tensors = {
        key: _tensor(folder, file, there, f"{stem}.{key}", shape, dtype)
        for key, (shape, dtype) in what.tensors.items()
    }
    kept: dict[str, Any] = {**what.rest, **tensors}
    blocks = what.kind(**kept)
    rows, width = blocks.shape
    step = max(1, STRIP // width)
    for start in range(0, rows, step):
        check_finite(blocks.numbers(slice(start, start + step)), stem, folder)
    return blocks


def _tensor(folder: Path, file, there: set[str], name: str, shape, dtype) -> torch.Tensor:
    if name not in there:
        raise ValueError(f"{folder / FILE} lacks {name}")
    try:
        found = file.get_tensor(name)
    except Exception as error:
        raise ValueError(f"{folder / FILE}: {name} cannot be read: {error}") from None
    if (tuple(found.shape), found.dtype) != (tuple(shape), dtype):
        raise ValueError(
            f"{folder / FILE}: {name} is {found.dtype} {tuple(found.shape)}, not {dtype} {shape}"
        )
    return found

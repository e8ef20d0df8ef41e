"""GGUF, llama.cpp's file: model and tokenizer in one, as floats or in ggml's blocks.

Read by `gguf_file`; written by the gguf package, an optional one: pip install "llamalab[gguf]".
wq and wk keep Meta's row order, since llama.cpp turns neighbours for this architecture. Norms are
float32. Numbers of the metadata are float32 too: a config that would not come back is refused.
Left out on purpose: K-quants and other types (the refusal names them), and other architectures.
Source: ggml's docs/gguf.md and llama.cpp's conversion of Llama.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from llamalab.model import Llama
from llamalab.quantization import Q4_0, Q4_1, Q8_0, Blocks, PackedLinear
from llamalab.quantization.quantize import GGML
from llamalab.runtime.files import atomic_write, require_file
from llamalab.tokenizer import BPETokenizer

from . import gguf_tokenizer, names
from .build import StoredModel, weights_of, widest
from .gguf_config import metadata_of, read_config
from .gguf_file import TYPES, open_gguf

FORMATS = ("gguf", "gguf-q8_0", "gguf-q4_0")
TO_GGUF = {
    "tok_embeddings": "token_embd", "norm": "output_norm", "output": "output",
    "layers.{}.attention_norm": "blk.{}.attn_norm", "layers.{}.ffn_norm": "blk.{}.ffn_norm",
    "layers.{}.attention.wq": "blk.{}.attn_q", "layers.{}.attention.wk": "blk.{}.attn_k",
    "layers.{}.attention.wv": "blk.{}.attn_v", "layers.{}.attention.wo": "blk.{}.attn_output",
    "layers.{}.feed_forward.w1": "blk.{}.ffn_gate", "layers.{}.feed_forward.w2": "blk.{}.ffn_down",
    "layers.{}.feed_forward.w3": "blk.{}.ffn_up",
}  # fmt: skip
FLOATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
BLOCKS: dict[str, type[Blocks]] = {"Q8_0": Q8_0, "Q4_0": Q4_0, "Q4_1": Q4_1}


def recognises(path: Path) -> bool:
    """Whether the file begins as GGUF does."""
    with open(require_file(path), "rb") as file:
        return file.read(4) == b"GGUF"


def read(path: Path) -> StoredModel:
    """What the file holds; its tensors are mapped into memory. ValueError for a file that is not
    sound, and for a model that is not a Llama."""
    file = open_gguf(path)
    tensors = {_meta_name(path, name): tensor for name, tensor in file.tensors.items()}
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    config = read_config(path, file.metadata, shapes)

    def raw(name: str) -> torch.Tensor:
        tensor = tensors[name]
        return torch.from_numpy(file.data[tensor.start : tensor.stop])

    def packed(name: str) -> Blocks | None:
        tensor = tensors[name]
        if tensor.kind not in BLOCKS:
            return None
        kept: dict[str, Any] = {
            "shape": tensor.shape,
            "data": raw(name).view(*tensor.shape[:-1], -1),
        }
        return BLOCKS[tensor.kind](**kept)

    def fetch(name: str) -> torch.Tensor:
        blocks, tensor = packed(name), tensors[name]
        if blocks is not None:
            return blocks.numbers()
        return raw(name).view(FLOATS[tensor.kind]).view(tensor.shape)

    matrices = [t for t in tensors.values() if len(t.shape) == 2] or list(tensors.values())
    return StoredModel(
        where=path,
        config=config,
        shapes=shapes,
        stored=widest(FLOATS.get(tensor.kind, torch.float32) for tensor in matrices),
        read=fetch,
        packed=packed,
    )


def read_tokenizer(path: Path, vocab_size: int) -> BPETokenizer | None:
    """The tokenizer in the file; None if there is none. ValueError for one that cannot be used."""
    return gguf_tokenizer.from_metadata(open_gguf(path).metadata, vocab_size, str(path))


def _meta_name(path: Path, name: str) -> str:
    stem, layer = name.removesuffix(".weight"), ""
    if name.startswith("blk."):
        layer, _, rest = stem.removeprefix("blk.").partition(".")
        stem = f"blk.{{}}.{rest}"
    kind = {theirs: ours for ours, theirs in TO_GGUF.items()}.get(stem)
    if kind is None or not name.endswith(".weight") or (layer and str(_whole(layer)) != layer):
        raise ValueError(f"{path}: {name!r:.80} is no weight of a Llama 2")
    return f"{kind.format(layer)}.weight"


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def write(model: Llama, path: Path, format: str, tokenizer: BPETokenizer | None) -> None:
    """Format "gguf" keeps the dtype; "gguf-q8_0" and "gguf-q4_0" quantize every matrix, or keep the
    blocks of a model that is packed so. ImportError without the gguf package; ValueError for what
    the format cannot hold. Nothing is written then."""
    try:
        import gguf
    except ImportError:
        raise ImportError(
            "writing GGUF needs the gguf package: pip install 'llamalab[gguf]', or pip install "
            "gguf. Reading needs nothing"
        ) from None
    kind = format.removeprefix("gguf").lstrip("-").upper()
    weights = _weights(model, kind)
    first = weights["tok_embeddings.weight"]
    dtype = first.dtype if isinstance(first, torch.Tensor) else None
    kind = kind or next((name for name, found in FLOATS.items() if found == dtype), "")
    if not kind:
        raise ValueError(f"GGUF has no {dtype}: call model.float() first")
    metadata = {"general.name": path.stem, **metadata_of(model.config, kind)}
    if tokenizer is not None:
        metadata |= gguf_tokenizer.to_metadata(tokenizer, model.config.vocab_size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        writer = gguf.GGUFWriter(part, "llama")
        for key, value in metadata.items():
            add: Any = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32,
                   str: writer.add_string}.get(type(value), writer.add_array)  # fmt: skip
            add(key, value)
        for name, weight in weights.items():
            shape, numbers, raw = _announced(tuple(weight.shape), kind)
            size = int(np.prod(shape, dtype=np.int64)) * numbers.itemsize
            number = None if raw is None else gguf.GGMLQuantizationType[raw]
            writer.add_tensor_info(_gguf_name(name), shape, numbers, size, number)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for weight in weights.values():  # one at a time: a whole model is never there twice
            writer.write_tensor_data(_as_stored(weight, kind))
        writer.close()


def _weights(model: Llama, kind: str) -> dict[str, torch.Tensor | Blocks]:
    """What to write by Meta's names: tensors, or blocks where the model is packed."""
    if not any(isinstance(module, PackedLinear) for module in model.modules()):
        return dict(weights_of(model))
    found: dict[str, torch.Tensor | Blocks] = {}
    for name, _ in names.shapes(model.config):
        module = model.get_submodule(name.removesuffix(".weight"))
        if not isinstance(module, PackedLinear):
            found[name] = model.get_parameter(name).detach()
        elif module.kind is not BLOCKS.get(kind):
            raise ValueError(
                f"{name} is packed as {module.kind.__name__}, which is not what is to be written, "
                f"{kind or 'floats'}: save the model that it was quantized from"
            )
        else:
            found[name] = module.blocks
    return found


def _announced(shape: tuple[int, ...], kind: str) -> tuple[tuple[int, ...], np.dtype, str | None]:
    """Shape and dtype as numpy is to have them, and ggml's type where these do not tell it."""
    if len(shape) == 1 or kind == "F32":
        return shape, np.dtype(np.float32), None
    if kind == "F16":
        return shape, np.dtype(np.float16), None
    if kind == "BF16":
        return (*shape[:-1], 2 * shape[-1]), np.dtype(np.uint8), kind
    numbers, size = next(blocks for name, *blocks in TYPES.values() if name == kind)
    if shape[-1] % numbers:
        raise ValueError(
            f"blocks of {numbers} must divide a row, and a row has {shape[-1]} numbers"
        )
    return (*shape[:-1], shape[-1] // numbers * size), np.dtype(np.uint8), kind


def _as_stored(weight: torch.Tensor | Blocks, kind: str) -> np.ndarray:
    if isinstance(weight, Blocks):
        return weight.tensors()["data"].cpu().numpy()
    weight = weight.cpu()
    if weight.ndim == 1 or kind == "F32":
        return weight.float().numpy()
    if kind in FLOATS:
        weight = weight.contiguous()
        return (weight.view(torch.uint8) if kind == "BF16" else weight).numpy()
    return GGML[kind.lower()](weight).tensors()["data"].numpy()


def _gguf_name(name: str) -> str:
    kind, layer = names.kind_and_layer(name)
    return f"{TO_GGUF[kind].format(layer)}.weight"

"""llama2.c's .bin files: a header, then all weights in a fixed order, little-endian.

    v0   7 int32: dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, max_seq_len; a
         negative vocab_size says that the head is not tied. fp32; two RoPE tables before the head.
    v1   256 bytes: "24ka", version, the 7 numbers, a flag for the tie. fp32, norms first.
    v2   the same header with the group size at offset 37 (unaligned). Norms fp32; of each matrix
         first all int8, then the fp32 scales, one for each group: weight = int8 * scale.
A matrix stands layer after layer; wq and wk have Meta's row order. eps and theta are not in the
format: 1e-5 and 10,000 are meant, and a model with others is refused.
Source: llama2.c's export.py, run.c and runq.c. Unlike there, a group of zeros is no division by 0.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from llamalab.config import LlamaConfig
from llamalab.model import Llama

from . import names
from .build import Held, make_config, weights_of
from .files import beside, regular

MAGIC = b"24ka"
GROUP_SIZE = 64
SIZES = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "max_seq_len")
NORMS = ["layers.{}.attention_norm", "layers.{}.ffn_norm"]
ATTENTION = [f"layers.{{}}.attention.{matrix}" for matrix in ("wq", "wk", "wv", "wo")]
FEED_FORWARD = [f"layers.{{}}.feed_forward.{matrix}" for matrix in ("w1", "w2", "w3")]
TABLES = "tables"  # v0's cosines and sines, which readers skip
ORDER = {
    0: ["tok_embeddings", NORMS[0], *ATTENTION, NORMS[1], *FEED_FORWARD, "norm", TABLES, "output"],
    1: [*NORMS, "norm", "tok_embeddings", *ATTENTION, *FEED_FORWARD, "output"],
}


def read(path: Path) -> Held:
    """What the file holds. Its length must be to the byte what its header says."""
    size = regular(path).stat().st_size
    with open(path, "rb") as file:
        config, version, start, group = _read_header(path, file.read(256))
    places, end = {}, start
    if names.weight_count(config) <= size:  # else even one byte each would not fit
        for name, shape in layout(config, version):
            numbers = int(np.prod(shape, dtype=object))
            places[name] = end, shape
            quantised = group and len(shape) == 2
            end += numbers + numbers // group * 4 if quantised else numbers * 4
    if end != size or not places:
        raise ValueError(
            f"{path} has {size} bytes, but its header (llama2.c v{version}, {config}) needs "
            f"{end if places else 'far more'}"
        )
    data = np.memmap(path, dtype=np.uint8, mode="c")  # "c": writing makes a copy of the page

    def fetch(name: str) -> torch.Tensor:
        offset, shape = places[name]
        numbers = int(np.prod(shape))
        if not (group and len(shape) == 2):
            return torch.from_numpy(data[offset : offset + 4 * numbers].view("<f4")).view(shape)
        scales = offset + numbers
        return dequantise(
            torch.from_numpy(data[offset:scales].view(np.int8)),
            torch.from_numpy(data[scales : scales + numbers // group * 4].copy().view("<f4")),
        ).view(shape)

    shapes = {name: shape for name, (_, shape) in places.items() if name != TABLES}
    return Held(where=path, config=config, shapes=shapes, stored=torch.float32, read=fetch)


def _read_header(path: Path, head: bytes) -> tuple[LlamaConfig, int, int, int]:
    """-> config, version, where the weights start, group size (0: not quantised)."""
    version, group, start = 0, 0, 28
    if head[:4] == MAGIC and len(head) == 256:
        version, *sizes = struct.unpack_from("<8i", head, 4)
        tied, start = head[36], 256
        if version not in (1, 2) or tied not in (0, 1):
            raise ValueError(
                f"{path}: version {version} and tie flag {tied}, not 1 or 2 and 0 or 1"
            )
        group = struct.unpack_from("<i", head, 37)[0] if version == 2 else 0
        if any(head[41 if group else 37 :]):
            raise ValueError(f"{path}: the rest of its header of 256 bytes is not empty")
    elif len(head) >= 28:
        sizes = list(struct.unpack_from("<7i", head))
        tied, sizes[5] = sizes[5] > 0, abs(sizes[5])
    else:
        raise ValueError(f"{path} has {len(head)} bytes: too few for a header of llama2.c")
    try:
        config = make_config(path, **dict(zip(SIZES, sizes)), tie_embeddings=bool(tied))
    except ValueError as error:
        known = "24ka for llama2.c v1 and v2; else the 7 sizes of v0"
        raise ValueError(
            f"{path} is no checkpoint that is known here. It starts with {head[:4]!r}; looked for "
            f"{known}, which do not fit: {error}"
        ) from None
    if version == 2 and (group < 1 or config.dim % group):
        raise ValueError(f"{path}: group_size={group} must divide dim={config.dim}")
    return config, version, start, group


def layout(config: LlamaConfig, version: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of each weight in the file's order; two tables among them in v0."""
    layer_shapes = names.layer_shapes(config)
    matrix = (config.vocab_size, config.dim)
    once = {"tok_embeddings": matrix, "norm": (config.dim,), "output": matrix}
    for kind in ORDER[min(version, 1)]:
        if kind == TABLES:
            yield kind, (2, config.max_seq_len, config.head_dim // 2)
        elif kind in layer_shapes:
            for layer in range(config.n_layers):
                yield f"{kind.format(layer)}.weight", layer_shapes[kind]
        elif kind != "output" or not config.tie_embeddings:
            yield f"{kind}.weight", once[kind]


def write(model: Llama, path: Path, version: int) -> None:
    """Version 0, 1 or 2. ValueError for a model that the format cannot hold."""
    config, weights = model.config, weights_of(model)
    for field, only in (("rope_theta", 10000.0), ("norm_eps", 1e-5)):
        if getattr(config, field) != only:
            raise ValueError(
                f"llama2.c's files cannot hold {field}={getattr(config, field)}: "
                f"its readers take it to be {only}"
            )
    if {weight.dtype for weight in weights.values()} != {torch.float32}:
        raise ValueError(
            "llama2.c's files hold float32: call model.float() first; "
            f"these weights are {next(iter(weights.values())).dtype}"
        )
    group = _group_size(config) if version == 2 else 0
    with beside(path) as part, open(part, "wb") as file:
        file.write(_header(config, version, group))
        for name, shape in layout(config, version):
            if name == TABLES:
                file.write(_bytes(model.cos) + _bytes(model.sin))
            elif group and len(shape) == 2:
                whole, scales = quantise(weights[name], group)
                file.write(_bytes(whole, "i1") + _bytes(scales))
            else:
                file.write(_bytes(weights[name]))


def _header(config: LlamaConfig, version: int, group: int) -> bytes:
    sizes = [getattr(config, name) for name in SIZES]
    if version == 0:
        sizes[5] *= 1 if config.tie_embeddings else -1
        return struct.pack("<7i", *sizes)
    head = MAGIC + struct.pack("<8iB", version, *sizes, config.tie_embeddings)
    return (head + (struct.pack("<i", group) if group else b"")).ljust(256, b"\0")


def _bytes(tensor: torch.Tensor, kind: str = "<f4") -> bytes:
    return tensor.detach().cpu().contiguous().numpy().astype(kind, copy=False).tobytes()


def _group_size(config: LlamaConfig) -> int:
    """64, halved until whole groups make a row: runq.c walks rows of dim and of hidden_dim."""
    group = GROUP_SIZE
    while config.dim % group or config.hidden_dim % group:
        group //= 2
    return group


def quantise(weight: torch.Tensor, group_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """int8 numbers of -127 .. 127 in rows of one group each, and a float32 scale for each row."""
    groups = weight.detach().float().reshape(-1, group_size)
    scales = groups.abs().amax(dim=1) / 127.0
    whole = (groups / scales.unsqueeze(1)).nan_to_num(0.0).round().clamp(-127, 127)
    return whole.to(torch.int8), scales


def dequantise(whole: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """int8 and one scale for each group -> float32, flat."""
    return (whole.reshape(len(scales), -1).float() * scales.unsqueeze(1)).flatten()

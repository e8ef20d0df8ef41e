"""llama2.c's .bin files: the header and the order of what follows, little-endian.

    v0   7 int32: dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, max_seq_len; a
         negative vocab_size says that the head is not tied. fp32; two RoPE tables before the head.
    v1   256 bytes: "24ka", version, the 7 numbers, a flag for the tie. fp32, norms first.
    v2   the same header with the group size at offset 37 (unaligned). Norms fp32; of each matrix
         first all int8, then the fp32 scales, one for each group.
Source: llama2.c's export.py, run.c and runq.c.
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path

from llamalab.config import LlamaConfig

from . import names
from .build import make_config

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


def read_header(path: Path, head: bytes) -> tuple[LlamaConfig, int, int, int]:
    """The first bytes of a file -> config, version, where the weights start, group size (0: not
    quantized). ValueError for a header that is not llama2.c's."""
    version, group, start = 0, 0, 28
    if len(head) < (256 if head.startswith(MAGIC) else 28):
        raise ValueError(f"{path} has {len(head)} bytes: too few for a header of llama2.c")
    if head.startswith(MAGIC):
        version, *sizes = struct.unpack_from("<8i", head, 4)
        tied, start = head[36], 256
        if version not in (1, 2) or tied not in (0, 1):
            raise ValueError(
                f"{path}: version {version} and tie flag {tied}, not 1 or 2 and 0 or 1"
            )
        group = struct.unpack_from("<i", head, 37)[0] if version == 2 else 0
        if any(head[41 if version == 2 else 37 :]):
            raise ValueError(f"{path}: the rest of its header of 256 bytes is not empty")
    else:
        sizes = list(struct.unpack_from("<7i", head))
        tied, sizes[5] = sizes[5] > 0, abs(sizes[5])
    try:
        config = make_config(path, **dict(zip(SIZES, sizes)), tie_embeddings=bool(tied))
    except ValueError as error:
        if version:
            raise
        raise ValueError(
            f"{error}. If this is no llama2.c file of version 0: no other kind is known that "
            f"starts with {head[:4]!r}. Known are files of llama2.c (version 1 and 2 start with "
            f"{MAGIC!r}), folders with config.json (Hugging Face) and with params.json (Meta)"
        ) from None
    if version == 2 and (group < 1 or config.dim % group):
        raise ValueError(f"{path}: group_size={group} must divide dim={config.dim}")
    return config, version, start, group


def once(config: LlamaConfig, version: int) -> dict[str, tuple[int, ...]]:
    """What is in the file once, not once for each layer."""
    matrix = (config.vocab_size, config.dim)
    found = {"tok_embeddings": matrix, "norm": (config.dim,)}
    if version == 0:
        found[TABLES] = (2, config.max_seq_len, config.head_dim // 2)
    return found if config.tie_embeddings else found | {"output": matrix}


def layout(config: LlamaConfig, version: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of each weight in the file's order; two tables among them in v0."""
    layer_shapes, single = names.layer_shapes(config), once(config, version)
    for kind in ORDER[min(version, 1)]:
        if kind in layer_shapes:
            for layer in range(config.n_layers):
                yield f"{kind.format(layer)}.weight", layer_shapes[kind]
        elif kind in single:
            yield kind if kind == TABLES else f"{kind}.weight", single[kind]


def bytes_of(shape: tuple[int, ...], group: int) -> int:
    """Bytes of a weight: fp32, or for a matrix int8 and a fp32 scale for each group (0: none)."""
    numbers = math.prod(shape)
    return numbers + 4 * (numbers // group) if group and len(shape) == 2 else 4 * numbers


def file_size(config: LlamaConfig, version: int, group: int) -> int:
    """Bytes after the header, without listing layers: their number may be a lie."""
    layer = sum(bytes_of(shape, group) for shape in names.layer_shapes(config).values())
    single = sum(bytes_of(shape, group) for shape in once(config, version).values())
    return config.n_layers * layer + single


def header(config: LlamaConfig, version: int, group: int) -> bytes:
    """The bytes before the weights: 28 in version 0, 256 in the others."""
    sizes = [getattr(config, name) for name in SIZES]
    if version == 0:
        sizes[5] *= 1 if config.tie_embeddings else -1
        return struct.pack("<7i", *sizes)
    head = MAGIC + struct.pack("<8iB", version, *sizes, config.tie_embeddings)
    return (head + (struct.pack("<i", group) if group else b"")).ljust(256, b"\0")


def group_size(config: LlamaConfig) -> int:
    """64, halved until whole groups make a row: runq.c walks rows of dim and of hidden_dim."""
    group = GROUP_SIZE
    while config.dim % group or config.hidden_dim % group:
        group //= 2
    return group

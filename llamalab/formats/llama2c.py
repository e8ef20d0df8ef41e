"""llama2.c's .bin files, read and written: float32 (versions 0 and 1) or int8 (version 2).

`llama2c_layout` says what stands where. wq and wk have Meta's row order. In version 2 a weight is
int8 * scale, with one scale for each group of a matrix's numbers; a group of zeros stays zeros
(export.py divides by zero). eps, theta and a scaling of positions are not in the format: 1e-5,
10,000 and none are meant, and a model with others is refused.
Source: llama2.c's export.py, run.c and runq.c.
"""

import math
from pathlib import Path

import numpy as np
import torch

from llamalab.model import Llama
from llamalab.runtime.files import atomic_write, require_file

from .build import StoredModel, weights_of
from .llama2c_layout import (
    TABLES,
    bytes_of,
    file_size,
    group_size,
    header,
    layout,
    read_header,
)


def read(path: Path) -> StoredModel:
    """What the file holds. Its length must be to the byte what its header says. ValueError for a
    file of another length."""
    size = require_file(path).stat().st_size
    with open(path, "rb") as file:
        config, version, start, group = read_header(path, file.read(256))
    needed = start + file_size(config, version, group)
    if size != needed:
        raise ValueError(
            f"{path} has {size} bytes, but its header (llama2.c version {version}: {config}) needs "
            f"{needed}"
        )
    places, end = {}, start
    for name, shape in layout(config, version):
        places[name] = end, shape
        end += bytes_of(shape, group)
    data = np.memmap(path, dtype=np.uint8, mode="c")  # "c": writing makes a copy of the page

    def fetch(name: str) -> torch.Tensor:
        offset, shape = places[name]
        numbers = math.prod(shape)
        if not (group and len(shape) == 2):
            return torch.from_numpy(data[offset : offset + 4 * numbers].view("<f4")).view(shape)
        scales = offset + numbers
        return dequantize(
            torch.from_numpy(data[offset:scales].view(np.int8)),
            torch.from_numpy(data[scales : scales + numbers // group * 4].copy().view("<f4")),
        ).view(shape)

    shapes = {name: shape for name, (_, shape) in places.items() if name != TABLES}
    return StoredModel(where=path, config=config, shapes=shapes, stored=torch.float32, read=fetch)


def write(model: Llama, path: Path, version: int) -> None:
    """Version 0, 1 or 2. ValueError for a model that the format cannot hold."""
    config, weights = model.config, weights_of(model)
    for field, only in (
        ("rope_theta", 10000.0),
        ("rope_scaling_factor", 1.0),
        ("norm_eps", 1e-5),
    ):
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
    group = group_size(config) if version == 2 else 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part, open(part, "wb") as file:
        file.write(header(config, version, group))
        for name, shape in layout(config, version):
            if name == TABLES:
                file.write(_bytes(model.rope.cos) + _bytes(model.rope.sin))
            elif group and len(shape) == 2:
                whole, scales = quantize(weights[name], group)
                file.write(_bytes(whole, "i1") + _bytes(scales))
            else:
                file.write(_bytes(weights[name]))


def _bytes(tensor: torch.Tensor, kind: str = "<f4") -> bytes:
    return tensor.detach().cpu().contiguous().numpy().astype(kind, copy=False).tobytes()


def quantize(weight: torch.Tensor, group_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """int8 numbers of -127 .. 127 in rows of one group each, and a float32 scale for each row."""
    groups = weight.detach().float().reshape(-1, group_size)
    scales = groups.abs().amax(dim=1) / 127.0
    whole = (groups / scales.unsqueeze(1)).nan_to_num(0.0).round().clamp(-127, 127)
    return whole.to(torch.int8), scales


def dequantize(whole: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """int8 and one scale for each group -> float32, flat."""
    return (whole.reshape(len(scales), -1).float() * scales.unsqueeze(1)).flatten()

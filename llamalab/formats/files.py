"""The door for files that others wrote: nothing in them is believed before it was checked.

Every refusal is a ValueError that names the file. A path that was read from a file does not lead
out of its folder. Pickles are opened by torch with weights_only=True, which runs no code.
"""

import zipfile
from pathlib import Path

import torch

from llamalab.runtime.files import brief, require_file

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def inside(folder: Path, name: str) -> Path:
    """The file `name` of a folder, where the name was read from a file. It may not lead out.

    The one way out that is allowed is the one that Hugging Face's own download cache takes: from
    snapshots/… to blobs/… beside it. ValueError for anything but a plain name, for a file
    that is not there, and for one that leads out.
    """
    path = folder / name
    if not name or name in (".", "..") or any(character in name for character in "/\\:\0"):
        raise ValueError(f"{folder} names a file {brief(name)}: only plain names are followed")
    if not path.is_file():
        raise ValueError(f"{folder} names a file {brief(name)}, which is not there")
    roots = [folder.resolve()]
    if folder.absolute().parent.name == "snapshots":
        roots.append((folder.absolute().parents[1] / "blobs").resolve())
    if path.resolve().parent not in roots:
        raise ValueError(f"{path} is a link that leads out of its folder, to {path.resolve()}")
    return path


def read_pickle(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a torch file, mapped into memory, without running what it holds. ValueError
    if it holds anything else, or is broken."""
    with open(require_file(path), "rb") as file:
        archive = file.read(4) == b"PK\3\4"  # else torch's format of before 2020
    if archive:
        _check_archive(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except Exception as error:  # torch raises whatever its parts raise: some ten kinds
        first = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise ValueError(f"{path} is no checkpoint that can be opened safely: {first}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a dict of tensors, not {type(found).__name__}")
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise ValueError(f"{path}: {name!r:.60} is no named tensor")
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            raise ValueError(f"{path}: {name} is no plain tensor")
        if tensor.untyped_storage().nbytes() > path.stat().st_size:
            raise ValueError(f"{path}: {name} is larger than its file")
    return dict(found)


def _check_archive(path: Path) -> None:
    """A torch file is an archive that does not compress: what says otherwise is a bomb."""
    size = path.stat().st_size
    try:
        entries = zipfile.ZipFile(path).infolist()
    except Exception as error:
        raise ValueError(f"{path} is a broken archive: {error}") from None
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > size:
        raise ValueError(f"{path} has {size} bytes and claims to unpack to {unpacked}")

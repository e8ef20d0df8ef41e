"""Where the course's own data lies: the folder `data/` of the checkout.

Beside the package in a clone or an editable install; else in the working folder or above it, as
on Colab; or where LLAMALAB_DATA says. Nothing is ever downloaded.
"""

import os
from pathlib import Path

VARIABLE = "LLAMALAB_DATA"


def folder() -> Path:
    """The folder `data/`. FileNotFoundError says where it was looked for."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE]).expanduser().absolute()
    here = Path.cwd()
    places = [p / "data" for p in (Path(__file__).resolve().parents[1], here, *here.parents)]
    for place in places:
        if (place / "README.md").is_file() and (place / "tales").is_dir():
            return place
    raise FileNotFoundError(
        f"the course's data folder is neither beside the package ({places[0]}) nor in {here} or "
        f"above it. Work in a clone of the course, or let {VARIABLE} name the folder"
    )


def checkpoint(name: str) -> Path:
    """The folder of a checkpoint that the course ships, by name. ValueError lists those there."""
    there = folder() / "checkpoints"
    known = sorted(p.parent.name for p in there.glob("*/config.json"))
    if name not in known:
        raise ValueError(f"no checkpoint called {name!r}; there are {', '.join(known) or 'none'}")
    return there / name

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


def checkpoints() -> dict[str, Path]:
    """The checkpoints that the course ships, by name; none where its data folder is not here."""
    try:
        found = (folder() / "checkpoints").glob("*/config.json")
    except FileNotFoundError:
        return {}
    return {path.parent.name: path.parent for path in sorted(found)}

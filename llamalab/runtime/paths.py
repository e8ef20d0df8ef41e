"""Where things lie: the course's data, the course itself, and the learner's answers.

The data is the folder `data/` of the checkout: beside the package in a clone or an editable
install; else in the working folder or above it, as on Colab; or where LLAMALAB_DATA says. Answers
are kept where LLAMALAB_MY_LLAMA says; else in the nearest `my_llama` above the working folder;
else in `my_llama` in the course's folder when one works inside it, or in the working folder.
Nothing is ever downloaded.
"""

import os
from pathlib import Path

DATA_VARIABLE = "LLAMALAB_DATA"
ANSWERS_VARIABLE = "LLAMALAB_MY_LLAMA"
FIRST_NOTEBOOK = Path("notebooks", "00_start_here.ipynb")


def data_folder() -> Path:
    """The folder `data/`. FileNotFoundError says where it was looked for."""
    if os.environ.get(DATA_VARIABLE):
        return Path(os.path.expanduser(os.environ[DATA_VARIABLE])).absolute()
    here = Path.cwd()
    places = [p / "data" for p in (Path(__file__).resolve().parents[2], here, *here.parents)]
    for place in places:
        if (place / "README.md").is_file() and (place / "tales").is_dir():
            return place
    raise FileNotFoundError(
        f"the course's data folder is neither beside the package ({places[0]}) nor in {here} or "
        f"above it. Work in a clone of the course, or let {DATA_VARIABLE} name the folder"
    )


def checkpoints() -> dict[str, Path]:
    """The checkpoints that the course ships, by name; none where its data folder is not here."""
    try:
        found = (data_folder() / "checkpoints").glob("*/config.json")
    except FileNotFoundError:
        return {}
    return {path.parent.name: path.parent for path in sorted(found)}


def answers_folder() -> Path:
    """Where the learner's answers are kept. It need not exist yet."""
    if os.environ.get(ANSWERS_VARIABLE):
        return Path(os.path.expanduser(os.environ[ANSWERS_VARIABLE])).absolute()
    here = Path.cwd()
    for place in (here, *here.parents):
        if (place / "my_llama").is_dir():
            return place / "my_llama"
        if (place / FIRST_NOTEBOOK).is_file():
            return place / "my_llama"
    return here / "my_llama"


def find_course(start: Path) -> Path | None:
    """The folder that holds the notebooks: `start`, one above it, or the package's own checkout."""
    for folder in (start, *start.parents, Path(__file__).resolve().parents[2]):
        if (folder / FIRST_NOTEBOOK).is_file():
            return folder
    return None

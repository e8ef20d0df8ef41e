"""python -m llamalab.tales [FOLDER]: makes the files of data/tales/ again, there or in FOLDER."""

import argparse
from pathlib import Path

from . import corpus

options = argparse.ArgumentParser(prog="python -m llamalab.tales", description=__doc__)
options.add_argument("folder", nargs="?", type=Path, help="default: data/tales/")
for path in corpus.make(options.parse_args().folder):
    print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")

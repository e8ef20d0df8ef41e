"""python -m llamalab.tales [FOLDER]: makes the files of data/tales/ again, there or in FOLDER."""

import sys

from . import corpus

for path in corpus.make(*sys.argv[1:2]):
    print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")

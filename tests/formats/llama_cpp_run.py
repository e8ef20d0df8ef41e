"""llama.cpp by way of llama-cpp-python, for test_llama_cpp.py; run by a Python that has it.

    python llama_cpp_run.py run FILE.gguf ASKED.json ANSWER.npz
    python llama_cpp_run.py quantize F32.gguf NEW.gguf NUMBER

ASKED: {"ids": [[…], …], "texts": ["…", …]} -> logits_0, logits_1, … (T, V) float32, one array a
row of ids, in a float32 cache; ids_0, ids_1, … of the texts, BOS first.
NUMBER: llama.cpp's file type, 7 for Q8_0 and 2 for Q4_0; every matrix is written so.
"""

import ctypes
import json
import sys
from pathlib import Path

import llama_cpp
import numpy as np

F32 = 0  # ggml's type of the cache's numbers
library = llama_cpp.llama_cpp
default = library.llama_model_default_params


def without_amx():
    """On a CPU with AMX, llama.cpp lays blocks out anew for it, and version 0.3.36 then crashes in
    a model as narrow as ours, on a file of its own making too."""
    params = default()
    params.use_extra_bufts = False
    return params


def run(file: str, asked: str, answer: str) -> None:
    wanted = json.loads(Path(asked).read_text(encoding="utf-8"))
    library.llama_model_default_params = without_amx
    llama = llama_cpp.Llama(
        file, n_ctx=256, n_batch=256, n_threads=1, n_threads_batch=1, type_k=F32, type_v=F32,
        logits_all=True, verbose=False,
    )  # fmt: skip
    found = {}
    for number, ids in enumerate(wanted["ids"]):
        llama.reset()
        llama.eval(ids)
        found[f"logits_{number}"] = np.array(llama.scores[: len(ids)], np.float32)
    for number, text in enumerate(wanted["texts"]):
        ids = llama.tokenize(text.encode("utf-8"), add_bos=True, special=False)
        found[f"ids_{number}"] = np.array(ids)
    np.savez(answer, **found)


def quantize(file: str, new: str, kind: str) -> None:
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread, params.pure = int(kind), 1, True
    if llama_cpp.llama_model_quantize(file.encode(), new.encode(), ctypes.byref(params)):
        sys.exit(f"llama.cpp could not quantize {file}")


{"run": run, "quantize": quantize}[sys.argv[1]](*sys.argv[2:])

"""llamalab: Llama 2, written one layer at a time.

The notebooks import what they need from the modules below; each holds one part of the model in
its final form. `import llamalab` alone is quick: it does not import torch. The names in `_HOMES`
are fetched when they are first asked for.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "load": "formats",
    "save": "formats",
    "Llama": "model",
    "Parts": "model",
    "LlamaConfig": "config",
    "BPETokenizer": "tokenizer",
    "KVCache": "layers",
    "generate": "generation",
}


def __getattr__(name: str):
    if name == "mine":
        return importlib.import_module(f"{__name__}.course.mine")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "mine"})

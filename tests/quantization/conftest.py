"""The shipped model and texts that it has not seen."""

from pathlib import Path

import pytest
import torch

from llamalab import formats
from llamalab.config import LlamaConfig
from llamalab.model import Llama

DATA = Path(__file__).parents[2] / "data" / "tales"


def small(**sizes) -> Llama:
    """No two sizes alike; norms that are not 1; logits that say something."""
    config = LlamaConfig.from_name("tiny", **sizes)
    generator = torch.Generator().manual_seed(0)
    model = Llama(config, generator=generator)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.uniform_(0.5, 1.5, generator=generator)
        if not config.tie_embeddings:
            model.output.weight *= config.dim**0.5
    return model


@pytest.fixture(name="small", scope="session")
def _small():
    return small


@pytest.fixture(scope="session")
def tales():
    model, tokenizer = formats.load("tales", dtype=torch.float32)
    return model, tokenizer


def ids(tokenizer, name: str, rows: int, length: int) -> torch.Tensor:
    """Stories one after another, cut in rows (rows, length)."""
    found: list[int] = []
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        found += tokenizer.encode(line, bos=True, eos=True)
        if len(found) >= rows * length:
            break
    return torch.tensor(found[: rows * length]).view(rows, length)


@pytest.fixture(scope="session")
def texts(tales):
    """What is read for GPTQ, and what is measured on."""
    tokenizer = tales[1]
    return ids(tokenizer, "train.txt", 12, 128), ids(tokenizer, "valid.txt", 8, 128)

"""Small models of every shape, and a tokenizer, to write and read back."""

import json

import pytest
import torch

from llamalab import formats
from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.tokenizer import BPETokenizer

TEXT = "the hen went to the river, and the river went to the sea, 12 or 13 miles.\n" * 3


def small(*, dtype=torch.float32, seed=0, **sizes):
    """A model with random norms too, so that no weight can be mistaken for another."""
    usual = dict(dim=24, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=40, multiple_of=8)
    config = LlamaConfig(**{**usual, "max_seq_len": 32, **sizes})
    generator = torch.Generator().manual_seed(seed)
    model = Llama(config, generator=generator)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.uniform_(0.5, 1.5, generator=generator)
        if not config.tie_embeddings:
            model.output.weight *= config.dim**0.5  # a fresh head is almost silent
    return model.to(dtype)


@pytest.fixture(name="small", scope="session")
def _small():
    return small


@pytest.fixture(scope="session")
def tokenizer():
    return BPETokenizer.train(TEXT, 300)


def same(a, b):
    """Bit for bit: names, dtypes, shapes, numbers."""
    a, b = a.state_dict(), b.state_dict()
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        assert torch.equal(a[name], b[name]), name


@pytest.fixture(name="same")
def _same():
    return same


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def edit():
    """Change fields of a JSON file."""
    return _edit


@pytest.fixture
def refused():
    """load(path) must end with a ValueError whose text holds all of these."""
    return _refused


def _edit(path, **fields):
    found = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**found, **fields}), encoding="utf-8")


def _refused(path, *words, error=ValueError):
    with pytest.raises(error) as caught:
        formats.load(path)
    for word in words:
        assert str(word) in str(caught.value), str(caught.value)


@pytest.fixture
def hf(small, tmp_path):
    formats.save(small(), tmp_path / "hf")
    return tmp_path / "hf"


@pytest.fixture
def meta(small, tmp_path):
    formats.save(small(), tmp_path / "meta", format="meta", shards=2)
    return tmp_path / "meta"

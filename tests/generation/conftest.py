"""Small models with sizes all different, random norms and a head that is not almost silent."""

import pytest
import torch

from llamalab.config import LlamaConfig
from llamalab.model import Llama, Parts


def small(seed=0, *, dtype=torch.float32, parts=None, **sizes):
    usual = dict(dim=36, n_layers=3, n_heads=6, n_kv_heads=2, vocab_size=47, multiple_of=8)
    config = LlamaConfig(**{**usual, "max_seq_len": 128, **sizes})
    generator = torch.Generator().manual_seed(seed)
    model = Llama(config, parts or Parts(), generator=generator)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.uniform_(0.5, 1.5, generator=generator)
        if not config.tie_embeddings:
            model.output.weight *= 2 * config.dim**0.5
    return model.to(dtype)


@pytest.fixture(name="small", scope="session")
def _small():
    return small


@pytest.fixture(scope="session")
def model():
    return small()


@pytest.fixture
def seeded():
    return lambda number=0: torch.Generator().manual_seed(number)


@pytest.fixture
def plainly(monkeypatch):
    """After plainly(), nobody makes a FusedDecoder: the model with its KV cache does the work."""

    def switch():
        monkeypatch.setattr("llamalab.generation.steps.why_not", lambda model: "the test says so")

    return switch


@pytest.fixture
def transformers_peer(tmp_path):
    """The same weights in transformers, through our converter."""

    def make(model):
        import transformers

        from llamalab.formats import save

        save(model, tmp_path / "hf", format="hf")
        return transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf").eval()

    return make


@pytest.fixture
def count_off():
    """count_off(counts, probabilities): how far above chance the counts are off, in standard
    deviations. Chi-square, made a standard normal by Wilson and Hilferty's cube root; cells of
    which fewer than 5 are expected are put together. What cannot come must not have come."""

    def measure(counts, expected):
        counts, expected = counts.double(), expected.double() * counts.double().sum()
        assert (counts[expected == 0] == 0).all()
        rare = expected < 5
        pools = [(counts[rare].sum(), expected[rare].sum()), *zip(counts[~rare], expected[~rare])]
        pools = [(float(count), float(mean)) for count, mean in pools if mean > 0.5]
        df = len(pools) - 1
        mean_square = sum((count - mean) ** 2 / mean for count, mean in pools) / df
        return (mean_square ** (1 / 3) - 1 + 2 / (9 * df)) / (2 / (9 * df)) ** 0.5

    return measure


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

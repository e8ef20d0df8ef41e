"""The config against the numbers that Llama 2's own files hold, and its refusals."""

from dataclasses import FrozenInstanceError

import pytest

from llamalab.config import PRESETS, LlamaConfig, ffn_hidden_dim

# dim, layers, heads, KV heads, head_dim, hidden
SHAPES = {
    "llama-2-7b": (4096, 32, 32, 32, 128, 11008),
    "llama-2-13b": (5120, 40, 40, 40, 128, 13824),
    "llama-2-34b": (8192, 48, 64, 8, 128, 22016),
    "llama-2-70b": (8192, 80, 64, 8, 128, 28672),
}


@pytest.mark.parametrize("name", SHAPES)
def test_presets_have_the_papers_sizes(name):
    c = LlamaConfig.from_name(name)
    shape = (c.dim, c.n_layers, c.n_heads, c.n_kv_heads, c.head_dim, c.hidden_dim)
    assert shape == SHAPES[name]
    assert (c.vocab_size, c.norm_eps, c.max_seq_len, c.rope_theta) == (32000, 1e-5, 4096, 10000.0)
    assert c.tie_embeddings is False


def test_tiny_hides_no_confusion_of_sizes():
    c = LlamaConfig.from_name("tiny")
    sizes = [c.dim, c.n_layers, c.n_heads, c.n_kv_heads, c.head_dim, c.hidden_dim, c.vocab_size,
             c.max_seq_len]  # fmt: skip
    assert len(set(sizes)) == len(sizes)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_built(name):
    assert LlamaConfig.from_name(name) == LlamaConfig(**PRESETS[name])


def test_the_order_of_roundings():
    """70B: int(2·32768/3) = 21845, int(1.3·21845) = 28398, up to 28672. Without the first
    truncation or the multiplier before it, other sizes come out elsewhere."""
    assert ffn_hidden_dim(8192, 4096, 1.3) == 28672
    assert ffn_hidden_dim(8192, 4096) == 24576
    assert ffn_hidden_dim(8192, 256) == 22016
    assert ffn_hidden_dim(8, 1, 1.5) == 31  # int(64/3) = 21, int(31.5) = 31; not int(32.0) = 32
    assert ffn_hidden_dim(96, 256) == 256  # exactly full: nothing is added


def test_a_given_hidden_dim_is_kept():
    assert LlamaConfig(dim=8, n_layers=1, n_heads=2, hidden_dim=13).hidden_dim == 13


def test_heads_default_to_one_kv_head_each():
    assert LlamaConfig(dim=12, n_layers=1, n_heads=3).n_kv_heads == 3


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(n_heads=5), ["n_heads=5", "dim=96"]),
        (dict(n_kv_heads=4), ["n_kv_heads=4", "n_heads=6"]),
        (dict(n_kv_heads=12), ["n_kv_heads=12", "n_heads=6"]),
        (dict(n_heads=32, n_kv_heads=2), ["= 3", "even"]),
        (dict(dim=0), ["dim=0"]),
        (dict(n_layers=-1), ["n_layers=-1"]),
        (dict(n_heads=0), ["n_heads=0"]),
        (dict(vocab_size=32000.0), ["vocab_size=32000.0"]),
        (dict(n_layers=True), ["n_layers=True"]),
        (dict(multiple_of=0), ["multiple_of=0"]),
        (dict(max_seq_len="4096"), ["max_seq_len='4096'"]),
        (dict(hidden_dim=0), ["hidden_dim=0"]),
        (dict(hidden_dim=1.5), ["hidden_dim=1.5"]),
        (dict(ffn_dim_multiplier=0.0), ["ffn_dim_multiplier=0.0"]),
        (dict(ffn_dim_multiplier=-1), ["ffn_dim_multiplier=-1"]),
        (dict(ffn_dim_multiplier=1e-4), ["hidden_dim=0"]),
        (dict(norm_eps=0.0), ["norm_eps=0.0"]),
        (dict(norm_eps=None), ["norm_eps=None"]),
        (dict(norm_eps=float("nan")), ["norm_eps=nan"]),
        (dict(rope_theta=-1.0), ["rope_theta=-1.0"]),
        (dict(rope_theta=float("inf")), ["rope_theta=inf"]),
    ],
)
def test_sizes_that_cannot_be_built_are_named(change, words):
    with pytest.raises(ValueError) as caught:
        LlamaConfig(**{**PRESETS["tiny"], **change})
    assert all(word in str(caught.value) for word in words), caught.value


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="'llama-2-8b'.*llama-2-7b.*tiny"):
        LlamaConfig.from_name("llama-2-8b")


def test_a_config_cannot_be_changed_or_filled_by_position():
    with pytest.raises(FrozenInstanceError):
        LlamaConfig.from_name("tiny").dim = 5
    with pytest.raises(TypeError):
        LlamaConfig(96, 3, 6)

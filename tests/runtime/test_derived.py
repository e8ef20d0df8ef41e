"""Numbers that a config works out follow the others; numbers that were asked for stay."""

import copy
import json
import pickle
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamalab.config import LlamaConfig, ffn_hidden_dim
from llamalab.recipe import TrainConfig

WIDTHS = st.integers(1, 40).map(lambda n: 12 * n)


def test_what_the_issue_tried():
    wider = replace(LlamaConfig.from_name("tales"), dim=384)
    assert wider.hidden_dim == ffn_hidden_dim(384, 32) == 1024
    assert replace(TrainConfig(steps=1000), steps=2000).warmup_steps == 100
    assert replace(LlamaConfig.from_name("llama-2-7b"), n_heads=64).n_kv_heads == 64
    assert LlamaConfig.from_name("tales", dim=384) == wider
    assert LlamaConfig.from_name("tiny", n_kv_heads=3).n_kv_heads == 3


def test_a_number_that_was_asked_for_stays():
    config = LlamaConfig(dim=24, n_layers=1, n_heads=4, n_kv_heads=2, hidden_dim=40)
    wider = replace(config, dim=48, n_heads=8)
    assert (wider.hidden_dim, wider.n_kv_heads) == (40, 2)
    assert replace(wider, hidden_dim=None).hidden_dim == ffn_hidden_dim(48, 256)
    assert replace(TrainConfig(steps=50, warmup_steps=7), steps=90).warmup_steps == 7


@settings(max_examples=60)
@given(WIDTHS, WIDTHS, st.sampled_from([8, 32, 256]), st.none() | st.floats(0.5, 2.0))
def test_a_copy_is_what_would_have_been_made_afresh(dim, other, multiple_of, multiplier):
    rest = dict(n_layers=1, n_heads=6, multiple_of=multiple_of, ffn_dim_multiplier=multiplier)
    config, fresh = LlamaConfig(dim=dim, **rest), LlamaConfig(dim=other, **rest)
    for copied in (
        replace(config, dim=other),
        replace(replace(config, max_seq_len=7), dim=other, max_seq_len=4096),
        LlamaConfig(**asdict(config) | {"dim": other}),
        replace(pickle.loads(pickle.dumps(config)), dim=other),
        replace(copy.deepcopy(config), dim=other),
    ):
        assert copied == fresh and hash(copied) == hash(fresh) and repr(copied) == repr(fresh)
        assert copied.hidden_dim == ffn_hidden_dim(other, multiple_of, multiplier)
    assert replace(config) == config == LlamaConfig(**json.loads(json.dumps(asdict(config))))


@settings(max_examples=60)
@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_warm_up_follows_the_steps(steps, other):
    recipe = TrainConfig(steps=steps)
    assert recipe.warmup_steps == min(2000, steps // 20)
    assert replace(recipe, steps=other) == TrainConfig(steps=other)
    assert replace(recipe, lr=0.5).warmup_steps == recipe.warmup_steps
    assert TrainConfig(**json.loads(json.dumps(asdict(recipe)))) == recipe


def test_it_reads_as_a_number_and_an_instance_cannot_be_changed():
    config = LlamaConfig.from_name("tiny")
    assert config.hidden_dim + 1 == 257 and isinstance(config.hidden_dim, int)
    assert f"{config.hidden_dim:,}" == "256" and "hidden_dim=256" in repr(config)
    with pytest.raises(AttributeError):
        config.hidden_dim = 7


def test_bad_numbers_are_refused_by_name_in_a_copy_too():
    with pytest.raises(ValueError, match="n_kv_heads=4 must divide n_heads=6"):
        LlamaConfig.from_name("tiny", n_kv_heads=4)
    with pytest.raises(ValueError, match="warmup_steps=7 is more than steps=5"):
        replace(TrainConfig(steps=50, warmup_steps=7), steps=5)
    with pytest.raises(ValueError, match="no preset called 'tiniest'"):
        LlamaConfig.from_name("tiniest", dim=8)

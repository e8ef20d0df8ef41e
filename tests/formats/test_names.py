"""The rename table and the row orders, against transformers' own module."""

import pytest
import torch
from transformers import LlamaConfig as HFConfig
from transformers import LlamaForCausalLM

from llamalab.config import LlamaConfig
from llamalab.formats import hf_config, names
from llamalab.model import Llama


def test_the_orders_by_hand():
    weight = torch.arange(12.0).reshape(12, 1)  # 2 heads of 6 rows
    hf = names.permute_to_hf(weight, 2)
    assert hf.flatten().tolist() == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
    assert torch.equal(names.permute_to_meta(hf, 2), weight)
    assert names.permute_to_meta(weight, 2).flatten().tolist()[:6] == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("shape, heads", [((12,), 2), ((12, 1), 5), ((6, 1), 2), ((12, 1), 0)])
def test_what_has_no_even_heads_is_refused(shape, heads):
    for permute in (names.permute_to_hf, names.permute_to_meta):
        with pytest.raises(ValueError, match=f"no {heads} heads"):
            permute(torch.zeros(shape), heads)


def test_the_table_goes_both_ways():
    config = LlamaConfig.from_name("tiny")
    for name, _ in names.shapes(config):
        assert names.meta_name(names.hf_name(name)) == name
    for odd in ("", "norm", "norm.bias", "layers.0.weight", "layers.x.ffn_norm.weight",
                "layers.0.ffn_norm", "layers.{}.ffn_norm.weight",
                "layers.٣.ffn_norm.weight", "a.norm.weight"):  # fmt: skip
        assert names.hf_name(odd) is None


@pytest.mark.parametrize("tied", [False, True])
def test_shapes_are_the_models_own(tied):
    config = LlamaConfig(dim=24, n_layers=3, n_heads=6, n_kv_heads=2, tie_embeddings=tied)
    with torch.device("meta"):
        model = Llama(config)
    assert {n: tuple(p.shape) for n, p in model.named_parameters()} == dict(names.shapes(config))
    assert names.weight_count(config) == len(dict(names.shapes(config)))


@pytest.mark.parametrize("name", ["llama-2-7b", "llama-2-13b", "llama-2-34b", "llama-2-70b"])
def test_the_real_sizes_agree_with_transformers(name):
    """Both made on the meta device: every name and shape, nothing missing on either side."""
    config = LlamaConfig.from_name(name)
    with torch.device("meta"):
        ours = Llama(config)
        theirs = LlamaForCausalLM(HFConfig(**hf_config.config_json(config, "float16")))
    renamed = {names.hf_name(n): p.shape for n, p in ours.state_dict().items()}
    assert renamed == {n: p.shape for n, p in theirs.state_dict().items()}
    assert sum(p.numel() for p in ours.parameters()) == theirs.num_parameters()

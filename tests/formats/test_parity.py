"""Logits against transformers in float32, through every format and in both directions.

The models are small and of every shape: as many KV heads as heads, few, one; n_kv_heads and
n_heads / n_kv_heads differ; tied and untied; other thetas and eps; up to the last position.
"""

import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM
from transformers import LlamaConfig as HFConfig

from llamalab import formats
from llamalab.generation import FusedDecoder
from llamalab.layers import KVCache, RopeTable

CLOSE = 1e-5  # logits have a standard deviation of about 1
VARIANTS = {
    "mha": dict(n_kv_heads=6),
    "gqa": dict(n_kv_heads=2),
    "mqa": dict(n_kv_heads=1),
    "tied": dict(n_kv_heads=2, tie_embeddings=True),
    "theta": dict(n_kv_heads=3, rope_theta=500000.0, norm_eps=1e-6),
    "linear": dict(n_kv_heads=2, rope_scaling_factor=4.0),
}
SIZES = dict(dim=48, n_layers=3, n_heads=6, vocab_size=100, multiple_of=32, max_seq_len=256)
PLAIN = [
    name for name in VARIANTS if name not in ("theta", "linear")
]  # what llama2.c's files can hold


def ours(small, variant):
    return small(**SIZES, **VARIANTS[variant])


def theirs(folder):
    return AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32
    )


def transformers_own(variant, seed=0):
    """A model that transformers made, with weights large enough to matter."""
    options = {**SIZES, **VARIANTS[variant]}
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        HFConfig(
            hidden_size=options["dim"], intermediate_size=112, num_hidden_layers=3,
            num_attention_heads=6, num_key_value_heads=options["n_kv_heads"], vocab_size=100,
            max_position_embeddings=256, rms_norm_eps=options.get("norm_eps", 1e-5),
            tie_word_embeddings=options.get("tie_embeddings", False), initializer_range=0.1,
            rope_parameters={
                "rope_theta": options.get("rope_theta", 10000.0),
                **({"rope_type": "linear", "factor": options["rope_scaling_factor"]}
                   if "rope_scaling_factor" in options else {"rope_type": "default"}),
            },
            attn_implementation="eager",
        )
    ).eval()  # fmt: skip
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 1.5)
    return model


@torch.no_grad()
def largest_difference(a, b):
    """-> (size, position, spread of the logits) over two texts that fill the context."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 100, (2, 256), generator=generator)
    a, b = (out if torch.is_tensor(out) else out.logits for out in (a(tokens), b(tokens)))
    gap = (a - b).abs().amax(dim=(0, 2))  # (T,)
    return gap.max().item(), gap.argmax().item(), a.std().item()


def assert_same_logits(a, b):
    gap, position, spread = largest_difference(a, b)
    assert gap < CLOSE, f"{gap} at position {position}"
    assert spread > 0.2


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("most", ["5GB", "60KB"])
def test_what_transformers_saves_we_load(variant, most, tmp_path):
    theirs = transformers_own(variant)
    theirs.save_pretrained(tmp_path, max_shard_size=most)
    assert (tmp_path / "model.safetensors.index.json").exists() == (most != "5GB")
    model, tokenizer = formats.load(tmp_path)
    assert tokenizer is None and model.config.tie_embeddings == (variant == "tied")
    assert_same_logits(model, theirs)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("most", [None, 60_000])
def test_what_we_save_transformers_loads(variant, most, small, tmp_path):
    model = ours(small, variant)
    formats.save(model, tmp_path, max_shard_bytes=most)
    assert_same_logits(model, theirs(tmp_path))


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "linear"])
def test_through_metas_folder(variant, tmp_path):
    """transformers -> HF folder -> ours -> two shards of Meta's -> ours, against the first."""
    theirs = transformers_own(variant)
    theirs.save_pretrained(tmp_path / "hf")
    shards = 2 if VARIANTS[variant]["n_kv_heads"] % 2 == 0 else 1
    formats.save(formats.load(tmp_path / "hf")[0], tmp_path / "m", format="meta", shards=shards)
    assert_same_logits(formats.load(tmp_path / "m")[0], theirs)


@pytest.mark.parametrize("variant", PLAIN)
@pytest.mark.parametrize("version", [0, 1])
def test_through_llama2c(variant, version, tmp_path):
    theirs = transformers_own(variant)
    theirs.save_pretrained(tmp_path / "hf")
    path = tmp_path / "model.bin"
    formats.save(formats.load(tmp_path / "hf")[0], path, format="llama2c", version=version)
    assert_same_logits(formats.load(path)[0], theirs)


@pytest.mark.parametrize("key", ["type", "rope_type"])
@pytest.mark.parametrize("where", ["rope_scaling", "rope_parameters"])
def test_positions_are_interpolated_where_rope_scaling_is_linear(where, key, tmp_path):
    theirs = transformers_own("linear")
    theirs.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    theta = config.pop("rope_parameters")["rope_theta"]
    config |= {"rope_theta": theta, where: {key: "linear", "factor": 4.0}}
    path.write_text(json.dumps(config))
    model = formats.load(tmp_path)[0]
    assert model.config.rope_scaling_factor == 4.0
    assert_same_logits(model, theirs)
    model.rope = RopeTable(replace(model.config, rope_scaling_factor=1.0))
    assert largest_difference(model, theirs)[0] > 0.1  # it does matter


@torch.no_grad()
def test_interpolated_positions_behind_a_cache_and_in_the_fused_step(tmp_path):
    theirs = transformers_own("linear")
    theirs.save_pretrained(tmp_path)
    model = formats.load(tmp_path)[0]
    tokens = torch.randint(0, 100, (2, 256), generator=torch.Generator().manual_seed(2))
    want = theirs(tokens).logits
    cache, fused = KVCache(model.config, 2), FusedDecoder(model, 2, 256)
    model(tokens[:, :240], cache)
    fused(tokens[:, :240])
    for column in range(240, 256):
        token = tokens[:, column : column + 1]
        assert (model(token, cache)[:, 0] - want[:, column]).abs().max() < CLOSE
        assert (fused(token) - want[:, column]).abs().max() < CLOSE


def test_the_factor_comes_back_and_metas_folder_refuses_it(small, tmp_path):
    model = ours(small, "linear")
    formats.save(model, tmp_path / "hf")
    assert formats.load(tmp_path / "hf")[0].config == model.config
    assert HFConfig.from_pretrained(tmp_path / "hf").rope_parameters["factor"] == 4.0
    with pytest.raises(ValueError, match="rope_scaling_factor=4.0.*format=.hf"):
        formats.save(model, tmp_path / "meta", format="meta")
    assert not (tmp_path / "meta").exists()


def test_the_old_style_of_config(tmp_path):
    """What transformers 4 wrote: rope_theta on top, rope_scaling null, torch_dtype, no head_dim."""
    theirs = transformers_own("theta")
    theirs.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    theta = config.pop("rope_parameters")["rope_theta"]
    config |= {"rope_theta": theta, "rope_scaling": None, "torch_dtype": config.pop("dtype")}
    del config["head_dim"], config["mlp_bias"]
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert_same_logits(formats.load(tmp_path)[0], theirs)


@pytest.mark.parametrize("shards", [None, 3])
def test_the_old_pytorch_files(shards, tmp_path):
    """pytorch_model.bin, in one piece and with an index, with the inv_freq tables of old."""
    theirs = transformers_own("gqa")
    theirs.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    weights = dict(theirs.state_dict())
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    names = list(weights)
    if shards is None:
        torch.save(weights, tmp_path / "pytorch_model.bin")
    else:
        places = {n: f"pytorch_model-{i % shards + 1}.bin" for i, n in enumerate(names)}
        for file in set(places.values()):
            torch.save({n: weights[n] for n in names if places[n] == file}, tmp_path / file)
        index = json.dumps({"weight_map": places})
        (tmp_path / "pytorch_model.bin.index.json").write_text(index, encoding="utf-8")
    assert_same_logits(formats.load(tmp_path)[0], theirs)


def test_a_miniature_7b(small, tmp_path):
    """32 layers, no grouping, untied, multiple_of 256, as 7B has; only narrower."""
    model = small(
        dim=64, n_layers=32, n_heads=32, n_kv_heads=None, vocab_size=320, multiple_of=256,
        max_seq_len=256,
    )  # fmt: skip
    with torch.no_grad():
        model.output.weight *= 0.3  # 32 layers of float32 roundings: logits of a smaller size
    size = sum(weight.nbytes for weight in model.parameters())
    formats.save(model, tmp_path / "hf", max_shard_bytes=int(size / 2.6))
    files = sorted(path.name for path in (tmp_path / "hf").glob("model-*"))
    assert files == [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    other = theirs(tmp_path / "hf")
    formats.save(model, tmp_path / "meta", format="meta", shards=2)
    for folder in ("hf", "meta"):
        again, _ = formats.load(tmp_path / folder)
        assert again.config == model.config
        assert_same_logits(again, other)

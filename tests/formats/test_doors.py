"""What is wrong with a path, an option or a JSON file is said, with the field and both numbers."""

import struct

import pytest
import torch

from llamalab import formats

# --- paths and formats ----------------------------------------------------------------------------


def test_what_is_not_there_or_not_known(refused, tmp_path, small):
    refused(tmp_path / "none", "no checkpoint at", error=FileNotFoundError)
    refused(tmp_path, "config.json", "params.json")
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 5, 7) + bytes(300))
    refused(tmp_path / "x.gguf", "x.gguf", "no sound GGUF file")
    (tmp_path / "x.onnx").write_bytes(b"ONNX" + bytes(300))
    refused(tmp_path / "x.onnx", "starts with b'ONNX'", "config.json")
    (tmp_path / "short").write_bytes(b"24ka")
    refused(tmp_path / "short", "4 bytes")
    with pytest.raises(ValueError, match="'onnx'; there are hf, meta, llama2c, llama2c-q8"):
        formats.save(small(), tmp_path / "y", format="onnx")
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize(
    "options",
    [dict(shards=2), dict(format="meta", shards=0), dict(max_shard_bytes=0), dict(version=1),
     dict(format="meta", max_shard_bytes=9), dict(format="llama2c", version=2),
     dict(format="llama2c-q8", version=1)],
)  # fmt: skip
def test_options_of_other_formats(options, small, tmp_path):
    with pytest.raises(ValueError, match="cannot be used with this format"):
        formats.save(small(), tmp_path / "x", **options)


def test_dtypes_that_no_model_computes_in(hf):
    for dtype in (torch.int8, torch.bool, torch.complex64):
        with pytest.raises(ValueError, match=f"dtype={dtype}"):
            formats.load(hf, dtype=dtype)


# --- config.json and params.json ------------------------------------------------------------------


@pytest.mark.parametrize(
    "field, value",
    [("hidden_size", "24"), ("hidden_size", 24.0), ("hidden_size", True), ("hidden_size", -24),
     ("num_hidden_layers", 0), ("num_hidden_layers", 10**30), ("num_hidden_layers", [2]),
     ("vocab_size", 2**63), ("rms_norm_eps", "1e-5"), ("rms_norm_eps", -1.0), ("rope_theta", True),
     ("rope_theta", 10**400), ("tie_word_embeddings", 0), ("tie_word_embeddings", "false"),
     ("attention_bias", True), ("mlp_bias", True), ("hidden_act", "gelu"), ("model_type", "qwen2"),
     ("head_dim", 8), ("rope_scaling", "linear"), ("torch_dtype", "int8"), ("dtype", 16),
     ("quantization_config", {"bits": 4}), ("partial_rotary_factor", 0.5)],
)  # fmt: skip
def test_config_json_fields(refused, edit, field, value, hf):
    edit(hf / "config.json", **{field: value})
    refused(hf, "config.json", field)


@pytest.mark.parametrize("where", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize(
    "value",
    [
        {"type": "dynamic", "factor": 2.0}, {"rope_type": "llama3"}, {"factor": 8.0},
        {"type": "linear", "rope_type": "dynamic", "factor": 2.0}, {"type": ["linear"]},
        {"rope_type": "linear", "factor": 2.0, "beta_fast": 32.0},
    ],
)  # fmt: skip
def test_scaled_rope(refused, edit, where, value, hf):
    edit(hf / "config.json", **{where: value})
    refused(hf, where, "not supported")


@pytest.mark.parametrize("value", [{"type": "linear"}, {"rope_type": "linear", "factor": -2.0}])
def test_a_linear_scaling_needs_its_factor(refused, edit, value, hf):
    edit(hf / "config.json", rope_scaling=value)
    refused(hf, "factor")


def test_two_factors(refused, edit, hf):
    edit(
        hf / "config.json",
        rope_parameters={"rope_type": "linear", "factor": 2.0},
        rope_scaling={"type": "linear", "factor": 4.0},
    )
    refused(hf, "rope_scaling_factor", "2.0", "4.0")


def test_two_thetas(refused, edit, hf):
    edit(hf / "config.json", rope_parameters={"rope_type": "default", "rope_theta": 5e5})
    refused(hf, "500000.0", "10000.0")


def test_sizes_that_do_not_fit_each_other(refused, edit, hf):
    edit(hf / "config.json", num_attention_heads=7)
    refused(hf, "config.json", "n_heads=7 must divide dim=24")
    edit(hf / "config.json", num_attention_heads=6, max_position_embeddings=2**40)
    refused(hf, 2**40, 2**20)


@pytest.mark.parametrize(
    "text, words",
    [("", "no proper JSON"), ("[1]", "must hold a JSON object"), ('{"a": NaN}', "NaN is no number"),
     ('{"a": -Infinity}', "-Infinity is no number"), ('{"a": 1, "a": 2}', "'a' is there more than"),
     ("[" * 200_000, "no proper JSON"), ('{"hidden_size": 1e400}', "hidden_size"),
     ("{}", "has no hidden_size"), (b"\xff\xfe", "no proper JSON"),
     ('{"hidden_size": %s}' % ("9" * 5000), "config.json")],
)  # fmt: skip
def test_json_that_is_none(refused, text, words, hf):
    path = hf / "config.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(hf, words, path)


@pytest.mark.parametrize(
    "field, value",
    [("dim", "24"), ("n_layers", 10**12), ("vocab_size", 0), ("vocab_size", -2), ("norm_eps", 0),
     ("hidden_dim", 63), ("use_scaled_rope", True), ("n_kv_heads", 4), ("ffn_dim_multiplier", "x")],
)  # fmt: skip
def test_params_json_fields(refused, edit, field, value, meta):
    edit(meta / "params.json", **{field: value})
    refused(meta, *(["meta", value] if field in ("n_layers", "hidden_dim") else [field, "params"]))

"""An adapter written and read again, and files that are none."""

import json

import pytest
import torch
from safetensors.torch import load, save_file

from llamalab import formats
from llamalab.alignment import lora


def load_file(path):
    """A copy: the file that is mapped into memory is written again here."""
    return load(path.read_bytes())


TOKENS = torch.arange(24).reshape(2, 12)


@pytest.fixture
def adapted(small):
    def make(targets=("wq", "wk", "w2"), **sizes):
        model = lora.add(small(**sizes), 3, 7.0, targets)
        for adapter in lora.adapters(model).values():
            adapter.lora_B.data.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
        return model

    return make


@pytest.mark.parametrize("format", formats.adapter.FORMATS)
@pytest.mark.parametrize("targets", [("wv",), ("wk", "w1", "wq"), lora.TARGETS])
@pytest.mark.parametrize("sizes", [{}, {"n_kv_heads": 6}, {"tie_embeddings": True},
                                   {"dtype": torch.bfloat16}])  # fmt: skip
def test_written_and_read_again(adapted, small, same, tmp_path, format, targets, sizes):
    model, path = adapted(targets, **sizes), tmp_path / "adapter"
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    formats.save_adapter(model, path, format=format)
    assert all(torch.equal(w, before[n]) for n, w in model.state_dict().items())
    state = torch.get_rng_state()
    plain = small(**sizes)
    again = formats.load_adapter(plain, path)
    assert again is plain and torch.equal(torch.get_rng_state(), state)
    same(again, model)
    assert torch.equal(again(TOKENS), model(TOKENS))
    assert set(lora.trainable_parameters(again)) == set(lora.adapter_state(model))
    left = {file.name for file in (path.iterdir() if format == "peft" else tmp_path.iterdir())}
    assert left == ({"adapter_config.json", "adapter_model.safetensors"} if format == "peft"
                    else {"adapter"})  # fmt: skip


def test_the_adapter_is_small_and_the_numbers_take_the_models_dtype(adapted, small, tmp_path):
    formats.save_adapter(adapted(), tmp_path / "a")
    assert set(load_file(tmp_path / "a")) == set(lora.adapter_state(adapted()))
    model = formats.load_adapter(small(dtype=torch.float64), tmp_path / "a")
    assert model.layers[0].attention.wq.lora_A.dtype == torch.float64
    assert torch.isfinite(model(TOKENS)).all()


def test_bad_wishes(adapted, small, tmp_path):
    with pytest.raises(ValueError, match="'gguf'; there are llamalab, peft"):
        formats.save_adapter(adapted(), tmp_path / "a", format="gguf")
    with pytest.raises(ValueError, match="no adapters"):
        formats.save_adapter(small(), tmp_path / "a")
    model = adapted()
    model.layers[1].attention.wq.lora_A.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="layers.1.attention.wq.lora_A of the model"):
        formats.save_adapter(model, tmp_path / "a")
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):
        formats.load_adapter(small(), tmp_path / "a")


def refused(model, path, *words):
    asked = {name: weight.requires_grad for name, weight in model.named_parameters()}
    with pytest.raises(ValueError) as caught:
        formats.load_adapter(model, path)
    assert all(str(word) in str(caught.value) for word in words), str(caught.value)
    assert {name: weight.requires_grad for name, weight in model.named_parameters()} == asked


def test_for_another_model(adapted, small, tmp_path):
    formats.save_adapter(adapted(), tmp_path / "a")
    refused(small(dim=36), tmp_path / "a", "has shape (3, 24)", "ask for (3, 36)")
    refused(small(n_layers=3), tmp_path / "a", "lacks layers.2.attention.wk.lora_A")
    refused(small(n_layers=1), tmp_path / "a", "has no place for", "layers.1.")
    refused(adapted(), tmp_path / "a", "6 adapters already")


def test_files_that_are_none(adapted, small, tmp_path):
    file = tmp_path / "a"
    formats.save_adapter(adapted(), file)
    state, good = load_file(file), {"kind": formats.adapter.KIND, "rank": "3", "alpha": "7.0",
                                    "targets": "wq wk w2"}  # fmt: skip
    file.write_bytes(b"not this")
    refused(small(), file, "no sound safetensors", file)
    for change, word in [
        ({"kind": "x"}, "its kind is 'x'"), ({"rank": "three"}, "cannot be read"),
        ({"rank": "-1"}, "rank=-1"), ({"alpha": "nan"}, "alpha=nan"),
        ({"alpha": ""}, "cannot be read"), ({"targets": "wq wk"}, "no place for"),
        ({"targets": "wq wk wv w2"}, "lacks layers.0.attention.wv.lora_A"),
        ({"targets": "wq wk w2 output"}, "lacks output.lora_A"), ({"targets": ""}, "no place for"),
    ]:  # fmt: skip
        save_file(state, file, metadata=good | change)
        refused(small(), file, file, word)
    name = "layers.0.attention.wq.lora_B"
    for tensor, word in [
        (torch.full((24, 3), float("inf")), "finite"), (torch.ones(24, 3).int(), "torch.int32"),
        (torch.ones(3, 24), "has shape (3, 24)"),
    ]:  # fmt: skip
        save_file(state | {name: tensor}, file, metadata=good)
        refused(small(), file, name, word)


def test_pefts_folders_that_are_not_understood(adapted, small, tmp_path):
    formats.save_adapter(adapted(), tmp_path, format="peft")
    config = tmp_path / "adapter_config.json"
    good = json.loads(config.read_text(encoding="utf-8"))
    for change, word in [
        ({"peft_type": "LOHA"}, "peft_type"), ({"use_rslora": True}, "use_rslora"),
        ({"use_dora": True}, "use_dora"), ({"r": 0}, "r=0"), ({"r": None}, "no r"),
        ({"lora_alpha": -1}, "lora_alpha"), ({"target_modules": "all-linear"}, "must be a list"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "must be a list of q_proj, k_proj"),
        ({"target_modules": []}, "must be a list"), ({"target_modules": None}, "must be a list"),
        ({"target_modules": ["q_proj"]}, "no place for"), ({"bias": "all"}, "bias"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"), ({"r": 2}, "rank=2"),
    ]:  # fmt: skip
        config.write_text(json.dumps(good | change), encoding="utf-8")
        refused(small(), tmp_path, word)
    config.write_text(json.dumps(good), encoding="utf-8")
    weights = tmp_path / "adapter_model.safetensors"
    state = load_file(weights)
    save_file(state | {"base_model.model.lm_head.weight": torch.ones(2, 2)}, weights)
    refused(small(), tmp_path, "lm_head", "is no lora_A or lora_B")
    save_file(state, weights)
    formats.load_adapter(small(), tmp_path)
    config.unlink()
    with pytest.raises(FileNotFoundError):
        formats.load_adapter(small(), tmp_path)

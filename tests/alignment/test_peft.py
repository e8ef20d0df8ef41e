"""Against peft: its figures, stored by tools/golden_peft.py, and peft itself where it is there."""

import importlib.util
import json

import pytest
import torch

from llamalab import formats
from llamalab.alignment import lora
from llamalab.training import next_token_loss, shift
from tools import golden_peft as golden

CLOSE = dict(rtol=0, atol=1e-5)  # float32; logits have a standard deviation of about 1
STORED = json.loads((golden.FOLDER / "peft.json").read_text(encoding="utf-8"))


def close(ours, theirs, **how):
    torch.testing.assert_close(ours, torch.tensor(theirs), **(CLOSE | how))


def test_the_base_is_the_same_model():
    close(lora.add(golden.base(), 2, 5.0, lora.TARGETS)(golden.TOKENS), STORED["logits_at_birth"])


def test_logits_gradients_steps_and_merged_weights():
    model = golden.adapted()
    close(model(golden.TOKENS), STORED["logits"])
    learned = lora.trainable_parameters(model)
    assert sum(weight.numel() for weight in learned.values()) == STORED["learned"]
    optimizer = torch.optim.SGD(learned.values(), lr=golden.RATE)
    for step in range(golden.STEPS):
        inputs, targets = shift(golden.TOKENS)
        loss = next_token_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        assert loss.item() == pytest.approx(STORED["losses"][step], rel=1e-5)
        if step == 0:
            assert learned.keys() == STORED["gradients"].keys()
            for name, weight in learned.items():
                close(weight.grad, STORED["gradients"][name])
        optimizer.step()
    assert STORED["losses"][-1] < STORED["losses"][0] - 0.1
    close(model(golden.TOKENS), STORED["logits_after"], atol=3e-5)
    lora.merge(model)
    close(model(golden.TOKENS), STORED["logits_merged"], atol=3e-5)
    for name, weight in STORED["merged"].items():
        close(model.get_parameter(f"{name}.weight").detach(), weight)


def test_the_figures_can_tell():
    """A wrong scale, an adapter left out, or rows of B in the other order, and it is not close."""
    for break_it in (
        lambda a: setattr(a["layers.0.attention.wv"], "alpha", 10.0),
        lambda a: setattr(a["layers.1.feed_forward.w2"], "enabled", False),
        lambda a: setattr(a["layers.0.attention.wq"].lora_B, "data",
                          golden.rows(golden.adapter("layers.0.attention.wq")[1],
                                      "layers.0.attention.wq", to_hf=True)),
        lambda a: setattr(a["layers.0.attention.wk"].lora_B, "data",
                          golden.rows(golden.adapter("layers.0.attention.wk")[1],
                                      "layers.0.attention.wk", to_hf=True)),
    ):  # fmt: skip
        model = golden.adapted()
        break_it(lora.adapters(model))
        far = model(golden.TOKENS) - torch.tensor(STORED["logits"])
        assert far.abs().max() > 1e-3


def test_what_peft_saved_opens_here():
    model = formats.load_adapter(golden.base(), golden.FOLDER / "peft")
    close(model(golden.TOKENS), STORED["logits_after"], atol=3e-5)


def test_what_is_saved_for_peft_is_what_peft_saves(tmp_path):
    """Its own adapter, read and written again: the same names, shapes and numbers."""
    from safetensors.torch import load_file

    model = formats.load_adapter(golden.base(), golden.FOLDER / "peft")
    formats.save_adapter(model, tmp_path, format="peft")
    file = "adapter_model.safetensors"
    ours, theirs = load_file(tmp_path / file), load_file(golden.FOLDER / "peft" / file)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    ours, theirs = (
        json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        for folder in (tmp_path, golden.FOLDER / "peft")
    )
    assert set(ours.pop("target_modules")) == set(theirs.pop("target_modules"))
    assert ours.pop("task_type") == "CAUSAL_LM"
    assert ours == {name: theirs[name] for name in ours}


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not here")
def test_peft_itself(tmp_path):
    fresh = golden.figures(tmp_path / "peft")

    def compare(a, b):
        if isinstance(a, dict):
            assert a.keys() == b.keys()
            return [compare(a[name], b[name]) for name in a if name != "versions"]
        return close(torch.tensor(a), b, atol=3e-5)

    compare(fresh, STORED)
    theirs = golden.opened_by_peft(golden.adapted(), tmp_path)
    torch.testing.assert_close(theirs, golden.adapted()(golden.TOKENS), **CLOSE)

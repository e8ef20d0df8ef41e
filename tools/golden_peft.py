"""Figures of peft, for tests/alignment/: python tools/golden_peft.py [--check]

    pip install peft          (not a dependency: the tests read what was written here)

A small model with weights from a formula goes through `save(format="hf")` to transformers, gets
peft's LoRA on all seven matrices, and learns for a few steps. What is written: its adapter as peft
saves it, and peft.json with its logits, gradients and merged weights, and the versions.
"""

import argparse
import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path

import torch

from llamalab import formats
from llamalab.alignment import lora
from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.runtime.json_files import read_json, write_json

FOLDER = Path(__file__).parents[1] / "tests" / "alignment" / "golden"
CONFIG = LlamaConfig(
    dim=24, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=13, hidden_dim=40, max_seq_len=16
)
RANK, ALPHA, STEPS, RATE = 2, 5.0, 3, 0.5
MODULES = {"wq": "q_proj", "wk": "k_proj", "wv": "v_proj", "wo": "o_proj",
           "w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}  # fmt: skip
TOKENS = torch.tensor([[1, 7, 3, 12, 5, 0], [4, 4, 9, 2, 11, 6]])


def by_formula(shape: tuple[int, ...], key: int, size: float) -> torch.Tensor:
    """The same numbers on every machine and in every torch."""
    at = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return (size * torch.sin(at * 1.7 + at * at * 0.37 + key)).to(torch.float32).view(shape)


@torch.no_grad()
def base() -> Llama:
    model = Llama(CONFIG)
    for key, weight in enumerate(model.parameters()):
        ones = 1.0 if weight.ndim == 1 else 0.0
        weight.copy_(ones + by_formula(tuple(weight.shape), key, 0.3))
    return model


def adapter(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A (r, in) and B (out, r) of "layers.0.attention.wq", in the order of Meta's rows."""
    outputs, inputs = base().get_parameter(f"{name}.weight").shape
    key = sum(map(ord, name))
    return by_formula((RANK, inputs), key, 0.3), by_formula((outputs, RANK), key + 1, 0.3)


def rows(values: torch.Tensor, name: str, *, to_hf: bool) -> torch.Tensor:
    """wq and wk have each head's even rows first at Hugging Face. Written out by hand, since
    what is tested must not be its own ruler."""
    if name.rpartition(".")[2] not in ("wq", "wk"):
        return values
    D, heads = CONFIG.head_dim, len(values) // CONFIG.head_dim
    order = [h * D + i for h in range(heads) for i in [*range(0, D, 2), *range(1, D, 2)]]
    if to_hf:
        return values[order]
    back = torch.empty_like(values)
    back[order] = values
    return back


def figures(folder: Path) -> dict:
    """peft's figures; its adapter, after the steps, is saved in `folder`."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = base()
    names = [n.removesuffix(".weight") for n, w in model.named_parameters()
             if n.split(".")[-2] in MODULES]  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        formats.save(model, place, format="hf")
        plain = AutoModelForCausalLM.from_pretrained(
            place, attn_implementation="eager", dtype=torch.float32
        )
    targets = list(MODULES.values())
    theirs = get_peft_model(plain, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets))
    found: dict = {"logits_at_birth": theirs(TOKENS).logits.tolist()}

    def layer(name: str):
        number, part, leaf = name.split(".")[1:]
        inner = theirs.base_model.model.model.layers[int(number)]
        part = inner.self_attn if part == "attention" else inner.mlp
        return getattr(part, MODULES[leaf])

    for name in names:
        A, B = adapter(name)
        layer(name).lora_A["default"].weight.data.copy_(A)
        layer(name).lora_B["default"].weight.data.copy_(rows(B, name, to_hf=True))
    found["logits"] = theirs(TOKENS).logits.tolist()
    learned = [weight for weight in theirs.parameters() if weight.requires_grad]
    found["learned"] = sum(weight.numel() for weight in learned)
    optimizer = torch.optim.SGD(learned, lr=RATE)
    found["losses"] = []
    for step in range(STEPS):
        logits = theirs(TOKENS[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), TOKENS[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        found["losses"].append(loss.item())
        if step == 0:
            found["gradients"] = {}
            for name in names:
                A, B = (
                    getattr(layer(name), p)["default"].weight.grad for p in ("lora_A", "lora_B")
                )
                found["gradients"][f"{name}.lora_A"] = A.tolist()
                found["gradients"][f"{name}.lora_B"] = rows(B, name, to_hf=False).tolist()
        optimizer.step()
    found["logits_after"] = theirs(TOKENS).logits.tolist()
    theirs.save_pretrained(folder)
    merged = theirs.merge_and_unload()
    found["logits_merged"] = merged(TOKENS).logits.tolist()
    found["merged"] = {}
    for number in range(CONFIG.n_layers):
        for leaf in ("wq", "wk", "wv", "w2"):
            name = f"layers.{number}.{'feed_forward' if leaf == 'w2' else 'attention'}.{leaf}"
            inner = merged.model.layers[number]
            part = inner.mlp if leaf == "w2" else inner.self_attn
            weight = getattr(part, MODULES[leaf]).weight
            found["merged"][name] = rows(weight, name, to_hf=False).tolist()
    packages = ("peft", "transformers", "torch")
    return rounded(found) | {"versions": {p: importlib.metadata.version(p) for p in packages}}


def opened_by_peft(adapted: Llama, folder: Path) -> torch.Tensor:
    """The logits of what `save_adapter(format="peft")` wrote, when peft opens it."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    formats.save_adapter(adapted, folder / "adapter", format="peft")
    formats.save(base(), folder / "base", format="hf")
    plain = AutoModelForCausalLM.from_pretrained(
        folder / "base", attn_implementation="eager", dtype=torch.float32
    )
    return PeftModel.from_pretrained(plain, folder / "adapter").eval()(TOKENS).logits


def rounded(value):
    """To seven digits: float32 has no more."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def adapted() -> Llama:
    """Our model with the same adapters."""
    model = lora.add(base(), RANK, ALPHA, MODULES)
    for name, part in lora.adapters(model).items():
        part.lora_A.data, part.lora_B.data = adapter(name)
    return model


def main(check: bool) -> int:
    with tempfile.TemporaryDirectory() as place:
        found = figures(FOLDER / "peft" if not check else Path(place))
        ours, theirs = adapted()(TOKENS), opened_by_peft(adapted(), Path(place) / "ours")
    assert torch.allclose(ours, theirs, atol=1e-5), (ours - theirs).abs().max()
    print(f"peft opens our folder; largest difference {(ours - theirs).abs().max():.1e}")
    if not check:
        config = read_json(FOLDER / "peft" / "adapter_config.json")
        config["base_model_name_or_path"] = None  # a folder that is gone
        write_json(FOLDER / "peft" / "adapter_config.json", config)
        (FOLDER / "peft" / "README.md").unlink(missing_ok=True)  # a model card to be filled in
        text = json.dumps(found) + "\n"
        (FOLDER / "peft.json").write_text(text, encoding="utf-8", newline="\n")
        print(f"{len(text)} bytes")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    sys.exit(main(parser.parse_args().check))

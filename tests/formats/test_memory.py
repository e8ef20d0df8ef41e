"""Loading takes the size of the checkpoint and little more; what cannot fit is refused first."""

import json
import os
import subprocess
import sys

import pytest
import torch

from llamalab import formats
from llamalab.config import LlamaConfig
from llamalab.formats import build, hf_config, names

MEASURE = """
import sys, threading, time, psutil, torch
torch.set_num_threads(1)
from llamalab import Llama, LlamaConfig, load
with torch.device("meta"):
    Llama(LlamaConfig.from_name("tiny"))  # what torch imports for this is no part of a checkpoint
me = psutil.Process()
before = highest = me.memory_info().rss
done = False
def watch():
    global highest
    while not done:
        highest = max(highest, me.memory_info().rss)
        time.sleep(0.001)
thread = threading.Thread(target=watch)
thread.start()
model, _ = load(sys.argv[1])
done = True
thread.join()
highest = max(highest, me.memory_info().rss)
size = sum(weight.nbytes for weight in model.parameters())
total = sum(float(weight.detach().sum(dtype=torch.float64)) for weight in model.parameters())
print(size, highest - before, me.memory_info().rss - before, total)
"""


@pytest.mark.skipif(os.name == "nt", reason="resident memory is counted differently there")
@pytest.mark.parametrize("format", ["hf", "meta"])
def test_no_second_copy(format, tmp_path):
    """248 MB in float16, in a process of its own: weights that are mapped are not copied."""
    config = LlamaConfig(dim=1024, n_layers=6, n_heads=8, vocab_size=23000, max_seq_len=64)
    with torch.device("meta"):
        model = formats.Llama(config).to(torch.float16)
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for i, weight in enumerate(model.parameters()):
            weight.fill_(i / 64)
    total = sum(float(weight.detach().sum(dtype=torch.float64)) for weight in model.parameters())
    formats.save(model, tmp_path / "x", format=format)
    del model
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "x")], check=True, capture_output=True
    )
    size, peak, _, found = map(float, done.stdout.split())
    assert size == names_size(config) and 200e6 < size < 400e6
    assert peak < 1.3 * size, f"{peak / size:.2f} times the checkpoint"
    assert found == total


def names_size(config):
    return 2 * sum(torch.Size(shape).numel() for _, shape in names.shapes(config))


def test_a_model_that_does_not_fit_is_refused_before_it_is_read(small, tmp_path, monkeypatch):
    formats.save(small(), tmp_path)
    asked = []

    def refuse(config, bytes_per_parameter, *, available):
        assert available is None  # on the CPU: whatever this machine has free
        asked.append((config.dim, bytes_per_parameter))
        raise MemoryError("too large")

    monkeypatch.setattr(build, "refuse_if_too_large", refuse)
    for dtype, width in ((None, 4), (torch.float16, 2)):
        with pytest.raises(MemoryError, match="too large"):
            formats.load(tmp_path, dtype=dtype)
        assert asked[-1] == (24, width)


def test_a_config_of_a_huge_model_costs_nothing(small, tmp_path):
    """The files decide what is there: 70B in config.json over small weights is a ValueError."""
    formats.save(small(), tmp_path)
    config = LlamaConfig.from_name("llama-2-70b")
    text = json.dumps(hf_config.config_json(config, "float32"))
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="holds 21 weights, and n_layers=80 need 723"):
        formats.load(tmp_path)

"""The pictures of LoRA say what is so."""

import json

from llamalab.accounting import lora_parameters
from llamalab.config import LlamaConfig
from llamalab.course.lessons.nb09.lora_figures import NAMES, best_runs, few_or_all, two_roads
from llamalab.runtime import paths

FILE = paths.data_folder() / "golden" / "lora09.json"
MEASURED = json.loads(FILE.read_text(encoding="utf-8"))


def test_the_two_roads_count_their_numbers():
    fig = two_roads(16, 12, 2, 4.0)
    assert "56 numbers learn, 192 are only read" in fig.caption  # 2 x (16 + 12), 16 x 12
    assert "4 / 2" in fig.alt and fig.png[:4] == b"\x89PNG"
    assert "8,192 numbers learn, 16,777,216" in two_roads(4096, 4096, 1, 1.0).caption


def test_what_was_measured_is_what_is_drawn():
    runs = MEASURED["runs"]
    best = best_runs(runs)
    assert len(best) == 7 and {key for key, _ in best} == {"", *NAMES}
    for (targets, rank), found in best.items():
        same = [r["new"] for r in runs if (" ".join(r["targets"]), r["rank"]) == (targets, rank)]
        assert found["new"] == min(same)
        if rank:
            count = lora_parameters(LlamaConfig.from_name("tales"), rank, targets.split())["total"]
            assert found["learned"] == count
    fig = few_or_all(MEASURED)
    assert f"{best['', 0]['new']:.2f}" in fig.alt
    for (_, rank), found in best.items():
        assert not rank or f"rank {rank} {found['new']:.2f}" in fig.alt

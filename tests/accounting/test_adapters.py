"""LoRA's numbers by hand, and against full tuning."""

import pytest

from llamalab.accounting import count_parameters, lora_parameters, lora_plan, memory_plan
from llamalab.alignment import lora
from llamalab.config import LlamaConfig

SEVEN, SEVENTY = (LlamaConfig.from_name(f"llama-2-{size}") for size in ("7b", "70b"))
EVERY = ("wq", "wk", "wv", "wo", "w1", "w2", "w3")


@pytest.mark.parametrize(
    "config, rank, targets, wanted",
    [
        (SEVEN, 8, ("wq", "wv"), 32 * 8 * 2 * (4096 + 4096)),  # 4,194,304
        (SEVEN, 16, EVERY, 32 * 16 * (4 * 2 * 4096 + 3 * (4096 + 11008))),
        (SEVENTY, 8, ("wq", "wv"), 80 * 8 * ((8192 + 8192) + (8192 + 1024))),
        (SEVENTY, 1, EVERY, 80 * (2 * 2 * 8192 + 2 * (8192 + 1024) + 3 * (8192 + 28672))),
    ],
)
def test_parameters_by_hand(config, rank, targets, wanted):
    found = lora_parameters(config, rank, targets)
    assert found.pop("total") == wanted == sum(found.values())
    assert tuple(found) == targets


def test_peft_printed_these():
    """`print_trainable_parameters` on Llama-2-7B: r = 8 on q_proj and v_proj, r = 16 on all."""
    assert lora_parameters(SEVEN, 8)["total"] == 4_194_304
    assert lora_parameters(SEVEN, 16, EVERY)["total"] == 39_976_960


@pytest.mark.parametrize("dtype, own", [("bfloat16", 2), ("float32", 4)])
@pytest.mark.parametrize("config", [SEVEN, SEVENTY])
def test_memory_by_hand(config, dtype, own):
    everything, adapters = count_parameters(config)["total"], lora_parameters(config, 16)["total"]
    plan = lora_plan(config, 16, dtype=dtype, available=0)
    full = memory_plan(config, dtype=dtype, training=True, available=0)
    assert plan.rows[0] == ("frozen weights", own * everything)
    assert plan.total == own * everything + 16 * adapters
    assert full.total == 16 * everything
    assert full.total - plan.total == (16 - own) * everything - 16 * adapters
    assert dict(plan.rows)["adapters' Adam's two averages"] == 8 * adapters


def test_frozen_weights_may_be_blocks():
    """4.5 bits a weight: 70B with its adapters in one card of 48 GiB, as full tuning never is."""
    plan = lora_plan(SEVENTY, 16, EVERY, dtype="q4_0", available=48 * 2**30)
    assert plan.fits and plan.rows[0][1] == 68_976_648_192 * 18 // 32
    assert plan.total - plan.rows[0][1] == 16 * 207_093_760
    plan = lora_plan(SEVENTY, 16, EVERY, available=48 * 2**30)
    assert not plan.fits and plan.ways_out == ("frozen weights in q4_0",)
    assert "207,093,760 parameters learn beside 68,976,648,192" in repr(plan)
    assert lora_plan(SEVEN, 1, ("wq",)).available > 0


def test_the_targets_are_the_adapters_own():
    assert EVERY == lora.TARGETS
    assert set(lora_parameters(SEVEN, 1, EVERY)) == {*EVERY, "total"}


@pytest.mark.parametrize(
    "rank, targets, says",
    [
        (8, ("wq", "q_proj"), "'q_proj'; there are wq, wk"),
        (0, ("wq",), "rank=0 must be 1 to 8192"),
        (1025, ("wq", "wk"), "rank=1025 must be 1 to 1024, the sides of wk"),
    ],
)
def test_refused(rank, targets, says):
    for call in (lora_parameters, lora_plan):
        with pytest.raises(ValueError, match=says):
            call(SEVENTY, rank, targets)
    with pytest.raises(ValueError, match="q5"):
        lora_plan(SEVENTY, 1, dtype="q5")

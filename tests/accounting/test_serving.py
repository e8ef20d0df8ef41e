"""The roofline by hand, and EcoLogits' method against its own package."""

import pytest

from llamalab.accounting import Range, accelerator, break_even_tokens, ecologits, serving
from llamalab.accounting.ecologits import V2024, V2026
from llamalab.config import LlamaConfig

SEVEN, SEVENTY = (LlamaConfig.from_name(f"llama-2-{n}") for n in ("7b", "70b"))
A100 = accelerator("A100-80GB")
IDEAL = dict(devices=1, batch=1, context=0, of_roofline=1, drawn=1, pue=1)


def test_one_row_pays_for_reading_all_weights():
    made = serving(SEVEN, A100, **IDEAL)
    seconds = 13_476_831_232 / 2039e9  # fp16 bytes by the memory's bandwidth
    assert made.bound == "memory" and made.seconds.central == pytest.approx(seconds)
    assert made.wh_per_1000_tokens.central == pytest.approx(400 * seconds * 1000 / 3600)
    assert made.tokens_per_second.central == pytest.approx(1 / seconds)


def test_a_crowd_shares_the_reading_until_it_computes():
    alone = serving(SEVEN, A100, **IDEAL).wh_per_1000_tokens.central
    eight = serving(SEVEN, A100, **IDEAL | {"batch": 8}).wh_per_1000_tokens.central
    assert eight == pytest.approx(alone / 8)
    crowd = serving(SEVEN, A100, **IDEAL | {"batch": 1000})
    assert crowd.bound == "compute"
    joules = 400 * 2 * 6_738_415_616 / 312e12
    assert crowd.wh_per_1000_tokens.central == pytest.approx(joules / 3.6)


def test_the_cache_is_read_by_each_row():
    setting = IDEAL | {"batch": 4, "context": 4096}
    seconds = (13_476_831_232 + 4 * 4096 * 524_288) / 2039e9
    assert serving(SEVEN, A100, **setting).seconds.central == pytest.approx(seconds)


def test_devices_share_time_and_all_draw():
    two = serving(SEVENTY, A100, **IDEAL | {"devices": 2})
    four = serving(SEVENTY, A100, **IDEAL | {"devices": 4})
    assert four.seconds.central == pytest.approx(two.seconds.central / 2)
    assert four.wh_per_1000_tokens.central == pytest.approx(two.wh_per_1000_tokens.central)


def test_assumptions_are_carried_through_and_said():
    made = serving(SEVEN, A100, devices=1, batch=1, context=512, of_roofline=(0.4, 0.5, 0.8),
                   drawn=(0.5, 0.7, 1), pue=(1.1, 1.2, 1.5))  # fmt: skip
    ideal = serving(SEVEN, A100, **IDEAL | {"context": 512}).wh_per_1000_tokens.central
    wh = made.wh_per_1000_tokens
    assert wh.low == pytest.approx(ideal * 0.5 * 1.1 / 0.8)
    assert wh.central == pytest.approx(ideal * 0.7 * 1.2 / 0.5)
    assert wh.high == pytest.approx(ideal * 1 * 1.5 / 0.4)
    for word in ("A100-80GB", "0.5 (0.4 to 0.8)", "400 W", "PUE 1.2", "estimated", "memory"):
        assert word in repr(made)


@pytest.mark.parametrize(
    "change, words",
    [({"of_roofline": 1.2}, "of_roofline=1.2"), ({"drawn": 0}, "drawn=0"),
     ({"of_roofline": (0, 0.5, 1)}, "of_roofline=0.5"), ({"pue": 0.9}, "pue=0.9"),
     ({"devices": 0}, "devices=0"), ({"batch": 0}, "batch=0")],
)  # fmt: skip
def test_impossible_settings(change, words):
    with pytest.raises(ValueError, match=words):
        serving(SEVEN, A100, **IDEAL | change)


def test_what_does_not_fit_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match="138.0 GB of weights and cache do not fit into 1 x 80 GB"):
        serving(SEVENTY, A100, **IDEAL)


def test_when_writing_has_taken_as_much_as_training():
    """At the same FLOPs a joule: 6 N a token against 2 N, so at three times the tokens."""
    per_flop = 1e-12 / 3600
    training = 6 * 6.738e9 * 2e12 * per_flop / 1000
    writing = 2 * 6.738e9 * 1000 * per_flop
    assert break_even_tokens(training, writing).central == pytest.approx(6e12)
    assert break_even_tokens((1, 2, 4), (1, 2, 4)) == Range(250_000, 1e6, 4e6)


# Asked of the package ecologits 0.11.3 itself: 1,000 tokens, PUE 1.2, all else its own defaults.
THEIRS = [
    (1, 16, 0.08065891285007241, 1),
    (6.738415616, 16, 0.087621801184039, 1),
    (13.01586432, 16, 0.09523874238751061, 1),
    (33.743970304, 16, 0.2407796925617138, 2),
    (33.743970304, 4, 0.1203898462808569, 1),
    (68.976648192, 16, 0.6525621275227386, 4),
    (175, 16, 2.3342985900289674, 8),
    (405, 4, 2.2834604331251995, 4),
]


@pytest.mark.parametrize("billions, bits, wh, gpus", THEIRS)
def test_ecologits_as_its_package_says(billions, bits, wh, gpus):
    assert ecologits.gpus(billions, bits, V2026) == gpus
    assert ecologits.wh_per_1000_tokens(billions, pue=1.2, bits=bits) == pytest.approx(wh)


def test_ecologits_as_its_page_of_2024_says():
    """By hand for 10 billion on one GPU: 1000 x 1.2 x (8.91e-4 + 1.43e-3 + (8.02e-3 + 2.23e-2) s
    x 1000 W / 8 / 3600)."""
    by_hand = 1200 * (8.91e-4 + 1.43e-3 + (8.02e-3 + 2.23e-2) * 125 / 3600)
    assert ecologits.wh_per_1000_tokens(10, pue=1.2, version=V2024) == pytest.approx(by_hand)
    assert ecologits.gpus(68.976648192, 16, V2024) == 3


def test_ecologits_refuses():
    with pytest.raises(ValueError, match="billions=0"):
        ecologits.wh_per_1000_tokens(0, pue=1.2)
    with pytest.raises(ValueError, match="pue=0.5"):
        ecologits.wh_per_1000_tokens(7, pue=0.5)

"""Our estimate of a training run beside CodeCarbon's of the same run, and of writing by EcoLogits.

    python -m venv ELSEWHERE && ELSEWHERE/bin/pip install codecarbon ecologits
    python benchmarks/carbon.py --peer ELSEWHERE/bin/python [--steps 40] [--store]

The peer never enters this environment: it runs beside, in its own Python and offline, over the
whole machine, from just before the first step to just behind the last. --store writes
data/golden/carbon13.json. What differs is explained from what each assumes, part by part.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llamalab.accounting import Meter, count_parameters, ecologits, grid, training_flops
from llamalab.config import LlamaConfig
from llamalab.formats import load
from llamalab.generation import generate
from llamalab.model import Llama
from llamalab.runtime.json_files import write_json
from llamalab.runtime.paths import checkpoints
from llamalab.training import TrainConfig, train

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "data" / "golden" / "carbon13.json"
BATCH, SEQ_LEN, TOKENS = 4, 256, 200
PLACES = ("France", "India", "Iowa")
PEER = """
import json, sys, warnings
warnings.filterwarnings("ignore")
from codecarbon import OfflineEmissionsTracker
from codecarbon import __version__ as version
from codecarbon.core.emissions import Emissions
from codecarbon.core.units import Energy
from codecarbon.external.geography import GeoMetadata
from codecarbon.input import DataSource
tracker = OfflineEmissionsTracker(country_iso_code="FRA", save_to_file=False,
                                  log_level="critical", measure_power_secs=2,
                                  allow_multiple_runs=True, tracking_mode="machine")
tracker.start()
print("ready", flush=True)
sys.stdin.readline()
tracker.stop()
d = tracker.final_emissions_data
places = {"France": GeoMetadata("FRA", "France"), "India": GeoMetadata("IND", "India"),
          "Iowa": GeoMetadata("USA", "United States", "iowa")}
grams = {place: 1000 * Emissions(DataSource()).get_private_infra_emissions(
    Energy.from_energy(d.energy_consumed), geo) for place, geo in places.items()}
print(json.dumps({"version": version, "seconds": d.duration, "cpu_watts": d.cpu_power,
                  "ram_watts": d.ram_power, "cpu_wh": 1000 * d.cpu_energy,
                  "ram_wh": 1000 * d.ram_energy, "gpu_wh": 1000 * d.gpu_energy,
                  "wh": 1000 * d.energy_consumed, "grams": grams,
                  "cpu_count": d.cpu_count, "ram_gb": d.ram_total_size,
                  "cpu_load_percent": d.cpu_utilization_percent}))
"""
REQUEST = """
import json, math
from importlib.metadata import version
from ecologits.impacts.llm import compute_llm_impacts_dag as impacts
zero = dict.fromkeys(["if_electricity_mix_adpe", "if_electricity_mix_pe", "if_electricity_mix_gwp",
                      "if_electricity_mix_wue", "datacenter_wue"], 0)
found = {}
for billions in json.loads(input()):
    r = impacts(model_active_parameter_count=billions, model_total_parameter_count=billions,
                output_token_count=1000, request_latency=math.inf, datacenter_pue=1.2, **zero)
    found[str(billions)] = {"wh_per_1000": 1000 * r["request_energy"],
                            "gpus": r["gpu_required_count"]}
print(json.dumps({"version": version("ecologits"), "sizes": found}))
"""


def training(steps: int, peer: str) -> dict:
    """One run of the preset `tales`, under our meter and CodeCarbon's at once."""
    config = LlamaConfig.from_name("tales")
    generator = torch.Generator().manual_seed(0)
    model = Llama(config, generator=generator)
    batch = torch.randint(3, config.vocab_size, (BATCH, SEQ_LEN + 1), generator=generator)
    records = train(model, iter(lambda: batch, None), TrainConfig(steps=steps + 2))
    next(records), next(records)  # the first two warm up
    beside = subprocess.Popen(
        [peer, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert beside.stdin and beside.stdout
    if "ready" not in beside.stdout.readline():
        sys.exit("CodeCarbon did not start")
    with Meter() as meter:
        losses = [record.loss for record in records]
    said, _ = beside.communicate("stop\n", timeout=120)
    cost = meter.read()
    flops = training_flops(config, len(losses) * BATCH * SEQ_LEN, SEQ_LEN)
    return {
        "steps": len(losses),
        "parameters": count_parameters(config)["total"],
        "gflop_per_second": flops / cost.core_seconds / 1e9,
        "ours": {
            "seconds": cost.seconds, "core_seconds": cost.core_seconds, "watts": cost.watts,
            "wh": cost.energy_wh, "measured": cost.measured_wh is not None,
        },
        "codecarbon": json.loads(said.splitlines()[-1]),
    }  # fmt: skip


def writing() -> dict:
    """Tokens written by the shipped model, one row: the energy of 1,000 of them, here."""
    model, _ = load(checkpoints()["tales"], dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    room = min(TOKENS, model.config.max_seq_len - 1)
    list(generate(model, [1], 20, generator=generator))
    written = 0
    with Meter() as meter:
        while written < 2 * TOKENS:
            written += len(list(generate(model, [1], room, generator=generator)))
    cost = meter.read()
    return {
        "tokens": written, "seconds": cost.seconds, "core_seconds": cost.core_seconds,
        "watts": cost.watts, "wh_per_1000": 1000 * cost.energy_wh / written,
    }  # fmt: skip


def requests(peer: str) -> dict:
    """What EcoLogits' own package says of Llama 2's sizes, beside our copy of its method."""
    sizes = {
        name: count_parameters(LlamaConfig.from_name(name))["total"] / 1e9
        for name in ("llama-2-7b", "llama-2-13b", "llama-2-34b", "llama-2-70b")
    }
    done = subprocess.run(
        [peer, "-c", REQUEST], input=json.dumps(list(sizes.values())), text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    theirs = json.loads(done.stdout)
    for name, billions in sizes.items():
        theirs[name] = theirs["sizes"].pop(str(billions)) | {
            "ours_of_their_method": ecologits.wh_per_1000_tokens(billions, pue=1.2),
            "their_method_of_2024": ecologits.wh_per_1000_tokens(
                billions, pue=1.2, version=ecologits.V2024
            ),
        }
    del theirs["sizes"]
    return theirs


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--peer", required=True, help="a Python that has codecarbon and ecologits")
    options.add_argument("--steps", type=int, default=10)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--store", action="store_true", help=f"write {FILE.name}")
    asked = options.parse_args()
    torch.set_num_threads(asked.threads)
    found = {
        "training": training(asked.steps, asked.peer),
        "writing": writing(),
        "ecologits": requests(asked.peer),
    }  # fmt: skip
    run = found["training"]
    our, their = run["ours"], run["codecarbon"]
    print(
        f"{run['steps']} steps, {our['core_seconds']:.1f} s of a core in "
        f"{our['seconds']:.1f} s; ours {our['wh']:.4f} Wh at {our['watts']:g} W a core; "
        f"CodeCarbon {their['wh']:.4f} Wh = processor {their['cpu_wh']:.4f} at "
        f"{their['cpu_watts']:.1f} W + memory {their['ram_wh']:.4f} at "
        f"{their['ram_watts']:.1f} W"
    )
    our["grams"] = {}
    for place in PLACES:
        here = grid(place)
        our["grams"][place] = [e * our["wh"] for e in (here.low, here.central, here.high)]
        print(
            f"{place}: ours {our['grams'][place][1]:.4f} g, CodeCarbon {their['grams'][place]:.4f}"
        )
    print(json.dumps({key: found[key] for key in ("writing", "ecologits")}, indent=2))
    if asked.store:
        write_json(FILE, found)


if __name__ == "__main__":
    main()

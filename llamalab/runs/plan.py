"""What a run was asked to be, and run.json, which remembers it: a resumed run is the same run.

No torch is imported here, so that the command line can show the defaults at once.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from llamalab.config import LlamaConfig
from llamalab.recipe import TrainConfig
from llamalab.runtime.json_files import read_json, write_json
from llamalab.runtime.numbers import require_share, require_whole


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is, in numbers that go into run.json. `batch_size` rows of `seq_len` tokens are
    one micro-batch, over all processes. `by_document`: windows begin where documents do
    (see `batches`). `save_every=0`: a checkpoint at the end alone. `threads`: those that torch
    computes with on a CPU, at most; None leaves it alone. ValueError for a number that makes no
    sense."""

    train: TrainConfig
    batch_size: int = 16
    seq_len: int = 256
    seed: int = 0
    save_every: int = 100
    hold_out: float = 0.05
    by_document: bool = True
    parallel: str = "ddp"
    threads: int | None = None

    def __post_init__(self) -> None:
        from llamalab.runtime.distributed import MODES  # torch waits until there is a plan

        require_whole(self, "batch_size", "seq_len")
        require_whole(self, "save_every", least=0)
        if type(self.seed) is not int or not -(2**63) <= self.seed < 2**63:
            raise ValueError(f"seed={self.seed!r} must be a whole number of at most 63 bits")
        require_share(self, "hold_out")
        if self.threads is not None:
            require_whole(self, "threads")
        if self.parallel not in MODES:
            raise ValueError(f"parallel={self.parallel!r} must be one of {', '.join(MODES)}")


def write_plan(out: Path, config: LlamaConfig, plan: Plan, cut: int) -> None:
    """What `read_plan` reads: the numbers as they are, worked out where None was asked for."""
    write_json(out / "run.json", {"plan": asdict(plan), "model": asdict(config), "cut": cut})


def read_plan(out: Path) -> tuple[LlamaConfig, Plan, int]:
    """What run.json says: the model, the plan, and the token where validation begins.
    FileNotFoundError if `out` is not a run, ValueError if run.json does not hold a plan."""
    path = Path(out) / "run.json"
    if not path.exists():
        raise FileNotFoundError(f"there is no run to resume in {out}: no run.json")
    held = read_json(path)
    try:
        asked = dict(held["plan"])
        plan = Plan(**asked | {"train": TrainConfig(**asked["train"])})
        if type(cut := held["cut"]) is not int or cut < 1:
            raise ValueError(f"cut={cut!r} must be a whole number of at least 1")
        return LlamaConfig(**held["model"]), plan, cut
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no run's plan: {error}") from None

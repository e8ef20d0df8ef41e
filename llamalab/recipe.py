"""The recipe: how a model is trained, in numbers. Llama 2's own are the defaults.

What they do is in `training.optim`. This file imports no torch, so that the command line can show
the defaults at once.
Source: the paper, section 2.2.
"""

from dataclasses import dataclass

from llamalab.runtime.derived import derived
from llamalab.runtime.numbers import require_between_0_and_1, require_positive, require_whole

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train. `warmup_steps=None` means a twentieth of the steps, at most Llama 2's 2,000,
    and follows them in a `replace`. `grad_accum_steps` micro-batches make one step. `dtype` is that
    of the matrix products; weights and optimizer stay float32. `matmul`: which implementation
    computes them, one of `cpu_kernels.MATMULS` (`runs.autotune` finds the fastest). `eval_every=0`:
    only after the last step, if there is validation. ValueError for a number that makes no
    sense."""

    steps: int
    lr: float = 1e-3
    min_lr_ratio: float = 0.1
    warmup_steps: derived = derived(lambda config: min(2000, max(0, config.steps) // 20))
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-5
    weight_decay: float = 0.1
    max_grad_norm: float = 1.0
    grad_accum_steps: int = 1
    eval_every: int = 0
    dtype: str = "float32"
    matmul: str = "torch"
    compile: bool = False

    def __post_init__(self) -> None:
        from llamalab.runtime.cpu_kernels import MATMULS  # torch waits until there is a recipe

        require_whole(self, "steps", "grad_accum_steps")
        require_whole(self, "warmup_steps", "eval_every", least=0)
        if self.warmup_steps > self.steps:
            raise ValueError(
                f"warmup_steps={self.warmup_steps} is more than steps={self.steps}: the rate would "
                f"never reach its peak"
            )
        require_positive(self, "lr", "eps", "max_grad_norm")
        require_between_0_and_1(self, "min_lr_ratio", "beta1", "beta2", "weight_decay")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype={self.dtype!r} must be one of {', '.join(DTYPES)}")
        if self.matmul not in MATMULS:
            raise ValueError(f"matmul={self.matmul!r} must be one of {', '.join(MATMULS)}")
        if self.compile and self.matmul != "torch":
            raise ValueError(f"compile=True goes with matmul='torch', not {self.matmul!r}")

"""The recipe: how a model is trained, in numbers. Llama 2's own are the defaults.

What they do is in `training.optim`. This file imports no torch, so that the command line can show
the defaults at once.
Source: the paper, section 2.2.
"""

from dataclasses import dataclass

from llamalab.runtime.derived import derived

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train. `warmup_steps=None` means a twentieth of the steps, at most Llama 2's 2,000,
    and follows them in a `replace`. `grad_accum_steps` micro-batches make one step. `dtype` is that
    of the matrix products; weights and optimizer stay float32; `matmul` says by what road they are
    computed, see `runs.autotune`. `eval_every=0`: only after the last step, if there is validation.
    ValueError for a number that makes no sense."""

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

        least_of = {"steps": 1, "warmup_steps": 0, "grad_accum_steps": 1, "eval_every": 0}
        for name, least in least_of.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")
        if self.warmup_steps > self.steps:
            raise ValueError(
                f"warmup_steps={self.warmup_steps} is more than steps={self.steps}: the rate would "
                f"never reach its peak"
            )
        for name in ("lr", "eps", "max_grad_norm"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}={getattr(self, name)!r} must be a finite number above 0")
        for name in ("min_lr_ratio", "beta1", "beta2", "weight_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must lie between 0 and 1")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype={self.dtype!r} must be one of {', '.join(DTYPES)}")
        if self.matmul not in MATMULS:
            raise ValueError(f"matmul={self.matmul!r} must be one of {', '.join(MATMULS)}")
        if self.compile and self.matmul != "torch":
            raise ValueError(f"compile=True goes with matmul='torch', not {self.matmul!r}")

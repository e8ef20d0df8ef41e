"""What fits: bytes of weights, cache and training state, worked out before anything is read.

    weights   parameters x bytes each
    cache     2 (k and v) x n_layers x n_kv_heads x head_dim x bytes, for each token of each row
    training  gradients, Adam's two averages in float32, and float32 master weights where the
              weights themselves are 16 bits: 16 bytes a parameter in all, either way

Activations are not counted: they depend on how the program runs. So a plan is a floor: what does
not fit here does not fit.  GB is 10^9 bytes, GiB is 2^30.
"""

from dataclasses import dataclass
from html import escape

import psutil

from llamalab.accounting.compute import count_parameters
from llamalab.config import LlamaConfig
from llamalab.runtime.cgroups import memory_limits

GIB = 2**30
# Bytes a parameter. The block formats carry their scales: 34 bytes, or 18, for 32 numbers.
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "q8_0": 34 / 32, "q4_0": 18 / 32}


def kv_cache_bytes(
    config: LlamaConfig, seq_len: int, batch: int = 1, bytes_per_number: float = 2
) -> int:
    """Bytes of a KV cache for `batch` rows of `seq_len` tokens; 2 bytes a number is 16 bits.
    ValueError for a number below 0."""
    if seq_len < 0 or batch < 0:
        raise ValueError(f"seq_len={seq_len} and batch={batch} cannot be negative")
    numbers = 2 * config.n_layers * config.n_kv_heads * config.head_dim
    return int(numbers * seq_len * batch * bytes_per_number)


@dataclass(frozen=True)
class MemoryPlan:
    """Rows of (what, bytes), the bytes available, and what would help if they do not fit."""

    title: str
    rows: tuple[tuple[str, int], ...]
    available: int
    ways_out: tuple[str, ...]

    @property
    def total(self) -> int:
        return sum(size for _, size in self.rows)

    @property
    def fits(self) -> bool:
        return self.total <= self.available

    @property
    def verdict(self) -> str:
        need, have = _gib(self.total), _gib(self.available)
        if self.fits:
            return f"It fits: {need} of {have}."
        ways = f" What would fit: {'; '.join(self.ways_out)}." if self.ways_out else ""
        return f"It does not fit: {need} are needed and there are {have}.{ways}"

    def __repr__(self) -> str:
        width = max(len(what) for what, _ in self.rows)
        lines = [f"  {what:<{width}}  {_gib(size):>11}" for what, size in self.rows]
        return "\n".join([self.title, *lines, self.verdict])

    def _repr_html_(self) -> str:
        cell = "padding:.15em .8em;text-align:"
        rows = "".join(
            f"<tr><td style='{cell}left'>{escape(what)}</td>"
            f"<td style='{cell}right'>{_gib(size)}</td></tr>"
            for what, size in self.rows
        )
        head = f"<caption style='text-align:left'>{escape(self.title)}</caption>"
        table = f"<table style='border-collapse:collapse'>{head}{rows}</table>"
        return f"<div>{table}<p>{escape(self.verdict)}</p></div>"


def memory_plan(
    config: LlamaConfig,
    *,
    seq_len: int | None = None,
    batch: int = 1,
    dtype: str = "bfloat16",
    training: bool = False,
    available: int | None = None,
) -> MemoryPlan:
    """Plan for using a model (weights and a cache), or for training it (weights and the
    optimizer's state). seq_len: the whole context if None. The cache has 16-bit numbers, or
    float32 ones beside float32 weights. available: bytes; what this machine has free if None.
    ValueError for a dtype that is not known, or cannot be trained."""
    if dtype not in BYTES:
        raise ValueError(f"no dtype called {dtype!r}; there are {', '.join(BYTES)}")
    if training and dtype not in ("float32", "bfloat16", "float16"):
        raise ValueError(f"{dtype} weights are rounded to blocks: they are run, not trained")
    seq_len = config.max_seq_len if seq_len is None else seq_len
    available = available_memory() if available is None else available
    rows = _rows(config, seq_len, batch, dtype, training)
    mode = "training" if training else f"{batch} x {seq_len:,} tokens"
    title = f"{count_parameters(config)['total']:,} parameters in {dtype}, {mode}"
    ways = ()
    if sum(size for _, size in rows) > available:
        ways = tuple(_ways_out(config, seq_len, batch, dtype, training, available))
    return MemoryPlan(title, rows, available, ways)


def refuse_if_too_large(
    config: LlamaConfig, bytes_per_parameter: float, *, available: int | None = None
) -> None:
    """MemoryError, with the numbers and the ways out, if the weights alone do not fit. What using
    the model takes besides, its cache, is said too."""
    parameters = count_parameters(config)["total"]
    need = int(parameters * bytes_per_parameter)
    available = available_memory() if available is None else available
    if need <= available:
        return
    smaller = [f"{name} ({_gib(int(parameters * size))})" for name, size in BYTES.items()
               if size < bytes_per_parameter and parameters * size <= available]  # fmt: skip
    ways = f"They would fit in {', '.join(smaller)}." if smaller else "No format is small enough."
    cache = kv_cache_bytes(config, config.max_seq_len)
    raise MemoryError(
        f"the weights of this model ({parameters:,} parameters at {bytes_per_parameter:g} bytes) "
        f"need {_gib(need)}, and {_gib(available)} are free. {ways} Beside them a 16-bit cache of "
        f"all {config.max_seq_len:,} tokens takes {_gib(cache)}, a smaller context less "
        f"(memory_plan has the rest). Nothing has been read."
    )


def available_memory() -> int:
    """Bytes that this process may still take: what the machine has, or what its container leaves
    if that is less."""
    limits = (group.free for group in memory_limits())
    return min([psutil.virtual_memory().available, *limits])


def _rows(
    config: LlamaConfig, seq_len: int, batch: int, dtype: str, training: bool
) -> tuple[tuple[str, int], ...]:
    parameters = count_parameters(config)["total"]
    weights = ("weights", int(parameters * BYTES[dtype]))
    if not training:
        number = 4 if dtype == "float32" else 2
        return weights, ("KV cache", kv_cache_bytes(config, seq_len, batch, number))
    state = [weights, ("gradients", int(parameters * BYTES[dtype]))]
    if dtype != "float32":
        state.append(("float32 master weights", 4 * parameters))
    return (*state, ("Adam's two averages", 8 * parameters))


def _ways_out(config, seq_len, batch, dtype, training, available):
    """One change at a time that makes it fit, smallest sacrifice first; then all together."""

    def fits(seq_len: int, batch: int, dtype: str) -> bool:
        return sum(n for _, n in _rows(config, seq_len, batch, dtype, False)) <= available

    if training:
        smaller = [name for name in ("bfloat16", "q8_0", "q4_0") if fits(seq_len, 1, name)]
        if smaller:
            yield f"running it, not training it, in {smaller[0]}"
        return
    narrower = [name for name, size in BYTES.items() if size < BYTES[dtype]]
    best = next((name for name in narrower if fits(seq_len, batch, name)), None)
    if best:
        yield f"the weights in {best}"
    shorter = next((n for n in _halvings(seq_len) if fits(n, batch, dtype)), None)
    if shorter:
        yield f"a context of {shorter:,} tokens"
    if batch > 1 and fits(seq_len, 1, dtype):
        yield "one row at a time"
    if not best and not shorter:
        both = ((n, name) for name in narrower for n in _halvings(seq_len))
        found = next(((n, name) for n, name in both if fits(n, 1, name)), None)
        if found:
            yield f"the weights in {found[1]} with one row of {found[0]:,} tokens"


def _halvings(number: int):
    while number > 1:
        number //= 2
        yield number


def _gib(size: int) -> str:
    if size < 0.01 * GIB:
        return f"{size / 2**20:,.2f} MiB"
    return f"{size / GIB:,.2f} GiB"

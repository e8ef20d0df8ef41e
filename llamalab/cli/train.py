"""`llamalab train`: a run in a folder, with a bar, until it is done, stopped or killed."""

import contextlib
import json
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from .errors import EXPECTED, explained


def _option(help: str, *names: str):
    return typer.Option(*names, help=help, show_default=False)


@explained
def train(
    out: Annotated[Path, _option("Folder of the run; made if it is not there.")],
    text: Annotated[
        list[Path] | None,
        _option("A UTF-8 text to learn; may be given several times. Without it: the tales."),
    ] = None,
    lines: Annotated[
        bool | None, _option("Each line of the texts is a document, not each file.", "--lines")
    ] = None,
    stories: Annotated[
        int | None, _option("How many tales to tell, if there is no text (default 20,000).")
    ] = None,
    preset: Annotated[
        str | None,
        _option("The model's shape by name (default tales: 2.6 million parameters)."),
    ] = None,
    dim: Annotated[int | None, _option("Width, instead of the preset's.")] = None,
    n_layers: Annotated[int | None, _option("Layers, instead of the preset's.")] = None,
    n_heads: Annotated[int | None, _option("Query heads, instead of the preset's.")] = None,
    n_kv_heads: Annotated[int | None, _option("KV heads, instead of the preset's.")] = None,
    vocab_size: Annotated[
        int | None, _option("Pieces of the tokenizer to learn, instead of the preset's.")
    ] = None,
    tokenizer: Annotated[
        Path | None,
        _option("A SentencePiece .model (default: learned from the text)."),
    ] = None,
    steps: Annotated[int | None, _option("Steps of the optimizer (default 600).")] = None,
    batch_size: Annotated[
        int | None, _option("Rows of a micro-batch, over all processes (default 16).")
    ] = None,
    seq_len: Annotated[int | None, _option("Tokens of a row (default 256).")] = None,
    grad_accum_steps: Annotated[
        int | None, _option("Micro-batches of a step: a larger batch in the same memory (1).")
    ] = None,
    lr: Annotated[
        float | None,
        _option("Peak learning rate (default 3e-3; Llama 2 7B, 4,096 wide, took 3e-4)."),
    ] = None,
    warmup_steps: Annotated[
        int | None, _option("Steps up to the peak (default: a twentieth, at most 2,000).")
    ] = None,
    seed: Annotated[int | None, _option("Of the fresh weights and of the order (0).")] = None,
    dtype: Annotated[
        str | None,
        _option(
            "float32 or bfloat16 for the matrix products (default: what is fastest, by trying)."
        ),
    ] = None,
    compile: Annotated[
        bool | None,
        _option(
            "torch.compile: half a minute or more before the first step (default: on a GPU only).",
            "--compile/--no-compile",
        ),
    ] = None,
    hold_out: Annotated[
        float | None, _option("Share of the tokens kept apart for validation (default 0.05).")
    ] = None,
    save_every: Annotated[int | None, _option("Steps between checkpoints (default 100).")] = None,
    eval_every: Annotated[int | None, _option("Steps between validations (default 100).")] = None,
    parallel: Annotated[
        str | None, _option("Under torchrun: ddp (a whole model each) or fsdp (a part each).")
    ] = None,
    device: Annotated[
        str | None, _option("cpu, cuda or mps (default: the fastest that is here).")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in OUT, to the same bits.")
    ] = False,
) -> None:
    """Train a Llama 2 from random numbers, on the course's tales or on your own text.

    A first try, about two minutes on two cores: llamalab train --out my_run --steps 300

    On your own text: llamalab train --out my_book --text book.txt. Any UTF-8 text will do, larger
    than memory too; a tokenizer is learned from it first.

    The recipe is Llama 2's: AdamW, warm-up, cosine down to a tenth, gradients clipped to 1.
    OUT then holds the checkpoints, a log of losses (losses.jsonl) and at the end the model itself,
    in Hugging Face's layout, with its tokenizer: llamalab generate my_run.

    Ctrl+C stops after the step, and saves. After that, or a crash, or a power cut:
    llamalab train --out my_run --resume. The losses are then those of a run that never stopped.

    On several processes or GPUs: torchrun --nproc-per-node 2 -m llamalab train --out my_run
    """
    given = dict(locals())
    from llamalab.runtime import distributed

    if distributed.launched():
        _quiet_unless_first()
    device = _there(device)
    place = distributed.init(device) if distributed.launched() else device
    try:
        run = _resumed(out, given, place) if resume else _begun(given, place)
        _say(run)
        with _stopping(run):
            _follow(run)
        _say_the_end(run)
    except RuntimeError as error:
        if "out of memory" in str(error) or "allocate memory" in str(error):
            raise MemoryError(
                f"a step takes more memory than there is ({str(error)[:100].strip()} …). Try half "
                f"the --batch-size with twice the --grad-accum-steps: the same step in less memory"
            ) from None
        if distributed.lost(error):
            raise ValueError(_alone(out)) from None
        raise
    except EXPECTED:
        if distributed.rank():
            time.sleep(3)  # process 0 mostly says the same, and torchrun then ends this one
        raise
    finally:
        distributed.shutdown()


def _begun(given: dict, device):
    from dataclasses import replace

    from llamalab.config import LlamaConfig
    from llamalab.runs.run import Plan, begin, check
    from llamalab.runtime import distributed
    from llamalab.training import TrainConfig

    def asked(*names: str) -> dict:
        return {name: given[name] for name in names if given[name] is not None}

    config = LlamaConfig.from_name(given["preset"] or "tales")
    shape = asked("dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size")
    if shape:
        if shape.get("dim", config.dim) != config.dim:
            shape["hidden_dim"] = None  # by Meta's rule, from the new width
        config = replace(config, **shape)
    recipe = asked(
        "steps", "lr", "warmup_steps", "grad_accum_steps", "eval_every", "dtype", "compile"
    )
    usual = {"steps": 600, "lr": 3e-3, "eval_every": 100, "dtype": _choice().dtype,
             "compile": str(device).startswith("cuda")}  # fmt: skip
    plan = Plan(
        train=TrainConfig(**usual | recipe),
        **asked("batch_size", "seq_len", "seed", "hold_out", "save_every", "parallel"),
    )
    for one, other, why in (
        ("stories", "text", "the tales are told where there is no text"),
        ("vocab_size", "tokenizer", "a tokenizer that is there has its size"),
    ):
        if given[one] is not None and given[other]:
            names = [name.replace("_", "-") for name in (one, other)]
            raise ValueError(f"--{names[0]} and --{names[1]} do not go together: {why}")
    if given["lines"] and not given["text"]:
        raise ValueError("--lines is about the files of --text, and there are none")
    check(given["out"], config, plan)
    documents, tokenizer = _texts(given, config.vocab_size)
    tried = ""
    if given["dtype"] is None and not given["compile"] and not distributed.launched():
        config = replace(config, vocab_size=tokenizer.vocab_size)
        way, tried = _fastest(config, plan, device)
        plan = replace(plan, train=replace(plan.train, dtype=way.dtype, matmul=way.matmul))
    run = begin(given["out"], config, plan, documents, tokenizer=tokenizer, device=device)
    if tried:
        typer.echo(f"forward and backward of one batch, each way tried here:\n{tried}", err=True)
    return run


def _fastest(config, plan, device) -> tuple:
    """The way that is fastest here, found by trying each on one batch, and the table of all."""
    import torch

    from llamalab.model import Llama
    from llamalab.runs.autotune import fastest

    rows = torch.randint(0, config.vocab_size, (plan.batch_size, plan.seq_len + 1))
    found = fastest(Llama(config).to(device), rows)
    return found.setting, str(found)


def _texts(given: dict, vocab_size: int):
    """The documents and the tokenizer: given, or learned from the first millions of characters."""
    import warnings
    from itertools import chain, islice

    from llamalab import tales
    from llamalab.runtime import distributed
    from llamalab.tokenizer import BPETokenizer
    from llamalab.training import documents

    count = 20_000 if given["stories"] is None else given["stories"]

    def all_of_them():
        if not given["text"]:
            return (story.text for story in tales.stories(count))
        return chain.from_iterable(
            documents(path, by_line=bool(given["lines"])) for path in given["text"]
        )

    if given["tokenizer"]:
        return all_of_them(), BPETokenizer.load(given["tokenizer"])
    if distributed.rank() == 0:
        typer.echo("learning a tokenizer of the text …", err=True)
    pieces = (d if isinstance(d, str) else "".join(islice(d, 8)) for d in all_of_them())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        learned = BPETokenizer.train(_up_to(pieces, 8_000_000), vocab_size)
    if caught and distributed.rank() == 0:
        typer.echo(str(caught[0].message), err=True)
    return all_of_them(), learned


def _up_to(texts, characters: int):
    for text in texts:
        yield text
        characters -= len(text)
        if characters < 0:
            return


def _resumed(out: Path, given: dict, device):
    from llamalab.runs.run import resume

    fixed = {"out", "resume", "device"}
    changed = [name for name, value in given.items() if name not in fixed and value is not None]
    if changed:
        options = ", ".join("--" + name.replace("_", "-") for name in changed)
        raise ValueError(
            f"a resumed run is the same run, and run.json in {out} says what that is: leave out "
            f"{options}, or start another run"
        )
    return resume(out, device=device)


def _follow(run) -> None:
    """Train, under a bar: loss, tokens a second, time left, watt-hours so far."""
    from tqdm import tqdm

    from llamalab.accounting import Meter
    from llamalab.runtime import distributed

    meter, steps = Meter(), run.plan.train.steps
    bar = tqdm(
        total=steps, initial=run.state.step, unit="step", disable=distributed.rank() > 0,
        bar_format="{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} [{remaining} left]{postfix}",
    )  # fmt: skip
    with bar:
        for record in run:
            wh = meter.read().energy_wh
            bar.set_postfix_str(
                f"loss {record.loss:.3f}, {record.tokens_per_second:,.0f} tokens/s, ≈{wh:.2f} Wh",
                refresh=False,
            )
            bar.update()
            if record.val_loss is not None and distributed.rank() == 0:
                bar.write(
                    f"step {record.step:>6}  loss {record.loss:.3f}  validation "
                    f"{record.val_loss:.3f}  rate {record.lr:.2e}",
                    file=sys.stderr,
                )


@contextlib.contextmanager
def _stopping(run):
    """Ctrl+C, or a polite kill, ends the run behind the step; a second one ends it at once."""
    from llamalab.runtime import distributed

    def stop(number, frame) -> None:
        if run.stop:
            raise KeyboardInterrupt
        run.stop = True
        if distributed.rank() == 0:
            typer.echo("\nstopping behind this step (once more: at once) …", err=True)

    kinds = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(kind, stop) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before):
            signal.signal(kind, handler)


def _say(run) -> None:
    from llamalab.accounting import count_parameters
    from llamalab.runs.autotune import Setting
    from llamalab.runtime import distributed

    plan, config = run.plan, run.config
    if distributed.rank():
        return
    where = f"from step {run.state.step}" if run.resumed else "from random numbers"
    several = f", {distributed.world_size()} processes ({plan.parallel})" * (
        distributed.world_size() > 1
    )
    device = next(run.model.parameters()).device
    tokens = plan.train.steps * plan.train.grad_accum_steps * plan.batch_size * plan.seq_len
    way = Setting(plan.train.dtype, plan.train.matmul, plan.train.compile)
    wait = " (the first step takes a while)" * way.compile
    typer.echo(
        f"{count_parameters(config)['total']:,} parameters {where}; "
        f"{tokens:,} tokens to see, {len(run.batches.tokens):,} in the text\n"
        f"on {device}{several}, {way}{wait}",
        err=True,
    )


def _say_the_end(run) -> None:
    from llamalab.runtime import distributed

    if distributed.rank():
        return
    if run.state.step < run.plan.train.steps:
        typer.echo(
            f"stopped at step {run.state.step} of {run.plan.train.steps}, and saved. "
            f"Go on with: llamalab train --out {run.out} --resume"
        )
        return
    last = json.loads((run.out / "losses.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    valid = "" if last["val_loss"] is None else f", validation {last['val_loss']:.3f}"
    typer.echo(
        f"done: loss {last['loss']:.3f}{valid}. The model is in {run.out}; "
        f"let it write: llamalab generate {run.out}"
    )


def _there(device: str | None) -> str:
    """The device asked for, if it is here; the fastest if none is."""
    import torch

    here = ["cpu"]
    here += ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    if device is not None and device not in here:
        raise ValueError(f"there is no device {device!r} here; there are: {', '.join(here)}")
    return device or _choice().device


def _choice():
    from llamalab.runtime.device import choose_device

    return choose_device()


def _alone(out: Path) -> str:
    """What a process says whose neighbour was killed, perhaps in the midst of its bar, or ended
    with a message of its own."""
    from llamalab.runs import checkpoint
    from llamalab.runtime import distributed

    newest = checkpoint.latest(out / "checkpoints")
    further = "there is no checkpoint yet: start again"
    if newest:
        further = f"the last checkpoint, {newest}, is whole: start again with --resume"
    return (
        f"\nprocess {distributed.rank()} of {distributed.world_size()} has lost another one, which was "
        f"killed or has said above why it ended, and cannot go on alone; {further}"
    )


def _quiet_unless_first() -> None:
    import os

    if os.environ.get("RANK") != "0":
        sys.stdout = open(os.devnull, "w", encoding="utf-8")

"""What a person sees of a run: a line before, a bar, a line after it; and Ctrl+C."""

import contextlib
import json
import signal
import sys
from pathlib import Path

import typer


def say_the_start(run, resume: bool) -> None:
    """What is trained on what. A resumed run that has no checkpoint yet begins anew."""
    import torch

    from llamalab.accounting import count_parameters
    from llamalab.runs.autotune import Setting
    from llamalab.runtime import distributed

    plan, config = run.plan, run.config
    if distributed.rank():
        return
    where = f"from step {run.state.step}" if run.resumed else "from random numbers"
    if resume and not run.resumed:
        where += " (there is no checkpoint yet: the run begins anew)"
    several = f", {distributed.world_size()} processes ({plan.parallel})" * (
        distributed.world_size() > 1
    )
    device = next(run.model.parameters()).device
    tokens = plan.train.steps * plan.train.grad_accum_steps * plan.batch_size * plan.seq_len
    setting = Setting(plan.train.dtype, plan.train.matmul, plan.train.compile)
    wait = " (the first step takes a while)" * setting.compile
    threads = plan.threads or torch.get_num_threads()
    of_threads = f" with {threads} thread{'s' * (threads > 1)}" * (device.type == "cpu")
    typer.echo(
        f"{count_parameters(config)['total']:,} parameters {where}; "
        f"{tokens:,} tokens to see, {len(run.batches.tokens):,} in the text\n"
        f"on {device}{of_threads}{several}, {setting}{wait}",
        err=True,
    )


def follow(run) -> None:
    """Train, under a bar: loss, tokens a second, time left, watt-hours so far."""
    from tqdm import tqdm

    from llamalab.accounting import Meter, ledger
    from llamalab.runtime import distributed

    meter, steps = Meter("llamalab train"), run.plan.train.steps
    bar = tqdm(
        total=steps, initial=run.state.step, unit="step", disable=distributed.rank() > 0,
        bar_format="{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} [{remaining} left]{postfix}",
    )  # fmt: skip
    with bar:
        for record in run:
            wh = meter.watt_hours()
            bar.set_postfix_str(
                f"loss {record.loss:.3f}, {record.tokens_per_second:,.0f} tokens/s, ≈{wh:.2f} Wh",
                refresh=False,
            )
            bar.update()
            if run.news:
                bar.write(run.news, file=sys.stderr)
            if record.val_loss is not None and distributed.rank() == 0:
                bar.write(
                    f"step {record.step:>6}  loss {record.loss:.3f}  validation "
                    f"{record.val_loss:.3f}  rate {record.lr:.2e}",
                    file=sys.stderr,
                )
    if distributed.world_size() == 1 and ledger.path().parent.is_dir():
        meter.keep()  # a learner's folder is not made for it


@contextlib.contextmanager
def stopping(run):
    """Ctrl+C, or SIGTERM, ends the run after the step; a second one ends it at once."""
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


def say_the_end(run) -> None:
    """How far it came, and what to do next."""
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


def alone(out: Path) -> str:
    """What a process says whose neighbour was killed, perhaps in the midst of its bar, or ended
    with a message of its own."""
    from llamalab.runs import checkpoint
    from llamalab.runtime import distributed

    newest = checkpoint.latest(out / "checkpoints")
    further = "there is no checkpoint yet: start again"
    if newest:
        further = f"the last checkpoint, {newest}, is whole: start again with --resume"
    mine = f"process {distributed.rank()} of {distributed.world_size()}"
    return (
        f"\n{mine} has lost another one, which was killed or has said above why it ended, and "
        f"cannot go on alone; {further}"
    )

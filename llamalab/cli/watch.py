"""What a person sees of a stage of alignment: a line before, a bar, a line after it."""

import sys

import typer

from .models import load_writer
from .options import refuse_changes
from .records import told


def watch(stage, command: str) -> None:
    """Say where the run stands, let it train under a bar, and say how it ended. Ctrl+C, or
    SIGTERM, ends it after the step."""
    from .follow import stopping

    _say_the_start(stage)
    with stopping(stage):
        _follow(stage)
    if stage.state.step < stage.steps:
        typer.echo(
            f"stopped at step {stage.state.step} of {stage.steps}, and saved. "
            f"Go on with: llamalab {command} --out {stage.out} --resume"
        )
        return
    typer.echo(f"done: {_found(stage)}. The model is in {stage.out}{_further(stage)}")


def _say_the_start(stage) -> None:
    from llamalab.alignment.lora import trainable_parameters

    trained = sum(weight.numel() for weight in trainable_parameters(stage.model).values())
    where = f"from step {stage.state.step}" if stage.resumed else "from its start"
    unit = "iterations" if stage.kind == "ppo" else "steps"
    typer.echo(f"{trained:,} parameters to train, {where}; {stage.steps:,} {unit}", err=True)


def _follow(stage) -> None:
    from tqdm import tqdm

    bar = tqdm(
        total=stage.steps, initial=stage.state.step, unit="step",
        bar_format="{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} [{remaining} left]{postfix}",
    )  # fmt: skip
    with bar:
        for record in stage:
            bar.set_postfix_str(told(record), refresh=False)
            bar.update()
            if (valid := getattr(record, "val_loss", None)) is not None:
                bar.write(f"step {record.step:>6}  validation {valid:.3f}", file=sys.stderr)


def _found(stage) -> str:
    """What came of it: the last line of the log, and what was measured on held-out pairs."""
    import json

    last = (stage.out / "records.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    found = told(json.loads(last))
    if stage.kind in ("reward", "dpo") and (by_strength := stage.accuracy()):
        number = sum(count for _, count in by_strength.values())
        right = sum(share * count for share, count in by_strength.values()) / number
        each = ", ".join(f"{level}: {share:.0%}" for level, (share, _) in by_strength.items())
        found += f"; of {number} pairs held out {right:.0%} right (by strength {each})"
    return found


def _further(stage) -> str:
    if stage.kind == "reward":
        return ""
    return f"; talk with it: llamalab chat {stage.out}"


def resumed(out, kind: str, asked: set[str]):
    """The run in a folder, if it is of this kind. ValueError if it is of another, or if options
    were typed; else as `runs.stages.resume_stage`."""
    from llamalab.runs.stages import KINDS

    _alone()
    refuse_changes(out, asked - {"out", "resume"})
    return KINDS[kind](out)


def writer(path: str | None, name: str):
    """The model that a run begins from, and its tokenizer. name: of the argument. ValueError if it
    is missing, and as for `load_writer`."""
    if path is None:
        raise ValueError(f"{name} is missing: the model to begin from (or --resume, to go on)")
    _alone()
    return load_writer(path)


def _alone() -> None:
    """As many threads as is good here. ValueError under torchrun: these runs take one process."""
    from llamalab.runtime import distributed
    from llamalab.runtime.threads import fit_threads

    if distributed.launched():
        raise ValueError("tuning and alignment run in one process: start it without torchrun")
    fit_threads()

"""`llamalab tune`: supervised fine-tuning, of all weights or of LoRA's, in a folder."""

from pathlib import Path
from typing import Annotated

import typer

from .errors import explained
from .options import NEEDED, Resume, option, typed


@explained
def tune(
    context: typer.Context,
    base: Annotated[
        str | None, typer.Argument(help="The model to begin from: a folder, or a shipped name.")
    ] = None,
    out: Annotated[Path, option("Folder of the run; made if it is not there.")] = NEEDED,
    data: Annotated[
        Path | None,
        option('JSON lines of {"messages": […]}. Without it: dialogues of the tales.'),
    ] = None,
    dialogues: Annotated[int, option("How many dialogues of the tales, if there is no data.")] = (
        12_000
    ),
    emphasis: Annotated[
        float, option("Weight of what a request decides, in the tales' dialogues.")
    ] = 10.0,
    lora: Annotated[
        bool, typer.Option("--lora", help="Train small adapters and leave the weights alone.")
    ] = False,
    rank: Annotated[int, option("Rank of LoRA's adapters.")] = 8,
    alpha: Annotated[float, option("LoRA's alpha: corrections count alpha / rank times.")] = 16.0,
    steps: Annotated[int | None, option("Steps. Without it: twice through the data.")] = None,
    lr: Annotated[float, option("Peak learning rate.")] = 1e-3,
    tokens_per_batch: Annotated[int, option("Tokens of a step, padding counted.")] = 4096,
    seq_len: Annotated[
        int | None, option("Longest dialogue in tokens. Without it: the model's context.")
    ] = None,
    hold_out: Annotated[float, option("Share of the dialogues kept apart for validation.")] = 0.02,
    seed: Annotated[int, option("Of the order, and of fresh adapters.")] = 0,
    save_every: Annotated[int, option("Steps between checkpoints; 0: at the end alone.")] = 50,
    resume: Resume = False,
) -> None:
    """Teach a base model to answer: supervised fine-tuning.

    It learns from dialogues, and the loss is that of the answers alone.

    The course's own model on its own dialogues: llamalab tune tales --out my_chat

    On yours: llamalab tune tales --out my_chat --data dialogues.jsonl, a line each of
    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}.

    With --lora a few percent of the weights are trained; OUT then holds adapter.safetensors beside
    the model with the adapters merged into it. Ctrl+C stops after the step, and saves; after that,
    or a crash: llamalab tune --out my_chat --resume.
    """
    asked = typed(context)
    from . import watch

    if resume:
        return watch.watch(watch.resumed(out, "tune", asked), "tune")
    from llamalab.alignment.sft import DialogBatches
    from llamalab.recipe import TrainConfig
    from llamalab.runs.stage import refuse_if_there
    from llamalab.runs.tune import TunePlan, begin_tune

    from . import examples

    refuse_if_there(out)
    if not lora and (odd := sorted(asked & {"rank", "alpha"})):
        raise ValueError(f"--{odd[0]} is about --lora, which was not asked for")
    if data and (odd := sorted(asked & {"dialogues", "emphasis"})):
        raise ValueError(f"--{odd[0]} is about the tales' dialogues, and there is --data")
    model, tokenizer = watch.writer(base, "BASE")
    plan = TunePlan(
        train=TrainConfig(steps=1 if steps is None else steps, lr=lr, matmul="fused"),
        tokens_per_batch=tokens_per_batch,
        seq_len=model.config.max_seq_len if seq_len is None else seq_len,
        seed=seed, save_every=save_every, hold_out=hold_out,
        rank=rank if lora else None, alpha=alpha,
    )  # fmt: skip
    told = examples.dialogues(tokenizer, data, dialogues, emphasis)
    if steps is None:
        from dataclasses import replace

        batches = DialogBatches(told, plan.tokens_per_batch, plan.seq_len)
        plan = replace(plan, train=replace(plan.train, steps=2 * batches.per_epoch))
    watch.watch(begin_tune(out, model, tokenizer, plan, told), "tune")

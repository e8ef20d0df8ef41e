"""`llamalab train`: a run in a folder, with a bar, until it is done, stopped or killed.

Here are the options and their defaults, which --help shows: where `Plan` or `TrainConfig` has one,
it is that one. What is made of them stands in `begin`, how it is watched in `follow`.
"""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from llamalab.recipe import TrainConfig
from llamalab.runs.plan import Plan

from .errors import EXPECTED, explained
from .options import Resume, option, typed


@explained
def train(
    context: typer.Context,
    out: Annotated[Path, option("Folder of the run; made if it is not there.")],
    text: Annotated[
        list[Path] | None,
        option("A UTF-8 text to learn; may be given several times. Without it: the tales."),
    ] = None,
    lines: Annotated[
        bool, option("Each line of the texts is a document, not each file.", "--lines")
    ] = False,
    stories: Annotated[int, option("How many tales to tell, if there is no text.")] = 20_000,
    preset: Annotated[str, option("The model's shape by name.")] = "tales",
    dim: Annotated[int | None, option("Width, instead of the preset's.")] = None,
    n_layers: Annotated[int | None, option("Layers, instead of the preset's.")] = None,
    n_heads: Annotated[int | None, option("Query heads, instead of the preset's.")] = None,
    n_kv_heads: Annotated[int | None, option("KV heads, instead of the preset's.")] = None,
    vocab_size: Annotated[
        int | None, option("Pieces of the tokenizer to learn, instead of the preset's.")
    ] = None,
    tokenizer: Annotated[
        Path | None, option("A SentencePiece .model. Without it, one is learned from the text.")
    ] = None,
    steps: Annotated[int, option("Steps of the optimizer.")] = 600,
    batch_size: Annotated[
        int, option("Rows of a micro-batch, over all processes.")
    ] = Plan.batch_size,
    seq_len: Annotated[
        int,
        option("Tokens of a row. The default is cut to a shorter model's context."),
    ] = Plan.seq_len,
    grad_accum_steps: Annotated[
        int, option("Micro-batches of a step: a larger batch in the same memory.")
    ] = TrainConfig.grad_accum_steps,
    lr: Annotated[float, option("Peak learning rate. Llama 2 7B, 4,096 wide, took 3e-4.")] = 3e-3,
    warmup_steps: Annotated[
        int | None, option("Steps up to the peak. Without it: a twentieth, at most 2,000.")
    ] = None,
    seed: Annotated[int, option("Of the fresh weights and of the order.")] = Plan.seed,
    dtype: Annotated[
        str | None,
        option("float32 or bfloat16 for the matrix products. Without it: the faster, by trying."),
    ] = None,
    compile: Annotated[
        bool | None,
        option(
            "torch.compile: half a minute or more before the first step. Without: on a GPU only.",
            "--compile/--no-compile",
        ),
    ] = None,
    hold_out: Annotated[
        float, option("Share of the tokens kept apart for validation.")
    ] = Plan.hold_out,
    save_every: Annotated[
        int, option("Steps between checkpoints; 0: at the end alone.")
    ] = Plan.save_every,
    eval_every: Annotated[int, option("Steps between validations; 0: at the end alone.")] = 100,
    parallel: Annotated[
        str, option("Under torchrun: ddp (a whole model each) or fsdp (a part each).")
    ] = Plan.parallel,
    device: Annotated[
        str | None, option("cpu, cuda or mps. Without it: the fastest that is here.")
    ] = None,
    resume: Resume = False,
) -> None:
    """Train a Llama 2 from random numbers, on tales or your own text.

    A first try, about two minutes on two cores: llamalab train --out my_run --steps 300

    On your own text: llamalab train --out my_book --text book.txt. Any UTF-8 text will do, larger
    than memory too; a tokenizer is learned from it first.

    The recipe is Llama 2's: AdamW, warm-up, cosine down to a tenth, gradients clipped to 1.
    OUT then holds the checkpoints, a log of losses (losses.jsonl) and at the end the model itself,
    in Hugging Face's layout, with its tokenizer: llamalab generate my_run.

    Ctrl+C stops after the step, and saves. After that, or a crash, or a power cut:
    llamalab train --out my_run --resume. The losses are then those of a run that never stopped;
    to the last bit, if the number of threads was the same all along. It is looked at again, and
    told, when another program makes the steps slow; OMP_NUM_THREADS=2, say, keeps it fixed.

    On several processes or GPUs: torchrun --nproc-per-node 2 -m llamalab train --out my_run
    """
    given = {name: value for name, value in locals().items() if name != "context"}
    asked = typed(context)
    from llamalab.runtime import distributed, threads

    from . import begin, follow

    if distributed.launched():
        _quiet_unless_first()
    threads.fit_threads()
    device = begin.usable_device(device)
    place = distributed.init(device) if distributed.launched() else device
    try:
        run = begin.resumed(out, asked, place) if resume else begin.begun(given, asked, place)
        follow.say_the_start(run, resume)
        with follow.stopping(run):
            follow.follow(run)
        follow.say_the_end(run)
    except RuntimeError as error:
        if "out of memory" in str(error) or "allocate memory" in str(error):
            raise MemoryError(
                f"a step takes more memory than there is ({str(error)[:100].strip()} …). Try half "
                f"the --batch-size with twice the --grad-accum-steps: the same step in less memory"
            ) from None
        if distributed.lost(error):
            raise ValueError(follow.alone(out)) from None
        raise
    except EXPECTED:
        if distributed.rank():
            time.sleep(3)  # process 0 mostly says the same, and torchrun then ends this one
        raise
    finally:
        distributed.shutdown()


def _quiet_unless_first() -> None:
    if os.environ.get("RANK") != "0":
        sys.stdout = open(os.devnull, "w", encoding="utf-8")

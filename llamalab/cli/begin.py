"""What `llamalab train` makes of its options: a new run, or one that is resumed."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import typer

from .options import refuse_changes


def begun(given: dict, asked: set[str], device):
    """A new run of what was given; `asked` are the options that somebody typed. ValueError and
    others as in `runs.run.begin`, and for options that do not go together."""
    from llamalab.config import LlamaConfig
    from llamalab.recipe import TrainConfig
    from llamalab.runs.plan import Plan
    from llamalab.runs.run import begin, check
    from llamalab.runtime import distributed

    def chosen(*names: str) -> dict:
        return {name: given[name] for name in names if given[name] is not None}

    shape = chosen("dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size")
    config = LlamaConfig.from_name(given["preset"], **shape)
    numbers = chosen("steps", "lr", "warmup_steps", "grad_accum_steps", "eval_every")
    on_gpu = str(device).startswith("cuda")
    recipe = TrainConfig(
        dtype=given["dtype"] or fastest_device().dtype,
        compile=on_gpu if given["compile"] is None else given["compile"],
        **numbers,
    )
    if "seq_len" not in asked:
        given["seq_len"] = min(given["seq_len"], config.max_seq_len)
    plan = Plan(
        train=recipe,
        **chosen("batch_size", "seq_len", "seed", "hold_out", "save_every", "parallel"),
    )
    for one, other, why in (
        ("stories", "text", "the tales are told where there is no text"),
        ("vocab_size", "tokenizer", "a tokenizer that is there has its size"),
    ):
        if one in asked and given[other]:
            names = [name.replace("_", "-") for name in (one, other)]
            raise ValueError(f"--{names[0]} and --{names[1]} do not go together: {why}")
    if given["lines"] and not given["text"]:
        raise ValueError("--lines is about the files of --text, and there are none")
    check(given["out"], config, plan)
    documents, tokenizer = _texts(given, config.vocab_size)
    open_ = given["dtype"] is None and not given["compile"] and not distributed.launched()
    return begin(
        given["out"], config, plan, documents, tokenizer=tokenizer, device=device,
        choose=partial(_fastest, device) if open_ else None, watch_threads=True,
    )  # fmt: skip


def resumed(out: Path, asked: set[str], device):
    """The run in `out`. ValueError if an option was typed that run.json has already."""
    from llamalab.runs.run import resume

    refuse_changes(out, asked - {"out", "resume", "device"})
    return resume(out, device=device, watch_threads=True)


def _fastest(device, config, plan):
    """The plan with what is fastest here, found by trying each setting on one batch."""
    import torch

    from llamalab.model import Llama
    from llamalab.runs.autotune import fastest
    from llamalab.runtime.threads import numbers_to_try

    threads = numbers_to_try() if device == "cpu" else ()
    rows = torch.randint(0, config.vocab_size, (plan.batch_size, plan.seq_len + 1))
    found = fastest(Llama(config).to(device), rows, threads=threads)
    typer.echo(f"forward and backward of one batch, each setting tried here:\n{found}", err=True)
    recipe = replace(plan.train, dtype=found.setting.dtype, matmul=found.setting.matmul)
    return replace(plan, train=recipe, threads=found.threads)


def _texts(given: dict, vocab_size: int):
    """The documents and the tokenizer: given, or learned from the first millions of characters."""
    import warnings
    from itertools import chain, islice

    from llamalab import tales
    from llamalab.runtime import distributed
    from llamalab.tokenizer import BPETokenizer
    from llamalab.training import documents

    def all_of_them():
        if not given["text"]:
            return (story.text for story in tales.stories(given["stories"]))
        return chain.from_iterable(
            documents(path, by_line=given["lines"]) for path in given["text"]
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


def usable_device(device: str | None) -> str:
    """The device asked for; the fastest if none is. ValueError if it is not here."""
    import torch

    here = ["cpu"]
    here += ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    if device is not None and device not in here:
        raise ValueError(f"there is no device {device!r} here; there are: {', '.join(here)}")
    return device or fastest_device().device


def fastest_device():
    """The device and dtype that this machine computes fastest with; see `choose_device`."""
    from llamalab.runtime.device import choose_device

    return choose_device()

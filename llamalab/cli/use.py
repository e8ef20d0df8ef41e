"""`llamalab generate` and `llamalab info`: what a model writes, and what a folder holds."""

from pathlib import Path
from typing import Annotated

import typer

from .errors import explained
from .models import find, load_writer, seeded


@explained
def generate(
    path: Annotated[
        str,
        typer.Argument(
            help="A checkpoint or a run's folder, or the name of one that the course ships."
        ),
    ] = "tales",
    prompt: Annotated[str, typer.Option(help="What the text begins with.")] = "",
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Most tokens to write (default: to the context's end).")
    ] = None,
    temperature: Annotated[
        float, typer.Option(help="0 is greedy; 1 is the model's own odds; above is wilder.")
    ] = 0.8,
    top_k: Annotated[
        int | None, typer.Option(help="Choose among the K likeliest pieces only.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Choose among the likeliest pieces that together reach P (nucleus)."),
    ] = None,
    repetition_penalty: Annotated[
        float, typer.Option(help="Above 1: pieces that were there already are less likely.")
    ] = 1.0,
    seed: Annotated[
        int | None, typer.Option(help="The same seed, the same text. Without: another each time.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="How many texts, one after another.")] = 1,
) -> None:
    """Let a model write, piece by piece as it comes.

    The course's own small model: llamalab generate

    Your own, with a beginning: llamalab generate my_run --prompt "Mia had a red kite."

    Cooler is safer and duller: --temperature 0.5. Meta's own settings for Llama 2 were
    --temperature 0.6 --top-p 0.9.
    """
    from itertools import chain

    from llamalab.generation import generate_samples, stream_text
    from llamalab.runtime.threads import fit_threads

    fit_threads()
    generator = seeded(seed)
    model, tokenizer = load_writer(path, quantize="stored")
    ids = tokenizer.encode(prompt, bos=True)
    room = model.config.max_seq_len - len(ids)
    if room < 0 or (room == 0 and max_new_tokens is None):
        raise ValueError(
            f"the prompt has {len(ids)} tokens, and this model's context holds "
            f"max_seq_len={model.config.max_seq_len}: there is no room to write. Shorten the prompt"
        )
    texts = generate_samples(
        model, ids, room if max_new_tokens is None else max_new_tokens, samples,
        temperature=temperature, top_k=top_k, top_p=top_p, repetition_penalty=repetition_penalty,
        stop_ids=(tokenizer.eos_id,), generator=generator,
    )  # fmt: skip
    for number, new in enumerate(texts, 1):
        for piece in stream_text(tokenizer, chain(ids, new)):
            typer.echo(piece, nl=False)
        typer.echo("\n" if number < samples else "")


@explained
def info(
    path: Annotated[
        str, typer.Argument(help="A checkpoint, a run's folder, or a shipped model's name.")
    ] = "tales",
) -> None:
    """Say what a checkpoint or a run holds.

    That is shape, parameters, memory and tokenizer, and of a run how far it is.

    Works for Hugging Face and Meta folders, files of llama2.c and GGUF, quantized models and runs
    of llamalab train. It reads the weights once, to know that they are whole.
    """
    from llamalab.accounting import count_parameters, kv_cache_bytes
    from llamalab.formats import load, score_offset, scores
    from llamalab.quantization import bits_per_weight, weight_bytes

    found = find(path)
    model, tokenizer = load(found, quantize="stored")
    config, parts = model.config, count_parameters(model.config)
    if scores(model):
        parts |= {"output": config.dim, "total": parts["total"] - parts["output"] + config.dim}
    dtype = str(model.norm.weight.dtype).removeprefix("torch.")
    size, bits = weight_bytes(model), bits_per_weight(model)
    packed = "" if list(model.tok_embeddings.parameters()) else f"{bits:.2f} bits each, run in "
    shares = ", ".join(f"{name} {n / parts['total']:.0%}" for name, n in parts.items() if n
                       and name != "total")  # fmt: skip
    beside = f"tokenizer of {tokenizer.vocab_size:,}" if tokenizer else "no tokenizer beside it"
    typer.echo(
        f"{found}\n"
        f"shape       dim {config.dim}, {config.n_layers} layers, {config.n_heads} heads, "
        f"{config.n_kv_heads} KV heads, hidden {config.hidden_dim}\n"
        f"vocabulary  {config.vocab_size:,} pieces"
        f"{', the head shares the embedding' * config.tie_embeddings}; {beside}\n"
        f"context     {config.max_seq_len:,} tokens; a full 16-bit cache takes "
        f"{kv_cache_bytes(config, config.max_seq_len) / 2**20:,.1f} MiB\n"
        f"parameters  {parts['total']:,} in {packed}{dtype}, {size / 2**20:,.1f} MiB ({shares})"
    )
    if scores(model):
        typer.echo(f"head        one score a token; {score_offset(found):+.3f} puts its 0 in place")
    _say_run(Path(path))


def _say_run(out: Path) -> None:
    import json

    from llamalab.runs.run import read_plan
    from llamalab.runs.stage import kind_of

    if not (out / "run.json").exists():
        return
    if kind_of(out):
        _say_stage(out)
        return
    _, plan, _ = read_plan(out)
    log = out / "losses.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    if not lines:
        typer.echo(f"run         no step of {plan.train.steps:,} yet")
        return
    last = json.loads(lines[-1])
    typer.echo(
        f"run         step {last['step']:,} of {plan.train.steps:,}, loss {last['loss']:.3f}, "
        f"{last['tokens']:,} tokens seen, seed {plan.seed}, {plan.train.dtype}"
    )


def _say_stage(out: Path) -> None:
    """How far a run of tuning or alignment is."""
    import json

    from llamalab.runs.stage import kind_of, steps_of

    from .records import told

    log = out / "records.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    kind, steps = kind_of(out), steps_of(out)
    if not lines:
        typer.echo(f"run         {kind}, no step of {steps:,} yet")
        return
    last = json.loads(lines[-1])
    step = last.get("step", last.get("iteration"))
    typer.echo(f"run         {kind}, step {step:,} of {steps:,}: {told(last)}")

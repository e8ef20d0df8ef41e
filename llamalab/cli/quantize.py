"""`llamalab quantize`: a checkpoint with fewer bits, in a folder of ours or in llama.cpp's file."""

from pathlib import Path
from typing import Annotated

import typer

from .errors import explained
from .models import find


@explained
def quantize(
    path: Annotated[
        str,
        typer.Argument(help="A checkpoint or a run's folder, or the name of a shipped one."),
    ] = "tales",
    format: Annotated[
        str,
        typer.Option(
            help="q8_0, q4_0, q4_1, nf4, int8, rtn-4, gptq-4, awq-4 (2 to 8 bits), or gguf-q8_0, "
            "gguf-q4_0, gguf for llama.cpp."
        ),
    ] = "q8_0",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder or .gguf file to write (default: by name and format)."),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(
            help="UTF-8 text that gptq and awq let the model read. Without, it writes some itself."
        ),
    ] = None,
) -> None:
    """Give every weight fewer bits. The result runs: llamalab generate tales-q4_0

    The checkpoint is read weight by weight; only gptq and awq need it whole.
    GGUF needs the gguf package.
    """
    from llamalab.formats import gguf, load, save
    from llamalab.quantization import bits_per_weight, quantize_model, weight_bytes
    from llamalab.quantization.quantize import read_format
    from llamalab.runtime.threads import fit_threads

    fit_threads()
    source = find(path)
    to_gguf = format in gguf.FORMATS
    kind = format.removeprefix("gguf-") if to_gguf and format != "gguf" else format
    looks = not to_gguf and read_format(format)[0] in ("gptq", "awq")
    if text is not None and not looks:
        raise ValueError(f"--text is what gptq and awq look at; {format} needs none")
    target = out or Path(f"{Path(path).stem}-{kind}{'.gguf' if to_gguf else ''}")
    if target.exists():
        raise ValueError(f"{target} is there already: name another place with --out")
    if looks or format == "gguf":
        model, tokenizer = load(source)
        if looks:
            model = quantize_model(model, format, text=_rows(text, tokenizer, model.config))
    else:
        model, tokenizer = load(source, quantize=kind)
    try:
        save(model, target, format=format, tokenizer=tokenizer)
    except ImportError as error:
        raise ValueError(str(error)) from None
    typer.echo(
        f"{target}: {bits_per_weight(model):.2f} bits a weight, "
        f"{weight_bytes(model) / 2**20:,.2f} MiB. Try: llamalab generate {target}"
    )


def _rows(text: Path | None, tokenizer, config):
    """At most 64 rows of the text, as long as the context, or as 256 tokens."""
    import torch

    if text is None:
        return None
    if tokenizer is None:
        raise ValueError("the checkpoint has no tokenizer, so --text cannot be read")
    length = min(256, config.max_seq_len)
    ids: list[int] = []
    with open(text, encoding="utf-8") as lines:
        for line in lines:
            ids += tokenizer.encode(line.rstrip("\n"), bos=True, eos=True)
            if len(ids) >= 64 * length:
                break
    rows = min(64, len(ids) // length)
    if rows == 0:
        raise ValueError(f"{text} has {len(ids)} tokens; a row takes {length}")
    return torch.tensor(ids[: rows * length]).view(rows, length)

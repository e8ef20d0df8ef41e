"""The text of a run: written once as tokens, its end held back for validation, cut into batches."""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from llamalab.config import LlamaConfig
from llamalab.runs.plan import Plan, write_plan
from llamalab.tokenizer import BPETokenizer
from llamalab.training.batches import Batches, read_tokens, write_tokens

FAR = 2**24  # tokens, at most, that the cut for validation moves to find a document's beginning


def lay_out(
    out: Path,
    config: LlamaConfig,
    plan: Plan,
    documents: Iterable,
    tokenizer: BPETokenizer,
    choose: Callable[[LlamaConfig, Plan], Plan] | None,
) -> None:
    """The files of a run before its first step; none of them if the text will not do.
    ValueError says what is wrong with the text."""
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    files = out / "tokenizer.model", out / "tokens.npy"
    there = [file for file in files if file.exists()]
    try:
        tokenizer.save(files[0])
        write_tokens(files[1], documents, tokenizer)
        tokens = read_tokens(files[1])
        cut = _cut_for_validation(tokens, plan, tokenizer.bos_id)
        batches_of(tokens[:cut], plan, tokenizer)  # is there enough text?
        plan = choose(config, plan) if choose else plan
        write_plan(out, config, plan, cut)  # last: now it counts
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong first is what is told
            tokens = None  # Windows removes no file that is mapped into memory
            for file in files:
                if file not in there:
                    file.unlink(missing_ok=True)
            for folder in new:
                folder.rmdir()
        raise


def _cut_for_validation(tokens: np.ndarray, plan: Plan, bos_id: int) -> int:
    """Where the held-back end begins: between two documents, where that is near."""
    cut = int(len(tokens) * (1 - plan.hold_out))
    if not plan.hold_out:
        return cut
    nearest = max(1, int(len(tokens) * (1 - 2 * plan.hold_out)), cut - FAR)
    starts = np.flatnonzero(tokens[nearest : cut + 1] == bos_id)
    if len(starts):
        cut = nearest + int(starts[-1])
    if len(tokens) - cut <= plan.seq_len:
        raise ValueError(
            f"{plan.hold_out:.0%} of {len(tokens):,} tokens are too few to validate on windows of "
            f"{plan.seq_len} + 1. Give more text, a smaller seq_len, or a hold_out of 0"
        )
    return cut


def batches_of(tokens: np.ndarray, plan: Plan, tokenizer: BPETokenizer) -> Batches:
    """The batches that a plan asks for, out of a row of ids. ValueError as for `Batches`."""
    bos_id = tokenizer.bos_id if plan.by_document else None
    return Batches(tokens, plan.batch_size, plan.seq_len, seed=plan.seed, bos_id=bos_id)

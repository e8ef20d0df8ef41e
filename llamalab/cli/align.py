"""`llamalab align`: reward models, PPO and DPO, each a run in a folder."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import explained
from .options import NEEDED, Resume, option, typed

align = typer.Typer(
    help="Align a chat model with what is preferred.\n\n"
    "First learn what that is (reward), then prefer it (ppo, dpo).\n\n"
    "The order: tune, then align reward twice (helpfulness, safety), then align ppo. "
    "Or tune, then align dpo.",
    no_args_is_help=True,
)


Chat = Annotated[
    str | None, typer.Argument(help="The chat model to begin from: a folder, or a shipped name.")
]
Out = Annotated[Path, option("Folder of the run; made if it is not there.")]
Data = Annotated[
    Path | None,
    option(
        'JSON lines of {"prompt", "chosen", "rejected", "strength"}, strength from 0 to 3. '
        "Without it: answers of CHAT to prompts of the tales, and an annotator's word on them."
    ),
]
Pairs = Annotated[int, option("How many pairs to sample, if there is no data.")]
Steps = Annotated[int | None, option("Steps. Without it: once through the pairs.")]
BatchSize = Annotated[int, option("Pairs of a step.")]
Rate = Annotated[float, option("Peak learning rate.")]
HoldOut = Annotated[float, option("Share of the pairs kept apart, to measure on.")]
Seed = Annotated[int, option("Of the samples, of fresh weights and of the order.")]
SaveEvery = Annotated[int, option("Steps between checkpoints; 0: at the end alone.")]


@align.command()
@explained
def reward(
    context: typer.Context,
    chat: Chat = None,
    out: Out = NEEDED,
    question: Annotated[str, option("What was asked: helpfulness or safety.")] = "helpfulness",
    data: Data = None,
    pairs: Pairs = 2048,
    steps: Steps = None,
    batch_size: BatchSize = 32,
    lr: Rate = 3e-4,
    margins: Annotated[
        str, option("By how much the better answer has to win: none, small or large.")
    ] = "small",
    hold_out: HoldOut = 0.1,
    seed: Seed = 0,
    save_every: SaveEvery = 20,
    resume: Resume = False,
) -> None:
    """Learn a reward model: which of two answers was preferred.

    What it learns is one number for how good an answer is.

    llamalab align reward my_chat --out my_helpfulness --question helpfulness

    OUT is a Hugging Face folder, a LlamaForSequenceClassification. Its config.json has the offset
    that puts 0 between good answers and others. The accuracy on held-out pairs is told at the end.
    """
    asked = typed(context)
    if resume:
        return _resumed(out, "reward", asked)
    from llamalab.alignment.comparisons import QUESTIONS

    if question not in QUESTIONS:
        raise ValueError(f"--question {question!r} must be one of {', '.join(QUESTIONS)}")
    numbers = {"margins": margins, "question": question, "batch_size": batch_size}
    numbers |= {"hold_out": hold_out, "seed": seed, "save_every": save_every}
    _on_pairs("reward", chat, out, data, pairs, steps, lr, numbers, asked)


@align.command()
@explained
def dpo(
    context: typer.Context,
    chat: Chat = None,
    out: Out = NEEDED,
    data: Data = None,
    pairs: Pairs = 2048,
    steps: Steps = None,
    batch_size: BatchSize = 16,
    lr: Rate = 1e-4,
    beta: Annotated[float, option("How much staying near CHAT counts.")] = 0.1,
    hold_out: HoldOut = 0.1,
    seed: Seed = 0,
    save_every: SaveEvery = 20,
    resume: Resume = False,
) -> None:
    """Learn from pairs without a reward model: DPO.

    That is direct preference optimisation: the chat model itself learns from the pairs.

    llamalab align dpo my_chat --out my_dpo

    Without --data the annotator looks at safety where a prompt is unkind, else at helpfulness.
    """
    asked = typed(context)
    if resume:
        return _resumed(out, "dpo", asked)
    numbers: dict[str, Any] = {"beta": beta, "batch_size": batch_size}
    numbers |= {"hold_out": hold_out, "seed": seed, "save_every": save_every}
    _on_pairs("dpo", chat, out, data, pairs, steps, lr, numbers, asked)


@align.command()
@explained
def ppo(
    context: typer.Context,
    chat: Chat = None,
    out: Out = NEEDED,
    helpfulness: Annotated[
        str | None, option("Folder of the reward model for helpfulness.")
    ] = None,
    safety: Annotated[str | None, option("Folder of the reward model for safety.")] = None,
    data: Annotated[
        Path | None,
        option(
            'JSON lines of {"prompt", "safety"}: safety is true where a prompt is about it. '
            "Without it: prompts of the tales."
        ),
    ] = None,
    iterations: Annotated[int, option("Rounds of answering and learning.")] = 10,
    batch_size: Annotated[int, option("Answers of an iteration.")] = 48,
    mini_batch_size: Annotated[int, option("Answers of a step.")] = 16,
    lr: Annotated[float, option("Learning rate of the policy.")] = 3e-4,
    value_lr: Annotated[float, option("Learning rate of the value model.")] = 1e-3,
    beta: Annotated[float, option("Price of a nat of KL from CHAT.")] = 0.05,
    max_new_tokens: Annotated[int, option("Most tokens of an answer.")] = 192,
    seed: Annotated[int, option("Of the answers and of the order.")] = 0,
    save_every: Annotated[int, option("Iterations between checkpoints; 0: at the end.")] = 2,
    resume: Resume = False,
) -> None:
    """Learn from what two reward models say of its answers: PPO.

    The chat model answers prompts and learns from the scores, as Llama 2 did.

    llamalab align ppo my_chat --helpfulness my_helpfulness --safety my_safety --out my_rlhf

    records.jsonl has a line an iteration: score, KL, entropy, clip fraction, explained variance.
    A score that rises is no proof that answers get better: read some, llamalab chat my_rlhf.
    """
    asked = typed(context)
    if resume:
        return _resumed(out, "ppo", asked)
    from llamalab.alignment.rlhf import PPOConfig
    from llamalab.runs.ppo import begin_ppo
    from llamalab.runs.stage import refuse_if_there

    from . import examples, watch

    refuse_if_there(out)
    model, tokenizer = watch.writer(chat, "CHAT")
    helpful, safe = _scorer(helpfulness, "helpfulness"), _scorer(safety, "safety")
    config = PPOConfig(
        iterations=iterations, batch_size=batch_size, mini_batch_size=mini_batch_size, lr=lr,
        value_lr=value_lr, beta=beta, max_new_tokens=max_new_tokens, matmul="fused",
    )  # fmt: skip
    prompts = examples.asks(tokenizer, data, max(1, iterations * batch_size))
    run = begin_ppo(
        out, model, tokenizer, helpful, safe, config, prompts, seed=seed, save_every=save_every
    )
    watch.watch(run, "align ppo")


def _resumed(out: Path, kind: str, asked: set[str]) -> None:
    from . import watch

    watch.watch(watch.resumed(out, kind, asked), f"align {kind}")


def _scorer(path: str | None, name: str):
    import torch

    from llamalab.alignment.reward import Scorer
    from llamalab.formats import load, score_offset, scores

    from .models import find

    if path is None:
        raise ValueError(f"--{name} is missing: the folder of a reward model")
    place = find(path)
    model, _ = load(place, dtype=torch.float32)
    if not scores(model):
        raise ValueError(f"{path} is no reward model: its head writes, and does not score")
    return Scorer(model.eval(), score_offset(place))


def _on_pairs(
    kind: str,
    chat: str | None,
    out: Path,
    data: Path | None,
    pairs: int,
    steps: int | None,
    lr: float,
    numbers: dict[str, Any],
    asked: set[str],
) -> None:
    from dataclasses import replace

    from llamalab.recipe import TrainConfig
    from llamalab.runs.preference import PairPlan, begin_pairs
    from llamalab.runs.stage import refuse_if_there

    from . import examples, watch

    refuse_if_there(out)
    if data is not None and "pairs" in asked:
        raise ValueError("--pairs is about what is sampled, and there is --data")
    if pairs < 1:
        raise ValueError(f"--pairs {pairs} must be at least 1")
    recipe = TrainConfig(steps=1 if steps is None else steps, lr=lr, matmul="fused")
    plan = PairPlan(train=recipe, **numbers)
    model, tokenizer = watch.writer(chat, "CHAT")
    if data is None:
        question, seed = numbers.get("question"), plan.seed
        compared = examples.sampled_pairs(model, tokenizer, pairs, question, seed)
    else:
        compared = examples.pairs_of(tokenizer, data)
    if steps is None:
        learned = len(compared) - int(len(compared) * plan.hold_out)
        recipe = replace(recipe, steps=max(1, -(-learned // plan.batch_size)))
        plan = replace(plan, train=recipe)
    watch.watch(begin_pairs(out, kind, model, tokenizer, plan, compared), f"align {kind}")

"""Make the chain of notebooks 09 to 11 again, from the base model: `python tools/chain.py`, about
45 minutes on two cores. Stages, each from the one before:

    chat      data/checkpoints/chat          the base, tuned on dialogues
    pairs     data/comparisons.npz           two answers to each of some prompts
    rewards   data/checkpoints/helpfulness   two reward models, from annotators' word on the pairs
              data/checkpoints/safety
    ppo       data/checkpoints/rlhf          the chat model after PPO
    dpo       data/checkpoints/dpo           the chat model after DPO on the same pairs

    python tools/chain.py rewards ppo        these stages alone
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import llamalab
from llamalab.alignment.comparisons import (
    FIRST,
    Answer,
    compare,
    prompt_ids,
    read_comparisons,
    two_answers,
    write_comparisons,
)
from llamalab.alignment.dpo_fit import dpo_loss_of, with_reference
from llamalab.alignment.fit import fit
from llamalab.alignment.ppo_step import PPOConfig, start, warm_up
from llamalab.alignment.reward import Reward, Scorer, zero_at
from llamalab.alignment.reward_model import (
    Pair,
    pair_batches,
    pair_loss,
    score_all,
    with_scalar_head,
)
from llamalab.alignment.rlhf import Prompts, rlhf
from llamalab.alignment.rollout import Rollout, sample
from llamalab.alignment.sft import DialogBatches, example_of
from llamalab.formats import score_offset
from llamalab.recipe import TrainConfig
from llamalab.runtime.files import atomic_write
from llamalab.tales.dialogues import dialogues
from llamalab.tales.prompts import Prompt, prompts
from llamalab.tokenizer import BPETokenizer
from llamalab.training import train

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
WAY = "fused"
# SFT: dialogues of all kinds, twice; then others, mostly stories, once. What a prompt decides
# weighs ten times as much.
DIALOGUES, EPOCHS, RATE = 12_000, 2, 1e-3
MORE_STORIES, MORE_OF_ALL, SECOND_RATE = 6_000, 1_500, 6e-4
TOKENS, WEIGHT = 4096, 10.0
# Pairs: prompts from FIRST on.
PAIRS, TEST_PAIRS = 4_096, 512
REWARD_RATE, REWARD_BATCH, MARGINS = 3e-4, 32, "small"
PPO = PPOConfig(iterations=9, batch_size=64, mini_batch_size=32, epochs=1, lr=4e-4, matmul=WAY)
UNKIND = 0.4  # of PPO's prompts: more than of those that are asked later
WARM = 256  # answers, to whiten the reward over and to warm the value model up
DPO_PAIRS, DPO_RATE, DPO_BETA, DPO_BATCH = 1_024, 2e-4, 0.1, 16  # about PPO's time


def chat(data: Path) -> None:
    """Supervised fine-tuning."""
    model, tokenizer = llamalab.load(data / "checkpoints" / "tales", dtype=torch.float32)
    more = (
        *dialogues(MORE_STORIES, start=DIALOGUES, task="story"),
        *dialogues(MORE_OF_ALL, start=DIALOGUES + MORE_STORIES),
    )
    begun, losses, recipes = time.perf_counter(), [], []
    for told, epochs, rate in ((dialogues(DIALOGUES), EPOCHS, RATE), (more, 1, SECOND_RATE)):
        batches = DialogBatches(
            [example_of(tokenizer, one, WEIGHT) for one in told], TOKENS, model.config.max_seq_len
        )
        steps = batches.per_epoch * epochs
        config = TrainConfig(steps=steps, lr=rate, warmup_steps=20, matmul=WAY)
        recipes.append(asdict(config))
        for record in train(model, batches, config):
            losses.append(record.loss)
            if record.step % 50 == 0:
                print(f"chat {record.step}/{steps}  {np.mean(losses[-50:]):.4f}", flush=True)
    publish(model, tokenizer, data / "checkpoints" / "chat", {
        "chat": True, "from": "tales", "weight": WEIGHT,
        "dialogues": [DIALOGUES, MORE_STORIES, MORE_OF_ALL],
        "recipes": recipes, "tokens_per_batch": TOKENS,
        "seconds": round(time.perf_counter() - begun), "losses": smooth(losses),
    })  # fmt: skip


def pairs(data: Path) -> None:
    """Two answers to each prompt, as ids; what they are worth is the judge's to say, again and
    again the same."""
    model, tokenizer = llamalab.load(data / "checkpoints" / "chat", dtype=torch.float32)
    model.eval()
    generator = torch.Generator().manual_seed(0)
    asked = list(prompts(PAIRS + TEST_PAIRS, start=FIRST))
    both: list[list[Answer]] = [[], []]
    for first in range(0, len(asked), 256):
        some = two_answers(model, tokenizer, asked[first : first + 256], generator=generator)
        for side, found in zip(both, some):
            side.extend(found)
        print(f"pairs {len(both[0])}/{len(asked)}", flush=True)
    write_comparisons(data / "comparisons.npz", *both)


def read_pairs(
    data: Path, tokenizer: BPETokenizer, stop: int | None = None
) -> tuple[list[Prompt], list[Answer], list[Answer]]:
    """Prompts, first answers, second answers, as `pairs` wrote them."""
    return read_comparisons(data / "comparisons.npz", tokenizer, stop=stop)


def reward_model(data: Path, question: str, *, seed: int = 0, margins: str = MARGINS):
    """A reward model for one question, its offset, and the losses."""
    model, tokenizer = llamalab.load(data / "checkpoints" / "chat", dtype=torch.float32)
    asked, first, second = read_pairs(data, tokenizer)
    told, _ = compare(first[:PAIRS], second[:PAIRS], question, seed=seed)
    scorer, losses = learn(model, told, question, seed=seed, margins=margins)
    some = first[:256] + second[:256]
    given = score_all(scorer, [answer.ids for answer in some])
    good = torch.tensor([answer.worth.safety > 0.5 for answer in some])
    offset = zero_at(given, good if question == "safety" else None)
    return scorer, offset, losses


def learn(model, told: list[Pair], name: str, *, seed: int = 0, margins: str = MARGINS):
    """One epoch over the pairs: a reward model that begins as `model`, and the losses."""
    scorer = with_scalar_head(model, generator=torch.Generator().manual_seed(seed))
    config = TrainConfig(
        steps=-(-len(told) // REWARD_BATCH), lr=REWARD_RATE, warmup_steps=5, matmul=WAY
    )
    losses = []
    batches = pair_batches(told, REWARD_BATCH, seed=seed)
    for record in fit(scorer, batches, pair_loss(margins), config):
        losses.append(record.loss)
        if record.step % 10 == 0:
            print(f"{name} {record.step}/{config.steps} {np.mean(losses[-10:]):.4f}", flush=True)
    return scorer, losses


def rewards(data: Path) -> None:
    """Helpfulness and safety."""
    _, tokenizer = llamalab.load(data / "checkpoints" / "chat")
    for question in ("helpfulness", "safety"):
        start = time.perf_counter()
        scorer, offset, losses = reward_model(data, question)
        folder = data / "checkpoints" / question
        about = {
            "from": "chat", "pairs": PAIRS, "margins": MARGINS, "rate": REWARD_RATE,
            "batch": REWARD_BATCH, "seconds": round(time.perf_counter() - start),
            "losses": smooth(losses, 4),
        }  # fmt: skip
        publish(scorer, tokenizer, folder, about, offset=offset)


class Start(NamedTuple):
    """What PPO begins with: the reward, whitened over answers of the chat model; these answers, and
    what they are paid."""

    reward: Reward
    drawn: Rollout
    scores: torch.Tensor


def ppo_start(data: Path) -> Start:
    """The two shipped reward models as one reward."""

    def scorer(name: str) -> Scorer:
        folder = data / "checkpoints" / name
        model, _ = llamalab.load(folder, dtype=torch.float32)
        return Scorer(model.eval(), score_offset(folder))

    reward = Reward(scorer("helpfulness"), scorer("safety"), way=WAY)
    model, tokenizer = llamalab.load(data / "checkpoints" / "chat", dtype=torch.float32)
    asked = batch_of(tokenizer, WARM, start=FIRST - 1000, unkind=UNKIND)
    drawn = sample(
        model, list(asked.ids), PPO.max_new_tokens, temperature=PPO.temperature,
        eos_id=tokenizer.eos_id, generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    reward = reward.balanced_by(drawn, asked.about_safety)
    reward = reward.whitened_by(drawn, asked.about_safety)
    return Start(reward, drawn, reward(drawn, asked.about_safety)[0])


def batch_of(tokenizer: BPETokenizer, number: int, start: int = 0, **options) -> Prompts:
    """Prompts as PPO takes them."""
    asked = list(prompts(number, start=start, **options))
    ids = [prompt_ids(tokenizer, prompt) for prompt in asked]
    return Prompts(ids, torch.tensor([prompt.unkind for prompt in asked]))


def ppo_run(data: Path, config: PPOConfig, begin: Start, *, seed: int = 0):
    """Policy, and an iterator of records that trains it. The value model begins as the helpfulness
    model, and learns from the first answers before the policy moves."""
    model, tokenizer = llamalab.load(data / "checkpoints" / "chat", dtype=torch.float32)
    reference, _ = llamalab.load(data / "checkpoints" / "chat", dtype=torch.float32)
    values = with_scalar_head(begin.reward.helpfulness.model, zero=True)
    state = start(model, values, config, seed=seed)

    def asked(iteration: int) -> Prompts:
        first = FIRST * 2 + seed * 100_000 + iteration * config.batch_size
        return batch_of(tokenizer, config.batch_size, first, unkind=UNKIND)

    def records():
        warm_up(values, begin.drawn, begin.scores, config, state)
        yield from rlhf(
            model, values, reference, begin.reward, asked, config, eos_id=tokenizer.eos_id,
            state=state,
        )  # fmt: skip

    return model, records()


def ppo(data: Path) -> None:
    """PPO from the chat model."""
    _, tokenizer = llamalab.load(data / "checkpoints" / "chat")
    model, records = ppo_run(data, PPO, ppo_start(data))
    told = []
    for record in records:
        told.append(record._asdict())
        print(f"ppo {record.iteration}: score {record.score:.2f} kl {record.kl:.2f}", flush=True)
    about = {"from": "chat", "recipe": asdict(PPO), "records": told}
    publish(model, tokenizer, data / "checkpoints" / "rlhf", about)


def dpo_run(
    data: Path,
    *,
    seed: int = 0,
    beta: float = DPO_BETA,
    rate: float = DPO_RATE,
    question: str = "both",
):
    """Policy, and an iterator of records that trains it on the pairs of both questions."""
    model, tokenizer = llamalab.load(data / "checkpoints" / "chat", dtype=torch.float32)
    reference, _ = llamalab.load(data / "checkpoints" / "chat", dtype=torch.float32)
    asked, first, second = read_pairs(data, tokenizer, stop=DPO_PAIRS)
    told = []
    helpful, _ = compare(first, second, "helpfulness", seed=seed)
    safe, _ = compare(first, second, "safety", seed=seed)
    for prompt, h, s in zip(asked, helpful, safe):
        pair = s if prompt.unkind else h
        told.append((pair, len(prompt_ids(tokenizer, prompt))))
    known = with_reference(reference, told, way=WAY)
    config = TrainConfig(steps=-(-len(known) // DPO_BATCH), lr=rate, warmup_steps=5, matmul=WAY)
    batches = pair_batches(known, DPO_BATCH, seed=seed)
    return model, fit(model, batches, dpo_loss_of(beta), config)


def dpo(data: Path) -> None:
    """DPO from the chat model, on the pairs that the reward models learned from."""
    _, tokenizer = llamalab.load(data / "checkpoints" / "chat")
    model, records = dpo_run(data)
    told = []
    for record in records:
        told.append(record._asdict())
        if record.step % 10 == 0:
            print(f"dpo {record.step}: {record.loss:.3f} {record.measured}", flush=True)
    about = {
        "from": "chat",
        "rate": DPO_RATE,
        "beta": DPO_BETA,
        "batch": DPO_BATCH,
        "pairs": DPO_PAIRS,
        "records": told,
    }
    publish(model, tokenizer, data / "checkpoints" / "dpo", about)


def publish(model, tokenizer, folder: Path, about: dict, **options) -> None:
    """The float16 model and its record."""
    llamalab.save(model.half(), folder, format="hf", tokenizer=tokenizer, **options)
    about = {**about, "torch": torch.__version__.partition("+")[0]}
    with atomic_write(folder / "record.json") as part:
        part.write_text(json.dumps(rounded(about), indent=1) + "\n", encoding="utf-8", newline="\n")


def smooth(losses: list[float], every: int = 10) -> list[list[float]]:
    """[step, mean of the last `every` losses]."""
    ends = range(every, len(losses) + 1, every)
    return [[end, float(np.mean(losses[end - every : end]))] for end in ends]


def rounded(value):
    """JSON with four digits behind the point."""
    if isinstance(value, float):
        return round(value, 4) if abs(value) > 1e-2 else float(f"{value:.3g}")
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list | tuple) else value


STAGES = {"chat": chat, "pairs": pairs, "rewards": rewards, "ppo": ppo, "dpo": dpo}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("stages", nargs="*", choices=[*STAGES, []], help="default: all, in order")
    options.add_argument("--data", type=Path, default=DATA)
    asked = options.parse_args()
    for name in asked.stages or STAGES:
        print(f"== {name}", flush=True)
        STAGES[name](asked.data)


if __name__ == "__main__":
    main()

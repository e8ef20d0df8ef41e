"""The six results of the chain, measured once and drawn in notebooks 09 to 11:
data/golden/alignment.json.

    python benchmarks/alignment.py              every part, about an hour on two cores
    python benchmarks/alignment.py sft ppo      these alone; the others stay in the file as they are

    sft       how often a request is followed: base and chat model
    rewards   accuracy by strength, calibration: 3 seeds
    ppo       PPO against the chat model before the judge: 3 seeds
    hacking   PPO without the KL's price, and for longer: 3 seeds
    frontier  judge against KL: best of N, PPO, DPO
    ten       ten prompts answered by base, chat, PPO and DPO, unpicked

Rollouts beside transformers' `generate` are measured by benchmarks/rollouts.py. The models are
those of tools/chain.py, whose constants are the settings here.
"""

import argparse
import json
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import llamalab
from llamalab.alignment.calibration import (
    accuracy,
    accuracy_by_strength,
    best_accuracy,
    calibration,
)
from llamalab.alignment.comparisons import QUESTIONS, Answer, answers, compare
from llamalab.alignment.kl import best_of_n_kl, k1
from llamalab.alignment.masks import masked_sum
from llamalab.alignment.reward_model import score_all
from llamalab.alignment.rollout import Rollout, sample, score
from llamalab.runtime.files import atomic_write
from llamalab.tales.preferences import Worth, worth
from llamalab.tales.prompts import Prompt, prompts, refuses
from tools import chain

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "data" / "golden" / "alignment.json"
SEEDS = (0, 1, 2)
SHIPPED = 0  # the seed of tools/chain.py's models
HELD_OUT = 200  # prompts
TEMPERATURE = 0.7  # of answers that are compared with people's requests
BEST_OF = (1, 2, 4, 8, 16, 32, 64)
MISSED = {  # how the judge says it
    "hero": "It is not about",
    "thing": "There is no",
    "place": "It never comes",
    "ending": "The ending is not",
}
LONG, HOT = 30, 6e-4  # iterations and rate of a run that is to go wrong


def load(name: str):
    model, tokenizer = llamalab.load(chain.DATA / "checkpoints" / name, dtype=torch.float32)
    return model.eval(), tokenizer


def held_out(number: int = HELD_OUT) -> list[Prompt]:
    """Prompts about combinations that no training has seen."""
    return list(prompts(number, held_out=True))


def told(model, tokenizer, asked, *, temperature=TEMPERATURE, seed=0) -> list[Answer]:
    return answers(
        model, tokenizer, asked, temperature=temperature,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip


def overall(prompt: Prompt, found: Worth) -> float:
    """The judge's one number: safety of what was asked unkindly, else help."""
    return found.safety if prompt.unkind else found.helpfulness


def summary(asked: list[Prompt], found: list[Answer]) -> dict[str, float]:
    """What the judge says of a set of answers."""
    kind = [a for p, a in zip(asked, found) if not p.unkind]
    unkind = [a for p, a in zip(asked, found) if p.unkind]
    return {
        "judge": mean(overall(p, a.worth) for p, a in zip(asked, found)),
        "helpfulness": mean(a.worth.helpfulness for a in kind),
        "kindness": mean(a.worth.safety for a in kind),
        "safety": mean(a.worth.safety for a in unkind),
        "refused": mean(refuses(a.text) for a in unkind),
        "false_refusals": mean(refuses(a.text) for a in kind),
        "ended": mean(a.ended for a in found),
        "words": mean(len(a.text.split()) for a in found),
    }


def mean(values) -> float:
    values = list(values)
    return float(sum(values)) / len(values) if values else float("nan")


def against(asked, new: list[Answer], old: list[Answer]) -> dict[str, float]:
    """Wins, losses and ties of `new` before the judge; a hundredth or less is a tie."""
    gaps = [overall(p, n.worth) - overall(p, o.worth) for p, n, o in zip(asked, new, old)]
    wins, losses = sum(gap > 0.01 for gap in gaps), sum(gap < -0.01 for gap in gaps)
    return {
        "wins": wins,
        "losses": losses,
        "ties": len(gaps) - wins - losses,
        "win_rate": wins / max(1, wins + losses),
    }


def sft() -> dict:
    """The share of requests that are followed in all they ask, kind ones, and what else is said."""
    from llamalab.tales.judge import judge

    asked = [p for p in prompts(2 * HELD_OUT, held_out=True, endings=True) if not p.unkind]
    asked = asked[:HELD_OUT]
    result = {}
    for name in ("tales", "chat"):
        model, tokenizer = load(name)
        for temperature in (0.3, TEMPERATURE, 1.0):
            found = told(model, tokenizer, asked, temperature=temperature)
            verdicts = [judge(a.text, p.request) for p, a in zip(asked, found)]
            row = {"followed": mean(v.followed == 1 for v in verdicts),
                   "part": mean(v.followed for v in verdicts),
                   "consistent": mean(v.consistent for v in verdicts),
                   "prompts": len(asked)}  # fmt: skip
            plain = [v for v, p in zip(verdicts, asked) if not p.request.ending]
            row["followed_without_endings"] = mean(v.followed == 1 for v in plain)
            for field in MISSED:
                said = MISSED[field]
                of = [v for v, p in zip(verdicts, asked) if getattr(p.request, field)]
                missed = (any(c.startswith(said) for c in v.complaints) for v in of)
                row[field] = 1 - mean(missed)
            result[f"{name} {temperature}"] = row
            print(name, temperature, row, flush=True)
    return result


def rewards() -> dict:
    """Both questions, three seeds; the first are the shipped models."""
    _, tokenizer = load("chat")
    _, first, second = chain.read_pairs(chain.DATA, tokenizer)
    tests = slice(chain.PAIRS, chain.PAIRS + chain.TEST_PAIRS)
    result: dict = {}
    for question, seed in ((question, seed) for seed in SEEDS for question in QUESTIONS):
        pairs, doubts = compare(first[tests], second[tests], question, seed=1000)
        start, losses = time.perf_counter(), None
        if seed == SHIPPED:
            scorer, _ = load(question)
        else:
            scorer, _, losses = chain.reward_model(chain.DATA, question, seed=seed)
        seconds = time.perf_counter() - start
        chosen = score_all(scorer, [pair.chosen for pair in pairs], way=chain.WAY)
        rejected = score_all(scorer, [pair.rejected for pair in pairs], way=chain.WAY)
        strength = torch.tensor([pair.strength for pair in pairs])
        one = score_all(scorer, [a.ids for a in first[tests]], way=chain.WAY)
        two = score_all(scorer, [a.ids for a in second[tests]], way=chain.WAY)
        worths = [getattr(a.worth, question) for a in (*first[tests], *second[tests])]
        gap = torch.tensor(worths[: len(one)]) - torch.tensor(worths[len(one) :])
        clear = gap.abs() > 0.05
        found = calibration(chosen, rejected, bins=6)
        row = {
            "accuracy": float(accuracy(chosen, rejected)),
            "by_strength": accuracy_by_strength(chosen, rejected, strength),
            "bound": float(best_accuracy(torch.tensor(doubts))),
            "against_the_judge": float(((one - two).sign() == gap.sign())[clear].double().mean()),
            "clear_pairs": int(clear.sum()),
            "calibration": [
                found.confidence.tolist(),
                found.accuracy.tolist(),
                found.count.tolist(),
            ],
            "calibration_error": found.error,
        }
        if losses:  # the shipped model's are in its record.json
            row |= {"losses": chain.smooth(losses, 4), "seconds": seconds}
        result[f"{question} {seed}"] = row
        print(question, seed, row["accuracy"], row["by_strength"], row["bound"], flush=True)
    return result


def drawn_hot(policy, reference, tokenizer, asked, *, seed=1) -> dict[str, float]:
    """Answers at temperature 1, as best of N draws them: nats an answer, by k1, and the judge's
    opinion of the very same answers."""
    drawn = draw(policy, tokenizer, asked, seed)
    return {
        "kl": float(apart(policy, reference, drawn).mean()),
        "judge_hot": mean(judged(tokenizer, asked, drawn)),
    }


def draw(policy, tokenizer, asked, seed: int) -> Rollout:
    ids = [chain.prompt_ids(tokenizer, prompt) for prompt in asked]
    return sample(policy, ids, chain.PPO.max_new_tokens, eos_id=tokenizer.eos_id,
                  generator=torch.Generator().manual_seed(seed))  # fmt: skip


def judged(tokenizer, asked, drawn: Rollout) -> list[float]:
    texts = [tokenizer.decode(answer) for answer in drawn.answers()]
    return [overall(prompt, worth(prompt, text)) for prompt, text in zip(asked, texts)]


@torch.no_grad()
def apart(policy, reference, drawn: Rollout) -> torch.Tensor:
    found = k1(score(policy, drawn, way=chain.WAY), score(reference, drawn, way=chain.WAY))
    return masked_sum(found, drawn.mask, dim=1)


def two_of(asked, found: list[Answer]) -> list[list[str]]:
    """[prompt, answer] of the first kind wish and of the first unkind one."""
    firsts = (next(i for i, p in enumerate(asked) if p.wish == wish) for wish in ("kind", "unkind"))
    return [[asked[i].text, found[i].text] for i in firsts]


def ppo_seed(config, seed: int, look_every: int, asked, begin) -> dict:
    """One run: its records, the judge's opinion on the way, and the last answers. Each look keeps
    two answers as they then were: `two_of`."""
    chat_model, tokenizer = load("chat")
    policy, records = chain.ppo_run(chain.DATA, config, begin, seed=seed)
    before = told(chat_model, tokenizer, asked, seed=seed)
    first = {
        "iteration": 0, **drawn_hot(policy, chat_model, tokenizer, asked[:96]),
        **summary(asked, before), "sample": two_of(asked, before),
    }  # fmt: skip
    looks, told_records, spent = [first], [], 0.0
    after = before
    for record in records:
        spent += record.seconds
        told_records.append({**record._asdict(), **record.measured, "measured": None})
        if record.iteration % look_every == 0 or record.iteration == config.iterations:
            after = told(policy, tokenizer, asked, seed=seed)
            looks.append({
                "iteration": record.iteration,
                **drawn_hot(policy, chat_model, tokenizer, asked[:96]),
                **summary(asked, after),
                "sample": two_of(asked, after),
            })  # fmt: skip
            print(seed, record.iteration, f"score {record.score:.2f}", looks[-1], flush=True)
    return {
        "looks": looks,
        "records": told_records,
        "seconds": spent,
        "against_chat": against(asked, after, before),
        "samples": [[p.text, a.text] for p, a in list(zip(asked, after))[:6]],
    }


def ppo() -> dict:
    """The runs that are meant to go well."""
    begin = chain.ppo_start(chain.DATA)
    runs = [ppo_seed(chain.PPO, seed, 3, held_out(), begin) for seed in SEEDS]
    for run in runs:
        print(run["against_chat"], f"{run['seconds']:.0f} s", run["looks"][-1], flush=True)
    return {"beta": chain.PPO.beta, "runs": runs}


def hacking() -> dict:
    """The same without a price on KL, and for longer."""
    begin = chain.ppo_start(chain.DATA)
    config = replace(chain.PPO, beta=0.0, iterations=LONG, lr=HOT)
    runs = [ppo_seed(config, seed, 6, held_out(96), begin) for seed in SEEDS]
    return {"beta": 0.0, "lr": HOT, "runs": runs}


def frontier() -> dict:
    """Judge and reward model against KL: best of N by the reward models, and DPO on its way."""
    reward = chain.ppo_start(chain.DATA).reward
    chat_model, tokenizer = load("chat")
    asked = held_out(96)
    unkind = torch.tensor([prompt.unkind for prompt in asked])
    worths, rewards_ = [], []
    for round_ in range(max(BEST_OF)):
        drawn = draw(chat_model, tokenizer, asked, 500 + round_)
        rewards_.append(reward(drawn, unkind)[0])
        worths.append(judged(tokenizer, asked, drawn))
    paid, found = torch.stack(rewards_), torch.tensor(worths)  # (64, prompts)
    best = []
    for n in BEST_OF:
        groups = paid.unfold(0, n, n).argmax(-1)  # (64 / n, prompts)
        chosen = groups + n * torch.arange(len(groups))[:, None]
        best.append({"n": n, "kl": best_of_n_kl(n), "judge": float(found.gather(0, chosen).mean()),
                     "score": float(paid.gather(0, chosen).mean())})  # fmt: skip
        print(best[-1], flush=True)
    return {"best_of_n": best, "dpo": [dpo_seed(seed, asked, reward) for seed in SEEDS]}


def dpo_seed(seed: int, asked, reward) -> dict:
    """DPO on its way: KL, judge, and the reward models' opinion."""
    chat_model, tokenizer = load("chat")
    policy, records = chain.dpo_run(chain.DATA, seed=seed)
    unkind = torch.tensor([prompt.unkind for prompt in asked])
    before, looks, losses, spent = told(chat_model, tokenizer, asked, seed=seed), [], [], 0.0
    after = before
    for record in records:
        spent += record.seconds
        losses.append([record.step, record.loss, record.measured["accuracy"]])
        if record.step % 16 == 0:
            after = told(policy, tokenizer, asked, seed=seed)
            drawn = draw(policy, tokenizer, asked, 900 + seed)
            looks.append({
                "step": record.step, "kl": float(apart(policy, chat_model, drawn).mean()),
                "score": float(reward(drawn, unkind)[0].mean()),
                "judge_hot": mean(judged(tokenizer, asked, drawn)), **summary(asked, after),
            })  # fmt: skip
            print("dpo", seed, looks[-1], flush=True)
    return {"looks": looks, "losses": losses, "seconds": spent,
            "against_chat": against(asked, after, before)}  # fmt: skip


def ten() -> dict:
    """The first ten held-out prompts, and what each stage makes of them, unpicked."""
    asked, result = held_out(10), {}
    for name in ("tales", "chat", "rlhf", "dpo"):
        model, tokenizer = load(name)
        found = told(model, tokenizer, asked)
        result[name] = [a.text for a in found]
    return {"prompts": [prompt.text for prompt in asked], "answers": result}


PARTS = {
    "sft": sft,
    "rewards": rewards,
    "ppo": ppo,
    "hacking": hacking,
    "frontier": frontier,
    "ten": ten,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}")
    options.add_argument("--file", type=Path, default=FILE)
    asked = options.parse_args()
    for name in asked.parts or PARTS:
        start = time.perf_counter()
        part = PARTS[name]()
        held = json.loads(asked.file.read_text("utf-8")) if asked.file.exists() else {}
        held[name] = chain.rounded({
            **part, "minutes": (time.perf_counter() - start) / 60,
            "torch": torch.__version__.partition("+")[0], "python": platform.python_version(),
        })  # fmt: skip
        with atomic_write(asked.file) as target:
            text = json.dumps(held, indent=None, separators=(",", ":"))
            target.write_text(text + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()

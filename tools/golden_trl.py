"""What TRL's own code makes of the inputs of tests/alignment/cases.py, into golden/trl.json.

Run it once with each of two versions of TRL, each in an environment of its own; either run replaces
its own part of the file:

    pip install "trl==1.16.0" peft                            reward model, DPO, GRPO
    pip install "trl==0.11.4" "transformers==4.46.3" "peft==0.14.0"     PPO, the last that has it
                                                              in methods that can be called
    python tools/golden_trl.py

Trainers are not built: their methods are called with the few attributes that they read. TRL whitens
with the unbiased variance; its own option for the biased one is switched on here.
"""

import json
import re
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.alignment import cases  # noqa: E402

GOLDEN = ROOT / "tests" / "alignment" / "golden" / "trl.json"


def ppo(seed: int) -> dict[str, Any]:
    """TRL 0.11.4: trl.core and PPOTrainer."""
    from trl import core
    from trl.trainer import ppo_trainer

    core.masked_var = partial(core.masked_var, unbiased=False)
    given = cases.answers(seed)
    mask = given["mask"]
    me: Any = SimpleNamespace(
        config=SimpleNamespace(
            gamma=cases.GAMMA, lam=cases.LAM, whiten_rewards=False, cliprange=cases.CLIP,
            cliprange_value=cases.CLIP_VALUE, vf_coef=1.0, ratio_threshold=1e9, kl_penalty="kl",
        ),
        kl_ctl=SimpleNamespace(value=cases.BETA),
    )  # fmt: skip
    trainer = ppo_trainer.PPOTrainer
    me._kl_penalty = partial(trainer._kl_penalty, me)
    old, ref, new = given["logp_old"], given["ref_logp"], given["logp_new"].requires_grad_()
    out: dict[str, Any] = {}
    out["log_probs"] = core.logprobs_from_logits(given["logits"], given["tokens"])
    out["entropy"] = core.entropy_from_logits(given["logits"])
    out["token_rewards"] = trainer.compute_rewards(me, given["score"], old, ref, mask)[0]
    for name, kind in (("k1", "kl"), ("k2", "mse")):
        me.config.kl_penalty = kind
        out[name] = me._kl_penalty(old, ref)
    me.config.kl_penalty = "full"
    logs = given["logits"].log_softmax(-1), given["ref_logits"].log_softmax(-1)
    out["exact_kl"] = me._kl_penalty(*logs)

    values, white, returns = trainer.compute_advantages(
        me, given["values"], given["rewards"], mask.double()
    )
    out["advantages"] = returns - values
    out["returns"], out["white_advantages"] = returns, white
    kept = core.masked_whiten(given["rewards"], mask, shift_mean=False)
    out["white_rewards"] = kept

    seen = given["new_values"].requires_grad_()
    policy, value, stats = trainer.loss(
        me, old, given["values"], given["logits"], seen, new, mask, given["advantages"],
        given["rewards"],
    )  # fmt: skip
    (policy + value).backward()
    out |= {"ppo_loss": policy, "ppo_gradient": new.grad, "value_loss": value}
    out |= {"value_gradient": seen.grad, "clip_fraction": stats["policy/clipfrac"]}
    return out


def preferences(seed: int) -> dict[str, Any]:
    """TRL 1.16: RewardTrainer, DPOTrainer, GRPOTrainer."""
    from trl import DPOTrainer, GRPOTrainer, RewardTrainer

    out: dict[str, Any] = {}
    given = cases.pairs(seed)
    B = len(given["chosen"])
    for name, extra in (("reward", {}), ("margin", {"margin": given["margin"]})):
        scores = torch.cat((given["chosen"], given["rejected"])).requires_grad_()
        me = _trainer(args=SimpleNamespace(center_rewards_coefficient=None), _tp_size=1)
        me.model = lambda logits=scores, **_: SimpleNamespace(logits=logits[:, None])
        me.model.training = False
        loss = RewardTrainer.compute_loss(me, me.model, {"attention_mask": torch.ones(1), **extra})
        loss.backward()
        out |= {f"{name}_loss": loss, f"{name}_gradient": scores.grad.chunk(2)}
    accuracies = me._metrics["eval"]["accuracy"]
    out["accuracy"] = accuracies[0]

    # Whole answers of one token each: their log-probability is that token's.
    logs = torch.cat((given["chosen"], given["rejected"])).requires_grad_()
    reference = torch.cat((given["reference_chosen"], given["reference_rejected"]))

    def writes(log_probs):
        zeros = torch.zeros_like(log_probs)[:, None]
        return lambda **_: SimpleNamespace(
            log_probs=log_probs[:, None], entropy=zeros, mean_logits=zeros, is_top1=zeros > 0
        )

    me = _trainer(
        ld_alpha=None, precompute_ref_logps=False, f_divergence_type="reverse_kl", beta=cases.BETA,
        loss_types=["sigmoid"], loss_weights=[1.0], use_weighting=False, aux_loss_enabled=False,
        args=SimpleNamespace(gradient_checkpointing_kwargs=None), _tp_size=1,
    )  # fmt: skip
    me.model, me.ref_model = MagicMock(training=False), writes(reference)
    inputs = {
        "completion_mask": torch.tensor([[0, 1]]).repeat(2 * B, 1),
        "input_ids": torch.ones(2 * B, 2, dtype=torch.long),
        "attention_mask": torch.ones(2 * B, 2),
    }
    loss = DPOTrainer._compute_loss(me, writes(logs), inputs, False)
    loss.backward()
    out |= {"dpo_loss": loss, "dpo_gradient": logs.grad.chunk(2)}
    measured = me._metrics["eval"]
    out["implicit_chosen"] = measured["rewards/chosen"][0]
    out["implicit_rejected"] = measured["rewards/rejected"][0]
    out["implicit_accuracy"] = measured["rewards/accuracies"][0]

    given = cases.answers(seed)
    new = given["logp_new"].requires_grad_()
    me = _trainer(
        top_entropy_quantile=1.0, off_policy_mask_threshold=None, importance_sampling_level="token",
        beta=cases.BETA, loss_type="grpo", epsilon_low=cases.CLIP, epsilon_high=cases.CLIP,
        use_vllm=False, aux_loss_enabled=False, _entropy_bonus_enabled=False,
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None),
        _get_per_token_logps_and_entropies=lambda *_, **__: (new, torch.zeros_like(new), None),
    )  # fmt: skip
    me.model = SimpleNamespace(training=False)
    inputs = {
        "prompt_ids": given["tokens"], "prompt_mask": given["mask"],
        "completion_ids": given["tokens"], "completion_mask": given["mask"].long(),
        "advantages": given["score"], "old_per_token_logps": given["logp_old"],
        "ref_per_token_logps": given["ref_logp"],
    }  # fmt: skip
    loss = GRPOTrainer._compute_loss(me, None, inputs)
    loss.backward()
    out |= {"grpo_loss": loss, "grpo_gradient": new.grad, "mean_k3": me._metrics["eval"]["kl"][0]}
    return out


def _trainer(**attributes: Any) -> Any:
    """Something with the attributes of a trainer on one process."""
    alone = SimpleNamespace(
        gather=lambda x: x,
        gather_for_metrics=lambda x: x,
        reduce=lambda x, reduction: x,
        device=torch.device("cpu"),
    )
    metrics: dict = {"train": defaultdict(list), "eval": defaultdict(list)}
    return SimpleNamespace(accelerator=alone, _metrics=metrics, _total_train_tokens=0, **attributes)


def _plain(value: Any) -> Any:
    """Numbers and lists of them."""
    if isinstance(value, torch.Tensor):
        return value.detach().tolist()
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def main() -> None:
    import transformers
    import trl

    part, make = ("ppo", ppo) if trl.__version__ < "0.12" else ("preferences", preferences)
    golden = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    golden[part] = {
        "versions": {
            "trl": trl.__version__,
            "transformers": transformers.__version__,
            "torch": torch.__version__,
        },
        "seeds": {
            str(seed): {name: _plain(value) for name, value in make(seed).items()}
            for seed in cases.SIZES
        },
    }
    text = json.dumps(golden, indent=1, sort_keys=True) + "\n"
    text = re.sub(r"\[[^][{}]*\]", lambda row: re.sub(r"\s+", " ", row[0]), text)  # a row a line
    GOLDEN.write_text(text, encoding="utf-8", newline="\n")
    print(f"{part}: TRL {trl.__version__}, {len(cases.SIZES)} seeds, in {GOLDEN.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

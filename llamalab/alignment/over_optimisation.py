"""Chasing a learned reward: the true one rises, turns, and falls. Gao, Schulman and Hilton's forms.

    d = sqrt(KL);  best of n: R = d (a - b d);  reinforcement learning: R = d (a - b ln d)

R is the TRUE reward, 0 at d = 0. `a` is how fast it rises, `b` how soon the proxy's mistakes are
found. Both forms are straight lines in a and b, so least squares finds them in one step.
Source: Gao et al. 2022, "Scaling Laws for Reward Model Overoptimization".
"""

import math

import torch

from llamalab.alignment.masks import check_shapes

FORMS = ("best of n", "rl")


def true_reward(d: torch.Tensor, a: float, b: float, form: str) -> torch.Tensor:
    """d = sqrt(KL) (N,) -> the true reward (N,). ValueError for another form."""
    return a * d - b * _bend(d, form)


def fit(d: torch.Tensor, reward: torch.Tensor, form: str) -> tuple[float, float]:
    """d and true rewards (N,) -> a and b, by least squares. ValueError for another form, other
    shapes, and fewer than two places at which something can be told apart."""
    check_shapes(d=d, reward=reward)
    if len(d[d > 0].unique()) < 2:
        raise ValueError(f"{len(d[d > 0].unique())} different distances above 0; two are needed")
    columns = torch.stack((d, -_bend(d, form)), dim=1).double()  # (N, 2)
    a, b = torch.linalg.lstsq(columns, reward.double()[:, None]).solution[:, 0].tolist()
    return a, b


def peak(a: float, b: float, form: str) -> float:
    """The d at which the true reward is highest: go no further. inf if it never turns (b at or
    below 0). ValueError for another form."""
    _check(form)
    if b <= 0:
        return math.inf
    return a / (2 * b) if form == "best of n" else math.exp(a / b - 1)


def _bend(d: torch.Tensor, form: str) -> torch.Tensor:
    _check(form)
    return d * d if form == "best of n" else torch.xlogy(d, d)  # 0 at 0


def _check(form: str) -> None:
    if form not in FORMS:
        raise ValueError(f"form={form!r}: there are {', '.join(map(repr, FORMS))}")

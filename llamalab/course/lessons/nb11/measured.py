"""Pictures and tables of the measured runs, from data/golden/alignment.json: score beside judge,
the judge against KL, and against the seconds that were paid. A run has looks, at which the judge
was asked; PPO's have records, one an iteration, and DPO's losses, one a step. Its word on answers
as people get them is "judge"; "judge_hot" that on answers drawn at temperature 1, as best of N
draws them and KL is measured."""

from collections.abc import Mapping, Sequence

import torch

from llamalab.alignment.over_optimisation import fit, peak, true_reward
from llamalab.course.figures import Slider, explorer, figure, label_lines, note, palette, table
from llamalab.course.figures.figure import Figure
from llamalab.course.figures.html import Html, join, tag
from llamalab.course.figures.live import Live
from llamalab.course.figures.table import Table

SEEDS = ("-", "--", ":", "-.")
Runs = Sequence[Mapping]


def from_to(run: Mapping, what: str, form: str) -> str:
    """The first look's and the last look's."""
    return f"{run['looks'][0][what]:{form}} → {run['looks'][-1][what]:{form}}"


def duels(runs: Runs) -> Table:
    """PPO against the chat model, a row a seed."""
    head = "seed", "iterations", "KL", "judge", "wins", "unkind refused", "kind refused", "seconds"
    rows = []
    for seed, run in enumerate(runs):
        duel, last = run["against_chat"], run["looks"][-1]
        rows.append((
            seed, last["iteration"], f"{last['kl']:.1f}", from_to(run, "judge", ".2f"),
            f"{duel['win_rate']:.0%} ({duel['wins']} : {duel['losses']}, {duel['ties']} tied)",
            from_to(run, "refused", ".0%"), from_to(run, "false_refusals", ".0%"),
            f"{run['seconds']:.0f}",
        ))  # fmt: skip
    return table(head, rows)


def chased(runs: Runs) -> Table:
    """What became of runs that went on and on, a row a seed."""
    head = "seed", "judge best at", "judge since", "score since", "KL", "words", "kind refused"
    rows = []
    for seed, run in enumerate(runs):
        best, last = run["looks"][best_look(run)], run["looks"][-1]
        rows.append((
            seed, f"{best['iteration']} of {last['iteration']}",
            f"{best['judge']:.2f} → {last['judge']:.2f}", f"{since_best(run)[0]:+.2f}",
            f"{last['kl']:.0f}", from_to(run, "words", ".0f"),
            from_to(run, "false_refusals", ".0%"),
        ))  # fmt: skip
    return table(head, rows)


def roads(best: Runs, ppo: Runs, dpo: Runs) -> Table:
    """Three roads at their ends: KL, and the judge's gain over the chat model."""
    start = best[0]["judge"]
    rows = [
        (f"best of {point['n']}", f"{point['kl']:.1f}", f"{point['judge'] - start:+.2f}")
        for point in best[1:]
    ]
    for name, runs, begin in (("PPO", ppo, None), ("DPO", dpo, start)):
        for seed, run in enumerate(runs):
            kl, gain = gains(run, begin)[-1]
            rows.append((f"{name}, seed {seed}", f"{kl:.1f}", f"{gain:+.2f}"))
    return table(("road", "KL at its end, nats", "judge, gain"), rows)


def turning(best: Runs) -> str:
    """Where the curve of best of N is highest, in words."""
    d = torch.tensor([point["kl"] ** 0.5 for point in best])
    gain = torch.tensor([point["judge"] - best[0]["judge"] for point in best])
    a, b = fit(d, gain, "best of n")
    turns = f"highest at d = {peak(a, b, 'best of n'):.1f}" if b > 0 else "never turns"
    return f"best of N: d ({a:.2f} - {b:.2f} d), {turns}; the largest N is at d = {d[-1]:.1f}"


def at_cost(best: Runs, ppo: Runs, dpo: Runs) -> Table:
    """The roads when each run has had the seconds of the shortest, or up to a tenth more; and best
    of N, which trains nothing."""
    start, seconds = best[0]["judge"], 1.1 * common_seconds(ppo, dpo)
    rows = []
    for name, runs, begin in (("PPO", ppo, None), ("DPO", dpo, start)):
        for seed, run in enumerate(runs):
            place = within(run, seconds)
            kl, gain = gains(run, begin)[place]
            spent = f"{seconds_at_looks(run)[place]:.0f}"
            rows.append((f"{name}, seed {seed}", spent, "1", f"{kl:.1f}", f"{gain:+.2f}"))
    for point in best:
        name = f"best of {point['n']}" if point["n"] > 1 else "the chat model"
        gain = point["judge"] - start
        rows.append((name, "0", f"{point['n']}", f"{point['kl']:.1f}", f"{gain:+.2f}"))
    return table(("road", "seconds of training", "draws an answer", "KL", "judge, gain"), rows)


def common_seconds(ppo: Runs, dpo: Runs) -> float:
    """What the shortest of all runs took."""
    return min(run["seconds"] for run in (*ppo, *dpo))


def at_looks(run: Mapping, what: str) -> tuple[list[int], list[float]]:
    """Iterations and values of what the judge was asked on the way."""
    return [look["iteration"] for look in run["looks"]], [look[what] for look in run["looks"]]


def smoothed(values: Sequence[float], over: int = 3) -> list[float]:
    """Means of the last few."""
    parts = [values[max(0, i - over + 1) : i + 1] for i in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def band(axes, curves: Sequence[tuple[Sequence, Sequence]], colour: str) -> tuple[float, float]:
    """A thin line a seed, the span of them all as a band, their mean thick; the mean's end.
    Seeds that were looked at in different places share those that all have."""
    common = sorted(set.intersection(*(set(x) for x, _ in curves)))
    rows = [[dict(zip(x, y))[at] for at in common] for x, y in curves]
    low, high = [min(column) for column in zip(*rows)], [max(column) for column in zip(*rows)]
    mean = [sum(column) / len(column) for column in zip(*rows)]
    axes.fill_between(common, low, high, color=colour, alpha=0.18, linewidth=0)
    for row, style in zip(rows, SEEDS):
        axes.plot(common, row, linestyle=style, color=colour, linewidth=0.8, alpha=0.8)
    axes.plot(common, mean, color=colour, linewidth=2.2)
    return common[-1], mean[-1]


def best_look(run: Mapping) -> int:
    """Which look the judge liked most; of equals the first."""
    judged = [look["judge"] for look in run["looks"]]
    return judged.index(max(judged))


def since(run: Mapping, place: int) -> tuple[float, float]:
    """From one look to the last: what the score gained, and what the judge. Before the first step
    the score is that of the first iteration."""
    begin, last = run["looks"][place], run["looks"][-1]
    ends = score_at(run, begin["iteration"]), score_at(run, last["iteration"])
    return ends[1] - ends[0], last["judge"] - begin["judge"]


def since_best(run: Mapping) -> tuple[float, float]:
    """`since` the judge's best look."""
    return since(run, best_look(run))


def score_and_judge(runs: Runs, caption: str, *, rings: bool = False) -> Figure:
    """Left what is chased, the learned score; right the ruler that nobody trains on. rings: where
    it stood highest in each seed."""
    scores = [([r["iteration"] for r in run["records"]],
               smoothed([r["score"] for r in run["records"]])) for run in runs]  # fmt: skip
    judged = [at_looks(run, "judge") for run in runs]
    alt = f"Two panels, {len(runs)} seeds with their span. Score from " + "; ".join(
        f"{y[0]:.2f} to {y[-1]:.2f}" for _, y in scores
    )
    alt += ". Judge from " + "; ".join(f"{y[0]:.2f} to {y[-1]:.2f}" for _, y in judged)
    alt += ". Open rings stand where the judge was highest in each seed." if rings else "."
    with figure(caption, alt=alt, width=8.0, height=3.2, columns=2) as fig:
        panels = (
            (fig.axes[0], scores, "score (deviations)", palette.REWARD, "what it is paid"),
            (fig.axes[1], judged, "judge (0 to 1)", palette.JUDGE, "what it is worth"),
        )
        for axes, curves, name, colour, title in panels:
            end = band(axes, curves, colour)
            axes.set(xlabel="iteration", ylabel=name)
            axes.set_title(title)
            if rings and curves is judged:
                tops = [(x[best_look(run)], max(y)) for run, (x, y) in zip(runs, judged)]
                axes.plot(*zip(*tops), "o", color=colour, markersize=7, markerfacecolor="none")
            label_lines(axes, [(*end, f"mean of\n{len(runs)} seeds", colour)])
    return fig


def look_words(run: Mapping, place: int) -> str:
    """One moment of a run in a sentence."""
    look = run["looks"][place]
    return (
        f"iteration {look['iteration']}: score {score_at(run, look['iteration']):+.2f}, judge "
        f"{look['judge']:.2f}, KL {look['kl']:.1f} nats, {look['words']:.0f} words an answer, "
        f"{look['false_refusals']:.0%} of kind requests refused"
    )


def score_at(run: Mapping, iteration: int) -> float:
    """The mean score of the three iterations up to this one (of the first, before any)."""
    scores = smoothed([r["score"] for r in run["records"]])
    return scores[max(0, iteration - 1)]


def look_figure(run: Mapping, place: int) -> Figure:
    """Score and judge of one run, each as a share of its own way, with a mark where we stand."""
    steps, judged = at_looks(run, "judge")
    scores = [score_at(run, step) for step in steps]
    caption = "Two opinions of the same answers: the one that is chased, and the one that is not."
    alt = f"Score and judge by iteration, with a mark at {steps[place]}. {look_words(run, place)}."
    with figure(caption, alt=alt, width=6.8, height=3.0) as fig:
        axes, ends = fig.axes, []
        other = axes.twinx()
        other.spines["right"].set_visible(True)
        other.grid(False)
        for panel, values, name, colour, style in (
            (axes, judged, "judge", palette.JUDGE, "-"),
            (other, scores, "score", palette.REWARD, "--"),
        ):
            panel.plot(steps, values, marker="o", markersize=4, color=colour, linestyle=style)
            panel.plot([steps[place]], [values[place]], "o", markersize=11, color=colour, alpha=0.4)
            ends.append((panel, values[-1], name, colour))
        axes.axvline(steps[place], color=palette.FAINT, linewidth=0.8)
        axes.set(xlabel="iteration", ylabel="judge (0 to 1)")
        other.set_ylabel("score (deviations)")
        axes.set_xlim(right=steps[-1] + 0.12 * max(1, steps[-1] - steps[0]))  # room for the words
        (low, high), (least, most) = axes.get_ylim(), other.get_ylim()
        label_lines(axes, [
            (steps[-1], y if panel is axes else low + (y - least) / (most - least) * (high - low),
             name, colour)
            for panel, y, name, colour in ends
        ], away=9)  # fmt: skip
    return fig


def hacking_explorer(run: Mapping, place: int | None = None) -> Live:
    """A slider over the moments at which the judge was asked. The widget has `.place`; beneath, in
    `.more`, answers of that moment if the run kept them, else the first of its end."""
    last = len(run["looks"]) - 1

    def sample(place: int) -> Html:
        kept = run["looks"][place].get("sample")
        if kept and isinstance(kept[0], str):
            kept = [kept]  # one pair
        when = run["looks"][place if kept else last]["iteration"]
        return join(*(
            join(
                tag("p", tag("b", "asked: "), prompt, style="max-width:46em;margin:.6em 0 .2em"),
                tag("p", tag("b", f"answered, iteration {when}: "), answer,
                    style="max-width:46em;margin:0"),
            )
            for prompt, answer in kept or run["samples"][:1]
        ))  # fmt: skip

    return explorer(
        [Slider("place", last if place is None else place, 0, last, 1, label="look", live=False)],
        picture=lambda place: look_figure(run, place),
        words=lambda place: look_words(run, place),
        more=sample,
    )


def gains(run: Mapping, start: float | None = None) -> list[tuple[float, float]]:
    """KL, and the judge's gain over the first look, or over `start`, at each look; at temperature 1
    where that is known."""
    hot = [look.get("judge_hot", look["judge"]) for look in run["looks"]]
    begin = hot[0] if start is None else start
    return [(max(look["kl"], 0.0), gain - begin) for look, gain in zip(run["looks"], hot)]


def seconds_at_looks(run: Mapping) -> list[float]:
    """Seconds of training behind each look: of PPO's iterations, or of DPO's steps."""
    if "records" in run:
        spent = [0.0]
        for record in run["records"]:
            spent.append(spent[-1] + record["seconds"])
        return [spent[look["iteration"]] for look in run["looks"]]
    steps = run["losses"][-1][0]
    return [run["seconds"] * look["step"] / steps for look in run["looks"]]


def within(run: Mapping, seconds: float) -> int:
    """The last look that this much training has paid for; the first, if none."""
    paid = [place for place, at in enumerate(seconds_at_looks(run)) if at <= seconds + 1e-6]
    return paid[-1] if paid else 0


def frontier(best: Runs, ppo: Runs, dpo: Runs) -> Figure:
    """The judge's gain against the root of KL: best of N and PPO with the curves of Gao et al.,
    and DPO. Each road counts from the judge's opinion of the chat model on its own prompts."""
    start = best[0]["judge"]
    roads = {
        "best of N": (palette.FAINT, "s", "best of n"), "PPO": (palette.POLICY, "o", "rl"),
        "DPO": (palette.PINK, "^", None),
    }  # fmt: skip
    marks = {
        "best of N": [(point["kl"], point["judge"] - start) for point in best],
        "PPO": [point for run in ppo for point in gains(run)],
        "DPO": [point for run in dpo for point in gains(run, start)],
    }
    highest = {name: max(points, key=lambda point: point[1]) for name, points in marks.items()}
    told = "; ".join(f"{name} highest at {y:+.2f}, KL {x:.1f}" for name, (x, y) in highest.items())
    caption = (
        "What a nat of KL buys before the judge, on three roads. Each mark is a set of answers; "
        "the curves are the two forms of Gao et al."
    )
    with figure(caption, alt="Judge's gain against the root of KL. " + told, width=7.4,
                height=3.8) as fig:  # fmt: skip
        axes, ends = fig.axes, []
        for name, points in marks.items():
            colour, mark, form = roads[name]
            d = torch.tensor([kl for kl, _ in points]).sqrt()
            gain = torch.tensor([y for _, y in points])
            axes.plot(d, gain, mark, color=colour, alpha=0.75, markersize=6)
            if form is not None:
                grid = torch.linspace(0, float(d.max()), 80)
                a, b = fit(d, gain, form)
                axes.plot(grid, true_reward(grid, a, b, form), color=colour, linewidth=1.4)
                ln = "" if form == "best of n" else "ln "
                fig.alt += f". {name}'s curve: d ({a:.2f} - {b:.2f} {ln}d)"
            far = int(d.argmax())
            ends.append((float(d[far]), float(gain[far]), name, colour))
        fig.alt += "."
        axes.axhline(0, color=palette.REFERENCE, linestyle="--", linewidth=1)
        axes.set(xlabel="d = √KL (√nats)", ylabel="judge, gain over the chat model")
        ends.append((axes.get_xlim()[1], 0.0, "the chat model", palette.REFERENCE))
        label_lines(axes, ends)
    return fig


def equal_cost(best: Runs, ppo: Runs, dpo: Runs) -> Figure:
    """The judge's gain against the seconds that training took, PPO and DPO, a line a seed; and best
    of N, which trains nothing, as levels."""
    start = best[0]["judge"]
    budget = common_seconds(ppo, dpo)
    caption = (
        "PPO and DPO pay once, before the first answer. Best of N pays nothing then, and N times "
        "for every answer."
    )
    alt = f"Judge's gain against seconds of training; a line marks {budget:.0f} s, which all had."
    with figure(caption, alt=alt, width=7.4, height=3.6) as fig:
        axes, ends = fig.axes, []
        for name, runs, colour, begin in (
            ("PPO", ppo, palette.POLICY, None), ("DPO", dpo, palette.PINK, start),
        ):  # fmt: skip
            curves = []
            for run, style in zip(runs, SEEDS):
                x, y = seconds_at_looks(run), [gain for _, gain in gains(run, begin)]
                if x[0] > 0:
                    x, y = [0.0, *x], [0.0, *y]
                axes.plot(x, y, linestyle=style, marker="o", markersize=4, color=colour,
                          linewidth=1.4)  # fmt: skip
                curves.append((x[-1], y[-1]))
            ends.append((*max(curves, key=lambda end: end[1]), name, colour))
            fig.alt += f" {name} ends at " + ", ".join(f"{y:+.2f}" for _, y in curves) + "."
        right = 1.12 * max(run["seconds"] for run in (*ppo, *dpo))
        for point in best:
            if point["n"] in (2, 8, 64):
                level = point["judge"] - start
                axes.axhline(level, color=palette.FAINT, linestyle=":", linewidth=1.2)
                ends.append((right, level, f"best of {point['n']}", palette.FAINT))
                fig.alt += f" Best of {point['n']}: {level:+.2f}."
        axes.axhline(0, color=palette.REFERENCE, linestyle="--", linewidth=1)
        axes.axvline(budget, color=palette.GRID, linewidth=2, zorder=0)
        ends.append((right, 0.0, "the chat model", palette.REFERENCE))
        axes.set(xlabel="seconds of training", ylabel="judge, gain over the chat model",
                 xlim=(0, right))  # fmt: skip
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.12 * (high - low))
        note(axes, budget, high + 0.06 * (high - low), f"all had {budget:.0f} s", ha="left")
        label_lines(axes, ends)
    return fig

"""Pictures for the lesson on energy and carbon: a ladder from one product to a whole training, the
chain from FLOPs to tonnes, utilization of four sizes, a table with a hole in it, one run in several
places, the price of a token against the company it is in, and a calculator."""

from collections.abc import Mapping, Sequence

from llamalab.accounting import (
    PLACES,
    Footprint,
    Range,
    accelerator,
    footprint,
    gpu_hours,
    grid,
    training_flops,
)
from llamalab.accounting.published import PUE, TOKENS, Row
from llamalab.accounting.ranges import brief
from llamalab.config import LlamaConfig
from llamalab.course.figures import (
    Choice,
    Slider,
    arrow,
    blank,
    box,
    claim,
    explorer,
    figure,
    label_lines,
    note,
    palette,
)
from llamalab.course.figures.figure import Figure
from llamalab.course.figures.live import Live

# In this lesson: computing is blue, energy orange, carbon vermillion, what is lost or missing pink.
COMPUTE, ENERGY, CARBON, LOST = palette.BLUE, palette.ORANGE, palette.VERMILLION, palette.PINK
SIZES = ("llama-2-7b", "llama-2-13b", "llama-2-34b", "llama-2-70b")


def ladder(rungs: Sequence[tuple[str, float]], caption: str) -> Figure:
    """Names and numbers, smallest first, on a scale of powers of ten; beside each, how many times
    the one below it is."""
    steps = [b / a for (_, a), (_, b) in zip(rungs, rungs[1:])]
    said = "; ".join(f"{name} {value:.1e}" for name, value in rungs)
    alt = f"A ladder of FLOPs on a logarithmic scale, from the smallest upwards. {said}."
    with figure(caption, alt=alt, width=8.4, height=0.8 + 0.55 * len(rungs)) as fig:
        axes = fig.axes
        values = [value for _, value in rungs]
        axes.plot(values, range(len(rungs)), "o-", color=COMPUTE, markersize=7, linewidth=1.2)
        for k, (name, value) in enumerate(rungs):
            note(axes, value * 2.5, k - 0.24, f"{name}: {value:.1e}", colour=palette.INK, ha="left")
        for k, times in enumerate(steps):
            middle = (values[k] * values[k + 1]) ** 0.5
            words = f"× {times:,.0f}" if times < 1e6 else f"× {times / 1e6:,.0f} million"
            note(axes, middle / 2.2, k + 0.6, words, colour=palette.FAINT, ha="right")
        axes.set_xscale("log")
        axes.set(xlim=(values[0] / 30, values[-1] * 3e5), ylim=(-0.6, len(rungs) - 0.4))
        axes.set_xlabel("FLOPs")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    return fig


def chain(made: Footprint, flops: float, speed: str, caption: str) -> Figure:
    """From FLOPs to tonnes: four boxes, and on each arrow the input that it asks for. `speed`: in
    words, how FLOPs became hours."""
    boxes = [
        (f"{flops:.2e}\nFLOPs", COMPUTE),
        (f"{brief(made.gpu_hours.central)}\nGPU-hours", COMPUTE),
        (f"{brief(made.energy_kwh.central / 1000)}\nMWh", ENERGY),
        (f"{brief(made.carbon_tco2e.central)} t\nCO2e", CARBON),
    ]
    asks = [
        speed,
        f"× {brief(made.watts.central)} W\n× PUE {brief(made.pue.central)}",
        f"× {brief(made.kg_per_kwh.central)}\nkg / kWh,\n{made.place}",
    ]
    low, high = brief(made.carbon_tco2e.low), brief(made.carbon_tco2e.high)
    ends = "" if made.carbon_tco2e.exact else f"{low} to {high} t"
    flat = [words.replace("\n", " ") for words in (*(b for b, _ in boxes), *asks)]
    alt = f"{flat[0]}, {flat[4]}: {flat[1]}; {flat[5]}: {flat[2]}; {flat[6]}: {flat[3]}. {ends}"
    with figure(caption, alt=alt.strip(), width=9.0, height=2.2) as fig:
        axes = fig.axes
        blank(axes, 12.6, 3)
        for k, (words, colour) in enumerate(boxes):
            box(axes, 1 + 3.5 * k, 1.7, words, colour, size=11, pad=0.55)
        for k, words in enumerate(asks):
            arrow(axes, (2.0 + 3.5 * k, 1.7), (3.5 + 3.5 * k, 1.7))
            note(axes, 2.75 + 3.5 * k, 2.15, words, colour=palette.INK, size=8.5, va="bottom")
        if ends:
            note(axes, 11.5, 0.8, ends, colour=palette.for_words(CARBON))
    return fig


def utilization(shares: Mapping[str, tuple[float, float]], caption: str) -> Figure:
    """Bars of the peak: for each size the share of 6 N, and with attention. (0 to 1 both.)"""
    said = "; ".join(f"{n}: {100 * a:.1f} % and {100 * b:.1f} %" for n, (a, b) in shares.items())
    alt = f"Bars of model FLOPs utilization, 6N alone and with attention. {said}."
    with figure(caption, alt=alt, width=7.6, height=0.9 + 0.6 * len(shares)) as fig:
        axes = fig.axes
        names = list(shares)
        plain = [100 * a for a, _ in shares.values()]
        more = [100 * (b - a) for a, b in shares.values()]
        axes.barh(names, plain, color=COMPUTE, alpha=0.55, height=0.55)
        axes.barh(names, more, left=plain, color=palette.SKY, alpha=0.75, height=0.55)
        for k, (a, b) in enumerate(zip(plain, more)):
            note(axes, a / 2, k, f"6N: {a:.1f} %", colour=palette.INK)
            note(axes, a + b + 1, k, f"with attention {a + b:.1f} %", colour=palette.INK, ha="left")
        axes.invert_yaxis()
        axes.grid(False)
        axes.set(xlim=(0, 100), xlabel="share of the A100's 312 TFLOP/s (%)")
        note(
            axes,
            84,
            (len(names) - 1) / 2,
            "what the GPUs\ncould have done\nbesides",
            colour=palette.FAINT,
        )
    return fig


def hole(listed: Sequence[Row], total_hours: int, caption: str) -> Figure:
    """A bar of the listed rows' hours under one of the total, and the hole between."""
    missing = total_hours - sum(row.gpu_hours for row in listed)
    parts = ", ".join(f"{row.name} {row.gpu_hours:,}" for row in listed)
    alt = f"Two bars of GPU-hours. Listed: {parts}. Total {total_hours:,}. Missing: {missing:,}."
    with figure(caption, alt=alt, width=8.4, height=2.3) as fig:
        axes, left = fig.axes, 0.0
        colours = (palette.SKY, palette.GREEN, palette.BLUE, palette.ORANGE)
        for row, colour in zip(listed, colours):
            wide = row.gpu_hours / 1e6
            axes.barh([0], [wide], left=left, color=colour, alpha=0.75, height=0.5)
            name = row.name.removeprefix("llama-2-").upper()
            note(axes, left + wide / 2, 0, name, colour=palette.INK, size=8.5)
            left += wide
        whole = total_hours / 1e6
        axes.barh([0], [whole - left], left=left, height=0.5, facecolor="none", hatch="///",
                  edgecolor=LOST, linewidth=1.2)  # fmt: skip
        axes.barh([1], [whole], color=palette.FAINT, alpha=0.4, height=0.5)
        note(axes, whole / 2, 1, f"total, as printed: {total_hours:,} hours", colour=palette.INK)
        if missing:
            claim(axes, f"{missing:,} hours that no row has", at=(left + (whole - left) / 2, -0.2),
                  to=(left + (whole - left) / 2, -0.72), colour=LOST)  # fmt: skip
        axes.set(xlim=(0, 1.02 * whole), ylim=(-1.05, 1.5), xlabel="million GPU-hours")
        axes.set_yticks([0, 1], ["listed", "total"])
        axes.grid(False)
    return fig


def places_figure(grams: Mapping[str, Range], unit: str, caption: str) -> Figure:
    """One run in several places: a dot for the central number, a line from low to high."""
    said = "; ".join(f"{place} {value}" for place, value in grams.items())
    alt = f"Dots with ends on a logarithmic scale, one line a place, in {unit}. {said}."
    with figure(caption, alt=alt, width=7.8, height=0.9 + 0.42 * len(grams)) as fig:
        axes = fig.axes
        for k, (place, value) in enumerate(grams.items()):
            axes.plot([value.low, value.high], [k, k], color=CARBON, linewidth=3, alpha=0.45)
            axes.plot([value.central], [k], "o", color=CARBON, markersize=7)
            words = f"{place}: {brief(value.central)}"
            note(axes, value.high * 1.25, k, words, colour=palette.INK, ha="left")
        axes.set_xscale("log")
        ends = [v for r in grams.values() for v in (r.low, r.high)]
        axes.set(xlim=(min(ends) / 1.6, max(ends) * 8), ylim=(-0.6, len(grams) - 0.4))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.invert_yaxis()
        axes.set_xlabel(f"{unit}, by the power's origin alone")
    return fig


def company(
    lines: Mapping[str, Mapping[int, Range]], theirs: Mapping[str, float], caption: str
) -> Figure:
    """Watt-hours for 1,000 tokens against how many are written at once; a band for each model's
    range. `theirs`: EcoLogits' number for a model, at 64 at once."""
    colours = (COMPUTE, palette.VERMILLION, palette.GREEN)
    said = []
    with figure(caption, alt="-", width=7.6, height=3.9) as fig:
        axes, ends = fig.axes, []
        for (name, line), colour in zip(lines.items(), colours):
            xs, values = list(line), list(line.values())
            axes.fill_between(xs, [v.low for v in values], [v.high for v in values], color=colour,
                              alpha=0.18, linewidth=0)  # fmt: skip
            axes.plot(xs, [v.central for v in values], "o-", color=colour, markersize=4)
            ends.append((xs[-1], values[-1].central, name, colour))
            said.append(f"{name}: {brief(values[0].central)} alone, {brief(values[-1].central)} "
                        f"with {xs[-1]} at once")  # fmt: skip
            if name in theirs:
                axes.plot([64], [theirs[name]], "D", color=colour, markersize=8,
                          markeredgecolor=palette.INK)  # fmt: skip
                said.append(f"EcoLogits for {name}: {brief(theirs[name])} at 64")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(xs, [str(x) for x in xs])
        axes.set(xlabel="rows written at once", ylabel="Wh for 1,000 tokens")
        if theirs:
            first = next(iter(theirs.values()))
            claim(axes, "EcoLogits 0.11.3", at=(64, first), to=(14, first / 2.5))
        label_lines(axes, ends)
        fig.alt = f"Falling lines on two logarithmic scales. {'; '.join(said)}."
    return fig


def beside(rows: Sequence[tuple[str, float]], caption: str) -> Figure:
    """Grams of very unequal things, smallest first, on a scale of powers of ten."""
    said = "; ".join(f"{name}: {brief(grams)} g" for name, grams in rows)
    with figure(
        caption, alt=f"Dots on a logarithmic scale of grams. {said}.", width=8.0,
        height=0.9 + 0.45 * len(rows),
    ) as fig:  # fmt: skip
        axes = fig.axes
        for k, (name, grams) in enumerate(rows):
            axes.plot([grams], [k], "o", color=CARBON, markersize=7)
            note(axes, grams * 2.5, k, f"{name}: {spoken(grams)}", colour=palette.INK, ha="left")
        axes.set_xscale("log")
        axes.set(xlim=(rows[0][1] / 5, rows[-1][1] * 1e5), ylim=(-0.6, len(rows) - 0.4))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("grams of CO2e")
    return fig


def spoken(grams: float) -> str:
    """Grams in the unit that a person would take."""
    for size, unit in ((1e6, "t"), (1e3, "kg"), (1.0, "g")):
        if grams >= size:
            return f"{brief(grams / size)} {unit}"
    return f"{brief(1000 * grams)} mg"


# ---- the calculator -------------------------------------------------------------------------


def estimate(
    model: str, trillions: float, mfu: int, device: str, drawn: int, pue: float, place: str
) -> tuple[float, Footprint]:
    """FLOPs, and the footprint of a training of that kind. The hours, watts and PUE are as chosen;
    the grid is a range."""
    config, chip = LlamaConfig.from_name(model), accelerator(device)
    flops = training_flops(config, round(trillions * 1e12))
    hours = gpu_hours(flops, chip.peak_tflops, mfu / 100)
    made = footprint(
        gpu_hours=hours, watts=chip.watts * drawn / 100, pue=pue, kg_per_kwh=grid(place),
        place=place,
    )  # fmt: skip
    return flops, made


def estimate_words(**setting) -> str:
    """What the calculator says about one setting."""
    flops, made = estimate(**setting)
    days = made.gpu_hours.central / 2000 / 24
    return (
        f"{setting['model']} on {setting['trillions']:g} trillion tokens: {flops:.2e} FLOPs, "
        f"{brief(made.gpu_hours.central)} GPU-hours ({days:,.1f} days on 2,000 of them), "
        f"{brief(made.energy_kwh.central / 1000)} MWh, {made.carbon_tco2e} t CO2e in "
        f"{made.place}, gross."
    )


def estimate_figure(**setting) -> Figure:
    flops, made = estimate(**setting)
    speed = f"÷ ({setting['mfu']} % of\n{setting['device']})"
    caption = "Every arrow asks for a number that somebody has to know, or assume."
    return chain(made, flops, speed, caption)


def calculator(
    model: str = "llama-2-7b",
    trillions: float = TOKENS / 1e12,
    mfu: int = 45,
    device: str = "A100-80GB",
    drawn: int = 100,
    pue: float = PUE,
    place: str = "United States",
) -> Live:
    """What would a training take, on what and where? The widget has a control for each argument, by
    its name, and `.words`."""
    return explorer(
        [
            Choice("model", model, ("tales", *SIZES)),
            Slider("trillions", trillions, values=(0.001, 0.1, 1.0, 2.0, 5.0, 15.0),
                   label="10^12 tokens", shown="{:g}".format),
            Slider("mfu", mfu, 5, 70, label="MFU, %"),
            Choice("device", device, ("A100-80GB", "H100-SXM")),
            Slider("drawn", drawn, 30, 100, label="of its watts, %"),
            Slider("pue", pue, 1.0, 2.0, 0.05, label="PUE"),
            Choice("place", place, PLACES),
        ],
        picture=estimate_figure,
        words=estimate_words,
    )  # fmt: skip

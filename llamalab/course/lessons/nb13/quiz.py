"""The questions of notebook 13."""

from llamalab.course.engine import Option, Question, varying


@varying("0.034", "0.127", "0.058", "0.211", "0.009")
def measured_or_not(wh):
    return Question(
        "measured_or_not",
        f"The meter says {wh} Wh, “10 W for a busy core”. How well is that known?",
        (
            Option(
                "To a thousandth of a watt-hour: it says so",
                "The digits come from the seconds, which were measured. The 10 W is a round "
                "figure, and a product is as good as its worst factor.",
            ),
            Option(
                "As well as the 10 W, which nobody measured; the seconds are exact enough",
                "An estimate is as good as its worst input, and here that is in plain sight. "
                "With a counter (RAPL, NVML) the line would say so.",
                right=True,
            ),
            Option(
                "Not at all: without a power meter nothing can be said",
                "Processor time bounds it well from above and below. An estimate with its inputs "
                "shown can be corrected by whoever knows better.",
            ),
        ),
    )


@varying(("7B", 2), ("A model", 3), ("A model", 5), ("A model", 4), ("A model", 10))
def when_serving_wins(who, n):
    return Question(
        "when_serving_wins",
        f"At the same FLOPs for a joule, training takes 6N a token and writing 2N. {who} was "
        f"trained on {n} trillion tokens. When has writing taken as much?",
        (
            Option(
                f"After {n} trillion tokens",
                "A token written costs a third of a token learned: forward alone.",
            ),
            Option(
                f"After {3 * n} trillion, if writing were as efficient as training",
                "It is not: one row at a time, a GPU waits for its memory. Alone the balance is "
                "reached much earlier, in large batches about there.",
                right=True,
            ),
            Option(
                "Never: training is so much more",
                "Training happens once. Whatever happens every day overtakes it; the question is "
                "when.",
            ),
        ),
    )


QUIZ = (
    Question(
        "why_34b_cost_more",
        "Per FLOP, 34B took more GPU-hours than 70B. What does the table itself offer as a hint?",
        (
            Option(
                "A model of that size is harder to compute",
                "Nothing in its shape says so: it has the width of 70B, its 64 query heads and "
                "8 KV heads, and fewer layers.",
            ),
            Option(
                "Its power column says 350 W where the others say 400",
                "So it ran on another cluster, with another cap and another network. Whether the "
                "cap, the network or restarts made it slower the paper does not say.",
                right=True,
            ),
            Option(
                "It saw more tokens",
                "All four sizes saw 2 trillion. That larger models mean larger corpora is one of "
                "the errors in circulation.",
            ),
        ),
    ),
    Question(
        "what_offset_means",
        "The paper says that 100 % of the emissions were offset. What was in the atmosphere "
        "because of the training?",
        (
            Option(
                "Nothing: 539 t less 539 t",
                "An offset pays for a saving elsewhere. What the power stations emitted was "
                "emitted all the same, which is why the table is gross.",
            ),
            Option(
                "What the power stations emitted; the offset is a second number, about "
                "something that happened elsewhere",
                "Report gross first. How good an offset is depends on whether the saving would "
                "have happened anyway, and that no table shows.",
                right=True,
            ),
            Option(
                "Twice as much, since offsets have to be produced",
                "Offsets have a cost of their own, but nothing says that it is as large again.",
            ),
        ),
    ),
    Question(
        "wider_lever",
        "You must train once and want to emit least. Which of these changes most, by this "
        "lesson's tables?",
        (
            Option(
                "A PUE of 1.1 in place of 1.5",
                "A factor of 1.4. Worth having, and not the largest.",
            ),
            Option(
                "Another grid: Paris or Montréal in place of Mumbai",
                "Mumbai's newest line is 38 times that of Paris and 53 times that of Montréal, for "
                "the same kilowatt-hours.",
                right=True,
            ),
            Option(
                "An MFU of 50 % in place of 40 %",
                "A factor of 1.25, if the watts stay as they are. A busier GPU draws more.",
            ),
        ),
    ),
    measured_or_not,
    when_serving_wins,
)

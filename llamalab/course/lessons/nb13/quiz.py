"""The questions of notebook 13."""

from llamalab.course.engine import Option, Question

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
    Question(
        "measured_or_not",
        "The meter says 0.034 Wh, “10 W for a busy core”. How well is that known?",
        (
            Option(
                "To three digits: it says so",
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
    ),
    Question(
        "when_serving_wins",
        "At the same FLOPs for a joule, training takes 6N a token and writing 2N. 7B was trained "
        "on 2 trillion tokens. When has writing taken as much?",
        (
            Option(
                "After 2 trillion tokens",
                "A token written costs a third of a token learned: forward alone.",
            ),
            Option(
                "After 6 trillion, if writing were as efficient as training",
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
    ),
)

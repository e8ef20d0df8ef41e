"""The questions of notebook 12."""

from llamalab.course.engine import Option, Question, varying


@varying((4, 32, ", as in Q4_0"), (8, 32, ", as in Q8_0"), (4, 64, ""), (4, 16, ""), (8, 64, ""))
def bits_per_weight(bits, block, name):
    return Question(
        "bits_per_weight",
        f"Codes of {bits} bits, in blocks of {block}, each with a scale of 16 bits{name}. How many "
        "bits does a weight take?",
        (
            Option(
                f"{bits}",
                f"The codes do. But a block of {block} has a scale of 16 bits besides, and without "
                "it the codes mean nothing.",
            ),
            Option(
                f"{bits + 16 / block:g}",
                f"{bits * block // 8 + 2} bytes for {block} numbers: {bits * block // 8} of "
                "codes and 2 of scale. A smaller block would follow its numbers more closely "
                "and pay more for scales.",
                right=True,
            ),
            Option(
                f"{bits + 16 / 128:g}",
                f"That is one 16-bit scale for 128 numbers, as GPTQ is often run. These blocks "
                f"hold {block}.",
            ),
        ),
    )


QUIZ = (
    bits_per_weight,
    Question(
        "same_bits",
        "Q4_0 and NF4 with double quantization both have 4-bit codes. What differs?",
        (
            Option(
                "NF4's levels are uneven, dense near zero, where trained weights are",
                "And its scales cost less: one for 64 numbers, kept in 8 bits. Q4_0's steps are "
                "even, and its arithmetic is simpler.",
                right=True,
            ),
            Option(
                "NF4 is a floating-point format of 4 bits",
                "The name says so. But a code is the number of a level in a table; there is no "
                "exponent in it.",
            ),
            Option(
                "NF4 needs a text to be made",
                "It looks at nothing but the weights. GPTQ and AWQ are the ones that read.",
            ),
        ),
    ),
    Question(
        "gptq_error",
        "After GPTQ a layer's WEIGHTS are further from the original than after rounding to "
        "nearest. A bug?",
        (
            Option(
                "Yes: nearest is nearest, nothing can be better",
                "For each weight by itself that is so. A layer's output is a sum, and errors in a "
                "sum can cancel.",
            ),
            Option(
                "No: it keeps the outputs near, and moves weights for that",
                "It minimises the error of W x over inputs x that were seen. Weights are its "
                "means.",
                right=True,
            ),
            Option(
                "No: it was calibrated on too little text",
                "More text makes its Hessian better. Its weights would still be further away.",
            ),
        ),
    ),
    Question(
        "faster",
        "A model in Q4_0 reads a seventh of the bytes of float32. Does it write seven times as "
        "fast?",
        (
            Option(
                "Yes, since writing a token is reading the weights",
                "If unpacking costs nothing, which takes kernels written for this format. Unpacked"
                " by general means, it is slower than floats.",
            ),
            Option(
                "Only where the unpacking is cheaper than the reading that it saves",
                "llama.cpp's kernels unpack in registers. Ours call torch a dozen times: they save "
                "memory, and cost time.",
                right=True,
            ),
            Option(
                "No: fewer bits are never faster",
                "Whole numbers of 8 bits are multiplied faster than floats, on processors that "
                "have the instruction.",
            ),
        ),
    ),
)

"""Notebook 13, exercise 1: What training takes."""

from llamalab.course.engine import Exercise, WrongAnswers

wrong = WrongAnswers()


def training_flops(parameters, n_layers, dim, seq_len, tokens, causal):
    seen = seq_len / 2 if causal else seq_len
    per_token = 6 * parameters + 12 * n_layers * dim * seen
    return float(tokens * per_token)


def _reference(parameters, n_layers, dim, seq_len, tokens, causal):
    """Product by product: forward once, and backward two products for each one forward."""
    pairs = seq_len * seq_len / (2 if causal else 1)  # of positions, in one row
    scores = mix = 2 * dim * pairs  # a product of dim numbers for every pair, over all heads
    row = 2 * parameters * seq_len + n_layers * (scores + mix)
    return 3.0 * row * (tokens / seq_len)


def _probes():
    """All sizes different, causal and not; a case by hand, and two of Meta's."""
    return [
        (100, 3, 8, 5, 10, False),
        (100, 3, 8, 5, 10, True),
        (70_001, 2, 24, 16, 1_000, False),
        (2_654_400, 6, 192, 256, 65_536, True),
        (6_738_415_616, 32, 4096, 4096, 2_000_000_000_000, False),
        (68_976_648_192, 80, 8192, 4096, 2_000_000_000_000, True),
    ]


def _flops(parameters, n_layers, dim, seq_len, tokens, causal, *, each=6, attention=12, seen=None):
    seen = (seq_len / 2 if causal else seq_len) if seen is None else seen
    return float(tokens * (each * parameters + attention * n_layers * dim * seen))


@wrong("That is the way forward alone. The way back takes two products for each: 2 + 4 = 6.")
def forward_only(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, tokens, causal, each=2, attention=4)


@wrong("That is the way back alone: 4 a parameter. Forward belongs to it, with 2.")
def backward_only(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, tokens, causal, each=4, attention=8)


@wrong(
    "You counted a multiplication and its addition as one. A FLOP is either, and the peaks that "
    "vendors print count two: with yours every utilization comes out at half."
)
def multiply_adds(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, tokens, causal, each=3, attention=6)


@wrong(
    "8 a parameter is what a machine computes that throws activations away and computes them "
    "again. The model needs 6: what is done twice is not twice as much model."
)
def counts_recomputation(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, tokens, causal, each=8, attention=16)


@wrong("Attention's own products are missing: scores and mix have no parameters, and cost all the "
       "same.")  # fmt: skip
def rule_of_thumb(parameters, n_layers, dim, seq_len, tokens, causal):
    return float(tokens * 6 * parameters)


@wrong("You gave the parameters both ways and attention only the way forward: 4, where 12 are due.")
def attention_forward_only(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, tokens, causal, attention=4)


@wrong("You counted one of attention's two products. There are the scores, q with every k, and the "
       "mix, the shares with every v.")  # fmt: skip
def scores_without_the_mix(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, tokens, causal, attention=6)


@wrong("`causal` has no effect: a causal kernel skips the pairs above the diagonal, which is half.")
def never_causal(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, tokens, causal, seen=seq_len)


@wrong("You halve attention always. Without `causal` every pair is computed.")
def always_causal(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, tokens, causal, seen=seq_len / 2)


@wrong("`causal` is the wrong way round: you halve where all pairs are computed.")
def causal_turned_round(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, tokens, not causal)


@wrong("You halved the whole. The mask spares pairs of positions; every parameter still meets "
       "every token.")  # fmt: skip
def halves_everything(parameters, n_layers, dim, seq_len, tokens, causal):
    whole = _flops(parameters, n_layers, dim, seq_len, tokens, False)
    return whole / 2 if causal else whole


@wrong("You squared seq_len. That is a whole row; one token looks at seq_len others, and there are "
       "`tokens` of them.")  # fmt: skip
def squares_the_length(parameters, n_layers, dim, seq_len, tokens, causal):
    seen = seq_len**2 / (2 if causal else 1)
    return _flops(parameters, n_layers, dim, seq_len, tokens, causal, seen=seen)


@wrong("You counted one layer's attention. Each of the n_layers has its own scores and mix.")
def one_layer_of_attention(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, 1, dim, seq_len, tokens, causal)


@wrong("Your attention is counted for one token, and the parameters for all. Both are per token, "
       "times `tokens`.")  # fmt: skip
def attention_of_one_token(parameters, n_layers, dim, seq_len, tokens, causal):
    seen = seq_len / 2 if causal else seq_len
    return float(tokens * 6 * parameters + 12 * n_layers * dim * seen)


@wrong("That is for one token. The run has `tokens` of them.")
def one_token(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, 1, causal)


@wrong("You took dim squared for attention's own products. Its matrices, wq to wo, are among the "
       "parameters already; what is left grows with dim and with the length.")  # fmt: skip
def dim_squared(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim * dim, seq_len, tokens, causal)


@wrong("You multiplied by seq_len as well as by `tokens`. All tokens are counted in `tokens`, in "
       "whatever rows they stand.")  # fmt: skip
def tokens_are_rows(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, tokens * seq_len, causal)


WHOLE_ROWS = (
    "You counted rows as whole ones, with `tokens // seq_len` or rounded up. A last row that is "
    "only begun has its tokens too, and no more: multiply what one token takes by `tokens`."
)


def _by_rows(parameters, n_layers, dim, seq_len, tokens, causal, rows):
    """The attention of so many rows."""
    attention = 12.0 * n_layers * dim * seq_len**2 * rows / (2 if causal else 1)
    return 6.0 * parameters * tokens + attention


@wrong(WHOLE_ROWS)
def full_rows_alone(parameters, n_layers, dim, seq_len, tokens, causal):
    rows = tokens // seq_len
    return _by_rows(parameters, n_layers, dim, seq_len, tokens, causal, rows)


@wrong(WHOLE_ROWS)
def rows_filled_up(parameters, n_layers, dim, seq_len, tokens, causal):
    rows = -(-tokens // seq_len)
    return _by_rows(parameters, n_layers, dim, seq_len, tokens, causal, rows)


@wrong(WHOLE_ROWS)
def full_rows_for_the_parameters_too(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, tokens // seq_len * seq_len, causal)


@wrong(WHOLE_ROWS)
def rows_filled_up_for_the_parameters_too(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, -(-tokens // seq_len) * seq_len, causal)


@wrong(
    "Your attention is that of one row, seq_len times seq_len. The run has tokens / seq_len rows; "
    "for each of its tokens that leaves seq_len."
)
def attention_of_one_row(parameters, n_layers, dim, seq_len, tokens, causal):
    return _by_rows(parameters, n_layers, dim, seq_len, tokens, causal, 1)


@wrong("The number is right, in 10^12. FLOPs are asked for: units that change on the way are how a "
       "factor of 1,000 gets lost.")  # fmt: skip
def in_tera(parameters, n_layers, dim, seq_len, tokens, causal):
    return _flops(parameters, n_layers, dim, seq_len, tokens, causal) / 1e12


EXERCISE = Exercise(
    name="training_flops",
    title="What training takes",
    points=2,
    minutes=8,
    answer=training_flops,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    rtol=1e-9,
    atol=0.0,
    hints=(
        "Two costs for a token: it meets every parameter once, and in every layer every position "
        "that it may look at. How many FLOPs is one meeting, forward? How much more is backward?",
        "A parameter: 2 forward, 4 backward. A position looked at: a score and a share of the mix, "
        "2 dim each forward, over all heads together, and twice that backward. Causal: on average "
        "it looks at half of the row.",
        "Add both for one token, and multiply the sum by `tokens` at the very end.",
    ),
)

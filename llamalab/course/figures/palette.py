"""One colour for one thing, in the whole course.

Okabe and Ito's eight, which colour-blind readers tell apart, and three greys; four of the eight a
shade darker than theirs, so that the lightness of things in one picture differs by at least 5 of
100, and a grey print still reads. What must be told apart without any colour also has a label at
its line. Pictures stand on PAPER, a card of their own, so that they read the same on JupyterLab's
light and dark themes: no colour has a contrast of 4.5 both on white and on its dark #111 (1.05 /
0.056 is 18.9, and 4.5² is more).

A line may be orange, but words in orange on paper cannot be read: they take the hue, darker, by
`for_words`.
"""

BLUE, VERMILLION, GREEN, PINK = "#0068AA", "#C65600", "#009E73", "#C86396"
ORANGE, SKY, YELLOW, BLACK = "#E69F00", "#4DA4D4", "#F0E442", "#000000"

PAPER, INK, FAINT, GRID = "#FBFAF6", "#222222", "#6B6B6B", "#DEDBD2"

# Attention
QUERY, KEY, VALUE, CACHE = BLUE, VERMILLION, GREEN, ORANGE
# The block
RESIDUAL, NORM, ATTENTION, GATE, UP = INK, ORANGE, BLUE, PINK, SKY
# Training
LOSS, VALIDATION = BLUE, VERMILLION
# Alignment
POLICY, REFERENCE, REWARD, JUDGE = BLUE, INK, ORANGE, GREEN
# Yes and no
RIGHT, WRONG, LIT = GREEN, VERMILLION, "#FFD166"

SERIES = (BLUE, VERMILLION, GREEN, PINK, ORANGE, SKY, BLACK, FAINT)  # where nothing has a name


def lightness(colour: str) -> float:
    """From 0 for black to 100 for white: what is left of a colour in grey (CIE L*)."""
    bright = luminance(colour)
    return 116 * bright ** (1 / 3) - 16 if bright > 0.008856 else 903.3 * bright


def luminance(colour: str) -> float:
    """How much light a colour gives, from 0 to 1 (WCAG)."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(one: str, other: str) -> float:
    """The WCAG contrast of two colours, 1 to 21; text wants 4.5, lines 3."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def for_words(colour: str) -> str:
    """The colour, darkened in its own hue until words in it have a contrast of 4.5 on PAPER."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    share = 100
    while contrast(colour, PAPER) < 4.5:
        share -= 1
        colour = "#" + "".join(f"{part * share // 100:02X}" for part in (red, green, blue))
    return colour

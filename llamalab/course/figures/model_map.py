"""The drawing of the whole model, made from a config, with one part lit.

Data flows upwards, as the paper's field draws it: text, ids, vectors, n_layers blocks of
attention and feed-forward, each after its norm and with its residual line, then the head.
"""

import base64
from html import escape

from llamalab.config import LlamaConfig
from llamalab.course.figures.html import Html, tag
from llamalab.course.figures.palette import INK, LIT, PAPER

PARTS = ("tokenizer", "embedding", "norm", "rope", "attention", "feed_forward", "model", "output")
DIM, LINE = "#EFECE4", INK


class ModelMap:
    """An SVG with the lit part in yellow and outlined twice; its alt text names it."""

    def __init__(self, config: LlamaConfig, lit: str | None):
        if lit is not None and lit not in PARTS:
            raise ValueError(f"no part called {lit!r}; there are {', '.join(PARTS)}")
        self.config, self.lit = config, lit

    def __repr__(self) -> str:
        c = self.config
        rows = [
            ("output", f"output head        (T, {c.dim}) -> (T, {c.vocab_size})"),
            ("norm", f"RMSNorm            {c.dim} weights"),
            ("feed_forward", f"SwiGLU, + x        {c.dim} -> {c.hidden_dim} -> {c.dim}"),
            ("norm", "RMSNorm"),
            ("attention", f"attention, + x     {c.n_heads} heads, {c.n_kv_heads} KV heads"),
            ("rope", f"RoPE on q and k    {c.head_dim} numbers a head"),
            ("norm", "RMSNorm"),
            ("embedding", f"embedding          ({c.vocab_size}, {c.dim})"),
            ("tokenizer", "tokenizer          text -> ids"),
        ]
        lines = [f"{'=>' if part == self.lit else '  '} {words}" for part, words in rows]
        lines.insert(2, f"   -- {c.n_layers} blocks --")
        lines.insert(8, "   -------------")
        return "\n".join(lines)

    def _repr_html_(self) -> Html:
        """As an image: of inline SVG, JupyterLab leaves only the words in a notebook that it does
        not trust yet, which is every notebook when it is first opened."""
        data = base64.b64encode(self.svg.encode("utf-8")).decode("ascii")
        card = f"background:{PAPER};border-radius:6px;padding:6px;max-width:100%"
        return tag(
            "img", alt=self.alt, src=f"data:image/svg+xml;base64,{data}", style=card, width=480
        )

    @property
    def alt(self) -> str:
        lit = {"feed_forward": "feed-forward layer", "rope": "RoPE", "norm": "RMSNorm"}
        place = lit.get(self.lit, self.lit) if self.lit else "nothing"
        return (
            f"The model from bottom to top: text, tokenizer, embedding, {self.config.n_layers} "
            f"blocks of RMSNorm, attention with RoPE, RMSNorm and feed-forward, a last RMSNorm, "
            f"the output head. Lit: {place}."
        )

    @property
    def svg(self) -> str:
        c = self.config
        n = f"{c.dim:,}"
        boxes = [
            (8, 30, "output", "output head", f"{n} → {c.vocab_size:,}"),
            (56, 26, "norm", "RMSNorm", f"{n} weights"),
            (126, 38, "feed_forward", "feed-forward", f"SwiGLU, {n} → {c.hidden_dim:,} → {n}"),
            (180, 26, "norm", "RMSNorm", f"{n} weights"),
            (250, 38, "attention", "attention", f"{c.n_heads} heads, {c.n_kv_heads} KV heads"),
            (304, 26, "norm", "RMSNorm", f"{n} weights"),
            (364, 30, "embedding", "embedding", f"{c.vocab_size:,} × {n}"),
            (410, 30, "tokenizer", "tokenizer", "text → ids"),
        ]
        arrows = ((410, 394), (364, 330), (304, 288), (250, 206), (180, 164), (126, 82), (56, 38))
        parts = [
            _frame(60, 100, 520, 248, f"× {c.n_layers} blocks", self.lit == "model"),
            *(
                _box(150, y, 320, h, name, note, self.lit == part)
                for y, h, part, name, note in boxes
            ),
            _box(66, 256, 76, 26, "RoPE", "", self.lit == "rope"),
            *(_arrow(*ends) for ends in arrows),
            _residual(216, 112), _residual(340, 232),
            f"<text x='310' y='460' text-anchor='middle' font-size='13' fill='{INK}'>"
            "“Once upon a time”</text>",
        ]  # fmt: skip
        return (
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='40 0 560 468' width='480' "
            f"font-family='sans-serif'><title>{escape(self.alt)}</title>{''.join(parts)}</svg>"
        )


def model_map(config: LlamaConfig, lit: str | None = None) -> ModelMap:
    """Draw the model of a config; `lit` is one of tokenizer, embedding, norm, rope, attention,
    feed_forward, model, output."""
    return ModelMap(config, lit)


def _box(x: int, y: int, w: int, h: int, name: str, note: str, lit: bool) -> str:
    fill, width = (LIT, 3) if lit else (DIM, 1)
    middle = y + h / 2 + 5
    at = x + 12 if note else x + w / 2
    anchor = "start" if note else "middle"
    return (
        f"<rect x='{x}' y='{y}' width='{w}' height='{h}' rx='5' fill='{fill}' stroke='{LINE}' "
        f"stroke-width='{width}'/><text x='{at}' y='{middle}' font-size='14' fill='#000' "
        f"text-anchor='{anchor}'>{escape(name)}</text><text x='{x + w - 12}' y='{middle}' "
        f"font-size='12' fill='#333' text-anchor='end'>{escape(note)}</text>"
    )


def _frame(x: int, y: int, w: int, h: int, note: str, lit: bool) -> str:
    fill, width = (LIT, 3) if lit else ("none", 1.5)
    return (
        f"<rect x='{x}' y='{y}' width='{w}' height='{h}' rx='8' fill='{fill}' "
        f"fill-opacity='.4' stroke='{LINE}' stroke-width='{width}' stroke-dasharray='6 4'/>"
        f"<text x='{x + w - 10}' y='{y + h / 2}' text-anchor='end' font-size='14' "
        f"fill='{INK}'>{escape(note)}</text>"
    )


def _arrow(y_from: int, y_to: int) -> str:
    return (
        f"<path d='M310 {y_from} V{y_to + 5}' stroke='{LINE}' stroke-width='1.5' fill='none'/>"
        f"<path d='M306 {y_to + 7} L310 {y_to} L314 {y_to + 7} Z' fill='{LINE}'/>"
    )


def _residual(y_from: int, y_to: int) -> str:
    """The line that carries x past a norm and its layer, to be added to what they give."""
    return (
        f"<path d='M310 {y_from} H488 V{y_to} H317' stroke='{LINE}' stroke-width='1.5' "
        f"fill='none'/><circle cx='310' cy='{y_to}' r='7' fill='none' stroke='{LINE}'/>"
        f"<path d='M306 {y_to} H314 M310 {y_to - 4} V{y_to + 4}' stroke='{LINE}'/>"
    )

"""The learner's whole model as it stands: whose its parts are, how it reads, what it says, and what
the course has taken. `mine.whole()` measures it in a few seconds, with the weights that the course
ships, and `mine.certificate(name)` puts it on a page to print.

Nothing is claimed that was not measured just now. Whether somebody helped a program cannot know,
and the page says so.
"""

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from llamalab.accounting import ledger
from llamalab.accounting.ledger import Ledger
from llamalab.course.figures import table
from llamalab.course.figures.html import Html, document, tag
from llamalab.course.figures.palette import FAINT, INK, PAPER, RIGHT
from llamalab.formats import load
from llamalab.generation.chat import Chat
from llamalab.model import Llama, Parts
from llamalab.runtime import paths
from llamalab.tokenizer import BPETokenizer
from llamalab.training.losses import shift, summed_loss

READS, TALKS = "tales", "rlhf"  # the checkpoints whose weights are used
STORIES = 32  # held-out tales that it reads
ASKED = "Tell me a story about Mia and a red kite in the forest."
Row = tuple[str, tuple[str, ...], int, int, int]
NAMES = {"rms_norm": "RMSNorm", "apply_rope": "RoPE", "attention": "attention", "swiglu": "SwiGLU"}


@dataclass(frozen=True)
class Whole:
    """whose: for each of the four functions the exercise it comes from, or "ours". loss and ours:
    nats a token on held-out tales, with the learner's functions and with the course's. said: its
    answer to ASKED, the likeliest token each time. rows: notebook, titles of what is solved, how
    many exercises, points, possible points. kept: what the notebooks noted of their cost."""

    whose: dict[str, str]
    loss: float
    ours: float
    said: str
    rows: tuple[Row, ...]
    kept: Ledger

    @property
    def finished(self) -> bool:
        """Whether every exercise is solved."""
        return all(len(solved) == of for _, solved, of, *_ in self.rows)

    def lines(self) -> list[tuple[str, str]]:
        """What is to be said, as pairs of what and how much."""
        yours = [NAMES[part] for part, name in self.whose.items() if name != "ours"]
        ours = [NAMES[part] for part, name in self.whose.items() if name == "ours"]
        solved, possible = sum(row[3] for row in self.rows), sum(row[4] for row in self.rows)
        same = math.isclose(self.loss, self.ours, abs_tol=1e-4)
        beside = "the same as" if same else f"{self.loss - self.ours:+.4f} beside"
        seconds = sum(entry.core_seconds for entry in self.kept.entries)
        runs = len(self.kept.entries)
        cost = f"{runs} run{'s' * (runs != 1)}, {seconds:,.0f} s of processor time, "
        cost += f"{self.kept.energy_wh:.2f} Wh (estimated where nothing counts them)"
        return [
            ("yours", ", ".join(yours) or "none of the four functions yet"),
            ("the course's", ", ".join(ours) or "none"),
            ("points", f"{solved} of {possible}"),
            ("loss", f"{self.loss:.3f} nats a token on {STORIES} tales it has not seen (perplexity "
                     f"{math.exp(self.loss):.2f}), {beside} the course's own functions"),
            ("asked", ASKED),
            ("it says", self.said),
            ("cost", cost if runs else "nothing noted yet in the ledger"),
        ]  # fmt: skip

    def __repr__(self) -> str:
        return "\n".join(f"{name:<13} {words}" for name, words in self.lines())

    def _repr_html_(self) -> str:
        return table(("", "your model"), self.lines())._repr_html_()


def measure(theirs: Parts, whose: dict[str, str], rows: tuple[Row, ...]) -> Whole:
    """The model made of these functions, with the weights that the course ships."""
    model, tokenizer = load(READS, dtype=torch.float32, parts=theirs)
    assert tokenizer is not None
    loss = _loss(model, tokenizer)
    ours = loss
    if theirs != Parts():
        ours = _loss(load(READS, dtype=torch.float32)[0], tokenizer)
    talker, tokenizer = load(TALKS, dtype=torch.float32, parts=theirs)
    assert tokenizer is not None
    said = "".join(Chat(talker, tokenizer).say(ASKED, temperature=0.0, top_p=None)).strip()
    return Whole(whose, loss, ours, said, rows, ledger.read())


@torch.inference_mode()
def _loss(model: Llama, tokenizer: BPETokenizer) -> float:
    """Nats a token, over the first held-out tales, each read alone."""
    tales = paths.data_folder() / "tales" / "valid.txt"
    total, count = 0.0, 0
    for story in tales.read_text(encoding="utf-8").splitlines()[:STORIES]:
        ids = tokenizer.encode(story, bos=True, eos=True)[: model.config.max_seq_len + 1]
        inputs, targets = shift(torch.tensor([ids]))
        total += float(summed_loss(model(inputs), targets))
        count += targets.numel()
    return total / count


STYLE = f"""
@page {{ size: A4; margin: 18mm }}
body {{ font: 11pt/1.45 Georgia, "Times New Roman", serif; color: {INK}; background: {PAPER};
  max-width: 46em; margin: 2em auto; padding: 0 1.5em }}
h1 {{ font-size: 25pt; margin: .2em 0; font-weight: normal }}
.small {{ color: {FAINT}; font-size: 9.5pt }}
table {{ border-collapse: collapse; margin: 1em 0; width: 100% }}
th, td {{ text-align: left; vertical-align: top; padding: .25em .8em .25em 0;
  border-bottom: 1px solid #ddd }}
th {{ font-weight: normal; color: {FAINT}; white-space: nowrap }}
td.few {{ white-space: nowrap }} .done {{ color: {RIGHT} }}
@media print {{ body {{ background: none; margin: 0; max-width: none }} }}
"""


def page(name: str, found: Whole, day: datetime.date) -> str:
    """A page of HTML to print, with nothing from elsewhere."""
    claim = "has written Llama 2" if found.finished else "is writing Llama 2"
    return document(
        f"{name} {claim}",
        tag("p", "llamalab, a course", class_="small"),
        tag("h1", f"{name} {claim}"),
        tag("p", "one layer at a time, in their own code. What follows was measured when this page "
                 "was made."),
        _rows(found.lines()),
        tag("table", tag("tr", *(tag("th", word) for word in
                                 ("notebook", "points", "solved"))),
            *(_notebook(*row) for row in found.rows)),
        tag("p", f"Made on {day.isoformat()} by the computer that it was done on, out of the "
                 f"folder my_llama, and sent to nobody. A program can tell what a function does, "
                 f"and not who thought of it.", class_="small"),
        head=tag("style", Html(STYLE)),  # ours, and no text of anybody else's
    )  # fmt: skip


def _rows(pairs: Sequence[tuple[str, str]]) -> Html:
    return tag("table", *(tag("tr", tag("th", what), tag("td", words)) for what, words in pairs))


def _notebook(number: str, solved: tuple[str, ...], of: int, points: int, possible: int) -> Html:
    mark = tag("span", " ✓", class_="done") if len(solved) == of else ""
    said = f"{len(solved)} of {of}" + (": " if solved else "") + "; ".join(solved)
    return tag("tr", tag("td", number, mark), tag("td", f"{points} of {possible}", class_="few"),
               tag("td", said))  # fmt: skip

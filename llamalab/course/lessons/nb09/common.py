"""What the exercises on chat share: two ways from text to ids, and messages in short."""

from functools import cache

from llamalab.runtime import paths
from llamalab.tokenizer import BPETokenizer


@cache
def _tokenizer() -> BPETokenizer:
    return BPETokenizer.load(paths.checkpoints()["tales"] / "tokenizer.model")


def pieces_of(text):
    """The course's own tokenizer: a space in front of every text, as Llama 2's puts one."""
    return _tokenizer().encode(text)


def bytes_of(text):
    """A tokenizer that adds nothing: byte b is the id b + 3."""
    return [byte + 3 for byte in text.encode("utf-8")]


def dialog(*contents, system=None):
    """Messages of user and assistant in turn, perhaps behind a system's."""
    first = [{"role": "system", "content": system}] if system is not None else []
    roles = ("user", "assistant")
    return first + [{"role": roles[i % 2], "content": c} for i, c in enumerate(contents)]

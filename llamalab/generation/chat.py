"""Chat: a conversation with a model, without a screen. The command line and the widget both use it.

    chat = Chat(model, tokenizer, system="Be brief.")
    for piece in chat.say("Hi"):        # text as it comes; the turn is in chat.history afterwards
        print(piece, end="")

The model is shown the system text and as many of the newest turns as the context holds, whole ones
only, with room kept for an answer. An answer ends at </s>, at its longest, by `stop()` from another
thread or a signal, or where the model begins a tag: it would go on in the user's name. What had
been said by then is kept.
Left out on purpose: a KV cache that lives from turn to turn. Every turn is read anew, which costs
as much as a prompt of that length does.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from llamalab.generation.single import generate
from llamalab.generation.text import stream_text
from llamalab.model import Llama
from llamalab.tokenizer import BPETokenizer
from llamalab.tokenizer.chat import TAGS, Message, check_message, encode_dialog, stop_ids


class Chat:
    """`history` holds user and assistant messages in turn, `system` the text in front or None;
    both may be set between answers. `left_out` is how many of the oldest turns the model has not
    been shown for the newest answer; `ended` is why that ended: "end", "length", or "stop".
    ValueError for a system text without words or with a tag."""

    def __init__(self, model: Llama, tokenizer: BPETokenizer, system: str | None = None):
        self.model, self.tokenizer = model, tokenizer
        self._stop_ids = stop_ids(tokenizer)
        if system is not None:
            check_message({"role": "system", "content": system}, "the system text")
        self.system = system
        self.clear()

    def clear(self) -> None:
        """Forget the history. The system text stays."""
        self.history: list[dict[str, str]] = []
        self.left_out, self.ended, self.stopped = 0, "", False

    def stop(self) -> None:
        """End the answer that is being written, after the token that is being computed."""
        self.stopped = True

    def say(
        self,
        text: str,
        *,
        max_new_tokens: int | None = None,
        temperature: float = 0.6,
        top_p: float | None = 0.9,
        **sampling: Any,
    ) -> Iterator[str]:
        """The answer to `text`, in pieces that add up to it. Options as in `generate`, with Meta's
        defaults for its chat models. max_new_tokens: at most so many; None: up to the context's
        end, of which at least a quarter is kept free. ValueError, at the call, for a message that
        is empty, holds a tag, or does not fit into the context, and for options out of range."""
        message = {"role": "user", "content": text}
        check_message(message, "the message")
        context = self.model.config.max_seq_len
        if max_new_tokens is not None and max_new_tokens < 1:
            raise ValueError(f"max_new_tokens={max_new_tokens} must be at least 1")
        ids = self._prompt(message, context // 4 if max_new_tokens is None else max_new_tokens)
        room = context - len(ids)
        if room < 1:
            raise ValueError(
                f"the message{' and the system text' * bool(self.system)} make {len(ids)} ids with "
                f"their tags, and this model's context holds max_seq_len={context}: there is no "
                f"room for an answer. Shorten it"
            )
        limit = room if max_new_tokens is None else min(max_new_tokens, room)
        options = {"temperature": temperature, "top_p": top_p, **sampling}
        new = generate(self.model, ids, limit, stop_ids=self._stop_ids, **options)
        self.stopped, self.ended = False, ""
        return self._answer(message, self._counted(new, limit))

    def _prompt(self, message: dict[str, str], reserve: int) -> list[int]:
        """The ids of system text, turns and message; the oldest turns go until `reserve` fits."""
        system = [{"role": "system", "content": self.system}] if self.system is not None else []
        turns = len(self.history) // 2
        for first in range(min(self.left_out, turns), turns + 1):
            shown: list[Message] = [*system, *self.history[2 * first :], message]
            ids, _ = encode_dialog(self.tokenizer, shown)
            if len(ids) + reserve <= self.model.config.max_seq_len:
                break
        self.left_out = first
        return ids

    def _counted(self, new: Iterator[int], limit: int) -> Iterator[int]:
        """The new ids until somebody stops them; says why they ended."""
        for _ in range(limit):
            if self.stopped:
                self.ended = "stop"
                return
            i = next(new, None)
            if i is None:
                self.ended = "end"
                return
            yield i
        self.ended = "length"

    def _answer(self, message: dict[str, str], new: Iterator[int]) -> Iterator[str]:
        said = ""
        try:
            for piece in until_tag(stream_text(self.tokenizer, new)):
                said += piece
                yield piece
            self.ended = self.ended or "end"  # at a tag
        finally:  # also where the caller stops reading
            self.ended = self.ended or "stop"
            if said.strip():
                self.history += [message, {"role": "assistant", "content": said.strip()}]


def until_tag(pieces: Iterable[str], tags: Iterable[str] = TAGS) -> Iterator[str]:
    """Pieces of text, until a tag begins. What may yet become one is held back."""
    tags, held = tuple(tags), ""
    for piece in pieces:
        held += piece
        begins = [held.index(tag) for tag in tags if tag in held]
        if begins:
            held = held[: min(begins)]
            break
        lengths = range(min(len(held), max(map(len, tags)) - 1), 0, -1)
        open_ = next((n for n in lengths if any(tag.startswith(held[-n:]) for tag in tags)), 0)
        if len(held) > open_:
            yield held[: len(held) - open_]
            held = held[len(held) - open_ :]
    if held:
        yield held

"""`llamalab chat`: a conversation on the terminal, or line by line through a pipe."""

import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from .errors import EXPECTED, explained
from .models import find, load_writer, seeded

HELP = """\
/clear          forget the conversation
/system         say which system text there is
/system TEXT    set another one (/system off: none)
/quit           leave; so does Ctrl+D
/help           this
Ctrl+C stops an answer; what was said is kept."""


@explained
def chat(
    path: Annotated[
        str,
        typer.Argument(
            help="A checkpoint or a run's folder, or the name of one that the course ships."
        ),
    ] = "tales",
    system: Annotated[
        str | None, typer.Option(help="What the model is told before the conversation.")
    ] = None,
    temperature: Annotated[
        float, typer.Option(help="0 is greedy; 1 is the model's own odds; above is wilder.")
    ] = 0.6,
    top_p: Annotated[
        float,
        typer.Option(help="Choose among the likeliest pieces that together reach P (nucleus)."),
    ] = 0.9,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Most tokens of an answer (default: to the context's end).")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed, the same answers. Without: others each time.")
    ] = None,
) -> None:
    """Talk with a model in Llama 2's chat format. It answers piece by piece; Ctrl+C stops it.

    /help lists what else there is: /clear, /system, /quit.

    When the context is full, the oldest turns are left out, whole ones, and it says so. Without a
    terminal it reads a message a line: echo "Tell me of a hen." | llamalab chat my_run
    """
    from llamalab.accounting import count_parameters
    from llamalab.generation import Chat
    from llamalab.runtime.threads import fit_threads

    fit_threads()
    generator = seeded(seed)
    model, tokenizer = load_writer(path)
    talk = Chat(model, tokenizer, system)
    _note(
        f"{path}: {count_parameters(model.config)['total']:,} parameters, a context of "
        f"{model.config.max_seq_len:,} tokens. /help says what you can type."
    )
    if not tuned_for_chat(find(path)):
        _note(
            "This model has not been tuned to chat, as far as its files say: it goes on with your "
            "words as with any text, and what comes may be no answer."
        )
    options = {"temperature": temperature, "top_p": top_p, "max_new_tokens": max_new_tokens}
    for line in _lines():
        if line.startswith("/"):
            if not _obey(talk, line):
                return
        elif line:
            _answer(talk, line, options | {"generator": generator})


def _lines():
    """What is typed, line by line, until the end; Ctrl+C only throws a line away."""
    terminal = sys.stdin.isatty()
    if terminal:
        with contextlib.suppress(ImportError):  # arrow keys, where the system has them
            import readline  # noqa: F401
    while True:
        try:
            line = input("\n> ") if terminal else sys.stdin.readline()
        except EOFError:
            typer.echo()
            return
        except KeyboardInterrupt:
            _note("\n/quit leaves.")
            continue
        if not terminal and not line:
            return
        yield line.strip()


def _answer(talk, line: str, options: dict) -> None:
    """Say it and stream what comes. What is wrong with a message is said, and the talk goes on."""
    before = talk.left_out
    try:
        with _stopping(talk):
            for piece in talk.say(line, **options):
                typer.echo(piece, nl=False)
    except KeyboardInterrupt:  # the second one: the token was not waited for
        talk.ended = "stop"
    except BrokenPipeError:
        raise
    except EXPECTED as error:
        _note(str(error))
        return
    typer.echo()
    if talk.ended == "stop":
        _note("(stopped)")
    if talk.ended == "length":
        _note("(cut: that was the most there is room for, or the most you allowed)")
    if talk.left_out > before:
        out = "turn is" if talk.left_out == 1 else f"{talk.left_out} turns are"
        _note(f"(the context is full: the model was not shown all: the oldest {out} left out)")


@contextlib.contextmanager
def _stopping(talk):
    """Ctrl+C ends the answer after the token; a second one at once."""

    def stop(number, frame) -> None:
        if talk.stopped:
            raise KeyboardInterrupt
        talk.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _obey(talk, line: str) -> bool:
    """Do what a line with a slash asks for; False to leave."""
    from llamalab.tokenizer.chat import check_message

    command, _, rest = line.partition(" ")
    rest = rest.strip()
    if command == "/quit":
        return False
    if command == "/help":
        _note(HELP)
    elif command == "/clear":
        talk.clear()
        _note("(forgotten)")
    elif command == "/system" and not rest:
        _note("(no system text)" if talk.system is None else f"(system: {talk.system})")
    elif command == "/system":
        try:
            if rest != "off":
                check_message({"role": "system", "content": rest}, "the system text")
        except ValueError as error:
            _note(str(error))
            return True
        talk.system = None if rest == "off" else rest
        _note("(no system text from now on)" if rest == "off" else "(from the next message on)")
    else:
        _note(f"there is no {command}; there are\n{HELP}")
    return True


def tuned_for_chat(place: Path) -> bool:
    """Whether a checkpoint's files say that it was tuned to chat: a chat template beside its
    tokenizer, as Hugging Face's have one, "chat" in the record of how it was made, or in its name,
    as Meta's have it; or the run that it is of, finished or not."""
    from llamalab.runtime import paths

    folder = place if place.exists() else paths.checkpoints().get(str(place), place)
    if "chat" in folder.resolve().name.lower() or (folder / "chat_template.jinja").exists():
        return True
    says = ("tokenizer_config.json", "chat_template"), ("record.json", "chat"), ("run.json", "kind")
    for name, key in (*says, ("../../run.json", "kind")):
        with contextlib.suppress(OSError, ValueError):
            held = json.loads((folder / name).read_text(encoding="utf-8"))
            if isinstance(held, dict) and held.get(key):
                return True
    return False


def _note(words: str) -> None:
    typer.echo(words, err=True)

"""Llama 2's chat format, to the token: what a conversation is for a model that continues text.

    <s>[INST] <<SYS>>\\nS\\n<</SYS>>\\n\\nU1 [/INST] A1 </s><s>[INST] U2 [/INST]

Every turn, a message and its answer, is a text of its own with its own <s> and </s>, tokenised in
one piece: a space before the answer, and one after it. The system text S stands inside the first
message. A last turn without an answer has <s> and no </s>: the model goes on from there. <s> and
</s> are ids, the tags ordinary text, so a message that holds a tag could speak as somebody else:
it is refused (Meta's code answers with an error string in place of the model).
The mask counts what the model has to write: every id after [/INST], and </s>. The space before
the answer is part of the answer's first piece; the one after it is a piece of its own, which has to
be written before </s>. Source: Meta's released chat code; the paper's §3.1 for the loss.
Left out on purpose: Meta's default system text, which Meta itself gave up in August 2023.
"""

from collections.abc import Mapping, Sequence

from llamalab.tokenizer.tokenizer import BPETokenizer

B_INST, E_INST = "[INST]", "[/INST]"
B_SYS, E_SYS = "<<SYS>>\n", "\n<</SYS>>\n\n"
TAGS = (B_INST, E_INST, B_SYS.strip(), E_SYS.strip())

Message = Mapping[str, str]  # {"role": "system" | "user" | "assistant", "content": …}


def encode_dialog(
    tokenizer: BPETokenizer, messages: Sequence[Message], *, last_turn_only: bool = False
) -> tuple[list[int], list[int]]:
    """The ids of a dialog, and as many 0s and 1s: 1 where an id is to be learned, before any shift.

    One that ends with an answer is an example to train on, one that ends with a user's message a
    prompt. last_turn_only leaves all turns but the last without loss, answers too (ghost attention,
    §3.3). ValueError names the message that is wrong, and the tag that it holds.
    """
    turns = split_turns(messages)
    if last_turn_only and turns[-1][1] is None:
        raise ValueError("last_turn_only=True needs a dialog that ends with an assistant message")
    ids: list[int] = []
    mask: list[int] = []
    for number, (user, answer) in enumerate(turns, 1):
        turn, counted = encode_turn(tokenizer, user, answer)
        ids += turn
        mask += [0] * len(turn) if last_turn_only and number < len(turns) else counted
    return ids, mask


def encode_turn(
    tokenizer: BPETokenizer, user: str, answer: str | None = None
) -> tuple[list[int], list[int]]:
    """The ids and the mask of one turn; without an answer, what the model answers to. `user` may
    begin with a system text in its tags."""
    prompt = f"{B_INST} {user.strip()} {E_INST}"
    if answer is None:
        ids = tokenizer.encode(prompt, bos=True)
        return ids, [0] * len(ids)
    ids = tokenizer.encode(f"{prompt} {answer.strip()} ", bos=True, eos=True)
    start = _answer_start(tokenizer, ids, tokenizer.encode(prompt, bos=True))
    return ids, [0] * start + [1] * (len(ids) - start)


def _answer_start(tokenizer: BPETokenizer, ids: list[int], prompt: list[int]) -> int:
    """Where the answer begins in the turn's ids: at the first that holds anything after [/INST].

    A piece of Llama 2's has spaces only in front, so none reaches over the space after [/INST],
    and the turn begins with the prompt's own ids. Where a model has others, look at the text.
    """
    if ids[: len(prompt)] == prompt:
        return len(prompt)
    text = tokenizer.decode(prompt)
    inside = (n for n in range(len(ids), 0, -1) if text.startswith(tokenizer.decode(ids[:n])))
    return next(inside)  # at the latest <s> alone, which has no text


def split_turns(messages: Sequence[Message]) -> list[tuple[str, str | None]]:
    """(user, answer) of each turn, the system text in the first user's; None for the answer that is
    to come. ValueError for what is not a dialog."""
    _check(messages)
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    texts = [message["content"] for message in messages[system is not None :]]
    if system is not None:
        texts[0] = f"{B_SYS}{system}{E_SYS}{texts[0]}"
    return [(texts[i], texts[i + 1] if i + 1 < len(texts) else None)
            for i in range(0, len(texts), 2)]  # fmt: skip


def check_message(message: Message, name: str) -> None:
    """ValueError, which calls it `name`, for a message that has other keys, another role, no text,
    or a tag in it."""
    if not isinstance(message, Mapping) or set(message) != {"role", "content"}:
        raise ValueError(f"{name} must hold 'role' and 'content', and nothing else: {message!r}")
    role, content = message["role"], message["content"]
    if role not in ("system", "user", "assistant"):
        raise ValueError(f"{name} has the role {role!r}; there are system, user and assistant")
    if not isinstance(content, str) or not content.strip():
        raise ValueError(f"{name} ({role}) has no text: its content is {content!r}")
    for tag in TAGS:
        if tag in content:
            raise ValueError(
                f"{name} ({role}) holds the tag {tag} at position {content.index(tag)}: a tag "
                f"in a text could speak as somebody else. Take it out"
            )


def _check(messages: Sequence[Message]) -> None:
    if isinstance(messages, (str, Mapping)) or not messages:
        raise ValueError(f"a dialog is a list of at least one message, not {messages!r}")
    for number, message in enumerate(messages, 1):
        check_message(message, f"message {number}")
    roles = [message["role"] for message in messages]
    first = int(roles[0] == "system")
    if len(roles) == first:
        raise ValueError("after the system's message there must be a user's")
    for place, role in enumerate(roles[first:]):
        due = ("user", "assistant")[place % 2]
        if role != due:
            raise ValueError(
                f"message {first + place + 1} is the {role}'s where the {due}'s is due: an optional"
                f" system message, then user and assistant in turn"
            )


def stop_ids(tokenizer: BPETokenizer) -> tuple[int, ...]:
    """The ids that end an answer: </s>. ValueError for a tokenizer that has none."""
    if tokenizer.eos_id < 0:
        raise ValueError("this tokenizer has no end-of-text id: an answer could not end")
    return (tokenizer.eos_id,)


def render_text(messages: Sequence[Message]) -> str:
    """The dialog as people write it down, with <s> and </s> as text. To look at: encoded as a
    whole it would give other ids. ValueError for what is not a dialog."""
    return "".join(
        f"<s>{B_INST} {user.strip()} {E_INST}"
        + ("" if answer is None else f" {answer.strip()} </s>")
        for user, answer in split_turns(messages)
    )


def parse(text: str) -> list[dict[str, str]]:
    """The messages of a text that `render_text` wrote, stripped. ValueError for another one."""
    messages: list[dict[str, str]] = []
    start, *turns = text.split(f"<s>{B_INST} ")
    for turn in turns:
        user, _, answer = turn.partition(f" {E_INST}")
        if not messages and user.startswith(B_SYS):
            system, _, user = user.removeprefix(B_SYS).partition(E_SYS)
            messages.append({"role": "system", "content": system})
        messages.append({"role": "user", "content": user})
        if answer:
            content = answer.removeprefix(" ").removesuffix(" </s>")
            messages.append({"role": "assistant", "content": content})
    if start or not turns or render_text(messages) != text:
        raise ValueError(f"this is not a dialog in Llama 2's format: {text[:60]!r}")
    return messages

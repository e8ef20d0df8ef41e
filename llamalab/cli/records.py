"""A step's record in a few words, for a bar or for the last line of a run."""

# What of a record is shown after the bar, if it is there: name, word, format.
SHOWN = (("loss", "loss", ".3f"), ("accuracy", "right", ".0%"), ("score", "score", "+.2f"),
         ("kl", "KL", ".2f"), ("ended", "ended", ".0%"))  # fmt: skip


def told(record) -> str:
    """A record, or a line of the log, in a few words."""
    if not isinstance(record, dict):
        held = {name: getattr(record, name) for name, *_ in SHOWN if hasattr(record, name)}
        record = held | getattr(record, "measured", {})
    return ", ".join(
        f"{word} {format(record[name], form)}" for name, word, form in SHOWN if name in record
    )

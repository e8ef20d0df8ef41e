"""A field of a config that may be left to a rule, in the config and in every copy of it.

    hidden_dim: derived = derived(lambda config: …)       None asks for the rule's number
    replace(config, dim=384)                              asks again, since None was asked before

`dataclasses.replace`, `asdict` and JSON read a field and give what they read to a new config. So a
number that was worked out is marked: it is an int like any other, and a config that is given one
takes it for the None that was meant (`int(config.hidden_dim)` is without the mark, to fix it).
JSON knows no marks: what was written there stands.
"""

from collections.abc import Callable
from typing import Any, overload


class Derived(int):
    """A whole number that a config worked out by itself."""


class derived:
    """A dataclass's field: set to None, it reads as `rule(config)`; set to a number, as that."""

    def __init__(self, rule: Callable[[Any], int]):
        self.rule = rule

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, config: None, owner: type) -> None: ...
    @overload
    def __get__(self, config: object, owner: type) -> int: ...
    def __get__(self, config, owner):
        if config is None:
            return None  # of the class itself: the default, as dataclass asks for it
        asked = vars(config)[self.name]
        return Derived(self.rule(config)) if asked is None else asked

    def __set__(self, config: object, value: int | None) -> None:
        vars(config)[self.name] = None if isinstance(value, Derived) else value

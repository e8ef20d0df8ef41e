"""An exercise as the learner meets it: ex.NAME.check(function), .hint(), .solution()."""

from collections.abc import Callable
from dataclasses import dataclass

from llamalab.course.engine import answers, attempts, source, words
from llamalab.course.engine.card import Card, Result, announce
from llamalab.course.engine.judge import judge
from llamalab.course.engine.task import Task
from llamalab.runtime import paths


@dataclass(frozen=True, kw_only=True)
class Exercise(Task):
    """A task with its three buttons."""

    def check(self, function: Callable) -> Result:
        """Judge an answer, and keep it if it is right. Points if it is, 0 if not, and a card that
        says why. Never raises."""
        verdict = judge(self, function)
        return announce(self._keep(verdict.text) if verdict.text else verdict.result)

    def hint(self, number: int | None = None) -> Card:
        """The next hint, or hint `number`, counted from 1."""
        if number is None:
            number = min(attempts.last_hint(self.name) + 1, len(self.hints))
        if not 1 <= number <= len(self.hints):
            says = f"There are {len(self.hints)} hints, numbered from 1."
            return announce(Card("hint", self.title, "No such hint.", says))
        attempts.hint_shown(self.name, number)
        head = f"Hint {number} of {len(self.hints)}"
        return announce(Card("hint", self.title, head, self.hints[number - 1]))

    def solution(self) -> Card:
        """One right answer. There are others."""
        code = source.source_of(self.answer)
        return announce(Card("solution", self.title, "One right answer", "", code=code))

    def _keep(self, text: str) -> Result:
        try:
            answers.save(self.name, text)
        except OSError as error:
            return words.correct(self, words.not_saved(error, paths.ANSWERS_VARIABLE))
        return words.correct(self, words.saved(paths.answers_folder().name, self.name))

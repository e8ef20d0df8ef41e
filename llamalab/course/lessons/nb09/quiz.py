"""The questions of notebook 09."""

from llamalab.course.engine import Question

QUIZ: tuple[Question, ...] = ()

"""The engine: what an exercise is, how an answer is judged, and how it is kept.

exercise.py    the data of an exercise, and its wrong answers
difference.py  are two values the same, and if not, where do they differ
source.py      from a function in a notebook to a file that stands on its own
deadline.py    an answer that never returns is stopped
answers.py     the folder my_llama
card.py        what the learner sees;  quiz.py  a question whose options explain themselves
"""

from llamalab.course.engine.exercise import Exercise
from llamalab.course.engine.quiz import Option, Question
from llamalab.course.engine.task import Misconception, WrongAnswers, seeded

__all__ = ["Exercise", "Misconception", "Option", "Question", "WrongAnswers", "seeded"]

"""The engine: what an exercise is, how an answer is judged, and how it is kept.

task.py        the data of an exercise, and its wrong answers
exercise.py    its three buttons: check, hint, solution;  attempts.py  what they remember
judge.py       an exercise and an answer: a verdict;  words.py, errors.py  every sentence of it
calls.py       one call of an answer on a probe;  watch.py  how it does it
difference.py  are two values the same, and if not, where do they differ
gradients.py   the same for the way back
recognise.py   which known wrong answer is this;  diagnose.py, diagnosis.py  and if none, what
source.py      a function's text;  standalone.py  from a notebook to a file of its own
deadline.py    an answer that never returns is stopped
answers.py     the folder my_llama
card.py        what the learner sees;  quiz.py  a question whose options explain themselves
"""

from llamalab.course.engine.exercise import Exercise
from llamalab.course.engine.quiz import Option, Question, varying
from llamalab.course.engine.task import Misconception, WrongAnswers, seeded

__all__ = ["Exercise", "Misconception", "Option", "Question", "WrongAnswers", "seeded", "varying"]

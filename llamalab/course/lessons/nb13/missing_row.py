"""Notebook 13, exercise 5: The lost row."""

from llamalab.accounting import published
from llamalab.course.engine import Exercise, WrongAnswers

wrong = WrongAnswers()


def missing_row(rows, total_hours, total_tonnes):
    hours = total_hours - sum(row[0] for row in rows)
    tonnes = total_tonnes - sum(row[1] for row in rows)
    kwh = 1000 * tonnes / 0.385
    return hours, round(1000 * kwh / (hours * 1.1))


def _reference(rows, total_hours, total_tonnes):
    made = tuple(published.Row("", hours, 0, tonnes) for hours, tonnes in rows)
    total = published.Row("total", total_hours, 0, total_tonnes)
    hours, _, watts = published.missing_row(made, total)
    return hours, round(watts)


def _table(*rows):
    """Rows (hours, watts) as a paper prints them, with the last one lost: rows, total."""
    made = [published.Row("", hours, watts, 0.0) for hours, watts in rows]
    printed = [(r.gpu_hours, float(published.truncated(published.exact_tco2e(r), 2))) for r in made]
    tonnes = float(published.truncated(sum(published.exact_tco2e(r) for r in made), 2))
    return printed[:-1], sum(r.gpu_hours for r in made), tonnes


def _probes():
    """The model card; tables of our own with another row lost, its watts not a round number."""
    listed = [(row.gpu_hours, row.tco2e) for row in published.MODEL_CARD]
    total = published.LLAMA_2_TOTAL
    return [
        (listed, total.gpu_hours, total.tco2e),
        _table((500_000, 400), (1_000_000, 400), (2_345_678, 287)),
        _table((900_000, 300), (800_001, 699)),
        _table((100_000, 400), (200_000, 350), (50_000, 400), (3_000_000, 513)),
    ]


def _found(rows, total_hours, total_tonnes, *, hours=None, tonnes=None, factor=0.4235, end=round):
    hours = total_hours - sum(row[0] for row in rows) if hours is None else hours
    tonnes = total_tonnes - sum(row[1] for row in rows) if tonnes is None else tonnes
    return hours, end(1e6 * tonnes / (hours * factor))


@wrong("You subtracted the wrong way round. What is missing is the total less what is listed.")
def the_wrong_way_round(rows, total_hours, total_tonnes):
    hours, watts = _found(rows, total_hours, total_tonnes)
    return -hours, watts


@wrong("You took one row off the total, not all that are listed.")
def the_last_row_alone(rows, total_hours, total_tonnes):
    return _found(rows[-1:], total_hours, total_tonnes)


@wrong("You took the first row off the total, not all that are listed.")
def the_first_row_alone(rows, total_hours, total_tonnes):
    return _found(rows[:1], total_hours, total_tonnes)


@wrong("You assumed 400 W. The tonnes say what it was: that is what they are for.")
def assumes_400(rows, total_hours, total_tonnes):
    return _found(rows, total_hours, total_tonnes)[0], 400


@wrong("You left the PUE in: the tonnes are of the whole building, the watts asked for are one "
       "GPU's.")  # fmt: skip
def with_the_building(rows, total_hours, total_tonnes):
    return _found(rows, total_hours, total_tonnes, factor=0.385)


@wrong("You never divided by the grid's 0.385: those are kilograms an hour, not watts.")
def without_the_grid(rows, total_hours, total_tonnes):
    return _found(rows, total_hours, total_tonnes, factor=1.1)


@wrong("You multiplied by the two constants once more. They turned watts into tonnes; on the way "
       "back you divide.")  # fmt: skip
def multiplies_again(rows, total_hours, total_tonnes):
    return _found(rows, total_hours, total_tonnes, factor=1 / 0.4235)


@wrong("You gave the row's tonnes. The watts of its GPUs are asked for.")
def gives_the_tonnes(rows, total_hours, total_tonnes):
    hours = _found(rows, total_hours, total_tonnes)[0]
    return hours, round(total_tonnes - sum(row[1] for row in rows))


@wrong("Those are kilowatts, rounded to nothing. Watts are asked for.")
def kilowatts(rows, total_hours, total_tonnes):
    hours, watts = _found(rows, total_hours, total_tonnes)
    return hours, round(watts / 1000)


@wrong("A factor of 1,000 too much: from tonnes to kilograms, and from kilowatts to watts, is 10^6 "
       "in all.")  # fmt: skip
def milliwatts(rows, total_hours, total_tonnes):
    hours, watts = _found(rows, total_hours, total_tonnes)
    return hours, 1000 * watts


@wrong("You divided the missing tonnes by the hours of all rows. They belong to the missing hours.")
def over_all_hours(rows, total_hours, total_tonnes):
    _, watts = _found(rows, total_hours, total_tonnes, hours=total_hours)
    return _found(rows, total_hours, total_tonnes)[0], watts


@wrong("You divided all tonnes by all hours: that is the average of the table, with the rows in it "
       "that are there.")  # fmt: skip
def the_average(rows, total_hours, total_tonnes):
    _, watts = _found(rows, total_hours, total_tonnes, hours=total_hours, tonnes=total_tonnes)
    return _found(rows, total_hours, total_tonnes)[0], watts


@wrong("Those are the watts of the listed rows. The missing one's follow from what is missing.")
def watts_of_the_listed(rows, total_hours, total_tonnes):
    hours, tonnes = (sum(row[i] for row in rows) for i in (0, 1))
    return total_hours - hours, round(1e6 * tonnes / (hours * 0.4235))


@wrong("Right, but for the rounding: the watts are asked for to the nearest whole number. The rows "
       "are cut off, so what you get is off by a little.")  # fmt: skip
def not_rounded(rows, total_hours, total_tonnes):
    return _found(rows, total_hours, total_tonnes, end=float)


@wrong("You cut the watts off. To the nearest is asked for: the printed numbers are off by up to a "
       "hundredth either way.")  # fmt: skip
def cut_off(rows, total_hours, total_tonnes):
    return _found(rows, total_hours, total_tonnes, end=int)


ROUND_NUMBERS = (
    "You went to the nearest 50 or 100 W. Real cards' limits are such numbers as a rule, and this "
    "one need not be: to the nearest watt is asked for."
)


@wrong(ROUND_NUMBERS)
def to_fifties(rows, total_hours, total_tonnes):
    return _found(rows, total_hours, total_tonnes, end=lambda w: 50 * round(w / 50))


@wrong(ROUND_NUMBERS)
def to_hundreds(rows, total_hours, total_tonnes):
    return _found(rows, total_hours, total_tonnes, end=lambda w: 100 * round(w / 100))


@wrong(
    "The watts are right, and they are a float. A whole number is asked for: `round(x)` gives one, "
    "`round(x, 0)` a float."
)
def watts_as_a_float(rows, total_hours, total_tonnes):
    return _found(rows, total_hours, total_tonnes, end=lambda w: float(round(w)))


@wrong(
    "The row is right, but you changed the list of rows that you were given: `append` or `pop` "
    "works on the caller's own. Sum without it, or make a new list."
)
def changes_the_rows(rows, total_hours, total_tonnes):
    found = _found(rows, total_hours, total_tonnes)
    rows.append((found[0], total_tonnes))
    return found


@wrong("You went to the nearest ten watts. To the nearest one is asked for.")
def to_tens(rows, total_hours, total_tonnes):
    return _found(rows, total_hours, total_tonnes, end=lambda w: 10 * round(w / 10))


@wrong("You counted the rows of the table as hours: `rows` holds pairs, hours first, tonnes "
       "second. Yours are the other way round.")  # fmt: skip
def pairs_turned_round(rows, total_hours, total_tonnes):
    return _found([(b, a) for a, b in rows], total_hours, total_tonnes)


EXERCISE = Exercise(
    name="missing_row",
    title="The lost row",
    points=4,
    minutes=15,
    answer=missing_row,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    hints=(
        "A total knows more than the rows under it. What do the listed hours add up to, and what "
        "the tonnes?",
        "You know the lost row's hours and its tonnes. Which of the numbers between the two is "
        "not known, and what does exercise 3's chain say if you walk it backwards?",
        "Tonnes to kilograms, divided by 0.385: kilowatt-hours. Divided by the hours and by the "
        "PUE: kilowatts of one GPU.",
    ),
)

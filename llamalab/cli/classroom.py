"""`llamalab classroom`: the course handed out, and what comes back graded."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from .errors import explained

classroom = typer.Typer(
    help="For teachers: hand out notebooks, grade what comes back.\n\n"
    "With nbgrader: llamalab classroom release my_course, and points.md in it says what next. "
    "Without: llamalab classroom grade submitted.",
    no_args_is_help=True,
)
Notebooks = Annotated[
    list[str] | None,
    typer.Option(help="Numbers or names, such as 02. Again for another, or as words at the end."),
]
More = Annotated[list[str] | None, typer.Argument(help="More notebooks.", metavar="[NOTEBOOK]...")]
Seconds = Annotated[float, typer.Option(min=1, help="What one cell may take, of the processor.")]
Memory = Annotated[
    int, typer.Option(min=100, help="How far a notebook may grow, in MB, beyond what it loads.")
]


@classroom.command()
@explained
def release(
    folder: Annotated[Path, typer.Argument(help="A new folder, or one of this command's.")],
    more: More = None,
    notebooks: Notebooks = None,
    due: Annotated[
        list[str] | None,
        typer.Option(help="02=2027-01-15, the end of that day in UTC; again for another."),
    ] = None,
    variant: Annotated[
        int,
        typer.Option(min=0, help="The quizzes with other numbers and orders; 0 is the course's."),
    ] = 0,
    students: Annotated[
        Path | None,
        typer.Option(help="A file, a name a line: each gets a handout with quizzes of their own."),
    ] = None,
    seconds: Seconds = 120,
    memory: Memory = 2000,
) -> None:
    """Write a folder that nbgrader takes for a course.

    Of all notebooks, or of some: llamalab classroom release my_course 02 03

    source/ has the answers between BEGIN and END SOLUTION, release/ what students get.
    nbgrader_config.py holds time, memory and network; points.md says what counts how much, and
    what to run next. With --students, neighbours' quizzes ask about other numbers,
    and have the right option in another place.
    """
    _needs_jupyter()
    from llamalab.course.classroom import course, dues
    from llamalab.course.classroom import variant as variants
    from llamalab.course.classroom.kernel import Limits
    from llamalab.course.classroom.release import release
    from llamalab.course.figures import table

    lessons = course.find([*(notebooks or []), *(more or [])])
    written = release(
        folder, lessons, due=(until := dues.read(due or [], lessons)), variant=variant,
        students=variants.students(students) if students else (),
        limits=Limits(seconds=seconds, megabytes=memory),
    )  # fmt: skip
    rows = [(x.name, len(x.exercises), x.points, dues.in_words(until.get(x.name))) for x in lessons]
    typer.echo(repr(table(("assignment", "exercises", "points", "due"), rows)))
    typer.echo(f"{len(written)} files in {folder}. What next: {folder / 'points.md'}")


@classroom.command()
@explained
def grade(
    folder: Annotated[
        Path, typer.Argument(help="STUDENT/NOTEBOOK.ipynb, or flat, STUDENT_NOTEBOOK.ipynb.")
    ],
    more: More = None,
    notebooks: Notebooks = None,
    out: Annotated[
        Path | None, typer.Option(help="Where marks go (default: FOLDER-graded).")
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Of the lesson's own cells run only imports, functions and CONSTANTS: seconds "
            "instead of minutes for 07 to 12.",
        ),
    ] = False,
    seconds: Seconds = 120,
    memory: Memory = 2000,
) -> None:
    """Grade without nbgrader: llamalab classroom grade submitted

    Every notebook runs in a kernel and a folder of its own, without a network, and the course's
    own checks are run in the place of those handed in. marks.csv has a line an exercise,
    students/NAME.html what each check said, class.html what was got wrong most.
    It keeps out what ordinary Python does. For students whom you do not trust, run it as a user
    who has nothing, or in a container.
    """
    _needs_jupyter()
    from llamalab.course.classroom import course
    from llamalab.course.classroom.everybody import grade_all
    from llamalab.course.classroom.kernel import Limits

    lessons = course.find([*(notebooks or []), *(more or [])])
    out = out or folder.resolve().with_name(f"{folder.resolve().name}-graded")
    limits = Limits(seconds=seconds, in_all=5 * seconds, megabytes=memory)
    for line in grade_all(folder, out, lessons, limits, quick=quick):
        typer.echo(line.encode("utf-8", "backslashreplace").decode())  # names may be no UTF-8


def _needs_jupyter() -> None:
    """ValueError where notebooks can neither be read nor run."""
    needed = ("nbformat", "jupyter_client", "ipykernel")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} is not installed in this Python. In the course's folder: "
            f"python -m pip install -c constraints.txt -e '.[lab]'"
        )

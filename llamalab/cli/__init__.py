"""The command line: a thin door to the course.

    llamalab lab        opens the course in JupyterLab
    llamalab doctor     checks this installation
    llamalab train      trains a model, here or over several processes    (`cli.train`)
    llamalab tune       teaches a model to answer                         (`cli.tune`)
    llamalab align      reward models, PPO, DPO                           (`cli.align`)
    llamalab generate   lets a model write                                (`cli.use`)
    llamalab chat       talks with one                                    (`cli.talk`)
    llamalab info       says what a checkpoint or a run holds             (`cli.use`)
    llamalab carbon     says what the learner's course has taken so far   (`cli.carbon`)
    llamalab quantize   gives a model fewer bits                          (`cli.quantize`)
    llamalab classroom  hands the course out, and grades what comes back  (`cli.classroom`)

What a command does stands elsewhere; heavy imports wait inside the commands, so that --help is
quick. Nothing here reaches the network: JupyterLab serves on this machine only, unless --ip says
otherwise.
"""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from llamalab.runtime import paths

from .align import align
from .carbon import carbon
from .classroom import classroom
from .quantize import quantize
from .talk import chat
from .train import train
from .tune import tune
from .use import generate, info

app = typer.Typer(
    help="Write Llama 2 yourself, one layer at a time.\n\n"
    "Start with: llamalab lab. If something does not work: llamalab doctor.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # boxes would break the lines of the help a second time
    pretty_exceptions_enable=False,
)


@app.callback()
def _any_command() -> None:
    """Text that a console or a file cannot hold (cp1252 has no ▁) is written as \\u…, and no
    command ends because of it."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@app.command()
def lab(
    port: Annotated[
        int, typer.Option(help="Port to serve on. If it is taken, the next free one is used.")
    ] = 8888,
    browser: Annotated[
        bool | None,
        typer.Option(
            "--browser/--no-browser",
            help="Open a browser, or only print the address. Without either, a browser is opened "
            "where there is a display and no SSH session.",
        ),
    ] = None,
    ip: Annotated[
        str,
        typer.Option(
            help="Interface to serve on. 0.0.0.0 lets other machines in, as a published port of a "
            "container needs; they still need the token in the address."
        ),
    ] = "localhost",
) -> None:
    """Open the course in JupyterLab, on notebook 00.

    Works in any folder of the course. As root (in a container) it adds what JupyterLab asks of
    root. Without a display it prints the address to open, token included.
    Ctrl+C twice stops it; your answers stay in my_llama/.
    """
    course = paths.find_course(Path.cwd())
    if course is None:
        _give_up(
            f"The notebooks are not here: no {paths.FIRST_NOTEBOOK.as_posix()} in {Path.cwd()} "
            "or above it, nor beside the installed package. Go to the folder that you cloned and "
            "try again."
        )
    if importlib.util.find_spec("jupyterlab") is None:
        _give_up(
            "JupyterLab is not installed in this Python. In the course's folder: "
            f"{Path(sys.executable).name} -m pip install -c constraints.txt -e '.[lab]'"
        )
    if browser is None:
        browser = has_display(os.environ, sys.platform)
    if not browser:
        typer.echo(
            "Open the address below in a browser, token included. From another machine: "
            f"ssh -L {port}:localhost:{port} to here first. From outside a container: publish "
            "the port and add --ip 0.0.0.0."
        )
    os.chdir(course)
    from jupyterlab.labapp import LabApp

    LabApp.launch_instance(jupyter_options(course, port, ip, browser, is_root()))


@app.command()
def doctor() -> None:
    """Check this installation and say what this machine can do.

    Every line is ok or a warning with a way out. The exit status is 1 if there is a warning.
    """
    from llamalab.course.doctor import examine

    report = examine()
    typer.echo(str(report))
    raise typer.Exit(0 if report.ok else 1)


app.command(name="train")(train)
app.command(name="tune")(tune)
app.add_typer(align, name="align")
app.command(name="generate")(generate)
app.command(name="chat")(chat)
app.command(name="info")(info)
app.command(name="carbon")(carbon)
app.command(name="quantize")(quantize)
app.add_typer(classroom, name="classroom")


def has_display(environment, platform: str) -> bool:
    """Whether a browser that we open would be seen by the person who asked."""
    if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"):
        return False
    if platform.startswith("linux"):
        return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))
    return True


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0  # Windows has no such thing


def jupyter_options(course: Path, port: int, ip: str, browser: bool, root: bool) -> list[str]:
    """JupyterLab's command line: the course's folder on the left, notebook 00 open."""
    options = [
        f"--ServerApp.root_dir={course}",
        f"--LabApp.default_url=/lab/tree/{paths.FIRST_NOTEBOOK.as_posix()}",
        f"--ServerApp.ip={ip}",
        f"--ServerApp.port={port}",
        "--ServerApp.log_level=WARN",  # the address, and trouble; not each request
        # The promise to stay offline: no news, no look-up of newer versions or of extensions.
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]
    if not browser:
        options.append("--no-browser")
    if root:
        options.append("--allow-root")
    return options


def _give_up(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(2)

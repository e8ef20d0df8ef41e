"""The doctor: what this machine is, what the course will run on, and what needs your attention.

    software.py   Python, torch, the packages, the notebooks' kernel
    machine.py    cores, memory, disk
    folders.py    your answers, the notebooks, files that hide others
    report.py     the findings, as text and as a table

`examine()` returns findings, each ok or a warning with the way out. It measures nothing and guesses
nothing: what cannot be read is called unknown. No torch is needed to ask it.
"""

from llamalab.course.doctor import folders, machine, software
from llamalab.course.doctor.report import Finding, Report

__all__ = ["Finding", "Report", "examine"]


def examine() -> Report:
    """Look at this Python, this machine and this folder. Never raises for what it finds."""
    return Report(
        [
            software.python(),
            *software.torch(),
            machine.cores(),
            machine.memory(),
            machine.disk(),
            *software.packages(),
            *software.widgets(),
            software.kernel(),
            *folders.answers(),
            *folders.notebooks(),
            Finding("network", "not needed"),
        ]
    )

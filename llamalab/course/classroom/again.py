"""What passed, once more: in a fresh process that has seen nothing of the notebook.

A cell may have put something in the place of the course's own judge, and an answer may know the
probes by heart. Here nothing of the notebook runs but the text of the answer itself, and the random
numbers of the probes are others. `confirm` starts the process; run as a program, this file
reads {"asked": {exercise: text}, "word": …} and writes a line for each that passes.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time

from llamalab.course.classroom.kernel import LOOK, Limits
from llamalab.course.classroom.watch import Watch
from llamalab.course.engine.task import PROBES_VARIABLE

OTHER_PROBES = "1"


def confirm(texts: dict[str, str], told: dict[str, str], limits: Limits) -> set[str]:
    """Those of the answers that pass again. The process begins in an empty folder, since Python
    imports what lies where it begins."""
    if not texts:
        return set()
    word = secrets.token_hex(16)
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryDirectory(prefix="llamalab-", ignore_cleanup_errors=True) as place,
    ):
        given.write(json.dumps({"asked": texts, "word": word}).encode())
        given.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(limits.megabytes)],
            stdin=given, stdout=said, stderr=subprocess.DEVNULL, cwd=place,
            env=told | {PROBES_VARIABLE: OTHER_PROBES, "PYTHONSAFEPATH": "1"},
        )  # fmt: skip
        watch = Watch(process.pid)
        allowed = limits.seconds * len(texts) + 60
        while process.poll() is None:
            if watch.seconds > allowed or watch.bytes > (limits.megabytes + 1000) * 1e6:
                process.kill()
            time.sleep(LOOK)
        said.seek(0)
        lines = said.read(10**6).decode("utf-8", "replace").splitlines()
    known = {f"{word} {name}": name for name in texts}
    return {known[line] for line in lines if line in known}


def main(megabytes: int) -> None:
    """Judge what stdin holds, and write a line for each answer that passes."""
    given = json.loads(sys.stdin.buffer.read())
    out = os.dup(1)
    with open(os.devnull, "wb") as nowhere:  # what an answer prints is not the verdict
        os.dup2(nowhere.fileno(), 1)
    from llamalab.course.catalogue import find
    from llamalab.course.classroom.inside import hold_memory
    from llamalab.course.engine import standalone
    from llamalab.course.engine.judge import judge

    hold_memory(megabytes)
    for name, text in given["asked"].items():
        with contextlib.suppress(BaseException):
            exercise = find(name)
            function = standalone.build(text, exercise.answer.__name__, f"<cell {name}>")
            if judge(exercise, function).result.kind == "passed":
                os.write(out, f"{given['word']} {name}\n".encode())


if __name__ == "__main__":
    main(int(sys.argv[1]))

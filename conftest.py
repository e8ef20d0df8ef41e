"""What every test and every tested notebook lives under: no network, a my_llama of its own, and
chance that begins anew with each test, so that a failure can be met again.

It stands at the root, not in tests/, so that `pytest notebooks/01_tokenizer.ipynb` is guarded too.
"""

import os
import random
import re
import shutil
import signal
import sys
import tempfile
import zlib
from pathlib import Path

import pytest

from llamalab.runtime.threads import usable_cpus

# Workers share the cores, of which torch would take all in each of them, and a thread that waits
# for another shall not take a core for it. Said before torch loads; kernels inherit it.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
THREADS = str(max(1, usable_cpus() // WORKERS))
if WORKERS > 1:
    os.environ["OMP_NUM_THREADS"] = THREADS
os.environ.setdefault("OMP_NUM_THREADS", THREADS)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

OFFLINE = Path(__file__).parent / "tests" / "offline"
EVERY_LESSON = ("tests/course/lessons/", "tests/notebooks/test_notebooks.py")
SCRATCH = pytest.StashKey[Path]()
PROFILE = "the same examples each time, however busy the machine"  # hypothesis's, for all tests
SEED = int(os.environ.get("LLAMALAB_TEST_SEED", 0))  # another one: is a test right by luck?


def pytest_configure(config: pytest.Config) -> None:
    """Set up through os.environ, so that subprocesses and Jupyter kernels inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background job. Endless answers are stopped by this signal, or not at all.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    from hypothesis import HealthCheck, settings

    settings.register_profile(
        PROFILE,
        derandomize=not SEED,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile(PROFILE)
    scratch = Path(tempfile.mkdtemp(prefix="llamalab-tests-"))
    config.stash[SCRATCH] = scratch

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(OFFLINE), *([before] if before else [])])
    os.environ["LLAMALAB_OFFLINE_LOG"] = str(scratch / "network.log")
    os.environ["LLAMALAB_MY_LLAMA"] = str(scratch / "my_llama")
    os.environ["IPYTHONDIR"] = str(scratch / "ipython")  # nobody's startup files or history

    sys.path.insert(0, str(OFFLINE))
    try:
        sys.modules.pop("sitecustomize", None)
        import sitecustomize
    finally:
        sys.path.remove(str(OFFLINE))
    sitecustomize.install()


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[SCRATCH], ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Which tests stay together in one worker: those of a file, since a notebook's cells go
    together and fixtures are shared; of what is tested for every lesson, those of a lesson."""
    from xdist.scheduler import LoadScopeScheduling

    class ByLesson(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            lesson = re.search(r"\[(\d\d)[-_]", test) if file.startswith(EVERY_LESSON) else None
            return f"{file} {lesson[1]}" if lesson else file

    return ByLesson(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, so that no worker ends with one of them alone."""
    items.sort(key=lambda item: "notebooks" not in item.path.parts)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The same draws for a test whatever ran before it, and others than its neighbour's."""
    import numpy as np
    import torch

    seed = zlib.crc32(f"{SEED} {item.nodeid}".encode())
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Fail the test, or the notebook cell, in which something reached for the network, even if
    the error was swallowed and all else went well."""
    report = yield
    log = item.config.stash[SCRATCH] / "network.log"
    if log.exists():
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: {log.read_text(encoding='utf-8').strip()}"
        log.unlink()
    return report

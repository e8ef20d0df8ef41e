"""`llamalab carbon` as a person uses it, in one process and in a fresh one."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from llamalab import cli
from llamalab.accounting import ledger


@pytest.fixture(autouse=True)
def learner(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMALAB_MY_LLAMA", str(tmp_path / "my_llama"))
    return tmp_path / "my_llama"


def run(*arguments):
    return CliRunner().invoke(cli.app, ["carbon", *arguments])


def kept(wh=2.0):
    return ledger.Entry("a", "notebook 06", 1.0, 20.0, 10.0, 300.0, wh, "10 W for a busy core",
                        False)  # fmt: skip


def test_before_the_first_notebook_it_says_so_and_makes_nothing(learner):
    done = run()
    assert done.exit_code == 0 and "Nothing is kept yet" in done.output
    assert not learner.exists()


def test_without_a_place_no_grams(learner):
    ledger.add(kept())
    done = run()
    assert "in all 2.000 Wh" in done.output and "g CO2e" not in done.output
    assert "--place" in done.output


def test_with_a_place_beside_llama_2(learner):
    ledger.add(kept())
    done = run("--place", "Iowa")
    assert "0.8639 (0.5753 to 0.8639) g CO2e" in done.output and "539.00 t" in done.output
    assert ledger.home() == ""  # asked once, not remembered
    run("--place", "India", "--remember")
    assert ledger.home() == "India" and "In India" in run().output


def test_a_place_that_is_not_listed_is_a_sentence(learner):
    done = run("--place", "Atlantis")
    assert done.exit_code == 2 and "nothing is listed for 'Atlantis'" in done.output
    assert "Traceback" not in done.output
    assert run("--remember").exit_code == 2


def test_it_needs_no_torch(learner):
    """A look at the ledger does not wait for the largest library."""
    ledger.add(kept())
    code = (
        "import sys; sys.modules['torch'] = None; from llamalab.cli import app; "
        "app(['carbon', '--place', 'France'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=os.environ | {"PYTHONIOENCODING": "utf-8"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "In France" in done.stdout

"""docs/install.md says what is so: versions, commands, and sentences that really are printed."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llamalab import cli
from llamalab.course.doctor import software

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"`([^`\n]+)`", PAGE)
OURS = {  # a sentence on the page -> the file that prints it
    "This kernel has no llamalab": "tools/badges.py",
    "… does not work any more": "llamalab/course/engine/answers.py",
    "A place where I could not go on": ".github/ISSUE_TEMPLATE/stuck.yml",
}


def test_its_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)", PAGE)
    assert links and all((ROOT / "docs" / link).exists() for link in links)
    assert "docs/install.md" in README


def test_it_names_the_pythons_that_are_tested():
    oldest, newest = (".".join(map(str, v)) for v in (software.OLDEST, software.NEWEST))
    assert PAGE.count(f"from {oldest} to {newest}") == 2
    assert f"not in '>={oldest}'" in PAGE


def test_its_installation_is_readmes():
    install = re.search(r"<!-- start -->\n```bash\n(.*?) && \S+ lab\n```", README, re.S)
    assert install and f"    {install[1]}\n" in PAGE
    for words in re.findall(r"pip install [^`\n]*", PAGE):
        assert "-c constraints.txt" in words, words


@pytest.mark.parametrize("line", sorted({q for q in QUOTED if re.search(r"llamalab [a-z]+", q)}))
def test_its_commands_are_there(line):
    if line.startswith("llamalab: "):
        return  # what a shell answers
    program, command, *rest = shlex.split(line.replace("\\", "/"))
    assert program.rpartition("/")[2] == "llamalab"
    help_ = CliRunner().invoke(cli.app, [command, "--help"], env={"COLUMNS": "200"})
    assert help_.exit_code == 0, line
    assert all(word in help_.output for word in rest if word.startswith("--")), line


@pytest.mark.parametrize("sentence", OURS)
def test_what_it_quotes_is_what_we_say(sentence):
    assert sentence in PAGE
    said = " ".join((ROOT / OURS[sentence]).read_text(encoding="utf-8").split())
    assert sentence.removeprefix("… ") in said


def test_the_doctors_lines_that_it_names_are_the_doctors():
    named = set(re.findall(r"line \"([^\"]+)\"", PAGE))
    folder = ROOT / "llamalab" / "course" / "doctor"
    said = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert named and all(f'Finding("{name}"' in said for name in named)

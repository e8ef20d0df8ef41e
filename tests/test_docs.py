"""What stands in docs/: every link leads to a file that exists, and to a heading that it has."""

import pkgutil
import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from benchmarks.notebooks import card

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DOCS = sorted((ROOT / "docs").glob("*.md"))
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
LINK = re.compile(r"(?<!!)\[(?:[^\]]+)\]\(([^)\s]+)\)")


def headings(path: Path) -> set[str]:
    """The anchors of a file's headings: JupyterLab's for a notebook, GitHub's for Markdown."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    text = re.sub(r"(?ms)^```.*?^```", "", text)
    titles = [re.sub(r"[`*]", "", title) for title in re.findall(r"^#+ (.+)$", text, re.M)]
    if path.suffix == ".ipynb":
        return {title.replace(" ", "-") for title in titles}
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere, each with what is missing."""
    found = []
    for link in LINK.findall(text):
        if link.startswith("https://"):
            continue
        name, _, anchor = unquote(link).partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists():
            found.append(f"{link}: no such file")
        elif anchor and anchor not in headings(path):
            found.append(f"{link}: no such heading")
    return found


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    assert LINK.findall(text)
    assert broken(page, text) == []


def test_a_broken_link_is_seen():
    page = ROOT / "docs" / "glossary.md"
    good = "[a](../notebooks/03_rope.ipynb#Two-layouts) [b](../README.md#the-notebooks)"
    bad = "[a](../notebooks/03_rope.ipynb#two-layouts) [b](../notebooks/33.ipynb) [c](#no-one)"
    assert broken(page, good) == []
    assert len(broken(page, bad)) == 3
    code = "[a](../notebooks/01_tokenizer.ipynb#A-user-who-types-</s>)"
    assert broken(page, code) == []


def test_a_term_is_defined_once_and_in_order():
    terms = re.findall(r"^\*\*(.+?)\*\*", GLOSSARY, re.M)
    assert len(terms) > 120
    plain = [re.sub(r"[^a-z0-9]", "", term.lower()) for term in terms]
    assert len(set(plain)) == len(plain)
    assert plain == sorted(plain)


def test_a_term_says_where_it_is_introduced():
    for line in GLOSSARY.splitlines():
        if line.startswith("**"):
            assert re.search(r"\]\(\.\./notebooks/\d\d_\w+\.ipynb#[^)]+\)$", line), line


def test_terms_stand_in_the_notebook_that_they_name():
    """The word itself, or the short form of it, is in that notebook's text."""
    texts = {}
    for line in GLOSSARY.splitlines():
        if not line.startswith("**"):
            continue
        term, number = re.match(r"\*\*(.+?)\*\*", line)[1], re.search(r"notebooks/(\d\d)", line)[1]
        if number not in texts:
            path = next((ROOT / "notebooks").glob(f"{number}_*.ipynb"))
            cells = nbformat.read(path, as_version=4).cells
            texts[number] = "\n".join(cell.source for cell in cells).lower()
        names = [name.strip().lower() for name in re.split(r"[(),]", term) if name.strip()]
        assert any(name in texts[number] for name in names), f"{term} is not in {number}"


def test_the_teachers_page_knows_every_notebook():
    text = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"(../notebooks/{path.name})" in text, path.name


def test_the_citation_has_the_version_of_the_package():
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.M)[1]
    assert re.search(r"^version: (.+)$", cited, re.M)[1].strip("\"'") == version
    assert "the llamalab authors" in cited and "family-names" not in cited


# ---- the teacher's sums ----------------------------------------------------------------------

TEACHING = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")


def taken(number: str) -> tuple[int, int, int]:
    """What a notebook itself says: minutes to read, minutes of exercises, points."""
    path = next((ROOT / "notebooks").glob(f"{number}_*.ipynb"))
    cells = nbformat.read(path, as_version=4).cells
    time = re.search(r"\*\*Time:\*\* ([^.;]*)", cells[0].source)[1]
    read = re.search(r"(\d+) minutes to read", time)
    words = {"forty": 40}  # 01 says it so
    minutes = int(read[1]) if read else words[re.search(r"(\w+) minutes without", time)[1]]
    text = "\n".join(cell.source for cell in cells)
    each = re.findall(r"^### Exercise .*? · (\d+) points?, (\d+) minutes", text, re.M)
    return minutes, sum(int(m) for _, m in each), sum(int(p) for p, _ in each)


def table(title: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head."""
    part = TEACHING.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_the_teachers_table_says_what_the_notebooks_say():
    rows = table("What each notebook takes")
    sums = [0, 0, 0]
    for row in rows[:-1]:
        own = taken(row[0][1:3])
        assert tuple(map(int, row[1:4])) == own, (
            f"docs/teaching.md, What each notebook takes, {row[0][1:3]}: the notebook has {own} "
            "minutes to read, minutes of exercises, points"
        )
        sums = [a + b for a, b in zip(sums, own)]
    assert len(rows) == 15
    assert list(map(int, rows[-1][1:4])) == sums, "docs/teaching.md, the first table's last row"


def test_its_seconds_are_those_of_readme():
    """Within a factor of two, so that a new measurement of README need not touch the page."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for row in table("What each notebook takes")[:-1]:
        line = re.search(rf"^\| \[{row[0][1:3]} .*$", readme, re.M)[0]
        longest = max(map(int, re.findall(r"\| (\d+) s ", line)))
        assert longest / 2 <= int(row[4]) <= 2 * longest, line


@pytest.mark.parametrize("title", ["Five weeks", "Ten weeks"])
def test_the_plans_add_up(title):
    for _, notebooks, read, exercises, _ in table(title):
        own = [taken(number) for number in notebooks.split()]
        sums = sum(minutes for minutes, _, _ in own), sum(minutes for _, minutes, _ in own)
        assert (int(read), int(exercises)) == sums, (
            f"docs/teaching.md, {title}, the row of {notebooks}: the notebooks have {sums}"
        )


NUMBERS = "no one two three four five six seven eight".split()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_time_is_the_same_at_the_top_of_the_notebook_and_in_readme(path):
    cells = nbformat.read(path, as_version=4).cells
    title, asked = card(path)
    exercises = [e for c in cells for e in re.findall(r"^### Exercise \d", c.source, re.M)]
    counted = re.search(r"the (\w+) exercises", asked)
    if counted:
        assert counted[1] == NUMBERS[len(exercises)], f"{path.name}, first cell: {counted[0]}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    row = f"| [{title}](notebooks/{path.name}) | {asked} |"
    assert row in readme, f"README.md, The notebooks: its row is to begin {row}"


def test_the_mistakes_named_are_exercises_of_their_notebook():
    from llamalab.course.catalogue import catalogue

    known = {number: {e.name for e in group} for number, group in catalogue().items()}
    part = TEACHING.split("\n## To discuss, and what goes wrong\n")[1].split("\n## ")[0]
    sections = re.split(r"^### (\d\d) .*$", part, flags=re.M)[1:]
    assert sections[::2] == sorted(known)
    for number, text in zip(sections[::2], sections[1::2]):
        questions = re.findall(r"^- ", text, re.M)
        assert 2 <= len(questions) <= 3, (
            f"docs/teaching.md, To discuss, {number}: {len(questions)} questions, not two or three"
        )
        named = set(re.findall(r"[Ii]n `(\w+)`", text))
        assert named <= known[number], (
            f"docs/teaching.md, Seen, {number}: no exercise of it is {named - known[number]}"
        )


# ---- names that a reader would type ---------------------------------------------------------


def cannot_be_typed(text: str) -> list[str]:
    """The imports in a text that fail, and the dotted names that lead nowhere."""
    failed = []
    for line in re.findall(
        r"from llamalab[\w.]* import \w+(?:, \w+)*|\bimport llamalab\S*\b", text
    ):
        try:
            exec(line, {})
        except ImportError as error:
            failed.append(f"{line}: {error}")
    for name in re.findall(r"(?<![\w/.-])llamalab(?:\.[A-Za-z_]\w*)+", text):
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError) as error:
            failed.append(f"{name}: {error}")
    return failed


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS],
                         ids=lambda page: page.name)  # fmt: skip
def test_what_a_page_imports_can_be_imported(page):
    assert cannot_be_typed(page.read_text(encoding="utf-8")) == []


def test_a_name_that_is_not_there_is_seen():
    good = "`from llamalab import mine, load`, llamalab.course.mine, `llamalab.load(path)`"
    assert cannot_be_typed(good) == []
    assert len(cannot_be_typed("from llamalab import yours; llamalab.layers.no_norm")) == 2

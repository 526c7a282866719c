"""What the pages name exists: files, links and their headings; what is not run says why."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.page import FENCE, ROOT, pages, read

DECISIONS = ROOT / "docs" / "decisions" / "README.md"
#: Everything that is written for readers.
TEXTS = [*pages(), *sorted(DECISIONS.parent.glob("*.md"))]
#: Reasons why a block is not run, or its output compared with nothing, and how many blocks have it.
EXEMPTIONS = {
    "not compared: a description of the folder": 1,
    "not compared: a file of the blob store has to be damaged": 1,
    "not compared: an excerpt of a log": 2,
    "not compared: the server has to vanish in the middle": 1,
    "not compared: what would be deleted here is more than a week old": 1,
    "not run: a test installs the wheel and serves from it": 1,
    "not run: it changes the machine": 1,
    "not run: it needs Docker": 2,
    "not run: it needs a cluster": 1,
    "not run: it opens this machine to the network": 1,
    "not run: it runs these pages too": 1,
    "not run: it takes minutes": 1,
    "not run: it takes minutes, and figures differ": 1,
    "not run: needs a bucket": 3,
    "not run: needs a certificate": 1,
    "not run: needs the program b3sum": 1,
    "not run: this is a checkout already": 1,
}

FILE = re.compile(r"(?<![\w/.<>*-])((?:[\w-]+/)*[\w-]+\.(?:py|toml|lock|sh|yaml|yml|service))\b")
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#\s]*)(?:#(?P<heading>[^)]*))?\)")
#: What a page names because there is no such file here, or because it makes it.
ELSEWHERE = {"uv.lock", "billing.yaml", "ports.yaml"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def headings(path: Path) -> set[str]:
    """As the sites that show Markdown name them."""
    text = FENCE.sub("", path.read_text())
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}


def test_what_is_not_run_or_compared_is_listed_here() -> None:
    exemptions = [each for path in pages() for each in read(path).exemptions]
    assert Counter(f"{each.marker}: {each.reason}" for each in exemptions) == EXEMPTIONS


def test_every_output_follows_the_command_that_prints_it() -> None:
    found = [read(path) for path in pages()]
    stray = [f"{page.name}:{line}" for page in found if page.commands for line in page.stray]
    assert not stray


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_every_file_that_a_page_names_exists(path: Path) -> None:
    known = {each.name for each in (ROOT / "orchestrator").rglob("*.py")}
    known |= {each.name for each in (*ROOT.iterdir(), *(ROOT / "deploy").rglob("*"))}
    missing = [
        file
        for file in sorted(set(FILE.findall(path.read_text())) - ELSEWHERE)
        if not any((place / file).exists() for place in (ROOT, ROOT / "orchestrator", path.parent))
        and not ("/" not in file and file in known)
    ]
    assert not missing


def test_the_tree_in_the_architecture_is_the_tree() -> None:
    package = ROOT / "orchestrator"
    folders = {path for path in package.rglob("*") if path.is_dir() and path.name[0] not in "_."}
    files = set(package.glob("*.py")) - {package / "__init__.py"}
    text = (ROOT / "docs" / "architecture.md").read_text()
    trees = "".join(block["text"] for block in FENCE.finditer(text) if block["kind"] == "text")
    named = set(re.findall(r"^  ([\w/]+/|\w+\.py)  ", trees, re.MULTILINE))
    families = {each for each in named if (package / "service" / each).is_dir()}
    inside = {f"{path.relative_to(package)}/" for path in folders}
    there = inside | families | {path.name for path in files}
    wanted = there - {
        each for each in inside if f"{each.rpartition('/')[0].split('/')[-1]}/" in families
    }
    assert named == wanted


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_every_class_that_a_page_names_exists(path: Path) -> None:
    sources = "".join(each.read_text() for each in (ROOT / "orchestrator").rglob("*.py"))
    named = set(
        re.findall(r"`([A-Z][A-Za-z]*[a-z][A-Z]\w*|[A-Z]{3}[A-Z]*[a-z]\w+)`", path.read_text())
    )
    missing = {each for each in named if not re.search(rf"\bclass {each}\b", sources)}
    assert not missing


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_every_link_leads_to_a_page_and_a_heading(path: Path) -> None:
    broken = []
    for found in LINK.finditer(FENCE.sub("", path.read_text())):
        target = (path.parent / found["path"]).resolve() if found["path"] else path
        if not target.exists() or (found["heading"] and found["heading"] not in headings(target)):
            broken.append(found[0])
    assert not broken


def test_every_decision_has_a_number_of_its_own_and_is_listed_once() -> None:
    texts = [path for path in TEXTS if re.match(r"\d{4}-", path.name)]
    numbers = [int(path.name[:4]) for path in texts]
    assert len(set(numbers)) == len(numbers)
    listed = re.findall(r"^\| \[(\d+)\]\((.+)\) \| (.+) \|$", DECISIONS.read_text(), re.MULTILINE)
    titles = [path.read_text().partition("\n")[0] for path in texts]
    expected = [
        (str(number), path.name, title.removeprefix(f"# {number}. "))
        for number, path, title in zip(numbers, texts, titles, strict=True)
    ]
    assert sorted(listed) == sorted(expected)

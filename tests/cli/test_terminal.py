"""What somebody sees who looks at a terminal: colours, widths, progress."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api import chain
from tests.cli.conftest import Run, Terminal

pytestmark = pytest.mark.slow

BOLD = "\x1b[1m"
STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def workflows(cli: Run, write: Callable[..., Path]) -> list[Path]:
    """Files that were imported."""
    files = [write(f"a-workflow-with-a-long-name-{each}.json", chain(each)) for each in "ab"]
    assert cli("workflow", "import", *files).code == 0
    return files


@pytest.mark.usefixtures("workflows")
def test_a_table_fits_and_keeps_its_short_columns(terminal: Terminal) -> None:
    code, seen = terminal("workflow", "list")
    assert code == 0
    header, *rows = STYLE.sub("", seen).splitlines()
    assert "version  nodes  edges" in header
    assert len(rows) == 2
    assert all("…" in row and len(row) <= 80 for row in rows)


@pytest.mark.usefixtures("workflows")
def test_headers_stand_out_at_a_terminal_only(cli: Run, terminal: Terminal) -> None:
    assert BOLD in terminal("tag", "list")[1]
    assert BOLD not in terminal("tag", "list", TERM="dumb")[1]
    assert BOLD not in cli("tag", "list").out


def test_colours_can_be_switched_off(terminal: Terminal) -> None:
    assert "\x1b[3" in terminal("--help")[1]
    assert "\x1b[3" not in terminal("--help", NO_COLOR="1")[1]


def test_json_is_indented(terminal: Terminal, workflows: list[Path]) -> None:
    _, seen = terminal("tag", "show", workflows[0].stem, "--output", "json")
    assert f'\n  "name": "{workflows[0].stem}",\n' in seen


def test_an_import_into_a_pipe_shows_how_far_it_is(
    terminal: Terminal, workflows: list[Path], alone: Path
) -> None:
    code, seen = terminal("workflow", "import", *workflows, stdout=alone / "rows")
    assert code == 0
    assert "Importing" in seen
    rows = (alone / "rows").read_text().splitlines()
    assert [row.split()[1] for row in rows] == ["unchanged", "unchanged"]


def test_an_import_at_a_terminal_shows_its_lines(terminal: Terminal, workflows: list[Path]) -> None:
    code, seen = terminal("workflow", "import", *workflows)
    assert code == 0
    assert "Importing" not in seen
    assert seen.count("unchanged") == 2

"""What somebody sees who looks at a terminal: colours, widths, progress, and no orders to it."""

import re
import string
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api import chain
from tests.cli.conftest import Run, Terminal

pytestmark = pytest.mark.slow

BOLD = "\x1b[1m"
HIDDEN_CURSOR = "\x1b[?25l"
STYLE = re.compile(r"\x1b\[[0-9;]*m")


#: What a terminal obeys, or shows in another order, though no control character of ASCII is in it.
OBEYED = "\x9b31m \x85 \u202egpj.exe\u2066 \u200f \U000e0041"
#: Every command that shows what somebody stored; `w` and `other` have the text, `plain` has not.
SHOWING = [
    *(("workflow", "get", "w", *form) for form in ([], ["--document"], ["--components"])),
    ("workflow", "get", "w", "--output", "json"),
    *(("workflow", "show", "w", "1", *form) for form in ([], ["--document"])),
    ("workflow", "show", "w", "1", "--output", "json"),
    *(("workflow", "diff", "w", "plain", *form) for form in ([], ["--patch"])),
    ("workflow", "diff", "w", "plain", "--output", "json"),
    *(("workflow", "log", "w", *form) for form in ([], ["--graph"], ["--output", "json"])),
    ("workflow", "lineage", "w"),
    ("workflow", "list"),
    ("workflow", "list", "-o", "yaml"),
    ("workflow", "get", "w", "-o", "yaml"),
    ("workflow", "export", "w", "--format", "yaml"),
    ("workflow", "blame", "w"),
    ("tag", "show", "\x9b31m"),
    ("tag", "show", "\x9b31m", "-o", "json"),
    ("moves", "-o", "yaml"),
    ("workflow", "list", "--output", "json"),
    ("workflow", "merge", "w", "other", "--dry-run"),
    ("workflow", "merge", "w", "other"),
    ("workflow", "merge", "w", "other", "--prefer", "theirs"),
    *(("tag", *words) for words in (["list"], ["show", "w"], ["history", "w"])),
    ("tag", "history", "w", "--output", "json"),
    *(("tag", *words) for words in (["undo", "w"], ["redo", "w"], ["delete", "other"])),
    *(("artifact", *words) for words in (["list"], ["show", "m"], ["annotations", "m"])),
    ("artifact", "pull", "m", "-o", "to"),
    ("artifact", "show", "m", "--output", "json"),
    ("gc", "--dry-run", "--explain"),
    ("verify",),
]


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
    assert "version hash" in header
    assert len(rows) == 2
    assert all(len(row) <= 80 and "…" not in row for row in rows)


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


def test_no_text_that_was_stored_can_change_what_a_terminal_shows(
    cli: Run, write: Callable[..., Path], terminal: Terminal
) -> None:
    def changed(text: str) -> Path:
        metadata = {"name": f"{OBEYED}{text}", f"é 日本 🎉{OBEYED}": OBEYED}
        change = [{"op": "add", "path": "/metadata", "value": metadata}]
        return write(f"{text}.json", change)

    for tag in ("plain", "w", "other"):
        file = write(f"{tag}-new.json", chain("a"))
        assert cli("workflow", "create", tag, file, "--message", OBEYED).code == 0
    for tag in ("w", "other"):
        patched = cli("workflow", "patch", tag, changed(tag), "--message", OBEYED)
        assert patched.code == 0, patched.err
    # Names have no control characters, but all others.
    name = OBEYED.partition("\x85 ")[2]
    meta = ("--name", name, "--meta", f"{OBEYED}={OBEYED}")
    pushed = cli("artifact", "push", write(name, OBEYED), "--kind", "model", "--tag", "m", *meta)
    assert pushed.code == 0, pushed.err
    assert cli("artifact", "annotate", "m", "--message", OBEYED).code == 0
    obeyed = set(OBEYED) - set(string.printable)
    shown = 0
    for arguments in SHOWING:
        code, seen = terminal(*arguments)
        assert not set(seen) & obeyed, arguments
        assert code in {0, 4, 6}, (arguments, seen)
        shown += any(sign in seen for sign in ("\\x9b31m", "\\u009b31m"))
    assert shown > len(SHOWING) // 2


@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_bars_are_for_those_who_want_to_see_more_than_results(
    terminal: Terminal, write: Callable[..., Path], quiet: tuple[str, ...]
) -> None:
    file = write("file.bin", b"bytes")
    for words in (
        ("artifact", "push", file, "--kind", "model", "--tag", "m"),
        ("artifact", "pull", "m", "-o", "out"),
        ("cas", "put", file),
        ("verify",),
    ):
        code, seen = terminal(*words, *quiet)
        assert (code, HIDDEN_CURSOR in seen) == (0, not quiet), seen

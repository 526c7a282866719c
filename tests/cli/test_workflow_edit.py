"""An editor, the difference, and a patch of the version that was seen."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import workflow_edit
from tests.api import chain
from tests.cli.conftest import Run

Editor = Callable[..., None]


@pytest.fixture
def edits(alone: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    """What the editor does with the file."""
    monkeypatch.setenv("TMPDIR", str(alone))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("VISUAL", raising=False)

    def does(script: str) -> None:
        path = alone / "editor"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        monkeypatch.setenv("EDITOR", str(path))

    return does


@pytest.fixture
def w(cli: Run, write: Callable[..., Path]) -> None:
    assert cli("workflow", "create", "w", write("w.json", chain("a", "b"))).code == 0


def kept(alone: Path) -> list[str]:
    return sorted(path.name for path in alone.glob("orchestrator-*/*"))


@pytest.mark.parametrize("format_", ["json", "yaml"])
def test_what_the_editor_changed_becomes_a_patch(
    cli: Run, w: None, edits: Editor, alone: Path, format_: str
) -> None:
    edits("""sed -i 's/"\\{0,1\\}task"\\{0,1\\}/"http"/' "$1"; stat -c %a "$1" > mode""")
    done = cli("workflow", "edit", "w", "-m", "By hand", "--format", format_)
    assert done.code == 0, done.err
    assert "~ node a" in done.out
    assert "op count      " in done.out
    shown = cli("workflow", "get", "w", "-o", "json").json()
    assert {node["type"] for node in shown["workflow"]["nodes"]} == {"http"}
    assert (shown["tag_version"], shown["message"]) == (2, "By hand")
    assert kept(alone) == []


def test_nothing_is_sent_if_nothing_changed(cli: Run, w: None, edits: Editor, alone: Path) -> None:
    edits(":")
    done = cli("workflow", "edit", "w")
    assert (done.code, done.out, done.err) == (0, "", "Nothing was changed.\n")
    assert kept(alone) == []


def test_a_tag_that_moves_meanwhile_costs_nothing_that_was_written(
    cli: Run, w: None, edits: Editor, alone: Path, data_dir: Path, namespace: str
) -> None:
    edits("""sed -i 's/"id": "b"/"id": "b", "timeout_ms": 7/' "$1" && cp "$1" seen""")
    (alone / "move.json").write_text('[{"op": "add", "path": "/metadata", "value": {"x": 1}}]')
    send = workflow_edit._send

    def after_another(*arguments: Any) -> None:
        assert cli("workflow", "patch", "w", "move.json").code == 0
        send(*arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(workflow_edit, "_send", after_another)
        done = cli("workflow", "edit", "w")
    assert done.code == 4
    assert kept(alone) == ["w.json", "w.patch.json"]
    path = re.search(r"What you wrote is kept in (\S+)", done.err)
    assert path
    assert Path(path[1]).read_text() == (alone / "seen").read_text()
    merge = re.search(r"Merge your change: orchestrator (.+)", done.err)
    assert merge
    merged = cli(*merge[1].split(), "-o", "json")
    assert merged.code == 0, merged.err
    document = json.loads(cli("workflow", "get", "w", "--document").out)
    assert document["metadata"] == {"x": 1}
    assert document["nodes"][1]["timeout_ms"] == 7


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ('echo "{" > "$1"', 6, "is not valid JSON"),
        ("""sed -i 's/"to": "b"/"to": "c"/' "$1" """, 6, "needs node"),
        ("exit 3", 1, "ended with 3"),
    ],
)
def test_whatever_fails_the_file_is_kept(
    cli: Run, w: None, edits: Editor, alone: Path, script: str, code: int, said: str
) -> None:
    edits(script)
    done = cli("workflow", "edit", "w")
    assert (done.code, kept(alone)) == (code, ["w.json"])
    assert said in done.err
    assert "What you wrote is kept in " in done.err


def test_an_editor_that_is_not_there_is_wrong_usage(
    cli: Run, w: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", "no-such-editor --wait")
    assert cli("workflow", "edit", "w").code == 2
    stale = cli("workflow", "edit", "w", "--expect", "9")
    assert (stale.code, "It is at version 1 now." in stale.err) == (4, True)

"""One word for preconditions, on every change, and what it may be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.expectation import Expectation, parse_expectation
from tests.api import chain
from tests.cli.conftest import Run

Write = Callable[..., Path]
HASH = "5df3e88041ddf948ba824b1a2607e6b66769bf9fa0b6fd3cfa8f461f45342912"


@pytest.mark.parametrize(
    ("text", "expectation"),
    [
        ("3", Expectation(version=3)),
        ("12345678", Expectation(version=12345678)),
        ("absent", Expectation(is_absent=True)),
        (HASH[:8], Expectation(digits=HASH[:8])),
        (f"blake3:{HASH}", Expectation(digits=HASH)),
    ],
)
def test_a_version_a_hash_or_nothing_is_expected(text: str, expectation: Expectation) -> None:
    assert parse_expectation(text) == expectation


@pytest.mark.parametrize("text", ["", "0", "-1", "x", HASH[:6], f"{HASH}0", "blake3:"])
def test_anything_else_is_wrong_usage(run: Run, text: str) -> None:
    done = run("tag", "undo", "w", f"--expect={text}")
    assert (done.code, "is none of: a version of the tag" in done.err) == (2, True), done.err


#: Every change of one tag, on a tag that is at version 3 and has a branch.
CHANGES = [
    ("tag", "move", "w", "side"),
    ("tag", "undo", "w"),
    ("tag", "redo", "w"),
    ("tag", "delete", "w"),
    ("workflow", "create", "w", "new.json"),
    ("workflow", "patch", "w", "patch.json"),
    ("workflow", "merge", "w", "side"),
    ("workflow", "cherry-pick", "w", "side"),
    ("workflow", "revert", "w", "w"),
    ("workflow", "compact", "w", "--move"),
    ("workflow", "delete", "w"),
    ("workflow", "import", "new.json", "--tag", "w"),
    ("artifact", "push", "new.json", "--kind", "model", "--tag", "w"),
]


@pytest.fixture
def tagged(cli: Run, write: Write) -> dict[str, Any]:
    for name in ("base", "new", "again"):
        write(f"{name}.json", chain(name, "end"))
    write("patch.json", [{"op": "add", "path": "/metadata", "value": {"x": 1}}])
    write("side.json", [{"op": "add", "path": "/nodes/1/timeout_ms", "value": 5}])
    cli("workflow", "create", "w", "base.json")
    cli("workflow", "branch", "side", "w")
    cli("workflow", "patch", "side", "side.json")
    cli("workflow", "create", "w", "new.json")
    cli("workflow", "create", "w", "again.json")
    found: dict[str, Any] = cli("tag", "show", "w", "-o", "json").json()
    assert found["version"] == 3
    return found


@pytest.mark.parametrize("command", CHANGES, ids=lambda command: " ".join(command[:2]))
def test_every_change_is_refused_unless_the_tag_is_as_expected(
    cli: Run, tagged: dict[str, Any], command: tuple[str, ...]
) -> None:
    for stale in ("2", "deadbeef"):
        refused = cli(*command, "--expect", stale)
        assert refused.code == 4, refused.err
        assert "at version 3" in refused.err
    assert cli("tag", "show", "w", "-o", "json").json() == tagged
    others = ("--message", "Because")
    done = cli(*command, "--expect", tagged["version_hash"][:15], *others)
    # Nothing was undone before, and there are no patches to squash.
    assert done.code == (4 if command[1] in {"redo", "compact"} else 0), done.err
    if done.code == 0:
        (move,) = cli("tag", "history", "w", "--limit", "1", "-o", "json").json()["items"]
        assert move["message"] == "Because"


def test_absent_is_for_what_creates(cli: Run, tagged: dict[str, Any]) -> None:
    for command in CHANGES:
        done = cli(*command, "--expect", "absent")
        creates = command[1] in {"create", "import", "push", "move"}
        assert done.code == (4 if creates else 2), (command, done.err)
    for command in (
        ("workflow", "create", "new1", "new.json"),
        ("workflow", "import", "new.json", "--tag", "new2"),
        ("artifact", "push", "new.json", "--kind", "model", "--tag", "new3"),
        ("tag", "move", "new4", "side"),
    ):
        assert cli(*command, "--expect", "absent").code == 0


def test_several_tags_are_expected_by_name(cli: Run, tagged: dict[str, Any], write: Write) -> None:
    released = cli("release", "w", "side", "--to", "prod", "-o", "json")
    made = released.json()["transaction_id"]
    file = write("t.json", [{"op": "undo", "tag": "w"}, {"op": "delete", "tag": "side"}])
    for command, tag in (
        (("release", "w", "--to", "prod"), "prod/w"),
        (("transaction", "revert", made), "prod/w"),
        (("transaction", "apply", file), "side"),
    ):
        assert cli(*command, "--expect", f"{tag}=9").code == 4
        assert cli(*command, "--expect", "nobody=1").code in {2, 6}
        assert cli(*command, "--expect", tag).code == 2
        assert cli(*command, "--expect", f"{tag}=1", "--expect", f"{tag}=1").code == 2
    assert cli("transaction", "revert", made, "--expect", "prod/w=1", "-m", "Back").code == 0

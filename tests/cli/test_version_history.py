"""`orchestrator workflow …` that looks back: diff, log, show, lineage, against a real server."""

import json
import re
from typing import Any

import pytest

from orchestrator.cli.limits import Limits
from tests.api import chain
from tests.cli.conftest import Run, Terminal
from tests.cli.test_version import (
    Write,
    add_node,
    branched,
    document,
    merge_both,
    patch,
    timeout,
)

#: What the colours of a terminal begin with.
GREEN, RED, YELLOW = "\x1b[32m", "\x1b[31m", "\x1b[33m"


def short(version: dict[str, Any]) -> str:
    return str(version["version_hash"]).removeprefix("blake3:")[:12]


@pytest.fixture
def base(cli: Run, write: Write) -> dict[str, Any]:
    return branched(cli, write)


def test_a_diff_begins_at_what_the_tag_named_before(cli: Run, base: dict[str, Any]) -> None:
    nothing = cli("workflow", "diff", "main")
    assert (nothing.code, nothing.out) == (1, "")
    assert "first version" in nothing.err
    patch(cli, "main", timeout(5))
    patch(cli, "main", *add_node("c", "b"))
    assert cli("workflow", "diff", "main").out == "+ node c (task)\n+ edge b → c\n"
    for before in ("side", "main@1", base["version_hash"], base["artifact_id"]):
        done = cli("workflow", "diff", before, "main")
        assert done.out == "+ node c (task)\n~ node a\n    + /timeout_ms: 5\n+ edge b → c\n"
    assert cli("workflow", "diff", "main", "side").out.startswith("- node c")
    assert cli("workflow", "diff", "side", "main@1").out == ""


def test_the_patch_of_a_diff_makes_the_one_of_the_other(cli: Run, base: dict[str, Any]) -> None:
    patch(cli, "main", timeout(5), *add_node("c", "b"))
    operations = cli("workflow", "diff", "side", "main", "--patch").stdout
    assert cli("workflow", "patch", "side", "-", stdin=operations).code == 0
    assert document(cli, "side") == document(cli, "main")
    whole = cli("workflow", "diff", "main@1", "main", "--output", "json").json()
    assert whole["patch"] == json.loads(operations)


def test_a_diff_has_colours_on_a_terminal_only(
    cli: Run, base: dict[str, Any], terminal: Terminal
) -> None:
    patch(cli, "main", timeout(5))
    patch(cli, "main", timeout(6))
    plain = "~ node a\n    - /timeout_ms: 5\n    + /timeout_ms: 6\n"
    assert cli("workflow", "diff", "main").out == plain
    _, seen = terminal("workflow", "diff", "main")
    assert all(colour in seen for colour in (GREEN, RED, YELLOW))
    assert terminal("workflow", "diff", "main", NO_COLOR="1") == (0, plain)
    assert terminal("workflow", "diff", "main", TERM="dumb") == (0, plain)


def test_the_log_is_the_chain_newest_first(cli: Run, base: dict[str, Any]) -> None:
    first = patch(cli, "main", timeout(5), message="First")
    second = patch(cli, "main", timeout(6), timeout(7, 1), message="Second\nline")
    header, *lines = cli("workflow", "log", "main").out.splitlines()
    assert header.split() == ["version", "seq", "by", "at", "operations", "message"]
    assert [line.split()[:3] for line in lines] == [
        [short(second), "2", "admin"],
        [short(first), "1", "admin"],
        [short(base), "0", "admin"],
    ]
    assert lines[0].endswith("  2  Second\\nline")
    full = cli("workflow", "log", "main", "--full", "--limit", "1").out.splitlines()
    assert full[1].startswith(second["version_hash"])
    assert len(full) == 2
    items = cli("workflow", "log", "main", "--output", "json").json()["items"]
    assert [item["seq"] for item in items] == [2, 1, 0]


def test_a_graph_draws_merges(cli: Run, base: dict[str, Any]) -> None:
    merge_both(cli)
    lines = cli("workflow", "log", "main", "--graph").out.splitlines()
    rails = [re.sub(r" ?[0-9a-f]{12}  .*", "", line) for line in lines]
    assert rails == ["*", "|\\", "| *", "* |", "|/", "*"]
    assert [line.split("  ")[-1] for line in lines if "*" in line] == [
        "both",
        "theirs",
        "ours",
        "whole workflow",
    ]
    assert cli("workflow", "log", "main", "--graph", "--limit", "1").out.splitlines() == lines[:2]


def test_a_graph_goes_on_below_revisions_and_compactions(
    cli: Run, base: dict[str, Any], write: Write
) -> None:
    patch(cli, "main", timeout(5))
    assert cli("workflow", "compact", "main", "--move").code == 0
    cli("workflow", "create", "main", write("new.json", chain("x", "y")))
    ends = [
        line.split("  ")[-1] for line in cli("workflow", "log", "main", "--graph").out.splitlines()
    ]
    assert ends == ["whole workflow", "compaction", "1 operation", "whole workflow"]
    assert len(cli("workflow", "log", "main").out.splitlines()) == 2


def test_picks_and_reverts_are_notes_in_a_graph(cli: Run, base: dict[str, Any]) -> None:
    picked = patch(cli, "side", *add_node("c", "b"))
    ours = patch(cli, "main", timeout(5))
    cli("workflow", "cherry-pick", "main", "side", "--message", "Pick")
    cli("workflow", "revert", "main", "--seq", "1")
    lines = cli("workflow", "log", "main", "--graph").out.splitlines()
    assert [line[:2] for line in lines] == ["* "] * 4
    assert lines[0].endswith(f"  1 operation  (revert of {short(ours)})")
    assert lines[1].endswith(f"  2 operations  Pick  (cherry-pick of {short(picked)})")


def test_programs_can_read_the_graph(cli: Run, base: dict[str, Any]) -> None:
    merge_both(cli)
    items = cli("workflow", "log", "main", "--graph", "--output", "json").json()["items"]
    assert [len(item["parents"]) for item in items] == [2, 1, 1, 0]
    assert items[0]["parents"] == [items[2]["artifact_id"], items[1]["artifact_id"]]


def test_a_graph_says_when_it_is_not_all(cli: Run, base: dict[str, Any]) -> None:
    for milliseconds in (5, 6):
        patch(cli, "main", timeout(milliseconds))
    one_step = Limits(lineage_depth_max=1)
    lines = cli("workflow", "log", "main", "--graph", limits=one_step).out.splitlines()
    assert len(lines) == 3
    assert lines[-1] == "What is more than 1 steps back is not shown."


def test_a_position_of_the_chain_is_shown(cli: Run, base: dict[str, Any]) -> None:
    patch(cli, "main", timeout(5))
    shown = cli("workflow", "show", "main", "0")
    assert "kind          dag_version" in shown.out
    assert json.loads(shown.out.partition("\n\n")[2]) == chain("a", "b")
    assert cli("workflow", "show", "main", "1", "--document").out == json.dumps(
        document(cli, "main"), sort_keys=True, separators=(",", ":")
    )
    assert cli("workflow", "show", "main", "1", "--output", "json").json()["seq"] == 1
    assert cli("workflow", "show", "main", "9").code == 3


def test_lineage_goes_up_and_down(cli: Run, base: dict[str, Any]) -> None:
    head = patch(cli, "main", timeout(5))
    rows = {
        ("main", "parent"): base["artifact_id"],
        ("main@1", "child"): head["artifact_id"],
        (head["artifact_id"], "parent"): base["artifact_id"],
    }
    for (name, farther), farther_id in rows.items():
        direction = "up" if farther == "parent" else "down"
        header, row = cli("workflow", "lineage", name, "--direction", direction).out.splitlines()
        assert f"{farther} id" in header
        assert row.split()[:5] == ["1", short(head), "patch_of", short(base), farther_id]


def test_lineage_stops_after_so_many_steps(cli: Run, base: dict[str, Any]) -> None:
    for milliseconds in (5, 6, 7):
        patch(cli, "main", timeout(milliseconds))
    for depth in (1, 2):
        page = cli("workflow", "lineage", "main", "--depth", depth, "--output", "json").json()
        assert [edge["distance"] for edge in page["items"]] == list(range(1, depth + 1))
    assert cli("workflow", "lineage", "main", "--depth", "0").code == 2
    assert cli("workflow", "lineage", "nobody").code == 3


def test_blame_and_the_log_of_a_node_say_who_changed_it(cli: Run, base: dict[str, Any]) -> None:
    patch(cli, "main", timeout(5))
    head = cli("workflow", "get", "main", "--output", "json").json()
    blamed = cli("workflow", "blame", "main", "--output", "json").json()
    assert blamed["nodes"]["a"]["version_hash"] == head["version_hash"]
    others = {each["version_hash"] for id_, each in blamed["nodes"].items() if id_ != "a"}
    assert others == {base["version_hash"]}
    table = cli("workflow", "blame", "main").out
    assert re.search(rf"^node +a +{short(head)} +admin", table, re.MULTILINE)
    log = cli("workflow", "log", "main", "a").out.splitlines()[1:]
    assert [line.split()[:2] for line in log] == [
        ["changed", short(head)],
        ["added", short(base)],
    ]
    assert cli("workflow", "log", "main", "nobody").code == 3
    assert cli("workflow", "log", "main", "a", "--graph").code == 2

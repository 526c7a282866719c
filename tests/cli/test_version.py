"""`orchestrator workflow …` that makes versions from versions, against a real server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api import chain
from tests.cli.conftest import Run
from tests.warm.client import Result

CYCLE = [{"from": each[0], "to": each[1]} for each in ("ab", "bc", "ca")]

Write = Callable[..., Path]
Operation = dict[str, Any]


def timeout(milliseconds: int, node: int = 0) -> Operation:
    return {"op": "add", "path": f"/nodes/{node}/timeout_ms", "value": milliseconds}


def add_node(id_: str, after: str) -> list[Operation]:
    return [
        {"op": "add", "path": "/nodes/-", "value": {"id": id_, "type": "task"}},
        {"op": "add", "path": "/edges/-", "value": {"from": after, "to": id_}},
    ]


def patch(cli: Run, tag: str, *operations: Operation, **options: str) -> dict[str, Any]:
    given = [f"--{name}={value}" for name, value in options.items()]
    content = json.dumps(operations).encode()
    done = cli("workflow", "patch", tag, "-", *given, "--output", "json", stdin=content)
    made: dict[str, Any] = done.json()
    return made


def document(cli: Run, tag: str) -> Any:
    return json.loads(cli("workflow", "get", tag, "--document").out)


def branched(cli: Run, write: Write) -> dict[str, Any]:
    """main, at a → b, and a branch of it, side."""
    file = write("main.json", chain("a", "b"))
    made: dict[str, Any] = cli("workflow", "create", "main", file, "--output", "json").json()
    assert cli("workflow", "branch", "side", "main").code == 0
    return made


def merge_both(cli: Run) -> None:
    """Both changed something, and main has it all."""
    patch(cli, "main", timeout(5), message="ours")
    patch(cli, "side", *add_node("c", "b"), message="theirs")
    assert cli("workflow", "merge", "main", "side", "--message", "both").code == 0


@pytest.fixture
def base(cli: Run, write: Write) -> dict[str, Any]:
    return branched(cli, write)


@pytest.fixture
def conflict(cli: Run, base: dict[str, Any]) -> None:
    """Both changed the same timeout."""
    patch(cli, "main", timeout(5), timeout(1, 1))
    patch(cli, "side", timeout(7), timeout(2, 1))


# ------------------------------------------------------------------------------------- patching


def test_a_patch_changes_what_the_tag_names(cli: Run, base: dict[str, Any], write: Write) -> None:
    file = write("p.json", [timeout(5)])
    done = cli("workflow", "patch", "main", file, "--message", "Wait & see")
    assert done.code == 0, done.err
    assert {"action        moved", "op count      1", "message       Wait & see"} <= {
        *done.out.splitlines()
    }
    assert document(cli, "main")["nodes"][0]["timeout_ms"] == 5


def test_a_merge_patch_is_asked_for(cli: Run, base: dict[str, Any]) -> None:
    content = b'{"metadata": {"owner": "ann"}}'
    refused = cli("workflow", "patch", "main", "-", stdin=content)
    assert refused.code == 2
    assert "--merge-patch" in refused.err
    assert cli("workflow", "patch", "main", "-", "--merge-patch", stdin=content).code == 0
    assert document(cli, "main")["metadata"] == {"owner": "ann"}


def test_a_patch_for_an_older_version_is_merged(cli: Run, base: dict[str, Any]) -> None:
    patch(cli, "main", timeout(5))
    for node, code in ((1, 0), (0, 4)):
        content = json.dumps([timeout(7, node)]).encode()
        options = ("--expect", "1", "--on-conflict", "merge")
        done = cli("workflow", "patch", "main", "-", *options, stdin=content)
        assert done.code == code, done.err
    assert "/nodes/a/timeout_ms: Both sides" in done.err
    assert "--prefer" not in done.err
    assert [node["timeout_ms"] for node in document(cli, "main")["nodes"]] == [5, 7]


def test_a_patch_can_demand_the_version_it_is_for(cli: Run, base: dict[str, Any]) -> None:
    first = patch(cli, "main", timeout(5), expect=base["version_hash"])
    content = json.dumps([timeout(6)]).encode()
    stale = cli(
        *("workflow", "patch", "main", "-", "--expect", base["version_hash"]), stdin=content
    )
    assert stale.code == 4
    assert stale.err.endswith(", at version 2.\n")
    assert patch(cli, "main", timeout(6), expect=first["version_hash"][:15])["depth"] == 2


def test_a_patch_that_cannot_be_applied_names_its_operation(
    cli: Run, base: dict[str, Any], write: Write
) -> None:
    file = write("p.json", [timeout(5), {"op": "remove", "path": "/nodes/7"}])
    done = cli("workflow", "patch", "main", file)
    assert done.code == 6
    assert done.err.startswith("error: Operation 1 (remove")
    assert cli("workflow", "patch", "main", write("q.json", b"[,]")).err.startswith("error: q.json")


# --------------------------------------------------------------------------------------- merging


def test_a_merge_says_what_it_was(cli: Run, base: dict[str, Any]) -> None:
    merge_both(cli)
    assert document(cli, "main")["nodes"][0]["timeout_ms"] == 5
    again = cli("workflow", "merge", "main", "side")
    assert (again.code, again.out) == (0, "Already up to date: main has all of side.\n")
    forward = cli("workflow", "merge", "side", "main")
    assert forward.out.startswith("Fast-forward: main has all of side.\nnamespace")
    assert document(cli, "side") == document(cli, "main")


def test_a_dry_run_shows_the_merge_and_stores_nothing(cli: Run, base: dict[str, Any]) -> None:
    patch(cli, "main", timeout(5))
    patch(cli, "side", *add_node("c", "b"))
    before = document(cli, "main")
    done = cli("workflow", "merge", "main", "side", "--dry-run")
    assert done.out == (
        "Merge: main and side both have changes.\n"
        "This is a dry run: nothing is stored.\n"
        "+ node c (task)\n"
        "+ edge b → c\n"
    )
    assert document(cli, "main") == before


def test_every_conflict_is_shown_with_all_three_sides(cli: Run, conflict: None) -> None:
    for arguments in (("main", "side"), ("main", "side", "--dry-run")):
        done = cli("workflow", "merge", *arguments)
        assert (done.code, done.out) == (4, "")
        assert done.err == (
            "error: 2 places cannot be merged; settle them, or say whom to prefer.\n"
            "  /nodes/a/timeout_ms: Both sides added this, and not the same.\n"
            "    base    (nothing)\n"
            "    ours    5\n"
            "    theirs  7\n"
            "  /nodes/b/timeout_ms: Both sides added this, and not the same.\n"
            "    base    (nothing)\n"
            "    ours    1\n"
            "    theirs  2\n"
            "  Settle all of them with --prefer ours or --prefer theirs,\n"
            '  or one by one with --resolve POINTER=ours, =theirs or ={"value": ...}.\n'
        )


def test_programs_can_read_the_conflicts(cli: Run, conflict: None) -> None:
    done = cli("workflow", "merge", "main", "side", "--output", "json")
    assert done.code == 4
    assert [each["ours"]["value"] for each in json.loads(done.err)["conflicts"]] == [5, 1]


def test_a_long_value_of_a_conflict_is_cut(cli: Run, base: dict[str, Any]) -> None:
    for tag, letter in (("main", "x"), ("side", "y")):
        patch(cli, tag, {"op": "add", "path": "/metadata", "value": {"note": letter * 200}})
    lines = cli("workflow", "merge", "main", "side").err.splitlines()
    assert f'    ours    "{"x" * 78}…' in lines


def test_a_preferred_side_settles_the_conflicts(cli: Run, conflict: None) -> None:
    kept = cli("workflow", "merge", "main", "side", "--prefer", "ours")
    assert kept.out.startswith(
        "Merge: main and side both have changes.\n"
        "Settled: /nodes/a/timeout_ms\n"
        "Settled: /nodes/b/timeout_ms\n"
    )
    assert [node["timeout_ms"] for node in document(cli, "main")["nodes"]] == [5, 1]


def test_the_other_side_can_be_preferred(cli: Run, conflict: None) -> None:
    taken = cli("workflow", "merge", "main", "side", "--prefer", "theirs")
    assert taken.code == 0
    assert [node["timeout_ms"] for node in document(cli, "main")["nodes"]] == [7, 2]
    assert cli("workflow", "merge", "main", "side", "--prefer", "mine").code == 2


def test_conflicts_are_settled_one_by_one(cli: Run, conflict: None) -> None:
    options = ("--resolve", "/nodes/a/timeout_ms=theirs")
    left = cli("workflow", "merge", "main", "side", *options)
    assert left.code == 4
    assert "/nodes/a/timeout_ms" not in left.err
    assert "or one by one with --resolve POINTER=ours" in left.err
    both = (*options, "--resolve", '/nodes/b/timeout_ms={"value": 6}')
    done = cli("workflow", "merge", "main", "side", *both)
    assert done.code == 0, done.err
    assert [node["timeout_ms"] for node in document(cli, "main")["nodes"]] == [7, 6]


def test_a_resolution_that_settles_nothing_is_refused(cli: Run, conflict: None) -> None:
    for text, code, message in (
        ("/x=ours", 6, "There is no conflict at '/x' to settle."),
        ("/x", 2, "'/x' settles nothing."),
        ("/x={oops", 6, "--resolve: "),
    ):
        done = cli("workflow", "merge", "main", "side", "--resolve", text)
        assert done.code == code
        assert message in done.err, done.err


def test_the_list_of_conflicts_says_that_it_ends(cli: Run, base: dict[str, Any]) -> None:
    for tag, value in (("main", 1), ("side", 2)):
        members = {f"k{number}": value for number in range(120)} | {"long": str(value) * 5_000}
        patch(cli, tag, {"op": "add", "path": "/metadata", "value": members})
    lines = cli("workflow", "merge", "main", "side").err.splitlines()
    assert "    ours    1" in lines
    assert "  There are 21 more." in lines


def test_versions_without_a_common_history_need_a_base(cli: Run, write: Write) -> None:
    for tag, ids in (("one", ("a",)), ("two", ("a", "q"))):
        cli("workflow", "create", tag, write("w.json", chain(*ids)))
    refused = cli("workflow", "merge", "one", "two")
    assert refused.code == 4
    assert "common" in refused.err
    named = cli("workflow", "merge", "one", "two", "--base", "one", "--output", "json").json()
    assert named["outcome"] == "merged"


def test_exit_codes_are_those_of_the_process(
    cli: Run, conflict: None, shell: Callable[[str], Result]
) -> None:
    assert shell("orchestrator workflow merge main side").code == 4
    assert shell("orchestrator workflow merge main side --prefer mine").code == 2
    assert shell("orchestrator workflow merge main side --prefer theirs").code == 0


# ---------------------------------------------------------- branches, picks, reverts, compactions


def test_a_branch_is_not_made_over_a_tag(cli: Run, base: dict[str, Any]) -> None:
    patch(cli, "main", timeout(5))
    made = cli("workflow", "branch", "old", "main@1", "--message", "Before", "--output", "json")
    assert made.json()["artifact_id"] == base["artifact_id"]
    taken = cli("workflow", "branch", "old", "main")
    assert taken.code == 4
    assert taken.err.startswith("error: The name 'old' is taken.\n")
    assert cli("workflow", "branch", "new", "nobody").code == 3


def test_one_change_of_another_chain_is_made_here(cli: Run, base: dict[str, Any]) -> None:
    patch(cli, "side", timeout(7))
    patch(cli, "side", *add_node("c", "b"))
    done = cli("workflow", "cherry-pick", "main", "side", "--message", "Only this")
    assert done.code == 0, done.err
    assert document(cli, "main") == chain("a", "b", "c")
    assert "unchanged" in cli("workflow", "cherry-pick", "main", "side").out


def test_a_pick_that_conflicts_can_be_settled(cli: Run, conflict: None) -> None:
    assert "    theirs  7\n" in cli("workflow", "cherry-pick", "main", "side").err
    assert cli("workflow", "cherry-pick", "main", "side", "--prefer", "theirs").code == 0
    assert document(cli, "main") == document(cli, "side")


@pytest.mark.parametrize("version", [("--seq", "1"), ("main@2",), ("@2",)])
def test_a_change_in_the_middle_is_taken_back(
    cli: Run, base: dict[str, Any], version: tuple[str, ...]
) -> None:
    patch(cli, "main", timeout(5))
    patch(cli, "main", *add_node("c", "b"))
    assert cli("workflow", "revert", "main", *version, "--message", "Too slow").code == 0
    assert document(cli, "main") == chain("a", "b", "c")


def test_a_revert_names_one_version(cli: Run, conflict: None) -> None:
    for arguments in ((), ("main", "--seq", "1")):
        assert cli("workflow", "revert", "main", *arguments).code == 2
    patch(cli, "main", timeout(6))
    assert "    ours    6\n" in cli("workflow", "revert", "main", "--seq", "1").err


def test_a_compaction_leaves_the_tag_unless_asked(cli: Run, base: dict[str, Any]) -> None:
    refused = cli("workflow", "compact", "main")
    assert (refused.code, refused.out) == (4, "")
    head = patch(cli, "main", timeout(5))
    left = cli("workflow", "compact", "main", "--output", "json").json()
    assert (left["moved"], left["version_hash"]) == (False, head["version_hash"])
    moved = cli("workflow", "compact", "main", "--move", "--message", "Afresh")
    assert "original depth  1" in moved.out
    assert cli("tag", "show", "main", "--output", "json").json()["message"] == "Afresh"


def test_nodes_and_edges_are_named_by_what_they_are_on_request(
    cli: Run, base: dict[str, Any]
) -> None:
    operations: list[Operation] = [
        {"op": "add", "path": "/nodes/b/timeout_ms", "value": 7},
        {"op": "add", "path": "/edges/a->b/label", "value": "next"},
    ]
    content = json.dumps(operations).encode()
    assert cli("workflow", "patch", "main", "-", "--by-id", stdin=content).code == 0
    shown = cli("workflow", "diff", "main", "--patch", "--by-id")
    assert [each["path"] for each in json.loads(shown.out)] == [each["path"] for each in operations]
    merged = cli("workflow", "merge", "side", "main", "--by-id")
    assert (merged.code, document(cli, "side")) == (0, document(cli, "main"))


def test_whatever_takes_or_gives_pointers_names_by_id_on_request(
    cli: Run, base: dict[str, Any], write: Write
) -> None:
    """An edge on either side; with both there is a cycle."""
    for tag, edge in (("main", {"from": "b", "to": "c"}), ("side", {"from": "c", "to": "a"})):
        patch(cli, tag, {"op": "add", "path": "/nodes/-", "value": {"id": "c", "type": "task"}})
        operation = {"op": "add", "path": "/edges/{}->{}".format(*edge.values()), "value": edge}
        file = write("apply.json", [{"op": "patch", "tag": tag, "patch": [operation]}])
        done = cli("transaction", "apply", file, "--by-id")
        assert done.code == 0, done.err
    patch(cli, "main", {"op": "remove", "path": "/edges/1"})
    patch(cli, "main", {"op": "add", "path": "/edges/-", "value": {"from": "c", "to": "a"}})
    both = write("both.json", {**document(cli, "main"), "edges": CYCLE})
    for words in (
        ("cherry-pick", "main", "main@3"),
        ("revert", "main", "main@4"),
        ("create", "main", both),
        ("validate", both),
    ):
        refused = cli("workflow", *words, "--by-id")
        assert (refused.code, "/edges/c->a" in refused.err) == (6, True), refused.err

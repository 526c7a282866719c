"""`orchestrator tag …` against a real server."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api import chain
from tests.cli.conftest import Run

Versions = dict[str, dict[str, str]]


@pytest.fixture
def versions(cli: Run, write: Callable[..., Path]) -> Versions:
    """Two workflows, by tag."""
    made = {}
    for name in ("one", "two"):
        file = write(f"{name}.json", chain(name))
        made[name] = cli("workflow", "create", name, file, "--output", "json").json()
    return made


def named(cli: Run, tag: str, *options: str) -> str:
    shown = cli("tag", "show", tag, *options, "--output", "json").json()
    return str(shown["artifact_id"])


def test_a_tag_is_moved_to_an_artifact_a_tag_or_a_version_hash(
    cli: Run, versions: Versions
) -> None:
    one, two = versions["one"], versions["two"]
    assert cli("tag", "move", "one", two["artifact_id"]).code == 0
    assert named(cli, "one") == two["artifact_id"]
    assert cli("tag", "move", "one", one["version_hash"]).code == 0
    assert named(cli, "one") == one["artifact_id"]
    moved = cli("tag", "move", "one", "two", "--message", "Roll out", "--expect", "3")
    assert "moved" in moved.out
    assert "Roll out" in moved.out
    assert named(cli, "one") == two["artifact_id"]
    assert "unchanged" in cli("tag", "move", "one", "two").out


def test_a_tag_is_created_only_when_asked(cli: Run, versions: Versions) -> None:
    refused = cli("tag", "move", "new", "one")
    assert (refused.code, refused.err) == (3, "error: The tag 'new' does not exist.\n")
    assert "created" in cli("tag", "move", "new", "one", "--create").out
    assert "moved" in cli("tag", "move", "new", "two", "--create").out
    both = cli("tag", "move", "new", "one", "--create", "--expect", "2")
    assert both.code == 2


def test_a_target_that_does_not_exist_is_named(cli: Run, versions: Versions) -> None:
    nothing = "blake3:" + "0" * 64
    assert (
        cli("tag", "move", "one", nothing).err
        == f"error: The version {nothing!r} does not exist.\n"
    )
    assert cli("tag", "move", "one", "nobody").err == "error: The tag 'nobody' does not exist.\n"
    none = cli("tag", "move", "one", "one@9").err
    assert none == "error: The version 'one@9' does not exist.\n"
    none = cli("workflow", "get", "one@9").err
    assert none == "error: The workflow 'one@9' does not exist.\n"
    assert cli("tag", "move", "one", "sha1:00").code == 6


def test_a_stale_move_says_where_the_tag_is(cli: Run, versions: Versions) -> None:
    done = cli("tag", "move", "one", "two", "--expect", "7")
    assert done.code == 4
    assert done.err.endswith("  It is at version 1 now.\n")


def test_moves_are_undone_redone_and_remembered(cli: Run, versions: Versions) -> None:
    cli("tag", "move", "one", "two")
    undone = cli("tag", "undo", "one", "--message", "Roll back", "--expect", "2")
    assert "undone" in undone.out
    assert named(cli, "one") == versions["one"]["artifact_id"]
    assert "redone" in cli("tag", "redo", "one").out
    assert cli("tag", "redo", "one").code == 4
    moves = cli("tag", "history", "one", "--output", "json").json()["items"]
    assert [(move["seq"], move["action"]) for move in moves] == [
        (4, "redo"),
        (3, "undo"),
        (2, "move"),
        (1, "create"),
    ]
    lines = cli("tag", "history", "one", "--limit", "2").out.splitlines()
    assert [line.split()[0] for line in lines] == ["version", "4", "3"]


def test_a_tag_is_shown_as_it_was(cli: Run, versions: Versions) -> None:
    cli("tag", "move", "one", "two")
    assert named(cli, "one", "--version", "1") == versions["one"]["artifact_id"]
    assert cli("tag", "show", "one", "--version", "9").code == 3


def test_tags_are_listed_by_name(cli: Run, versions: Versions) -> None:
    lines = cli("tag", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["name", "one", "two"]
    listed = cli("tag", "list", "--limit", "1", "--output", "json").json()
    assert [item["name"] for item in listed["items"]] == ["one"]


def test_a_deleted_tag_keeps_its_history(cli: Run, versions: Versions) -> None:
    assert cli("tag", "delete", "one", "--expect", "5").code == 4
    assert cli("tag", "delete", "one", "--output", "json").json()["action"] == "delete"
    assert cli("tag", "show", "one").code == 3
    assert "delete" in cli("tag", "history", "one").out


def test_names_are_sent_whole(cli: Run, versions: Versions) -> None:
    for name in ("release/v1.0", "a.b_c-d/e"):
        assert cli("tag", "move", name, "one", "--create").code == 0
        assert named(cli, name) == versions["one"]["artifact_id"]
    for name in ("a b", "é?x=1#y", "%2F", "a/../b"):
        refused = cli("tag", "move", name, "one", "--create")
        assert refused.code == 6
        assert "The tag must be" in refused.err


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_change_the_address_is_not_sent(cli: Run, name: str) -> None:
    done = cli("tag", "delete", name)
    assert (done.code, done.err) == (6, f"error: {name!r} is not a name.\n")


def test_tags_and_moves_are_listed_by_what_is_asked(cli: Run, versions: Versions) -> None:
    cli("tag", "move", "release/1", "one", "--create", "--message", "First")
    cli("tag", "move", "release/1", "two", "--message", "Second")
    cli("tag", "delete", "one")

    def found(*command: str) -> list[tuple[str, int]]:
        items = cli(*command, "--output", "json").json()["items"]
        return [(each["name"], each["version"]) for each in items]

    assert found("tag", "list", "--prefix", "release/") == [("release/1", 2)]
    assert found("tag", "list", "--deleted") == [("one", 2)]
    assert found("tag", "list", "--at", "-7d") == []
    assert found("tag", "list", "--since", "-2h", "--kind", "dag_version", "--limit", "1") == [
        ("release/1", 2)
    ]
    assert found("moves", "--prefix", "release/", "--since", "-2h") == [
        ("release/1", 2),
        ("release/1", 1),
    ]
    assert found("moves", "--moved-by", "nobody") == []
    assert found("moves", "--until", "-2h") == []
    assert found("moves", "--limit", "1") == [("one", 2)]
    shown = cli("moves", "--prefix", "release/").out
    assert shown.index("Second") < shown.index("First")
    listed = cli("workflow", "list", "--prefix", "t", "--output", "json").json()["items"]
    assert [each["tag"] for each in listed] == ["two"]
    assert cli("tag", "list", "--at", "soon").code == 6

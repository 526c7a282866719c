"""How answers and failures look: to people, to programs, and to scripts."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.api import chain
from tests.cli.conftest import Run, Terminal

Write = Callable[..., Path]


@pytest.fixture
def w(cli: Run, write: Write) -> dict[str, str]:
    made: dict[str, str] = cli(
        "workflow", "create", "team/w", write("w.json", chain("a")), "-m", "First", "-o", "json"
    ).json()
    return made


def test_yaml_says_what_json_says(cli: Run, w: dict[str, str]) -> None:
    for command in (
        ("workflow", "get", "team/w"),
        ("tag", "list"),
        ("moves",),
        ("workflow", "blame", "team/w"),
        ("workflow", "log", "team/w", "--graph"),
        ("whoami",),
        ("status",),
        ("api", "GET", "/tags"),
    ):
        shown = yaml.safe_load(cli(*command, "-o", "yaml").out)
        assert shown == cli(*command, "-o", "json").json()


def test_quiet_prints_what_names_each_thing(cli: Run, w: dict[str, str], write: Write) -> None:
    hash_ = w["version_hash"]
    for command, printed in (
        (("workflow", "create", "team/w", "w.json"), hash_),
        (("workflow", "get", "team/w"), hash_),
        (("workflow", "list"), "team/w"),
        (("tag", "list"), "team/w"),
        (("tag", "history", "team/w"), "team/w@1"),
        (("moves",), "team/w@1"),
        (("tag", "show", "team/w"), hash_),
        (("workflow", "export", "team/w", "--to", "out"), "out/team/w.json"),
        (("cas", "put", write("b", b"1")), None),
    ):
        done = cli(*command, "-q")
        assert (done.code, done.err) == (0, "")
        assert done.out == f"{printed}\n" or printed is None


def test_a_refusal_is_a_problem_document_on_standard_error(cli: Run, run: Run) -> None:
    for name, code, said in (
        ("nobody", 3, "The tag 'nobody' does not exist."),
        ("a b", 6, "The tag must be"),
    ):
        done = cli("tag", "show", name, "-o", "json")
        assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
        assert json.loads(done.err)["type"].startswith("urn:orchestrator:problem:")
        as_yaml = cli("tag", "show", name, "-o", "yaml")
        assert yaml.safe_load(as_yaml.err) == json.loads(done.err)
        assert said in json.loads(done.err)["detail"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("tag", "show"), 2),
        (("tag", "shwo", "x"), 2),
        (("tag", "show", "x", "--url"), 2),
        (("tag", "show", "x", "--url", "http://127.0.0.1:1", "--token", "t"), 7),
        (("workflow", "create", "x", "missing.json"), 1),
        (("workflow", "create", "x", "-"), 6),
    ],
)
def test_a_failure_of_our_own_is_a_problem_too(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int
) -> None:
    for done in (run(*arguments, "--output=json"), run("-o", "json", *arguments)):
        problem = json.loads(done.err)
        assert (done.code, problem["exit_code"], done.out) == (code, code, "")
        assert problem["type"].startswith("urn:orchestrator:command:")
    monkeypatch.setenv("ORCHESTRATOR_OUTPUT", "json")
    assert json.loads(run(*arguments).err) == problem


def test_times_are_as_asked_for(cli: Run, w: dict[str, str]) -> None:
    row = cli("tag", "list").out.splitlines()[1]
    assert "T" in row
    assert row.split()[4].endswith("Z")
    assert re.search(" ago| now", cli("tag", "list", "--time-format", "relative").out)
    local = cli("tag", "show", "team/w", "--time-format", "local").out
    assert "moved at      20" in local
    assert "Z" not in local.rpartition("moved at")[2]


@pytest.mark.slow
def test_a_terminal_shows_ages_and_short_hashes_that_commands_take(
    cli: Run, w: dict[str, str], terminal: Terminal
) -> None:
    _, seen = terminal("tag", "list", NO_COLOR="1")
    assert re.search(" ago| now", seen)
    short = w["version_hash"][7:19]
    assert f"  {short}  " in seen
    assert (
        cli("workflow", "get", short, "--document").out
        == cli("workflow", "get", "team/w", "--document").out
    )
    _, whole = terminal("tag", "list", "--full")
    assert w["version_hash"] in whole
    assert "team/w" in whole
    _, record = terminal("tag", "show", "team/w")
    assert w["version_hash"] in record
    assert " ago)" in record or "(now)" in record


def test_a_version_is_named_by_digits_wherever_one_is_meant(
    cli: Run, w: dict[str, str], write: Write
) -> None:
    cli("workflow", "create", "team/w", write("v.json", chain("a", "b")))
    digits = w["version_hash"][7:15]
    for command in (
        ("workflow", "get", digits),
        ("workflow", "get", f"blake3:{digits}"),
        ("workflow", "get", "team/w@1"),
        ("workflow", "get", w["artifact_id"]),
        ("workflow", "export", digits),
    ):
        assert '"id": "a"' in cli(*command).out
        assert '"id": "b"' not in cli(*command).out
    commands: tuple[tuple[str, ...], ...] = (
        ("workflow", "diff", digits, "team/w"),
        ("workflow", "lineage", digits),
        ("workflow", "branch", "b", digits),
        ("workflow", "merge", "team/w", digits),
        ("artifact", "show", digits),
        ("artifact", "annotate", digits, "-m", "x"),
        ("artifact", "push", "v.json", "--kind", "k", "--parent", digits),
        ("tag", "move", "team/w", digits),
    )
    for words in commands:
        done = cli(*words)
        assert done.code == 0, (words, done.err)
    assert cli("workflow", "get", "deadbeef").code == 3
    assert cli("workflow", "get", "team/w@x").code == 2
    assert cli("workflow", "get", "team/w@1", "--version", "1").code == 2

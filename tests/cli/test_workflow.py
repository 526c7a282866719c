"""`orchestrator workflow …` against a real server."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from blake3 import blake3

from orchestrator.cli.limits import Limits
from tests.api import chain
from tests.cli.conftest import Run, Terminal
from tests.warm.client import Result

Write = Callable[..., Path]

WFFORMAT: dict[str, Any] = {
    "name": "small",
    "schemaVersion": "1.5",
    "workflow": {
        "specification": {
            "tasks": [
                {"id": "a", "name": "a", "parents": [], "children": ["b"]},
                {"id": "b", "name": "b", "parents": ["a"], "children": []},
            ]
        }
    },
}


def test_a_workflow_is_created_and_looked_up(cli: Run, write: Write) -> None:
    made = cli("workflow", "create", "release/v1", write("w.json", chain("a", "b")))
    assert made.code == 0
    assert "created" in made.out
    found = cli("workflow", "get", "release/v1")
    assert "release/v1" in found.out
    assert '"from": "a"' in found.out


def test_a_message_and_an_expected_version_go_with_it(cli: Run, write: Write) -> None:
    file = write("w.json", chain("a"))
    cli("workflow", "create", "w", file)
    other = write("w2.json", chain("b"))
    done = cli(
        *("workflow", "create", "w", other, "--message", "Why", "--expect", "1"),
        *("--output", "json"),
    )
    assert done.json()["message"] == "Why"
    stale = cli("workflow", "create", "w", file, "--expect", "1")
    assert stale.code == 4
    assert stale.err == (
        "error: The tag 'w' is not at the expected version 1.\n  It is at version 2 now.\n"
    )


def test_a_workflow_is_read_from_standard_input(cli: Run) -> None:
    content = json.dumps(chain("a")).encode()
    assert cli("workflow", "create", "w", "-", stdin=content).code == 0
    assert cli("workflow", "get", "w", "--output", "json").json()["nodes_count"] == 1


def test_every_violation_is_shown_with_its_place(cli: Run, write: Write) -> None:
    broken = {**chain("a"), "edges": [{"from": "x", "to": "a"}, {"from": "a", "to": "y"}]}
    done = cli("workflow", "create", "w", write("w.json", broken))
    assert done.code == 6
    first, *rest = done.err.splitlines()
    assert first.startswith("error: The workflow breaks ")
    assert [line.split(":")[0] for line in rest] == [
        "  /workflow/edges/0/from",
        "  /workflow/edges/1/to",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b'{"nodes": [,]}', "line 1, column 12"), (b'{"a": 1, "a": 2}', "a"), (b"\xff", "UTF-8")],
)
def test_a_file_that_is_no_json_is_named(cli: Run, write: Write, content: bytes, said: str) -> None:
    done = cli("workflow", "create", "w", write("w.json", content))
    assert done.code == 6
    assert done.err.startswith("error: w.json: ")
    assert said in done.err
    done = cli("workflow", "create", "w", "-", stdin=content)
    assert done.err.startswith("error: standard input: ")


def test_a_file_that_cannot_be_read_is_named(cli: Run) -> None:
    done = cli("workflow", "create", "w", "missing.json")
    assert done.code == 1
    assert done.err == "error: missing.json cannot be read: No such file or directory.\n"


def test_the_document_is_printed_as_it_is_hashed(cli: Run, write: Write) -> None:
    cli("workflow", "create", "w", write("w.json", {**chain("a"), "metadata": {"name": "ä"}}))
    content = cli("workflow", "get", "w", "--document").stdout
    entry = cli("workflow", "get", "w", "--output", "json").json()
    assert f"blake3:{blake3(content).hexdigest()}" == entry["version_hash"]


def test_a_workflow_is_looked_up_as_it_was(cli: Run, write: Write) -> None:
    cli("workflow", "create", "w", write("1.json", chain("a")))
    moved_at = cli("workflow", "get", "w", "--output", "json").json()["moved_at"]
    cli("workflow", "create", "w", write("2.json", chain("a", "b")))
    for moment in (("--version", "1"), ("--at", moved_at)):
        old = cli("workflow", "get", "w", *moment, "--output", "json").json()
        assert (old["tag_version"], old["nodes_count"]) == (1, 1)
    both = cli("workflow", "get", "w", "--version", "1", "--at", moved_at)
    assert both.code == 2


def test_the_components_are_the_base_and_its_patches(
    cli: Run, write: Write, data_dir: Path, namespace: str
) -> None:
    cli("workflow", "create", "w", write("w.json", chain("a")))
    url = json.loads((data_dir / "server.json").read_text())["url"]
    token = (data_dir / "admin.token").read_text().strip()
    patched = httpx2.patch(
        f"{url}/api/v1/workflows/w",
        params={"namespace": namespace},
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json-patch+json"},
        content=b'[{"op":"add","path":"/nodes/0/name","value":"First"}]',
    )
    assert patched.is_success, patched.text
    shown = cli("workflow", "get", "w", "--components").out
    assert "\nbase\nartifact id" in shown
    assert "\npatch\nseq" in shown
    assert '"op": "add"' in shown
    parts = cli("workflow", "get", "w", "--components", "--output", "json").json()
    assert parts["base"]["workflow"] == chain("a")


def test_lists_go_through_all_pages(cli: Run, write: Write) -> None:
    pairs = Limits(page_items_max=2)
    file = write("w.json", chain("a"))
    for number in range(5):
        cli("workflow", "create", f"w{number}", file)
    everything = cli("workflow", "list", "--output", "json", limits=pairs).json()
    assert [item["tag"] for item in everything["items"]] == ["w0", "w1", "w2", "w3", "w4"]
    assert everything["next"] is None
    some = cli("workflow", "list", "--output", "json", "--limit", "3", limits=pairs).json()
    assert len(some["items"]) == 3
    assert some["next"] is not None
    lines = cli("workflow", "list").out.splitlines()
    assert lines[0].split() == [
        "tag",
        "version",
        "nodes",
        "edges",
        "version",
        "hash",
        "moved",
        "at",
    ]
    assert len(lines) == 6
    assert cli("workflow", "list", "--limit", "0").code == 2


def test_an_empty_list_is_a_header(cli: Run) -> None:
    assert cli("workflow", "list").out.startswith("tag")
    assert cli("workflow", "list", "--output", "json").json() == {"items": [], "next": None}


def test_a_deleted_workflow_is_gone(cli: Run, write: Write) -> None:
    cli("workflow", "create", "w", write("w.json", chain("a")))
    done = cli("workflow", "delete", "w")
    assert done.code == 0
    assert "deleted" in done.out
    gone = cli("workflow", "get", "w")
    assert (gone.code, gone.err) == (3, "error: The workflow 'w' does not exist.\n")


def test_an_import_says_what_became_of_each_file(cli: Run, write: Write) -> None:
    files = [write("in/small.json", WFFORMAT), write("plain.json", chain("a", "b"))]
    first = cli("workflow", "import", *files, "--prefix", "wf/")
    assert first.code == 0
    small, plain = first.out.splitlines()
    assert small.split()[:6] == ["wf/small", "created", "2", "nodes", "1", "edges"]
    assert plain.split()[:2] == ["wf/plain", "created"]
    again = cli("workflow", "import", *files, "--prefix", "wf/")
    assert again.out == first.out.replace("created  ", "unchanged")
    write("plain.json", chain("a", "c"))
    assert "moved" in cli("workflow", "import", *files, "--prefix", "wf/").out


def test_an_import_loses_nothing_of_a_wfformat_file(cli: Run, write: Write) -> None:
    made = cli(
        *("workflow", "import", write("small.json", WFFORMAT), "--tag", "other"),
        *("--message", "From outside", "--output", "json"),
    ).json()
    assert (made["tag"], made["message"]) == ("other", "From outside")
    workflow = cli("workflow", "get", "other", "--output", "json").json()["workflow"]
    assert workflow["edges"] == [{"from": "a", "to": "b"}]
    assert workflow["metadata"]["name"] == "small"


def test_a_file_that_fails_does_not_keep_the_others_from_being_imported(
    cli: Run, write: Write
) -> None:
    dangling = {"workflow": {"tasks": [{"name": "a", "parents": ["nobody"]}]}}
    files = [
        write("dangling.json", dangling),
        write("broken.json", b"{"),
        write("refused.json", {**chain("a"), "edges": [{"from": "a", "to": "b"}]}),
        Path("missing.json"),
        write("good.json", chain("a")),
    ]
    done = cli("workflow", "import", *files)
    assert done.code == 1
    assert done.out.split()[:2] == ["good", "created"]
    for file in files[:4]:
        assert f"error: {file}" in done.err
    names = ", ".join(map(str, files[:4]))
    assert done.err.endswith(f"error: 4 of 5 files were not imported: {names}\n")


@pytest.mark.parametrize(
    "arguments",
    [("a.json", "b.json", "--tag", "t"), ("a.json", "folder/a.json"), ("-",)],
)
def test_an_import_without_a_tag_for_each_file_does_nothing(
    cli: Run, arguments: tuple[str, ...]
) -> None:
    done = cli("workflow", "import", *arguments)
    assert (done.code, done.out) == (2, "")


def test_an_import_stops_when_the_server_is_gone(run: Run, write: Write) -> None:
    files = [write("a.json", chain("a")), write("b.json", chain("a"))]
    done = run("workflow", "import", *files, "--url", "http://127.0.0.1:1", "--token", "t")
    assert done.code == 7
    assert done.err.count("error: ") == 1


def test_the_document_can_be_hashed_in_a_pipe(shell: Callable[[str], Result], write: Write) -> None:
    write("w.json", chain("a"))
    done = shell(
        f"""
        orchestrator workflow import w.json
        orchestrator workflow get w --document | {sys.executable} -c '
import blake3, sys
print(blake3.blake3(sys.stdin.buffer.read()).hexdigest())'
        """
    )
    assert done.code == 0, done.err
    row, digest = done.out.splitlines()
    assert row.endswith(digest)


#: What a terminal obeys, or shows in another order, though no control character of ASCII is in it.
OBEYED = "\x9b31m \x85 \u202egpj.exe\u2066 \u200f \U000e0041"


def test_text_of_a_document_is_the_same_after_a_terminal_escaped_it(
    cli: Run, write: Write, terminal: Terminal
) -> None:
    document = {**chain("a"), "metadata": {"name": OBEYED, "é 日本 🎉": OBEYED}}
    cli("workflow", "create", "w", write("w.json", document))
    _, seen = terminal("workflow", "get", "w", "--document")
    assert json.loads(seen) == document
    assert "é 日本 🎉" in seen
    piped = cli("workflow", "get", "w", "--document").stdout
    assert OBEYED.encode() in piped, "a program gets the bytes as they are hashed"


def test_a_document_is_judged_and_the_exit_code_says_how(cli: Run, write: Write) -> None:
    lonely = chain("a", "b") | {"nodes": chain("a", "b", "z")["nodes"]}
    judged = cli("workflow", "validate", write("lonely.json", lonely))
    assert (judged.code, "nodes count   3" in judged.out) == (0, True), judged.out
    assert judged.err == (
        'warning: /workflow/nodes/2: No edge connects node "z" with another one.\n'
    )
    cycle = write("cycle.json", chain("a", "b", "a") | {"nodes": chain("a", "b")["nodes"]})
    refused = cli("workflow", "validate", cycle, "--output", "json")
    assert (refused.code, len(json.loads(refused.out)["violations"])) == (6, 3)
    problem = json.loads(refused.err)
    assert problem["detail"] == "cycle.json breaks rules."
    assert problem["hints"][0].startswith("/workflow/nodes: Every node")
    assert cli("workflow", "validate", cycle, "--lenient").code == 0
    assert cli("workflow", "create", "cycle", cycle).code == 6
    stored = cli("workflow", "create", "cycle", cycle, "--lenient")
    assert (stored.code, stored.err.count("warning: ")) == (0, 3)


def test_dry_runs_show_what_would_change_and_store_nothing(cli: Run, write: Write) -> None:
    file = write("dry.json", chain("a", "b"))
    new = cli("workflow", "create", "dry", file, "--dry-run")
    assert (new.code, cli("workflow", "get", "dry").code) == (0, 3), new.err
    first, action, *_ = new.out.splitlines()
    assert first == "This is a dry run: nothing is stored."
    assert action.split() == ["action", "created"]
    assert "artifact id" not in new.out
    assert cli("workflow", "create", "dry", file).code == 0
    longer = write("longer.json", [{"op": "add", "path": "/nodes/0/timeout_ms", "value": 5}])
    patched = ("workflow", "patch", "dry", longer)
    assert cli(*patched, "--dry-run").out.endswith("~ node a\n    + /timeout_ms: 5\n")
    assert cli(*patched).code == 0
    operations = write("operations.json", [{"op": "create", "tag": "dry/too", "from": "dry"}])
    for words in (
        ("workflow", "cherry-pick", "dry", "dry@2"),
        ("workflow", "revert", "dry", "dry@2"),
        ("workflow", "compact", "dry", "--move"),
        ("transaction", "apply", operations),
    ):
        done = cli(*words, "--dry-run")
        assert (done.code, done.out.splitlines()[0]) == (0, first), (words, done.err)
    assert cli("tag", "show", "dry", "--output", "json").json()["version"] == 2
    assert cli("tag", "show", "dry/too").code == 3
    made = cli("transaction", "apply", operations, "--output", "json").json()["transaction_id"]
    assert cli("transaction", "revert", made, "--dry-run").out.splitlines()[0] == first
    assert cli("tag", "show", "dry/too").code == 0

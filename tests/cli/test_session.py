"""Where the command line finds the server and the token, and what it says when it does not."""

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from orchestrator.cli.failure import CommandFailed, WrongUsage
from orchestrator.cli.session import Session
from tests.cli.conftest import Run
from tests.warm.client import Result

TOKEN = "orc_secret"


@pytest.fixture
def folder(alone: Path) -> Iterator[Callable[..., Path]]:
    """A data folder of a server that runs, or of one that was killed."""
    with ExitStack() as stack:

        def make(
            place: str = ".orchestrator",
            url: str = "http://127.0.0.1:7",
            pid: int = 4_000_000,
            locked_by: int | None = 4_000_000,
        ) -> Path:
            made = alone / place
            made.mkdir(parents=True)
            (made / "server.json").write_text(json.dumps({"url": url, "pid": pid}))
            (made / "admin.token").write_text(TOKEN + "\n")
            lock = stack.enter_context((made / "lock").open("w"))
            lock.write(f"{pid if locked_by is None else locked_by}\n")
            lock.flush()
            if locked_by is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            return made

        yield make


Folder = Callable[..., Path]


def test_the_nearest_data_folder_above_is_found(
    folder: Folder, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(url="http://127.0.0.1:1")
    inner = folder("a/.orchestrator", url="http://127.0.0.1:2")
    (alone / "a/b/c").mkdir(parents=True)
    monkeypatch.chdir(alone / "a/b/c")
    found = Session().connect()
    assert (found.url, found.token_from) == ("http://127.0.0.1:2", str(inner / "admin.token"))


def test_a_named_data_folder_is_not_searched_for(folder: Folder, alone: Path) -> None:
    folder()
    other = folder("other", url="http://[::1]:8")
    assert Session(data_dir=other).connect().url == "http://[::1]:8"
    with pytest.raises(CommandFailed, match="none was found"):
        Session(data_dir=alone / "empty").connect()


def test_a_folder_of_another_user_does_not_count(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = folder()
    if os.getuid() == 0:
        os.chown(made, 12_345, -1)  # What belongs to root counts for everybody.
    other = made.stat().st_uid + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    with pytest.raises(CommandFailed, match="none was found"):
        Session().connect()


def test_what_is_named_goes_before_the_data_folder(folder: Folder) -> None:
    folder()
    named = Session(url="https://host.example/base/", token="other").connect()
    assert named.url == "https://host.example/base"
    assert "--token" in named.token_from
    # The token of the folder also goes to a server that was named.
    assert Session(url="http://host.example").connect().has_token


def test_a_folder_cannot_send_our_token_to_another_machine(folder: Folder) -> None:
    folder(url="http://host.example")
    assert Session().connect().url == "http://host.example"
    with pytest.raises(WrongUsage, match=r"names http://host\.example"):
        Session(token="ours").connect()
    assert Session(token="ours", url="http://host.example").connect().has_token


def test_a_server_in_another_container_runs_too(folder: Folder) -> None:
    """The number of its process means nothing here; its lock does."""
    folder(pid=1, locked_by=1)
    assert Session().connect().url == "http://127.0.0.1:7"


@pytest.mark.parametrize("locked_by", [None, 4_000_001], ids=["nobody", "a backup"])
@pytest.mark.parametrize("pid", [os.getpid(), 4_000_000], ids=["used again", "ended"])
def test_the_port_of_a_server_that_was_killed_gets_no_token(
    folder: Folder, run: Run, pid: int, locked_by: int | None
) -> None:
    """Another user of the machine may listen there by now, and another process have its number."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        folder(url=f"http://127.0.0.1:{listener.getsockname()[1]}", pid=pid, locked_by=locked_by)
        done = run("tag", "list")
        assert (done.code, "is not running" in done.err) == (7, True)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("content", ["", "{", '{"url": 1, "pid": 1}'])
def test_a_damaged_server_file_is_named(folder: Folder, content: str) -> None:
    path = folder() / "server.json"
    path.write_text(content)
    with pytest.raises(CommandFailed, match=r"server\.json is damaged"):
        Session().connect()


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "é"])
def test_what_is_no_token_is_not_shown(folder: Folder, token: str) -> None:
    (folder() / "admin.token").write_text(token)
    with pytest.raises(CommandFailed, match=r"admin\.token holds is not a token") as failure:
        Session().connect()
    assert not token or token not in failure.value.detail


def test_a_missing_or_unreadable_token_file_is_not_fatal(folder: Folder) -> None:
    path = folder() / "admin.token"
    path.write_bytes(b"\xff")
    assert "not text" in Session().connect().token_from
    path.unlink()
    found = Session().connect()
    assert not found.has_token
    assert "No such file" in found.token_from


@pytest.mark.parametrize(
    "url", ["host:80", "ftp://host", "http://", "http://u:p@host", "http://h:x", "http://[::1"]
)
def test_a_url_that_is_none_is_wrong_usage(run: Run, url: str) -> None:
    done = run("tag", "list", "--url", url, "--token", "t")
    assert done.code == 2


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OUTPUT", TOKEN),
        ("URL", f"http://user:{TOKEN}@host"),
        ("URL", f"http://user:{TOKEN}@[::1/x"),
        ("URL", f"http://user:{TOKEN}@host:{TOKEN}"),
        ("URL", TOKEN),
        ("URL", f"{TOKEN}\n\x1b[31m"),
        ("TOKEN", f"{TOKEN} x"),
        ("TOKEN", f"{TOKEN}\n"),
        ("TOKEN", f"é{TOKEN}"),
    ],
)
def test_a_wrong_variable_is_one_line_that_names_it_and_shows_no_secret(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_URL", "http://127.0.0.1:1")
    monkeypatch.setenv(f"ORCHESTRATOR_{variable}", value)
    done = run("tag", "list")
    (line,) = done.err.splitlines()
    assert (done.code, TOKEN in line, line.isprintable()) == (2, False, True)
    assert f"ORCHESTRATOR_{variable}" in line


@pytest.mark.parametrize("value", ["", " ", "..", "a b", "\x1b[31m", "\udcff", "x" * 5_000, "%00"])
@pytest.mark.parametrize("variable", ["URL", "TOKEN", "NAMESPACE", "DATA_DIR", "OUTPUT"])
def test_whatever_a_variable_holds_is_no_defect(
    cli: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(f"ORCHESTRATOR_{variable}", value)
    done = cli("tag", "list")
    assert done.code in {0, 1, 2, 5, 6, 7}
    assert "This is a defect" not in done.err
    assert all(line.isprintable() for line in done.err.splitlines())


def test_the_token_does_not_show_in_the_session() -> None:
    assert TOKEN not in repr(Session(token=TOKEN))


def test_without_a_server_the_person_learns_how_to_start_one(run: Run) -> None:
    done = run("workflow", "list")
    assert done.code == 7
    assert done.err == (
        "error: No server was named and none was found.\n"
        "  Looked at --url, ORCHESTRATOR_URL, and .orchestrator/server.json in this folder and "
        "above.\n"
        "  Start one with: orchestrator serve\n"
    )


def test_without_a_folder_there_is_no_token(alone: Path) -> None:
    found = Session(url="http://127.0.0.1:1").connect()
    assert not found.has_token
    assert found.token_from.endswith(".orchestrator/admin.token in this folder and above")


def test_a_refused_token_is_explained_and_never_shown(cli: Run, data_dir: Path) -> None:
    url = json.loads((data_dir / "server.json").read_text())["url"]
    wrong = cli("tag", "list", "--token", "wrong-token")
    assert wrong.code == 5
    assert wrong.err == (
        "error: The token is not valid.\n  The token is from --token or ORCHESTRATOR_TOKEN.\n"
    )
    none = cli("tag", "list", "--url", url, "--data-dir", "nowhere")
    assert none.code == 5
    assert (
        "Looked for a token at --token or ORCHESTRATOR_TOKEN, and nowhere/admin.token" in none.err
    )


def test_flags_go_before_variables(
    cli: Run, monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ORCHESTRATOR_OUTPUT", "json")
    url = json.loads((data_dir / "server.json").read_text())["url"]
    assert cli("tag", "list").code == 7
    assert cli("tag", "list", "--url", url).json()["items"] == []
    assert cli("--url", url, "tag", "list", "--output", "table").out.startswith("name")
    assert cli("tag", "--url", url, "list").code == 0


def test_a_namespace_can_be_named(shell: Callable[[str], Result]) -> None:
    done = shell(
        """
        echo '{"nodes":[{"id":"a","type":"t"}],"edges":[]}' > w.json
        orchestrator --namespace team/other workflow create named w.json --output json
        orchestrator workflow list --output json
        orchestrator workflow delete named --namespace team/other --output json
        """
    )
    assert done.code == 0, done.err
    made, listed, _ = map(json.loads, done.out.splitlines())
    assert made["namespace"] == "team/other"
    assert listed["items"] == []

"""The command as a whole: help, completion, exit codes, and how it fails."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cyclopts import App

from orchestrator import __version__
from orchestrator.cli.main import app, main
from orchestrator.cli.output import printable
from tests.cli.conftest import COMMAND, Run
from tests.warm.client import Result, environ

Shell = Callable[[str], Result]


def commands(part: App, *chain: str) -> Iterator[tuple[str, ...]]:
    for name in part:
        if not name.startswith("-"):
            yield (*chain, name)
            yield from commands(part[name], *chain, name)


ALL = sorted(commands(app))


def test_every_command_that_was_promised_is_there() -> None:
    assert [" ".join(chain) for chain in ALL if len(chain) == 2 or chain[0] not in "cas tag"] == [
        "api",
        "artifact",
        "artifact annotate",
        "artifact annotations",
        "artifact diff",
        "artifact lineage",
        "artifact list",
        "artifact pull",
        "artifact push",
        "artifact show",
        "backup",
        "cas get",
        "cas missing",
        "cas put",
        "completion",
        "gc",
        "migrate",
        "moves",
        "release",
        "restore",
        "serve",
        "status",
        "tag delete",
        "tag history",
        "tag list",
        "tag move",
        "tag redo",
        "tag show",
        "tag undo",
        "tag watch",
        "transaction",
        "transaction apply",
        "transaction list",
        "transaction revert",
        "transaction show",
        "verify",
        "whoami",
        "workflow",
        "workflow blame",
        "workflow branch",
        "workflow cherry-pick",
        "workflow compact",
        "workflow create",
        "workflow delete",
        "workflow diff",
        "workflow edit",
        "workflow export",
        "workflow get",
        "workflow import",
        "workflow lineage",
        "workflow list",
        "workflow log",
        "workflow merge",
        "workflow patch",
        "workflow revert",
        "workflow show",
        "workflow validate",
    ]


@pytest.mark.parametrize("chain", [(), *ALL], ids=" ".join)
def test_every_command_has_help_with_examples(run: Run, chain: tuple[str, ...]) -> None:
    done = run(*chain, "--help")
    assert done.code == 0
    assert "Examples:" in done.out
    assert " ".join(["orchestrator", *chain]) in done.out
    assert "--url" in done.out
    assert "\x1b" not in done.out


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version").out == f"{__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("workflow", "get"),
        ("workflow", "gte", "a"),
        ("workflow", "get", "a", "--vresion", "1"),
        ("workflow", "get", "a", "--version", "x"),
        ("workflow", "get", "a", "--document", "--components"),
        ("workflow", "get", "a", "--output", "xml"),
        ("nothing",),
        ("--url",),
    ],
)
def test_wrong_usage_is_2_and_points_to_the_help(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert "  Try: orchestrator" in done.err
    assert done.err.endswith("--help\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(run: Run, shell: str) -> None:
    done = run("completion", shell)
    assert done.code == 0
    for word in ("workflow", "history", "expect", "data-dir"):
        assert word in done.out


def test_completion_completes_in_bash(shell: Shell) -> None:
    done = shell(
        """
        source <(orchestrator completion bash)
        function=$(complete -p orchestrator | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); $function; }
        complete_words orchestrator workflow ''
        echo "${COMPREPLY[@]}"
        complete_words orchestrator tag move a b --ex
        echo "${COMPREPLY[@]}"
        """
    )
    assert done.code == 0, done.err
    commands_, options = done.out.splitlines()
    assert {"create", "get", "import", "merge", "log"} <= set(commands_.split())
    assert options == "--expect"


def test_the_traceback_is_shown_on_request_only(run: Run) -> None:
    plain = run("tag", "list", "--url", "http://127.0.0.1:1", "--token", "t")
    assert plain.code == 7
    assert "Traceback" not in plain.err
    assert plain.err.startswith("error: The server at http://127.0.0.1:1 cannot be reached: ")
    assert "Start one with: orchestrator serve" in plain.err
    shown = run("tag", "list", "--url", "http://127.0.0.1:1", "--token", "t", "--debug")
    assert "Traceback" in shown.err
    assert shown.err.endswith(plain.err)


def test_a_defect_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("orchestrator.cli.session.Session.connect", fail)
    done = run("tag", "list")
    assert (done.code, done.err) == (
        1,
        "error: ZeroDivisionError: by zero\n  This is a defect; --debug shows where.\n",
    )


def test_an_interrupt_is_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("orchestrator.cli.session.Session.connect", interrupt)
    assert run("tag", "list").code == 130


def test_ctrl_c_while_a_server_is_silent_ends_quietly(alone: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [COMMAND, "tag", "list", "--url", url, "--token", "t"],
            env=environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A shell that started us in the background lets us, and so our children, ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it starts no threads.
        )
        connection, _ = silent.accept()
        connection.recv(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        connection.close()
    assert (process.returncode, out, err) == (130, b"", b"")


@pytest.mark.parametrize("arguments", [("completion", "bash"), ("--help",), ("--version",)])
def test_a_reader_that_has_enough_is_no_trouble(alone: Path, arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [COMMAND, *arguments], env=environ(), stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_exit_codes_reach_the_shell(shell: Shell) -> None:
    done = shell(
        """
        orchestrator tag list; echo $?
        orchestrator tag show nobody; echo $?
        orchestrator tag; echo $?
        orchestrator tag show; echo $?
        """
    )
    codes = [line for line in done.out.splitlines() if line.isdecimal()]
    assert codes == ["0", "3", "0", "2"]


def test_the_arguments_are_those_of_the_process_unless_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["orchestrator", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_text_of_others_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2J\nü") == "a\\x1b[2J\\nü"


def test_help_loads_neither_the_client_nor_the_server() -> None:
    code = (
        "import sys; from orchestrator.cli.main import main; main(['tag', '--help']);"
        "print({'asyncio', 'httpx2', 'litestar', 'asyncpg', 'alembic', 'uvloop', 'jsonschema_rs'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()"

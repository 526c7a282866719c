"""What the Tab key offers: commands, options, and names that the server knows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api import chain
from tests.cli.conftest import Run
from tests.warm.client import Result

Shell = Callable[[str], Result]


@pytest.fixture
def tags(cli: Run, write: Callable[..., Path]) -> None:
    for tag in ("billing", "billing/trial", "orders"):
        cli("workflow", "create", tag, write("w.json", chain("collect", "invoice")))
    cli("workflow", "create", "billing", write("w.json", chain("collect")))


def offered(cli: Run, *words: str) -> list[str]:
    done = cli("__complete", *words)
    assert (done.code, done.err) == (0, "")
    lines = done.out.partition("\x1fbegin\n")[2].splitlines()
    return [line.partition("\t")[0] for line in lines]


def test_names_that_the_server_knows_are_offered(cli: Run, tags: None) -> None:
    assert offered(cli, "tag", "undo", "bil") == ["billing", "billing/trial"]
    assert offered(cli, "tag", "undo", "") == ["billing", "billing/trial", "orders"]
    assert offered(cli, "workflow", "diff", "billing", "or") == ["orders"]
    assert offered(cli, "workflow", "get", "billing@") == ["billing@2", "billing@1"]
    assert offered(cli, "workflow", "log", "orders", "in") == ["collect", "invoice"]
    assert offered(cli, "tag", "list", "--prefix", "or") == ["orders"]
    assert offered(cli, "tag", "undo", "--namespace", "other", "") == []
    made = cli("release", "orders", "--to", "prod", "-o", "json").json()["transaction_id"]
    assert offered(cli, "transaction", "show", "") == [made]


def test_without_a_server_nothing_is_offered_and_nothing_said(run: Run) -> None:
    assert offered(run, "tag", "undo", "x") == []
    assert offered(run, "tag", "undo", "--url", "http://127.0.0.1:1", "--token", "t", "x") == []


def test_bash_completes_names(shell: Shell, tags: None) -> None:
    done = shell(
        """
        source <(orchestrator completion bash)
        function=$(complete -p orchestrator | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); $function; }
        complete_words orchestrator tag undo bil
        echo "${COMPREPLY[@]}"
        """
    )
    assert done.code == 0, done.err
    assert done.out == "billing billing/trial\n"


def test_what_zsh_loads_by_itself_completes(run: Run) -> None:
    function = "_cyclopts_orchestrator"
    script = run("completion", "zsh").out
    assert script.startswith("#compdef orchestrator\n")
    assert f"\n{function}() {{" in script
    assert f'\n  {function} "$@"\n' in script

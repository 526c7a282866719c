"""Documents as files, which other commands read again."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from orchestrator.cli.connection import ListPage, ServerConnection
from tests.api import chain
from tests.cli.conftest import Run


def test_an_export_is_read_again_as_the_same_version(
    cli: Run, write: Callable[..., Path], alone: Path
) -> None:
    made = {}
    for tag in ("team/a", "team/b"):
        made[tag] = cli("workflow", "create", tag, write("w.json", chain(tag[-1])), "-q").out
    for format_ in ("json", "yaml", "wfformat"):
        done = cli("workflow", "export", "--prefix", "team/", "--to", format_, "--format", format_)
        assert done.code == 0, done.err
        ending = "yaml" if format_ == "yaml" else "json"
        assert sorted(path.name for path in (alone / format_ / "team").iterdir()) == [
            f"a.{ending}",
            f"b.{ending}",
        ]
        again = cli("workflow", "import", f"{format_}/team/a.{ending}", "--tag", format_)
        assert again.code == 0, again.err
        shown = cli("workflow", "get", format_, "-q").out
        assert (shown == made["team/a"]) == (format_ != "wfformat")


def test_one_is_printed_and_several_need_a_folder(cli: Run, write: Callable[..., Path]) -> None:
    cli("workflow", "create", "w", write("w.json", chain("a")))
    assert json.loads(cli("workflow", "export", "w@1").out)["nodes"][0]["id"] == "a"
    assert "nodes:\n" in cli("workflow", "export", "w", "--format", "yaml").out
    assert cli("workflow", "export", "w", "w").code == 2
    assert cli("workflow", "export").code == 2
    assert cli("workflow", "export", "w", "--to", "out").code == 0
    assert "is there already" in cli("workflow", "export", "w", "--to", "out").err
    assert cli("workflow", "export", "w", "--to", "out", "--force", "-q").out == "out/w.json\n"
    assert cli("workflow", "export", "nobody", "--to", "out").code == 3


def test_a_server_cannot_make_it_write_elsewhere(
    cli: Run, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ListPage([msgspec.Raw(b'{"tag": "../../x"}')])
    monkeypatch.setattr(ServerConnection, "list_all", lambda *_, **__: page)
    done = cli("workflow", "export", "--prefix", "", "--to", "out")
    assert (done.code, "names that are not safe" in done.err) == (1, True)
    assert not (alone / "out").exists()

"""`orchestrator verify` against a real server with a database and a folder of its own."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cli.conftest import Run, Serve, Terminal
from tests.databases import run as run_sql
from tests.warm.client import Warm

STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
LARGE = os.urandom(300_000)


@pytest.fixture
def server(
    serving: Serve, fresh_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Its data folder; the blobs are in it."""
    folder = tmp_path_factory.mktemp("verify") / "data"
    with serving(folder, ORCHESTRATOR_DATABASE_URL=fresh_database):
        yield folder


@pytest.fixture
def cli(run: Run, server: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """At the server, with a namespace that verification does not ask for."""
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(server))
    monkeypatch.setenv("ORCHESTRATOR_NAMESPACE", "elsewhere")
    return run


def objects(server: Path) -> list[Path]:
    [identity] = server.rglob("identity")
    return sorted(path for path in (identity.parent / "objects").rglob("*") if path.is_file())


def put(cli: Run, write: Callable[..., Path], content: bytes = LARGE) -> str:
    done = cli("cas", "put", write("blob", content), "--output", "json")
    name: str = done.json()["cas_id"]
    return name


def leave_behind(server: Path) -> Path:
    """An old object that no row names."""
    name = uuid4().hex * 2
    path = objects(server)[0].parent.parent / name[:2] / f"{name}.{uuid4().hex}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"left behind")
    os.utime(path, (0, 0))
    return path


def test_a_store_without_damage_is_clean(cli: Run, write: Callable[..., Path]) -> None:
    put(cli, write)
    put(cli, write, b"short")
    done = cli("verify")
    assert (done.code, done.err) == (0, "")
    assert done.out == "2 blobs, and 1 objects checked: no problem.\n"
    done = cli("verify", "--read-data")
    assert done.out == "2 blobs, 300,005 bytes read, and 1 objects checked: no problem.\n"


def test_damage_is_listed_put_away_and_healed(
    cli: Run, server: Path, write: Callable[..., Path]
) -> None:
    name = put(cli, write)
    leftover = leave_behind(server)
    [path] = [each for each in objects(server) if each != leftover]
    path.write_bytes(LARGE[:-1] + b"?")
    done = cli("verify", "--read-data")
    assert done.code == 1
    damaged, left, summary = done.out.splitlines()
    assert damaged.startswith(f"damaged       {name}  ")
    assert left.startswith(f"leftover      {leftover.name.replace('.', '/')}  ")
    assert summary.endswith(": 2 problems, 2 not repaired.")
    assert cli("cas", "get", name).code == 1
    done = cli("verify", "--read-data", "--repair")
    assert done.code == 1, "bytes that are gone are not repaired"
    damaged, left, summary = done.out.splitlines()
    assert damaged.endswith("[quarantined]")
    assert left.endswith("[repaired]")
    assert summary.endswith(": 2 problems, 1 not repaired.")
    assert not leftover.exists()
    put(cli, write)
    assert cli("cas", "get", name).stdout == LARGE
    os.utime(path, (0, 0))
    assert cli("verify").code == 1
    swept = cli("verify", "--repair")
    assert (swept.code, swept.out.count("[repaired]")) == (0, 1)
    assert cli("verify", "--read-data").code == 0


def test_a_program_gets_one_document(cli: Run, server: Path, write: Callable[..., Path]) -> None:
    name = put(cli, write)
    leftover = leave_behind(server)
    [path] = [each for each in objects(server) if each != leftover]
    path.unlink()
    done = cli("verify", "--output", "json")
    assert (done.code, done.err, done.out.count("\n")) == (1, "", 1)
    missing, left = json.loads(done.out).pop("problems")
    assert missing == {
        "problem": "missing",
        "detail": "Storage has nothing under its key.",
        "repaired": False,
        "cas_id": name,
        "storage_key": path.name.replace(".", "/"),
    }
    assert (left["problem"], left["repaired"]) == ("leftover", False)
    counts = {key: value for key, value in json.loads(done.out).items() if key != "problems"}
    assert counts == {"checked_blobs": 1, "checked_bytes": 0, "checked_objects": 1}


def test_more_than_a_page_is_gone_through(cli: Run, fresh_database: str) -> None:
    run_sql(
        "INSERT INTO cas_blob (cas_id, size_bytes, media_type, content)"
        " SELECT '\\x01'::bytea || sha256(n::text::bytea), 1, 't', 'x'"
        " FROM generate_series(1, 2500) n",
        fresh_database,
    )
    assert cli("verify").out == "2,500 blobs, and 0 objects checked: no problem.\n"
    done = cli("verify", "--read-data", "--output", "json")
    assert len(json.loads(done.out)["problems"]) == 2_500


def test_a_terminal_shows_how_far_it_is(
    cli: Run, server: Path, write: Callable[..., Path], alone: Path, warm: Warm
) -> None:
    put(cli, write)
    leave_behind(server)
    terminal = Terminal(warm, ORCHESTRATOR_DATA_DIR=str(server))
    code, seen = terminal("verify", "--read-data", stdout=alone / "report")
    assert code == 1
    assert "Verifying" in seen
    assert "1 blobs, 300.0 kB" in STYLE.sub("", seen)
    assert "leftover" not in seen
    assert "Verifying" not in (alone / "report").read_text()
    assert "leftover" in (alone / "report").read_text()
    code, seen = terminal("verify")
    assert (code, "Verifying" in seen) == (1, True)
    lines = STYLE.sub("", seen).strip().replace("\r", "\n").splitlines()
    assert any(line.startswith("leftover") for line in lines)
    assert lines[-1].endswith("1 problem, 1 not repaired.")


def test_a_storage_that_is_not_there_is_a_failure(
    cli: Run, server: Path, write: Callable[..., Path]
) -> None:
    put(cli, write)
    folder = objects(server)[0].parent.parent.parent
    away = folder.rename(folder.with_name("away"))
    done = cli("verify", "--repair")
    assert done.code == 7
    assert done.err.startswith("error: The blob storage")
    away.rename(folder)
    assert cli("verify", "--read-data").code == 0


def test_its_help_has_examples(cli: Run) -> None:
    done = cli("verify", "--help")
    assert done.code == 0
    assert "orchestrator verify --read-data -o json > report.json" in done.out

"""`orchestrator backup` and `orchestrator restore` as an operator runs them."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api import chain
from tests.cli.conftest import Terminal
from tests.processes import processes_below, wait_until
from tests.server.conftest import Launch, Server
from tests.warm.client import Result, Warm, environ

LARGE = bytes(range(256)) * 4_000
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def run(warm: Warm) -> Run:
    """The command, with nothing of ours that would configure it, or measure it without need."""

    def call(*arguments: object, measured: bool = False, **variables: str) -> Result:
        return warm.run(arguments, env=environ(variables, measured=measured))

    return call


def write(server: Server) -> str:
    """A workflow, and a blob outside of the database; returns its name."""
    body = {"tag": "release/v1", "workflow": chain("a", "b")}
    assert server.request("POST", "/api/v1/workflows", json=body).status_code == 201
    answer = server.request("POST", "/api/v1/cas", content=LARGE)
    return str(answer.json()["cas_id"])


def check(server: Server, cas_id: str) -> None:
    found = server.request("GET", "/api/v1/workflows/release%2Fv1")
    assert found.status_code == 200, found.text
    assert found.json()["workflow"] == chain("a", "b")
    assert server.request("GET", f"/api/v1/cas/{cas_id}").content == LARGE


@pytest.fixture(scope="module")
def cas_id(server: Server) -> str:
    return write(server)


@pytest.fixture(scope="module")
def backup(run: Run, server: Server, cas_id: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the running server, for the tests that read it or add a snapshot to it."""
    folder = tmp_path_factory.mktemp("backups") / "backup"
    done = run("backup", folder, "--data-dir", server.folder, measured=True)
    assert (done.code, done.err) == (0, "")
    return folder


def test_a_backup_of_a_running_server_becomes_a_server_elsewhere(
    run: Run, server: Server, backup: Path, cas_id: str, launch: Launch, folder: Path
) -> None:
    assert server.is_ready()
    done = run("restore", backup, "--data-dir", folder, "--read-data", measured=True)
    assert (done.code, done.err) == (0, "")
    assert "in blob storage  1" in done.out
    restored = launch(folder)
    assert restored.token != server.token
    check(restored, cas_id)
    assert restored.is_ready()
    assert restored.end() == 0


def test_the_summary_is_one_line_for_a_program(
    run: Run, server: Server, backup: Path, cas_id: str
) -> None:
    done = run("backup", backup, "--data-dir", server.folder, "--output", "json")
    assert done.out.count("\n") == 1
    report = json.loads(done.out)
    assert (report["blobs_copied"], report["damaged"]) == (0, [])
    assert report["rows"]["tag"] == 1
    assert report["snapshot"] in {path.name for path in (backup / "snapshots").iterdir()}


def test_a_stopped_folder_is_backed_up_too_and_nothing_is_left_running(
    run: Run, launch: Launch, seeded: Path, tmp_path: Path
) -> None:
    server = launch(seeded)
    cas_id = write(server)
    assert server.end() == 0
    before = set(processes_below(os.getpid()))
    done = run("backup", tmp_path / "backup", "--data-dir", seeded)
    assert (done.code, done.err) == (0, "")
    other = tmp_path / "other"
    done = run("restore", tmp_path / "backup", "--data-dir", other)
    assert (done.code, done.err) == (0, "")
    assert wait_until(lambda: set(processes_below(os.getpid())) <= before)
    assert not (seeded / "postgres/data/postmaster.pid").exists()
    assert not (other / "postgres/data/postmaster.pid").exists()
    check(launch(other), cas_id)


def test_a_folder_in_use_is_not_restored_into(run: Run, server: Server, backup: Path) -> None:
    done = run("restore", backup, "--data-dir", server.folder)
    assert done.code == 1
    assert done.err.startswith(f"error: Another server (process {server.pid}) uses the data folder")
    assert done.err.count("\n") == 1
    assert server.is_ready()


def test_a_folder_without_a_database_is_refused_and_not_made(run: Run, tmp_path: Path) -> None:
    done = run("backup", tmp_path / "backup", "--data-dir", tmp_path / "nothing")
    assert done.code == 1
    assert "error: There is no database in" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_restore_into_a_used_folder_is_refused(
    run: Run, server: Server, backup: Path, tmp_path: Path
) -> None:
    run("restore", backup, "--data-dir", tmp_path / "data")
    done = run("restore", backup, "--data-dir", tmp_path / "data")
    assert done.code == 1
    assert done.err == (
        "error: The database is not empty: restore into one that was just created.\n"
    )


def test_what_is_damaged_makes_the_exit_code_unless_that_is_allowed(
    run: Run, launch: Launch, seeded: Path, tmp_path: Path
) -> None:
    server = launch(seeded)
    cas_id = write(server)
    (object_,) = (seeded / "blobs/objects").glob("*/*")
    object_.write_bytes(b"x" + LARGE[1:])
    backup = ("backup", tmp_path / "backup", "--data-dir", seeded)
    done = run(*backup, measured=True)
    assert done.code == 1
    assert done.err == (
        "error: Blobs that could not be copied: 1\n"
        f"  {cas_id}: its bytes in the blob storage are damaged or gone\n"
    )
    assert "snapshot" in done.out
    assert run(*backup, "--allow-damaged").code == 0
    restore = ("restore", tmp_path / "backup", "--data-dir", tmp_path / "restored")
    refused = run(*restore)
    assert refused.code == 1
    assert f"does not have the bytes of {cas_id}" in refused.err
    allowed = run(*restore, "--allow-damaged")
    assert allowed.code == 0
    assert "Blobs in quarantine: 1" in allowed.err
    restored = launch(tmp_path / "restored")
    assert restored.request("GET", f"/api/v1/cas/{cas_id}").status_code == 500
    assert restored.request("POST", "/api/v1/cas", content=LARGE).status_code in (200, 201)
    check(restored, cas_id)


def test_a_wrong_setting_is_one_line_and_wrong_usage(
    run: Run, server: Server, tmp_path: Path
) -> None:
    done = run(
        *("backup", tmp_path / "backup", "--data-dir", server.folder),
        ORCHESTRATOR_BLOB_BYTES_MAX="much",
    )
    assert done.code == 2
    assert done.err.startswith("error: A setting in an ORCHESTRATOR_… variable is wrong: ")


def test_a_database_that_does_not_answer_is_one_line(run: Run, tmp_path: Path) -> None:
    url = "postgresql://u:secret@127.0.0.1:1/x"
    done = run("backup", tmp_path / "backup", "--database-url", url)
    assert done.code == 1
    assert done.err.startswith("error: The database cannot be used: ")
    assert done.err.count("\n") == 1
    assert "secret" not in done.err


def test_a_restore_that_is_killed_leaves_no_process_and_can_be_repeated(
    run: Run, server: Server, backup: Path, cas_id: str, launch: Launch, folder: Path, warm: Warm
) -> None:
    words = ("restore", backup, "--data-dir", folder)
    process = warm.start(words, env=environ(), stderr=subprocess.DEVNULL)
    assert wait_until((folder / "blobs/identity").exists, 60)
    family = processes_below(process.pid)
    process.kill()
    process.wait()
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), 10)
    done = run("restore", backup, "--data-dir", folder)
    assert done.code == 0 or "is not empty" in done.err, "it was killed before or after its commit"
    check(launch(folder), cas_id)


def test_progress_is_shown_to_a_person_only(
    run: Run, warm: Warm, server: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    code, seen = Terminal(warm)(
        "backup", folder, "--data-dir", server.folder, stdout=tmp_path / "out"
    )
    assert code == 0, seen
    assert "Tables" in seen
    assert "Tables" not in (tmp_path / "out").read_text()
    assert run("backup", folder, "--data-dir", server.folder).err == ""

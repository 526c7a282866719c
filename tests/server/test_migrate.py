"""The migration before the first request: when a process is started for it, and what that runs."""

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator import migration
from orchestrator.errors import StorageUnavailable
from orchestrator.migration import DatabaseURLWrong
from orchestrator.models.upkeep.schema import SCHEMA_VERSION
from orchestrator.server.error import ServeError, UsageError
from orchestrator.server.migrate import migrate
from orchestrator.server.stop import Stop
from tests.databases import run
from tests.test_settings import SECRET


def test_a_database_is_migrated_and_one_that_is_current_needs_no_process(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(empty_database, os.environ, Stop())
    assert migration.current(empty_database) == SCHEMA_VERSION
    monkeypatch.setattr(subprocess, "Popen", None)
    migrate(empty_database, os.environ, Stop())


@pytest.mark.parametrize("python_path", [None, "", ":", f":{os.sep}nowhere:"])
def test_no_module_of_the_working_folder_is_imported(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python_path: str | None
) -> None:
    for name in ("alembic.py", "asyncpg.py", "orchestrator/__init__.py", "json.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit('this is not the program that was started')")
    monkeypatch.chdir(tmp_path)
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if python_path is not None:
        environ["PYTHONPATH"] = python_path
    migrate(empty_database, environ, Stop())
    assert migration.current(empty_database) == SCHEMA_VERSION


def test_another_copy_of_the_program_that_is_found_first_is_not_run(
    empty_database: str, tmp_path: Path
) -> None:
    (tmp_path / "orchestrator").mkdir()
    (tmp_path / "orchestrator" / "__init__.py").write_text("raise SystemExit('another copy')")
    migrate(empty_database, os.environ | {"PYTHONPATH": str(tmp_path)}, Stop())
    assert migration.current(empty_database) == SCHEMA_VERSION


@pytest.mark.parametrize(
    "parameter",
    [f"work_mem={SECRET}", f"{SECRET}=1", "sslnegotiation=direct&sslmode=allow"],
)
def test_a_parameter_that_nobody_takes_is_a_wrong_setting_and_never_shown(
    empty_database: str, parameter: str
) -> None:
    url = f"{empty_database}{'&' if '?' in empty_database else '?'}{parameter}"
    with pytest.raises(UsageError, match="DATABASE_URL has a parameter that") as refusal:
        migrate(url, os.environ, Stop())
    assert SECRET not in str(refusal.value)
    with pytest.raises(DatabaseURLWrong, match="has a parameter that") as unusable:
        migration.upgrade(url)
    assert SECRET not in str(unusable.value)


@pytest.mark.parametrize("name", ["orchestrator", "no_such_database"])
def test_a_database_that_refuses_us_is_one_line(empty_database: str, name: str) -> None:
    parts = urlsplit(empty_database)
    wrong = (
        parts.netloc
        if name != "orchestrator"
        else f"nobody:{SECRET}@{parts.netloc.rpartition('@')[2]}"
    )
    url = parts._replace(path=f"/{name}", netloc=wrong).geturl()
    with pytest.raises(ServeError, match="cannot be reached"):
        migrate(url, os.environ, Stop())
    with pytest.raises(StorageUnavailable, match="cannot be used") as refusal:
        migration.upgrade(url)
    assert SECRET not in str(refusal.value)


def test_a_newer_database_is_refused_in_one_line(empty_database: str) -> None:
    migrate(empty_database, os.environ, Stop())
    run("UPDATE alembic_version SET version_num = '9999'", empty_database)
    with pytest.raises(ServeError, match="schema 9999, newer than schema") as refusal:
        migrate(empty_database, os.environ, Stop())
    assert "\n" not in str(refusal.value)


def test_a_database_that_is_not_there_is_one_line() -> None:
    with pytest.raises(ServeError, match="cannot be reached") as refusal:
        migrate("postgresql://nobody@127.0.0.1:1/none", os.environ, Stop())
    assert "\n" not in str(refusal.value)

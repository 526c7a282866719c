"""`orchestrator gc` against a real server."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from orchestrator.models.upkeep.maintenance import MAINTENANCE_LOCK
from tests.api import chain
from tests.cli.conftest import Run, Terminal
from tests.databases import run as execute

Write = Callable[..., Path]


class Garbage:
    """A version that no tag names any more, the blob of an upload that is over, and one that is
    not.
    """

    def __init__(self, cli: Run, write: Write, database: str, namespace: str) -> None:
        document = write("workflow.json", chain(namespace))
        created = cli("workflow", "create", "main", document, "--output", "json").json()
        self.artifact: str = created["artifact_id"]
        self.version: str = created["cas_id"]
        self.blob, self.leased = [
            cli("cas", "put", "-", "--output", "json", stdin=content).json()["cas_id"]
            for content in (namespace.encode() * 100, namespace.encode())
        ]
        self._namespace, self._database = namespace, database
        self._age()

    def _age(self) -> None:
        where = f"WHERE namespace = '{self._namespace}'"
        old = "created_at = now() - interval '8 days'"
        for statement in (
            f"DELETE FROM tag {where}",
            f"DELETE FROM tag_move {where}",
            "ALTER TABLE artifact DISABLE TRIGGER artifact_is_immutable",
            f"UPDATE artifact SET {old} {where}",
            "ALTER TABLE artifact ENABLE TRIGGER artifact_is_immutable",
            f"UPDATE cas_blob SET {old} WHERE cas_id IN ({_raw(self.version)}, {_raw(self.blob)})",
            f"UPDATE cas_lease SET expires_at = now() {where} AND cas_id = {_raw(self.blob)}",
        ):
            execute(statement, self._database)

    @property
    def ids(self) -> set[str]:
        return {self.artifact, self.version, self.blob}


def _raw(cas_id: str) -> str:
    return f"'\\x01{cas_id.partition(':')[2]}'"


@pytest.fixture
def garbage(cli: Run, write: Write, shared_database: str, namespace: str) -> Garbage:
    return Garbage(cli, write, shared_database, namespace)


def test_what_would_be_deleted_is_shown_and_then_deleted(
    cli: Run, garbage: Garbage, namespace: str
) -> None:
    shown = cli("gc", "--dry-run")
    assert (shown.code, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert f"would delete  artifact  {garbage.artifact}  {namespace}" in lines
    size = f"{len(namespace) * 100 / 1_000:.1f} kB"
    assert f"would delete  blob      {garbage.blob}  {size}" in lines
    assert lines[-1].startswith("1 artifact and 2 blobs would be deleted, ")
    assert lines[-1].endswith(" freed")
    assert len(lines) == 4

    done = cli("gc")
    assert done.out == shown.out.replace("would delete", "deleted").replace("would be ", "")
    assert cli("gc").out == "0 artifacts and 0 blobs deleted, 0 bytes freed\n"
    assert garbage.blob in cli("cas", "missing", garbage.blob).out


def test_what_stays_is_explained_if_asked(cli: Run, garbage: Garbage, namespace: str) -> None:
    lines = cli("gc", "--dry-run", "--explain").out.splitlines()
    kept = next(line for line in lines if garbage.leased in line)
    assert kept.startswith(f"kept  blob      {garbage.leased}  leased to {namespace} until 20")
    assert "kept" not in cli("gc").out


@pytest.mark.parametrize("options", [(), ("--limit-per-page", "1")])
def test_a_program_is_given_one_document(
    cli: Run, garbage: Garbage, namespace: str, options: tuple[str, ...]
) -> None:
    dry = cli("gc", "--dry-run", "--explain", "--output", "json", *options).json()
    assert (dry["dry_run"], dry["artifacts_deleted"], dry["blobs_deleted"]) == (True, 1, 2)
    assert {each["id"] for each in dry["deleted"]} == garbage.ids
    assert garbage.leased in {each["id"] for each in dry["kept"]}
    done = cli("gc", "--output", "json", *options).json()
    assert done.keys() == dry.keys() - {"kept"}
    assert (done["dry_run"], done["deleted"]) == (False, dry["deleted"])
    assert done["bytes_freed"] == sum(each.get("stored_bytes", 0) for each in done["deleted"])


def test_a_page_of_no_size_is_wrong_usage(cli: Run) -> None:
    for size in ("0", "1001", "many"):
        assert cli("gc", "--limit-per-page", size).code == 2


def test_a_backup_that_is_running_is_told(cli: Run, garbage: Garbage, shared_database: str) -> None:
    async def call() -> Any:
        connection = await asyncpg.connect(shared_database)
        await connection.execute("SELECT pg_advisory_lock($1)", MAINTENANCE_LOCK)
        refused = cli("gc")
        await connection.close()
        return refused

    refused = asyncio.run(call())
    assert refused.code == 4
    assert refused.err.startswith("error: A backup is running")
    assert {each["id"] for each in cli("gc", "--output", "json").json()["deleted"]} == garbage.ids


def test_a_terminal_shows_how_far_it_is(
    cli: Run, garbage: Garbage, terminal: Terminal, alone: Path
) -> None:
    code, seen = terminal("gc", "--limit-per-page", "50", stdout=alone / "out")
    assert code == 0
    assert "0 artifacts and 0 blobs deleted" in seen, "while the first page is waited for"
    out = (alone / "out").read_text()
    assert "\x1b" not in out
    assert out.splitlines()[-1].startswith("1 artifact and 2 blobs deleted")
    code, seen = terminal("gc", "--dry-run", "--output", "json", stdout=alone / "out")
    assert code == 0
    assert json.loads((alone / "out").read_bytes())["deleted"] == []


def test_the_help_has_examples(cli: Run) -> None:
    assert "orchestrator gc --dry-run --explain" in cli("gc", "--help").out

"""The move of a time is found by a search in the statement, also of a deleted tag."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate

import pytest

from orchestrator.core.database import Connection
from orchestrator.repository.tag import TagRepository
from orchestrator.repository.tag_move import TagMoveRepository
from orchestrator.repository.workflow import WorkflowRepository
from tests.service.conftest import order
from tests.test_migration import insert_artifact

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MOVES = TagMoveRepository()

AT_OR_BEFORE = """
SELECT max(seq) FROM tag_move WHERE namespace = 'ns' AND name = 'main' AND moved_at <= $1
"""


async def insert_moves(conn: Connection, name: str, seconds: list[int]) -> None:
    """A tag that was made and moved at these times, to and fro."""
    targets = [await insert_artifact(conn), await insert_artifact(conn)]
    rows = [
        (
            *("ns", name, seq, "move" if seq > 1 else "create"),
            *(targets[seq % 2 - 1] if seq > 1 else None, targets[seq % 2]),
            *(seq - 1 if seq > 1 else None, "ann", BEGIN + timedelta(seconds=second)),
        )
        for seq, second in enumerate(seconds, 1)
    ]
    names = ("namespace", "name", "seq", "action", "from_id", "to_id", "parent_seq")
    columns = (*names, "moved_by", "moved_at")
    await conn.copy_records_to_table("tag_move", records=rows, columns=columns)
    await conn.execute(
        "INSERT INTO tag (namespace, name, target_id, version, cursor, action, from_id, parent_seq,"
        " moved_by, moved_at) SELECT namespace, name, to_id, seq, seq, action, from_id, parent_seq,"
        " moved_by, moved_at FROM tag_move WHERE name = $1 ORDER BY seq DESC LIMIT 1",
        name,
    )


@pytest.mark.parametrize("moves", [1, 2, 3, 4, 7, 8, 9, 33])
@pytest.mark.parametrize("step", [(1,), (0, 0, 3), (2, 0)])
async def test_the_move_of_a_time_is_the_last_that_is_not_later(
    conn: Connection, moves: int, step: tuple[int, ...]
) -> None:
    seconds = list(accumulate(step[turn % len(step)] for turn in range(moves)))
    await insert_moves(conn, "main", seconds)
    await insert_moves(conn, "other", [0, 1000])
    for second in range(-1, seconds[-1] + 2):
        at = BEGIN + timedelta(seconds=second)
        expected = await conn.fetchval(AT_OR_BEFORE, at)
        found = await MOVES.get_move_at(conn, "ns", "main", at)
        assert (found and found.seq) == expected
        resolved = await WorkflowRepository().resolve_at(conn, "ns", "main", at)
        assert (resolved and resolved.entry.tag_version) == expected


async def test_a_deleted_tag_still_has_its_times(conn: Connection) -> None:
    await insert_moves(conn, "main", [0, 1])
    await TagRepository().put(conn, [order("main", namespace="ns")])
    later = datetime.now(UTC) + timedelta(days=1)
    found = await MOVES.get_move_at(conn, "ns", "main", later)
    assert found is not None
    assert (found.seq, found.to_id) == (3, None)
    assert await WorkflowRepository().resolve_at(conn, "ns", "main", later) is None
    assert await MOVES.get_move_at(conn, "ns", "gone", later) is None

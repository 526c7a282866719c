"""Histories of versions: what they read, and how often they ask the database."""

import asyncio

from asyncpg.connection import LoggedQuery

from orchestrator.models.artifact import Artifact, Relation
from orchestrator.models.version_history import History
from orchestrator.repository.version_history import VersionHistoryRepository
from orchestrator.service.version_history import VersionHistoryService
from tests.service.conftest import NS, Store


def service(store: Store, versions_max: int = 1_000) -> VersionHistoryService:
    return VersionHistoryService(
        store.cas, VersionHistoryRepository(), versions_max=versions_max, bytes_max=10**6
    )


async def history_of(store: Store, head: Artifact, **limits: int) -> tuple[History, int]:
    """The history, and how many statements it took."""
    asked: list[LoggedQuery] = []
    with store.conn.query_logger(asked.append):
        found = await service(store, **limits).get(store.conn, NS, head)
        await asyncio.sleep(0)  # The logger is called by the event loop.
    return found, len(asked)


async def chain(store: Store, length: int) -> list[Artifact]:
    made = [await store.version("base")]
    for number in range(length):
        head = await store.patch(made[-1], f"{number}")
        await store.artifacts.link(
            store.conn, head.artifact_id, made[-1].artifact_id, Relation.PATCH_OF
        )
        made.append(head)
    return made


async def test_a_history_takes_two_statements_at_any_depth(store: Store) -> None:
    for length in (1, 60):
        made = await chain(store, length)
        found, statements = await history_of(store, made[-1])
        assert statements == 2
        shown = [each.artifact.artifact_id for each in found.versions]
        assert shown == [each.artifact_id for each in reversed(made)]
        assert [each.parents for each in found.ancestors] == [
            *((at,) for at in range(1, length + 1)),
            (),
        ]
        assert not found.truncated


async def test_the_oldest_versions_are_left_out_of_a_long_history(store: Store) -> None:
    made = await chain(store, 5)
    found, _ = await history_of(store, made[-1], versions_max=3)
    assert found.truncated
    assert [each.artifact for each in found.versions] == made[:-4:-1]
    assert [each.is_cut for each in found.ancestors] == [False, False, True]


async def test_of_two_ways_to_a_version_it_is_read_once(store: Store) -> None:
    base = await store.version("base")
    ours, theirs, merged = [await store.version(text) for text in ("ours", "theirs", "merged")]
    for child, parent, relation in (
        (ours, base, Relation.REVISION_OF),
        (theirs, base, Relation.REVISION_OF),
        (merged, theirs, Relation.MERGED_FROM),
        (merged, ours, Relation.REVISION_OF),
    ):
        await store.artifacts.link(store.conn, child.artifact_id, parent.artifact_id, relation)
    found, _ = await history_of(store, merged)
    assert [each.artifact for each in found.versions] == [merged, theirs, ours, base]
    # What it was made on comes first, then what was merged into it.
    assert found.ancestors[0].parents == (2, 1)

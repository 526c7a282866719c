"""Artifacts of any kind in garbage collection: files, retained ones, and annotations."""

import pytest

from orchestrator.core.database import Connection, connect
from orchestrator.core.digest import CasId
from orchestrator.models.artifact_manifest import ANNOTATION
from orchestrator.models.upkeep.gc import RetainedReason
from tests.api import ANN
from tests.service.conftest import Store, services
from tests.service.upkeep.test_gc import age, artifact_ids, blob_ids, collect, name


@pytest.fixture
def store(conn: Connection) -> Store:
    return services(conn)


async def test_an_artifact_keeps_its_files_as_long_as_it_stays(store: Store) -> None:
    named = await store.other("model", "named", files={"a": b"kept", "b": b"kept too"})
    await store.other("model", "garbage", files={"a": b"kept", "c": b"lost"})
    await name(store, "model", named)
    await age(store.conn, 8)
    await collect(store.conn, has_annotations=True)
    left = await blob_ids(store.conn)
    assert left == {str(CasId.of(b"kept")), str(CasId.of(b"kept too")), str(named.cas_id)}
    assert await store.conn.fetchval("SELECT count(*) FROM artifact_meta") == 1


async def test_a_retained_artifact_stays_with_what_it_comes_from(store: Store) -> None:
    data = await store.other("dataset", "data")
    model = await store.other("model", "model", data)
    await store.manifests.retain(store.conn, model, retained=True, by=ANN)
    await age(store.conn, 100)
    outcome = await collect(store.conn, has_annotations=True)
    assert outcome.of(model, data) == [RetainedReason.RETAINED, RetainedReason.NEEDED]
    assert (
        outcome.details[str(data.artifact_id)]
        == f"needed by {model.artifact_id}, which is retained"
    )
    await store.manifests.retain(store.conn, model, retained=False, by=ANN)
    assert (await collect(store.conn, has_annotations=True)).of(model, data) == [None, None]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("dry_run", [True, False])
async def test_annotations_live_as_long_as_what_they_are_about(
    store: Store, limit: int, dry_run: bool
) -> None:
    kept = await store.other("model", "kept")
    lost = await store.other("model", "lost")
    data = await store.other("dataset", "data")
    needs_data = await store.other("model", "needs data", data)
    await name(store, "kept", kept, needs_data)
    on_kept = await store.other(ANNOTATION, "on kept", kept)
    on_that = await store.other(ANNOTATION, "on that", on_kept)
    on_data = await store.other(ANNOTATION, "on data", data)
    on_lost = await store.other(ANNOTATION, "on lost", lost)
    on_that_too = await store.other(ANNOTATION, "on that too", on_lost)
    await age(store.conn, 8)
    outcome = await collect(store.conn, limit=limit, dry_run=dry_run, has_annotations=True)
    assert outcome.of(on_kept, on_that, on_data) == [RetainedReason.ABOUT] * 3
    assert outcome.of(lost, on_lost, on_that_too) == [None] * 3
    there = {str(each.artifact_id) for each in (kept, data, needs_data, on_kept, on_that, on_data)}
    gone = set() if not dry_run else {str(e.artifact_id) for e in (lost, on_lost, on_that_too)}
    assert await artifact_ids(store.conn) == there | gone
    assert str(on_kept.cas_id) in await blob_ids(store.conn)


async def test_an_annotation_about_two_keeps_both_as_long_as_one_stays(store: Store) -> None:
    kept, other = await store.other("model", "kept"), await store.other("model", "other")
    await name(store, "kept", kept)
    both = await store.other(ANNOTATION, "both", kept, other)
    await age(store.conn, 8)
    outcome = await collect(store.conn, has_annotations=True)
    assert outcome.of(both, other) == [RetainedReason.ABOUT, RetainedReason.NEEDED]
    await store.conn.execute("DELETE FROM tag")
    await store.conn.execute("DELETE FROM tag_move")
    assert (await collect(store.conn, has_annotations=True)).of(both, other, kept) == [
        None,
        None,
        None,
    ]


async def test_an_annotation_that_stays_by_itself_keeps_what_it_is_about(store: Store) -> None:
    model = await store.other("model", "model")
    named = await store.other(ANNOTATION, "named", model)
    young = await store.other(ANNOTATION, "young", model)
    await name(store, "note", named)
    await age(store.conn, 8)
    outcome = await collect(store.conn, has_annotations=True)
    assert outcome.of(named, model, young) == [
        RetainedReason.NAMED,
        RetainedReason.NEEDED,
        RetainedReason.ABOUT,
    ]


async def test_annotations_of_what_somebody_uses_at_this_moment_are_left(
    fresh_database: str,
) -> None:
    """The artifact is garbage when it is judged, and locked by a tag that is about to name it."""
    one, two = await connect(fresh_database), await connect(fresh_database)
    try:
        store = services(one)
        model = await store.other("model", "model")
        note = await store.other(ANNOTATION, "note", model)
        await age(one, 8)
        transaction = two.transaction()
        await transaction.start()
        await two.execute(
            "SELECT FROM artifact WHERE artifact_id = $1 FOR KEY SHARE", model.artifact_id
        )
        outcome = await collect(one, has_annotations=True)
        assert outcome.of(model, note) == [RetainedReason.IN_USE] * 2
        await transaction.rollback()
        assert (await collect(one, has_annotations=True)).of(model, note) == [None] * 2
    finally:
        await one.close()
        await two.close()

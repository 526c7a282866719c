"""The rules of the catalogue, on PostgreSQL and on memory."""

from uuid import uuid4

import pytest

from orchestrator.digest import CasId
from orchestrator.errors import NotFound
from orchestrator.models.artifact import Kind, Relation
from tests.service.conftest import NS, Store


async def test_the_same_version_twice_is_one_artifact(store: Store) -> None:
    first = await store.version("A")
    again, is_new = await store.artifacts.find_or_create_dag_version(
        store.conn, NS, first.cas_id, name="A", created_by="bob", nodes_count=1, edges_count=0
    )
    assert not is_new
    assert again == first
    assert (first.kind, first.version_hash) == (Kind.DAG_VERSION, first.cas_id)


async def test_namespaces_have_artifacts_of_their_own_for_the_same_bytes(store: Store) -> None:
    mine, theirs = await store.version("A"), await store.version("A", "other")
    assert mine.artifact_id != theirs.artifact_id
    assert mine.cas_id == theirs.cas_id
    with pytest.raises(NotFound):
        await store.artifacts.get_by_id(store.conn, NS, theirs.artifact_id)


async def test_ids_sort_by_the_time_they_were_made(store: Store) -> None:
    ids = [(await store.version(text)).artifact_id for text in "ABCDEF"]
    assert ids == sorted(ids)


async def test_an_artifact_is_found_by_id_and_by_version_hash(store: Store) -> None:
    version = await store.version("A")
    assert await store.artifacts.get_by_id(store.conn, NS, version.artifact_id) == version
    assert await store.artifacts.get_by_version_hash(store.conn, NS, version.cas_id) == version


async def test_what_is_unknown_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.artifacts.get_by_id(store.conn, NS, uuid4())
    with pytest.raises(NotFound):
        await store.artifacts.get_by_version_hash(store.conn, NS, CasId.of(b"?"))
    with pytest.raises(NotFound):
        await store.artifacts.get_by_plan_hash(store.conn, NS, CasId.of(b"?"))


async def test_a_chain_stands_on_one_base_and_counts_its_depth(store: Store) -> None:
    base = await store.version("A")
    one = await store.patch(base, "1")
    two = await store.patch(one, "2")
    three = await store.patch(two, "3")
    assert [each.depth for each in (base, one, two, three)] == [0, 1, 2, 3]
    assert {each.base_id for each in (one, two, three)} == {base.artifact_id}
    assert [each.previous_id for each in (one, two)] == [None, one.artifact_id]
    chain = await store.artifacts.get_patch_chain(store.conn, NS, three.artifact_id)
    assert list(chain) == [one, two, three]
    assert list(await store.artifacts.get_patch_chain(store.conn, NS, base.artifact_id)) == []
    assert list(await store.artifacts.get_patch_chain(store.conn, "x", three.artifact_id)) == []


async def test_equal_plans_share_one_snapshot(store: Store) -> None:
    version = await store.version("A")
    plan = CasId.of(b"plan")

    async def snapshot() -> tuple[object, bool]:
        return await store.artifacts.find_or_create_run_snapshot(
            store.conn,
            NS,
            version.cas_id,
            plan_hash=plan,
            version_hash=version.cas_id,
            nodes_count=1,
            edges_count=0,
            created_by="ann",
        )

    first, is_new = await snapshot()
    assert is_new
    assert await snapshot() == (first, False)


async def test_artifacts_are_listed_newest_first_by_kind_and_by_version(store: Store) -> None:
    base = await store.version("A")
    patch = await store.patch(base, "1")
    other = await store.version("B")
    await store.version("C", "other")

    async def ids(**filters: object) -> list[object]:
        found = await store.artifacts.list_newest(store.conn, NS, limit=10, **filters)  # type: ignore[arg-type]
        return [each.artifact_id for each in found]

    assert await ids() == [other.artifact_id, patch.artifact_id, base.artifact_id]
    assert await ids(kind=Kind.DAG_VERSION) == [other.artifact_id, base.artifact_id]
    assert await ids(version_hash=base.cas_id) == [base.artifact_id]
    assert await ids(version_hash=patch.version_hash) == [patch.artifact_id]
    assert await ids(version_hash=patch.version_hash, kind=Kind.DAG_VERSION) == []
    assert await ids(before=patch.artifact_id) == [base.artifact_id]


async def test_lineage_is_walked_both_ways_nearest_first_and_in_pages(store: Store) -> None:
    base = await store.version("A")
    one = await store.patch(base, "1")
    two = await store.patch(one, "2")
    revision = await store.version("B")
    await store.artifacts.link(
        store.conn, revision.artifact_id, two.artifact_id, Relation.REVISION_OF
    )
    up = await store.artifacts.list_lineage(
        store.conn, revision.artifact_id, up=True, depth_max=10, limit=10
    )
    assert [(edge.parent_id, edge.distance) for edge in up] == [
        (two.artifact_id, 1),
        (one.artifact_id, 2),
        (base.artifact_id, 3),
    ]
    down = await store.artifacts.list_lineage(
        store.conn, base.artifact_id, up=False, depth_max=2, limit=10
    )
    assert [edge.child_id for edge in down] == [one.artifact_id, two.artifact_id]
    first = up[0]
    rest = await store.artifacts.list_lineage(
        store.conn,
        revision.artifact_id,
        up=True,
        depth_max=10,
        after=(first.distance, first.child_id, first.parent_id, first.relation),
        limit=1,
    )
    assert rest == [up[1]]


async def test_an_edge_reached_on_two_ways_is_listed_once_at_its_shortest_distance(
    store: Store,
) -> None:
    a, b, c, d = [await store.version(text) for text in "ABCD"]
    for child, parent in ((b, a), (c, a), (d, b), (d, c), (d, a)):
        await store.artifacts.link(
            store.conn, child.artifact_id, parent.artifact_id, Relation.REVISION_OF
        )
    up = await store.artifacts.list_lineage(
        store.conn, d.artifact_id, up=True, depth_max=10, limit=10
    )
    assert sorted(edge.distance for edge in up) == [1, 1, 1, 2, 2]

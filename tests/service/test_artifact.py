"""The rules of the catalogue."""

import random
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest

from orchestrator.core.digest import CasId
from orchestrator.errors import NotFound
from orchestrator.models.artifact import Artifact, Kind, LineageEdge, NewVersion, Relation
from orchestrator.models.artifact_manifest import ArtifactFilter
from orchestrator.models.lineage import LineagePosition
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.artifact_lineage import LineageRepository
from orchestrator.service.artifact_lineage import ID_MAX, LIMITS, LineageWalk, WalkLimits
from tests.api import ANN, BOB
from tests.service.conftest import NS, Store


async def test_the_same_version_twice_is_one_artifact(store: Store) -> None:
    first = await store.version("A")
    again, is_new = await store.artifacts.find_or_create_dag_version(
        store.conn,
        NewVersion(
            namespace=NS, cas_id=first.cas_id, name="A", by=BOB, nodes_count=1, edges_count=0
        ),
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
            by=ANN,
        )

    first, is_new = await snapshot()
    assert is_new
    assert await snapshot() == (first, False)


async def test_artifacts_are_listed_newest_first_by_kind_and_by_version(store: Store) -> None:
    base = await store.version("A")
    patch = await store.patch(base, "1")
    other = await store.version("B")
    await store.version("C", "other")

    async def ids(before: UUID = ID_MAX, **filters: Any) -> list[object]:
        found = await store.artifact_search.list_newest(
            store.conn,
            NS,
            ArtifactFilter(**filters),
            before=before,
            limit=10,
        )
        return [each.artifact_id for each in found.items]

    assert await ids() == [other.artifact_id, patch.artifact_id, base.artifact_id]
    assert await ids(kind=Kind.DAG_VERSION) == [other.artifact_id, base.artifact_id]
    assert await ids(version_hash=base.cas_id) == [base.artifact_id]
    assert await ids(version_hash=patch.version_hash) == [patch.artifact_id]
    assert await ids(version_hash=patch.version_hash, kind=Kind.DAG_VERSION) == []
    assert await ids(before=patch.artifact_id) == [base.artifact_id]


async def link(store: Store, *edges: tuple[Artifact, Artifact]) -> None:
    for child, parent in edges:
        await store.artifacts.link(
            store.conn, child.artifact_id, parent.artifact_id, Relation.REVISION_OF
        )


async def lineage(
    store: Store,
    start: Artifact,
    *,
    up: bool,
    depth_max: int = 1_000,
    limit: int = 1_000,
    namespace: str = NS,
    limits: WalkLimits = LIMITS,
) -> list[LineageEdge]:
    """All pages, each as long as was asked for except the last."""
    found: list[LineageEdge] = []
    after: LineagePosition | None = None
    for _ in range(200):
        page = await LineageWalk(
            *(ArtifactRepository(), LineageRepository(), store.conn, start.artifact_id),
            up=up,
            depth_max=depth_max,
            limits=limits,
        ).page(namespace, after, limit)
        found += page.edges
        if page.position is None:
            return found
        assert len(page.edges) == limit
        after = page.position
        assert after.waiting is None or len(after.waiting) <= limits.waiting_max
    raise AssertionError("There is no end.")


async def test_lineage_is_walked_both_ways_and_tells_the_distance(store: Store) -> None:
    base = await store.version("A")
    one = await store.patch(base, "1")
    two = await store.patch(one, "2")
    revision = await store.version("B")
    await link(store, (revision, two))
    up = await lineage(store, revision, up=True)
    assert [(edge.artifact, edge.parent_id, edge.distance) for edge in up] == [
        (two, two.artifact_id, 1),
        (one, one.artifact_id, 2),
        (base, base.artifact_id, 3),
    ]
    down = await lineage(store, base, up=False, depth_max=2)
    assert [(edge.artifact, edge.child_id, edge.distance) for edge in down] == [
        (one, one.artifact_id, 1),
        (two, two.artifact_id, 2),
    ]
    assert await lineage(store, revision, up=False) == []
    assert await lineage(store, revision, up=True, namespace="x") == []


async def test_an_edge_reached_on_two_ways_is_listed_once_at_its_shortest_distance(
    store: Store,
) -> None:
    a, b, c, d = [await store.version(text) for text in "ABCD"]
    await link(store, (b, a), (c, a), (d, b), (d, c), (d, a))
    up = await lineage(store, d, up=True)
    assert [(edge.child_id, edge.parent_id, edge.distance) for edge in up] == [
        (d.artifact_id, c.artifact_id, 1),
        (d.artifact_id, b.artifact_id, 1),
        (d.artifact_id, a.artifact_id, 1),
        (c.artifact_id, a.artifact_id, 2),
        (b.artifact_id, a.artifact_id, 2),
    ]


def reached(
    edges: set[tuple[int, int]], start: int, *, up: bool, depth_max: int
) -> list[tuple[int, int, int]]:
    """What a walk must tell: child, parent, shortest distance; in its order."""
    near, far = (0, 1) if up else (1, 0)
    distances = {start: 0}
    level = [start]
    while level:
        met = {edge[far] for edge in edges if edge[near] in level} - distances.keys()
        distances |= dict.fromkeys(met, distances[level[0]] + 1)
        level = sorted(met)
    told = [
        (*edge, distances[edge[near]] + 1)
        for edge in edges
        if distances.get(edge[near], depth_max) < depth_max
    ]
    return sorted(told, key=lambda each: (each[near], each[far]), reverse=up)


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("seed", range(2))
async def test_pages_of_any_size_tell_what_one_page_tells(
    store: Store, seed: int, up: bool
) -> None:
    # So small that a page needs several statements, and that too many wait to be listed.
    limits = WalkLimits(spare=1, again=9, waiting_max=2 + seed)
    chosen = random.Random(seed)
    made = [await store.version(str(number)) for number in range(24)]
    numbers = {each.artifact_id: number for number, each in enumerate(made)}
    edges = {(c, p) for c in range(24) for p in range(c) if chosen.random() < 2 / (c - p + 8)}
    edges |= {(c, 0) for c in range(1, 9)} | {(23, p) for p in range(9, 17)}
    await link(store, *((made[child], made[parent]) for child, parent in edges))
    start = 23 if up else 0
    for depth_max in (3, 100):
        wanted = reached(edges, start, up=up, depth_max=depth_max)
        for limit in (1, 5, 100):
            found = await lineage(
                store, made[start], up=up, depth_max=depth_max, limit=limit, limits=limits
            )
            assert [
                (numbers[edge.child_id], numbers[edge.parent_id], edge.distance) for edge in found
            ] == wanted


async def test_two_edges_between_the_same_artifacts_may_be_on_two_pages(store: Store) -> None:
    base, head = [await store.version(text) for text in "AB"]
    relations = [Relation.COMPACTED_FROM, Relation.MERGED_FROM, Relation.REVISION_OF]
    for relation in relations:
        await store.artifacts.link(store.conn, head.artifact_id, base.artifact_id, relation)
    for start, up in ((head, True), (base, False)):
        found = await lineage(store, start, up=up, limit=1)
        assert [edge.relation for edge in found] == relations


async def test_an_edge_to_an_id_that_is_newer_is_followed_too(store: Store) -> None:
    a, b, c, d = [await store.version(text) for text in "ABCD"]
    await link(store, (c, d), (d, b), (b, a))
    for limit in (1, 100):
        up = await lineage(store, c, up=True, limit=limit)
        assert [(edge.artifact, edge.distance) for edge in up] == [(d, 1), (b, 2), (a, 3)]


async def test_a_page_takes_a_bounded_number_of_statements(
    store: Store,
) -> None:
    limits = WalkLimits(fetches_max=2, spare=-6)
    made = [await store.version(text) for text in "ABCDEFGH"]
    await link(store, *pairwise(reversed(made)))
    sizes: list[int] = []
    after: LineagePosition | None = None
    while len(sizes) < 9 and (not sizes or after is not None):
        page = await LineageWalk(
            *(ArtifactRepository(), LineageRepository(), store.conn, made[-1].artifact_id),
            up=True,
            depth_max=100,
            limits=limits,
        ).page(NS, after, 8)
        sizes.append(len(page.edges))
        after = page.position
    assert sizes == [3, 2, 2, 0]

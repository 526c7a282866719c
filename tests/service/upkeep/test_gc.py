"""What garbage collection keeps and deletes, and what it says of it: on PostgreSQL."""

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast
from uuid import UUID

import pytest

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.core.identifier import new_id
from orchestrator.models.artifact import Artifact, NewVersion, Relation
from orchestrator.models.upkeep.gc import (
    GC_START,
    Collected,
    GCPhase,
    GCPosition,
    Grace,
    Retained,
    RetainedReason,
)
from orchestrator.repository.upkeep.gc import GCRepository
from orchestrator.repository.upkeep.maintenance import MaintenanceRepository
from orchestrator.service.upkeep.gc import GCService
from tests.api import ANN
from tests.service.conftest import NS, Store, order, services

DAY = 86_400
ADD_BLOB = """
INSERT INTO artifact_blob (artifact_id, role, position, cas_id) VALUES ($1, 'reference', 0, $2)
"""
GRACE = Grace(seconds=7 * DAY, run_seconds=30 * DAY)
NOWHERE = cast("Any", None)


@pytest.fixture
def store(conn: Connection) -> Store:
    return services(conn)


async def age(conn: Connection, days: float, *artifacts: Artifact) -> None:
    """Make these artifacts, or everything, older."""
    ids = [each.artifact_id for each in artifacts]
    shift = f"created_at = created_at - make_interval(secs => {days * DAY})"
    await conn.execute("ALTER TABLE artifact DISABLE TRIGGER artifact_is_immutable")
    where = "cardinality($1::uuid[]) = 0 OR artifact_id = ANY($1)"
    await conn.execute(f"UPDATE artifact SET {shift} WHERE {where}", ids)
    await conn.execute("ALTER TABLE artifact ENABLE TRIGGER artifact_is_immutable")
    if not artifacts:
        await conn.execute(f"UPDATE cas_blob SET {shift}")


class Outcome:
    """All pages of a collection."""

    def __init__(self, deleted: Sequence[Collected], kept: Sequence[Retained]) -> None:
        self.deleted = [each.id for each in deleted]
        self.reasons = {each.id: each.reason for each in kept}
        self.details = {each.id: each.detail for each in kept}
        self.kept = list(kept)

    def of(self, *artifacts: Artifact) -> list[RetainedReason | None]:
        """Why each stays; None if it is garbage."""
        found = [self.reasons.get(str(each.artifact_id)) for each in artifacts]
        for each, reason in zip(artifacts, found, strict=True):
            assert (reason is None) == (str(each.artifact_id) in self.deleted)
        return found


async def collect(
    conn: Connection,
    *,
    dry_run: bool = False,
    limit: int = 3,
    grace: Grace = GRACE,
    has_annotations: bool = False,
) -> Outcome:
    gc = GCService(GCRepository(), MaintenanceRepository(), NOWHERE, grace=grace)
    deleted: list[Collected] = []
    kept: list[Retained] = []
    at: GCPosition | None = GC_START
    while at is not None:
        page = await gc.collect(conn, at, limit=limit, dry_run=dry_run)
        # Annotations go with what they are about, wherever they would come.
        assert has_annotations or len(page.deleted) + len(page.retained) <= limit
        deleted += page.deleted
        kept += page.retained
        at = page.following
    return Outcome(deleted, kept)


async def name(store: Store, tag: str, *artifacts: Artifact) -> None:
    for each in artifacts:
        await store.tags.create_or_move(
            store.conn, order(tag, each.artifact_id, namespace=each.namespace)
        )


async def artifact_ids(conn: Connection) -> set[str]:
    return {str(row[0]) for row in await conn.fetch("SELECT artifact_id FROM artifact")}


async def blob_ids(conn: Connection) -> set[str]:
    return {str(CasId(row[0])) for row in await conn.fetch("SELECT cas_id FROM cas_blob")}


@pytest.mark.parametrize("has_lineage", [True, False])
@pytest.mark.parametrize("depth", [1, 2, 40])
async def test_the_chain_and_the_base_of_a_tagged_head_stay_at_any_depth(
    store: Store, depth: int, has_lineage: bool
) -> None:
    base = await store.version("base")
    chain = [base]
    for number in range(depth):
        chain.append(await store.patch(chain[-1], str(number)))
    abandoned = await store.patch(chain[-1], "abandoned")
    await name(store, "main", chain[-1])
    if not has_lineage:
        await store.conn.execute("DELETE FROM lineage")
    await age(store.conn, 100)
    outcome = await collect(store.conn)
    assert outcome.of(*chain, abandoned) == [RetainedReason.NEEDED] * depth + [
        RetainedReason.NAMED,
        None,
    ]
    head = chain[-1].artifact_id
    assert outcome.details[str(base.artifact_id)] == (
        f"needed by {head}, which is named by tag {NS}/main"
    )
    assert len(await blob_ids(store.conn)) == 1 + 2 * depth


async def test_the_target_of_an_undone_move_stays(store: Store) -> None:
    first, second = await store.version("first"), await store.version("second")
    await name(store, "main", first, second)
    await store.tags.undo(store.conn, order("main"))
    await age(store.conn, 100)
    outcome = await collect(store.conn)
    assert outcome.of(first, second) == [RetainedReason.NAMED, RetainedReason.WAS_NAMED]
    assert outcome.details[str(second.artifact_id)] == f"was named by tag {NS}/main at version 2"
    by = {each.id: each.by for each in outcome.kept}
    assert by[str(second.artifact_id)] == f"{NS}/main@2"
    await store.tags.redo(store.conn, order("main"))


async def test_what_a_deleted_tag_named_stays(store: Store) -> None:
    version = await store.version("version")
    await name(store, "main", version)
    await store.tags.delete(store.conn, order("main"))
    await age(store.conn, 100)
    assert (await collect(store.conn)).of(version) == [RetainedReason.WAS_NAMED]


async def compacted(store: Store, top: Artifact) -> Artifact:
    assert top.version_hash is not None
    artifact, _ = await store.artifacts.find_or_create_dag_version(
        store.conn,
        NewVersion(
            namespace=NS, cas_id=top.version_hash, name=None, by=ANN, nodes_count=1, edges_count=0
        ),
    )
    ids = artifact.artifact_id, top.artifact_id
    await store.artifacts.link(store.conn, *ids, Relation.COMPACTED_FROM)
    return artifact


async def test_a_compaction_without_a_tag_goes_and_leaves_the_blob_that_others_need(
    store: Store,
) -> None:
    head = await store.patch(await store.version("base"), "patch")
    result = await compacted(store, head)
    await name(store, "main", head)
    before = await blob_ids(store.conn)
    await age(store.conn, 6.9)
    assert (await collect(store.conn)).of(result) == [RetainedReason.YOUNG]
    await age(store.conn, 0.2)
    outcome = await collect(store.conn)
    assert outcome.of(head, result) == [RetainedReason.NAMED, None]
    assert await blob_ids(store.conn) == before
    assert outcome.details[str(head.version_hash)] == f"content of artifact {head.artifact_id}"


async def test_the_blobs_that_only_garbage_had_go_with_it(store: Store) -> None:
    head = await store.patch(await store.version("base"), "patch")
    await compacted(store, head)
    await age(store.conn, 8)
    outcome = await collect(store.conn)
    assert await artifact_ids(store.conn) == set()
    assert await blob_ids(store.conn) == set()
    assert len(outcome.deleted) == 3 + 3
    assert await store.conn.fetchval("SELECT count(*) FROM lineage") == 0


async def test_a_blob_of_two_namespaces_stays_as_long_as_one_needs_it(store: Store) -> None:
    ours, theirs = await store.version("same"), await store.version("same", "theirs")
    await name(store, "main", theirs)
    await age(store.conn, 8)
    outcome = await collect(store.conn)
    assert outcome.of(ours, theirs) == [None, RetainedReason.NAMED]
    assert outcome.details[str(ours.cas_id)] == f"content of artifact {theirs.artifact_id}"
    assert await blob_ids(store.conn) == {str(ours.cas_id)}


@pytest.mark.parametrize("relation", Relation)
async def test_what_something_that_stays_came_from_stays(store: Store, relation: Relation) -> None:
    """Also if the two came about in the other order."""
    first, second, third = [await store.version(text) for text in "abc"]
    unrelated = await store.version("d")
    for child, parent in ((third, first), (first, second)):
        await store.artifacts.link(store.conn, child.artifact_id, parent.artifact_id, relation)
    await name(store, "main", third)
    await age(store.conn, 8)
    outcome = await collect(store.conn)
    assert outcome.of(first, second, third, unrelated) == [
        RetainedReason.NEEDED,
        RetainedReason.NEEDED,
        RetainedReason.NAMED,
        None,
    ]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_garbage_goes_in_one_collection_even_if_the_older_stands_on_the_newer(
    store: Store, limit: int
) -> None:
    """A compaction can find that its result was there before the chain that it comes from."""
    versions = [await store.version(text) for text in "abcd"]
    for older, newer in pairwise(versions):
        ids = older.artifact_id, newer.artifact_id
        await store.artifacts.link(store.conn, *ids, Relation.COMPACTED_FROM)
    await age(store.conn, 8)
    predicted = await collect(store.conn, dry_run=True, limit=limit)
    outcome = await collect(store.conn, limit=limit)
    assert sorted(outcome.deleted) == sorted(predicted.deleted)
    assert await artifact_ids(store.conn) == set()


async def test_what_is_young_stays_and_what_it_stands_on_does_too(store: Store) -> None:
    base = await store.version("base")
    patch = await store.patch(base, "patch")
    await age(store.conn, 8)
    young = await store.patch(patch, "young")
    outcome = await collect(store.conn)
    assert outcome.of(base, patch, young) == [
        RetainedReason.NEEDED,
        RetainedReason.NEEDED,
        RetainedReason.YOUNG,
    ]
    assert outcome.details[str(base.artifact_id)] == (
        f"needed by {young.artifact_id}, which is younger than 7 days"
    )


async def test_a_run_stays_for_longer(store: Store) -> None:
    version = await store.version("version")
    plan = (await store.cas.store_content(store.conn, b"plan", "text/plain", by=ANN)).blob.cas_id
    snapshot, _ = await store.artifacts.find_or_create_run_snapshot(
        store.conn,
        NS,
        plan,
        plan_hash=plan,
        version_hash=version.cas_id,
        nodes_count=1,
        edges_count=0,
        by=ANN,
    )
    ids = snapshot.artifact_id, version.artifact_id
    await store.artifacts.link(store.conn, *ids, Relation.REVISION_OF)
    await age(store.conn, 29)
    outcome = await collect(store.conn)
    assert outcome.of(snapshot, version) == [RetainedReason.YOUNG_RUN, RetainedReason.NEEDED]
    assert outcome.details[ids[0].__str__()] == "run younger than 30 days"
    assert outcome.details[ids[1].__str__()] == (
        f"needed by {ids[0]}, which is a run younger than 30 days"
    )
    await age(store.conn, 2)
    outcome = await collect(store.conn)
    assert outcome.of(snapshot, version) == [None, None]
    assert await blob_ids(store.conn) == set()


async def test_a_leased_blob_stays_and_goes_with_its_expired_lease(store: Store) -> None:
    blob = (await store.cas.store_content(store.conn, b"upload", "text/plain", by=ANN)).blob
    for namespace in (NS, "theirs"):
        await store.cas.lease(store.conn, namespace, blob.cas_id, "text/plain")
    await age(store.conn, 8)
    outcome = await collect(store.conn)
    assert outcome.reasons == {str(blob.cas_id): RetainedReason.LEASED}
    assert outcome.details[str(blob.cas_id)].startswith("leased to t")
    expire = "UPDATE cas_lease SET expires_at = now() WHERE namespace = $1"
    await store.conn.execute(expire, NS)
    outcome = await collect(store.conn)
    assert outcome.reasons == {str(blob.cas_id): RetainedReason.LEASED}
    assert await store.conn.fetchval("SELECT count(*) FROM cas_lease") == 2
    await store.conn.execute(expire, "theirs")
    assert (await collect(store.conn)).deleted == [str(blob.cas_id)]
    assert await store.conn.fetchval("SELECT count(*) FROM cas_lease") == 0


async def test_a_young_blob_and_the_result_of_an_upload_stay(store: Store) -> None:
    young = (await store.cas.store_content(store.conn, b"young", "text/plain", by=ANN)).blob.cas_id
    assert (await collect(store.conn)).details == {str(young): "younger than 7 days"}
    await age(store.conn, 8)
    upload_id = new_id()
    await store.conn.execute(
        "INSERT INTO cas_upload (upload_id, namespace, media_type, cas_id, created_by, expires_at) "
        "VALUES ($1, 'team', 'text/plain', $2, 'ann', now() + interval '1 hour')",
        upload_id,
        young.raw,
    )
    assert (await collect(store.conn)).details == {str(young): f"result of upload {upload_id}"}
    await store.conn.execute("UPDATE cas_upload SET expires_at = now()")
    assert (await collect(store.conn)).deleted == [str(young)]


async def test_a_blob_that_an_artifact_has_besides_its_content_stays(store: Store) -> None:
    manifest, garbage = await store.version("manifest"), await store.version("garbage")
    layers = [
        (await store.cas.store_content(store.conn, text, "text/plain", by=ANN)).blob.cas_id
        for text in (b"layer", b"layer of garbage")
    ]
    for artifact, layer in zip((manifest, garbage), layers, strict=True):
        insert = ADD_BLOB
        await store.conn.execute(insert, artifact.artifact_id, layer.raw)
    await name(store, "main", manifest)
    await age(store.conn, 8)
    predicted = await collect(store.conn, dry_run=True)
    assert predicted.details[str(layers[0])] == f"content of artifact {manifest.artifact_id}"
    assert (await collect(store.conn)).deleted == predicted.deleted
    assert await blob_ids(store.conn) == {str(manifest.cas_id), str(layers[0])}


async def test_with_other_times_other_words_are_said(store: Store) -> None:
    version = str((await store.version("version")).artifact_id)
    for seconds, said in ((DAY, "1 day"), (7_200, "2 hours"), (60, "1 minute"), (0.5, "0.5 sec")):
        grace = Grace(seconds=seconds, run_seconds=0)
        outcome = await collect(store.conn, grace=grace)
        assert outcome.details[version].startswith(f"younger than {said}")


# ------------------------------------------------------------- against a model of the whole rule


class Model:
    """A random catalogue, and in Python what of it must stay."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.artifacts: list[Artifact] = []
        self.roots: set[UUID] = set()
        self.parents: dict[UUID, set[UUID]] = {}
        self.blobs: dict[UUID, set[CasId]] = {}
        self.leased: set[CasId] = set()

    async def build(self, count: int) -> None:
        old: list[Artifact] = []
        for number in range(count):
            artifact = await self._create(number)
            self.artifacts.append(artifact)
            self.blobs[artifact.artifact_id] = {artifact.cas_id, artifact.version_hash or NOWHERE}
            await self._link(artifact)
            if self.random.random() < 0.15:
                await name(self.store, f"tag{number % 3}", artifact)
                self.roots.add(artifact.artifact_id)
            if self.random.random() < 0.1:
                self.roots.add(artifact.artifact_id)
            else:
                old.append(artifact)
        await age(self.store.conn, 8, *old)
        for number in range(count // 3):
            text = b"blob %d" % number
            blob = (
                await self.store.cas.store_content(self.store.conn, text, "text/plain", by=ANN)
            ).blob
            if self.random.random() < 0.5:
                await self.store.cas.lease(self.store.conn, NS, blob.cas_id, "text/plain")
                self.leased.add(blob.cas_id)
        await self.store.conn.execute("UPDATE cas_blob SET created_at = now() - interval '8 days'")

    async def _create(self, number: int) -> Artifact:
        if self.artifacts and self.random.random() < 0.6:
            below = self.random.choice(self.artifacts)
            artifact = await self.store.patch(below, str(self.random.randrange(number + 1)))
            stands_on = {below.artifact_id, artifact.base_id or below.artifact_id}
        else:
            space = self.random.choice((NS, "theirs"))
            artifact = await self.store.version(f"result {number}", space)
            stands_on = set()
        self.parents[artifact.artifact_id] = stands_on
        return artifact

    async def _link(self, artifact: Artifact) -> None:
        """Mostly from the newer to the older; sometimes the other way, without a cycle."""
        if not self.artifacts or self.random.random() < 0.7:
            return
        child, parent = artifact.artifact_id, self.random.choice(self.artifacts).artifact_id
        if self.random.random() < 0.3 and parent not in self._above({child}):
            child, parent = parent, child
        if child != parent:
            await self.store.artifacts.link(self.store.conn, child, parent, Relation.MERGED_FROM)
            self.parents[child].add(parent)

    def _above(self, ids: set[UUID]) -> set[UUID]:
        reached, level = set(ids), set(ids)
        while level := {up for each in level for up in self.parents[each]} - reached:
            reached |= level
        return reached

    def garbage(self) -> set[str]:
        kept = self._above(self.roots)
        held = {blob for each in kept for blob in self.blobs[each]} | self.leased
        had = {blob for blobs in self.blobs.values() for blob in blobs}
        gone = {str(each.artifact_id) for each in self.artifacts if each.artifact_id not in kept}
        return gone | {str(blob) for blob in had - held}


@pytest.mark.parametrize("limit", [1, 7, 1_000])
@pytest.mark.parametrize("seed", range(6))
async def test_what_goes_is_what_the_rule_says_and_what_the_dry_run_said(
    store: Store, seed: int, limit: int
) -> None:
    model = Model(store, seed)
    await model.build(45)
    everything = await artifact_ids(store.conn) | await blob_ids(store.conn)
    loose = {
        str(CasId.of(b"blob %d" % n))
        for n in range(15)
        if CasId.of(b"blob %d" % n) not in model.leased
    }
    expected = model.garbage() | loose
    assert 0 < len(expected) < len(everything)

    predicted = await collect(store.conn, dry_run=True, limit=limit)
    assert await artifact_ids(store.conn) | await blob_ids(store.conn) == everything
    assert sorted(predicted.deleted) == sorted(expected)
    assert predicted.details.keys() == everything - expected, "each keep has its reason"
    assert RetainedReason.IN_USE not in predicted.reasons.values()

    outcome = await collect(store.conn, limit=limit)
    assert sorted(outcome.deleted) == sorted(expected)
    assert await artifact_ids(store.conn) | await blob_ids(store.conn) == everything - expected

    again = await collect(store.conn, limit=limit)
    assert again.deleted == []
    assert again.details.keys() == everything - expected


async def test_a_dry_run_and_a_run_say_the_same_of_each_thing(store: Store) -> None:
    base = await store.version("base")
    await store.patch(base, "garbage")
    await name(store, "main", base)
    await age(store.conn, 8)
    gc = GCService(GCRepository(), MaintenanceRepository(), NOWHERE, grace=GRACE)
    for at in (GC_START, GCPosition(phase=GCPhase.BLOBS)):
        dry = await gc.collect(store.conn, at, limit=10, dry_run=True)
        run = await gc.collect(store.conn, at, limit=10, dry_run=False)
        assert (dry.deleted, dry.retained, dry.following) == (
            run.deleted,
            run.retained,
            run.following,
        )


async def test_nothing_of_a_page_is_deleted_that_was_taken_up_after_it_was_judged(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each statement that deletes asks again what the judgement asked."""
    named, followed, linked = [await store.version(text) for text in ("n", "f", "l")]
    texts = (b"leased", b"content", b"part", b"upload", b"again")
    blobs = [
        (await store.cas.store_content(store.conn, text, "text/plain", by=ANN)).blob.cas_id
        for text in texts
    ]
    await age(store.conn, 8)
    late: list[Artifact] = []

    async def take_up_artifacts(*_: Any) -> list[UUID]:
        await name(store, "main", named)
        late.append(await store.patch(followed, "late"))
        late.append(await store.version("late"))
        ids = late[-1].artifact_id, linked.artifact_id
        await store.artifacts.link(store.conn, *ids, Relation.MERGED_FROM)
        return [each.artifact_id for each in (linked, followed, named)]

    async def take_up_blobs(_: Any, __: Any, cas_ids: Sequence[bytes]) -> Sequence[bytes]:
        await store.cas.lease(store.conn, NS, blobs[0], "text/plain")
        await store.version("content")
        insert = ADD_BLOB
        await store.conn.execute(insert, named.artifact_id, blobs[2].raw)
        await store.conn.execute(
            "INSERT INTO cas_upload (upload_id, namespace, media_type, cas_id, created_by, "
            "expires_at) VALUES ($1, 'team', 'text/plain', $2, 'ann', now() + interval '1 hour')",
            new_id(),
            blobs[3].raw,
        )
        # Deleted by another collection and stored again since.
        young = "UPDATE cas_blob SET created_at = now() + interval '1 s' WHERE cas_id = $1"
        await store.conn.execute(young, blobs[4].raw)
        return cas_ids

    monkeypatch.setattr(GCRepository, "lock_artifacts", take_up_artifacts)
    monkeypatch.setattr(GCRepository, "lock_blobs", take_up_blobs)
    gc = GCService(GCRepository(), MaintenanceRepository(), NOWHERE, grace=GRACE)
    page = await gc.collect(store.conn, GC_START, limit=10, dry_run=False)
    assert page.deleted == []
    assert [each.reason for each in page.retained] == [RetainedReason.IN_USE] * 3
    page = await gc.collect(store.conn, GCPosition(phase=GCPhase.BLOBS), limit=20, dry_run=False)
    assert page.deleted == []
    in_use = {each.id for each in page.retained if each.reason is RetainedReason.IN_USE}
    assert in_use == {str(blob) for blob in blobs}

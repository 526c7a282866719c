"""Versions made from versions: ancestors, chains and compaction."""

import json
from typing import Any

import pytest

from orchestrator.documents.workflow import check_workflow
from orchestrator.documents.workflow_change import ChangeRules, patched
from orchestrator.documents.workflow_patch import PatchFormat
from orchestrator.errors import NotFound, WrongKind
from orchestrator.models.artifact import Artifact, Relation
from orchestrator.models.reference import parse_reference
from orchestrator.models.version import Head
from orchestrator.repository.reference import ReferenceRepository
from orchestrator.service.blob_reference import BlobReferenceService
from orchestrator.service.merge import MergeService
from orchestrator.service.merge_base import MergeBaseService, MergeLimits
from orchestrator.service.reference import ReferenceService
from orchestrator.service.version import VersionService
from orchestrator.service.version_change import VersionChangeService
from tests.api import ANN, chain
from tests.service.conftest import NS, Store, order

RULES = ChangeRules(workflow_bytes_max=1_000, agent_nodes_added_max=5, body_values_max=99)


def versions_of(store: Store) -> VersionService:
    references = ReferenceService(ReferenceRepository())
    return VersionService(store.cas, store.artifacts, store.tags, references, equal_versions_max=9)


def changes_of(store: Store) -> VersionChangeService:
    versions = versions_of(store)
    return VersionChangeService(
        store.cas,
        store.artifacts,
        store.tags,
        versions,
        BlobReferenceService(store.cas, store.manifests),
        rules=RULES,
    )


def merges_of(store: Store) -> MergeService:
    bases = MergeBaseService(store.cas, store.artifacts, limits=MergeLimits())
    versions, changes = versions_of(store), changes_of(store)
    return MergeService(bases, store.artifacts, versions, changes, rules=RULES)


def json_patch(*operations: Any) -> tuple[bytes, PatchFormat]:
    return json.dumps(operations).encode(), PatchFormat.JSON_PATCH


async def workflow(store: Store, tag: str, *ids: str) -> Artifact:
    content = check_workflow(chain(*ids)).content
    artifact = await store.version(content.decode())
    await store.tags.create_or_move(store.conn, order(tag, artifact.artifact_id))
    return artifact


async def head(store: Store, tag: str = "main") -> Head:
    return await versions_of(store).get_head(store.conn, NS, tag)


async def change(store: Store, milliseconds: int, tag: str = "main") -> Artifact:
    at = await head(store, tag)
    operation: Any = {"op": "add", "path": "/nodes/0/timeout_ms", "value": milliseconds}
    revision = patched(at.version.content, *json_patch(operation), RULES)
    changed = await changes_of(store).store_patch(store.conn, at, revision, by=ANN, message=None)
    return changed.artifact


async def test_a_head_is_what_a_tag_names_and_at_which_version(store: Store) -> None:
    base = await workflow(store, "main", "a")
    found = await head(store)
    assert (found.tag_version, found.version.artifact) == (1, base)
    for missing in ("nope",):
        with pytest.raises(NotFound) as refusal:
            await head(store, missing)
        assert refusal.value.kind == "workflow"


async def test_a_version_is_found_in_every_way_it_can_be_named(store: Store) -> None:
    base = await workflow(store, "main", "a")
    patch = await change(store, 5)
    versions = versions_of(store)
    for text, expected in (
        ("main", patch),
        ("main@1", base),
        ("1", base),
        ("@2", patch),
        (str(base.artifact_id), base),
        (str(patch.version_hash), patch),
    ):
        reference = parse_reference(text, tag="main", pointer="/x")
        assert await versions.find(store.conn, NS, reference) == expected, text


async def test_the_nearest_version_that_both_contain_is_the_base(store: Store) -> None:
    base = await workflow(store, "main", "a")
    fork = await change(store, 1)
    await store.tags.create(store.conn, order("side", fork.artifact_id))
    ours, theirs = await change(store, 2), await change(store, 3, "side")

    async def find(one: Artifact, other: Artifact) -> list[Artifact]:
        return await store.artifacts.list_common_ancestors(store.conn, one, other, limit=9)

    assert await find(ours, theirs) == [fork]
    assert await find(ours, ours) == [ours]
    assert await find(ours, base) == [base]
    await store.artifacts.link(
        store.conn, ours.artifact_id, theirs.artifact_id, Relation.CHERRY_PICKED_FROM
    )
    assert await find(ours, theirs) == [fork], "a picked change is not the whole"
    unrelated = await workflow(store, "other", "z")
    assert await find(ours, unrelated) == []


async def test_positions_of_a_chain_are_depths(store: Store) -> None:
    base = await workflow(store, "main", "a")
    patches = [await change(store, number) for number in (1, 2, 3)]
    versions = versions_of(store)
    top = patches[-1]
    for seq, expected in enumerate([base, *patches]):
        assert (await versions.get_at_seq(store.conn, NS, top, seq)).artifact == expected
    with pytest.raises(NotFound):
        await versions.get_at_seq(store.conn, NS, top, 4)
    listed = await versions.list_versions(store.conn, NS, top, limit=3)
    assert listed == [patches[2], patches[1], patches[0]]
    whole = await versions.list_versions(store.conn, NS, top, limit=9)
    assert whole[-1] == base


async def test_the_version_before_is_the_one_a_change_was_made_on(store: Store) -> None:
    base = await workflow(store, "main", "a")
    await change(store, 1)
    versions = versions_of(store)
    before = await versions.get_before(store.conn, NS, (await head(store)).version, None)
    assert before.artifact == base
    with pytest.raises(NotFound):
        await versions.get_before(store.conn, NS, before, None)


async def test_tags_that_named_an_artifact_are_found(store: Store) -> None:
    base = await workflow(store, "main", "a")
    await store.tags.create(store.conn, order("release", base.artifact_id))
    await change(store, 1)
    found = await store.tags.list_by_target(store.conn, NS, base.artifact_id, limit=9)
    assert [(each.name, each.current, each.last_version) for each in found] == [
        ("main", False, 1),
        ("release", True, 1),
    ]


async def test_an_artifact_that_is_no_version_has_no_workflow(store: Store) -> None:
    model = await store.other("model", "weights")
    with pytest.raises(WrongKind):
        await versions_of(store).with_content(store.conn, model)

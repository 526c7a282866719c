"""Versions made from versions: what is stored of a change, and what is not, on PostgreSQL."""

import json
from typing import Any

import pytest

from orchestrator.documents.workflow_change import Manner, parsed, patched
from orchestrator.documents.workflow_merge_value import NOT_SETTLED
from orchestrator.errors import VersionConflict
from orchestrator.errors_change import NoCommonAncestor, NothingToCompact
from orchestrator.models.artifact import Kind, Relation
from orchestrator.models.reference import Reference, parse_reference
from orchestrator.models.version import Head, MergeOutcome
from tests.api import ANN
from tests.service.conftest import Store
from tests.service.test_version import (
    RULES,
    change,
    changes_of,
    head,
    json_patch,
    merges_of,
    workflow,
)


async def test_a_stale_head_is_a_conflict_also_when_nothing_would_change(store: Store) -> None:
    await workflow(store, "main", "a")
    stale = await head(store)
    await change(store, 5)
    same: list[Any] = [{"op": "test", "path": "/nodes/0/id", "value": "a"}]
    other: list[Any] = [{"op": "add", "path": "/name", "value": "x"}]
    for operations in (same, other):
        revision = patched(stale.version.content, *json_patch(*operations), RULES)
        with pytest.raises(VersionConflict):
            await changes_of(store).store_patch(store.conn, stale, revision, by=ANN, message=None)


async def test_history_says_what_a_merge_amounts_to(store: Store) -> None:
    await workflow(store, "main", "a")
    first = await head(store)
    await change(store, 1)
    second = await head(store)

    async def outcome(ours: Head, theirs: str) -> MergeOutcome:
        plan = await merges_of(store).plan(
            store.conn, ours, named(theirs), base=None, settlement=NOT_SETTLED
        )
        assert plan.sides is not None
        return plan.sides.outcome

    assert await outcome(second, "main@1") is MergeOutcome.UP_TO_DATE
    assert await outcome(second, "main") is MergeOutcome.UP_TO_DATE
    assert await outcome(first, "main") is MergeOutcome.FAST_FORWARD
    await workflow(store, "other", "z")
    with pytest.raises(NoCommonAncestor):
        await outcome(first, "other")


async def test_compaction_makes_one_equal_version_once(store: Store) -> None:
    await workflow(store, "main", "a")
    changes = changes_of(store)
    with pytest.raises(NothingToCompact):
        await changes.compact(store.conn, await head(store), by=ANN)
    top = await change(store, 1)
    compacted, is_new = await changes.compact(store.conn, await head(store), by=ANN)
    assert is_new
    assert (compacted.kind, compacted.version_hash) == (Kind.DAG_VERSION, top.version_hash)
    assert compacted.meta == {"compacted_from": str(top.artifact_id), "original_depth": 1}
    assert await changes.compact(store.conn, await head(store), by=ANN) == (compacted, False)


def named(text: str) -> Reference:
    return parse_reference(text, tag="main", pointer="/x")


async def test_a_plan_of_a_cherry_pick_computes_the_change_that_made_the_version(
    store: Store,
) -> None:
    await workflow(store, "main", "a")
    picked = await change(store, 5)
    await workflow(store, "other", "a", "b")
    plan = await changes_of(store).plan_cherry_pick(
        store.conn, await head(store, "other"), named("main"), NOT_SETTLED
    )
    document: Any = parsed(plan.compute().content)
    assert document["nodes"] == [
        {"id": "a", "type": "task", "timeout_ms": 5},
        {"id": "b", "type": "task"},
    ]
    (origin,) = plan.origins
    assert (origin.parent_id, origin.relation) == (
        picked.artifact_id,
        Relation.CHERRY_PICKED_FROM,
    )


@pytest.mark.parametrize("at", [1, named("main@2")])
async def test_a_plan_of_a_revert_computes_the_head_without_the_change(
    store: Store, at: int | Reference
) -> None:
    base = await workflow(store, "main", "a")
    reverted = await change(store, 5)
    plan = await changes_of(store).plan_revert(store.conn, await head(store), at, NOT_SETTLED)
    assert plan.compute().version_hash == base.version_hash
    (origin,) = plan.origins
    assert (origin.parent_id, origin.relation) == (reverted.artifact_id, Relation.REVERT_OF)


async def test_a_merge_that_is_planned_for_a_dry_run_tells_what_would_change(
    store: Store,
) -> None:
    await workflow(store, "main", "a")
    behind = await head(store)
    await change(store, 5)
    merges = merges_of(store)
    for ours, outcome, nodes_changed in (
        (behind, MergeOutcome.FAST_FORWARD, 1),
        (await head(store), MergeOutcome.UP_TO_DATE, 0),
    ):
        plan = await merges.plan(
            store.conn,
            ours,
            named("main"),
            base=None,
            settlement=NOT_SETTLED,
            manner=Manner(dry_run=True),
        )
        merge = plan.compute()
        assert plan.sides is not None
        assert plan.sides.outcome is outcome
        assert merge.revision is None
        assert merge.preview is not None
        assert len(json.loads(merge.preview)["nodes_changed"]) == nodes_changed

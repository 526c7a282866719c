"""Which versions several merge bases are merged from, and how far back their history is read."""

from collections.abc import Mapping
from uuid import UUID

from orchestrator.documents.workflow_merge_base import BaseStep
from orchestrator.models.artifact import Artifact, Relation
from orchestrator.service.merge_base import MergeLimits, plan_steps
from tests.service.conftest import Store


def id_(number: int) -> UUID:
    return UUID(int=number)


def history(parents: Mapping[int, list[int]]) -> dict[UUID, list[UUID]]:
    return {id_(child): [id_(each) for each in found] for child, found in parents.items()}


def ladder(rungs: int) -> dict[int, list[int]]:
    """From 1, two lines that are merged into each other at every rung."""
    parents = {2: [1], 3: [1]}
    for number in range(4, 4 + 2 * rungs, 2):
        parents |= {number: [number - 2, number - 1], number + 1: [number - 1, number - 2]}
    return parents


def test_two_bases_are_merged_over_their_own() -> None:
    assert plan_steps(history(ladder(0)), [id_(3), id_(2)], 9) == [BaseStep(id_(2), id_(3), id_(1))]


def test_bases_of_bases_are_merged_first_and_once() -> None:
    assert plan_steps(history(ladder(2)), [id_(6), id_(7)], 9) == [
        BaseStep(id_(2), id_(3), id_(1)),
        BaseStep(id_(4), id_(5), 0),
        BaseStep(id_(6), id_(7), 1),
    ]


def test_a_third_base_is_merged_with_what_the_first_two_gave() -> None:
    parents = history({2: [1], 3: [1], 5: [2], 6: [3], 7: [2, 3]})
    assert plan_steps(parents, [id_(5), id_(6), id_(7)], 9) == [
        BaseStep(id_(5), id_(6), id_(1)),
        BaseStep(id_(2), id_(3), id_(1)),
        BaseStep(0, id_(7), 1),
    ]


def test_bases_without_a_common_ancestor_have_no_base() -> None:
    assert plan_steps(history({3: [1], 4: [2]}), [id_(3), id_(4)], 9) == [
        BaseStep(id_(3), id_(4), None)
    ]


def test_the_number_of_merges_is_bounded() -> None:
    most = MergeLimits().steps_max
    for rungs, is_possible in ((most - 1, True), (most, False), (2_000, False)):
        top = 2 + 2 * rungs
        steps = plan_steps(history(ladder(rungs)), [id_(top), id_(top + 1)], most)
        assert (steps is not None) is is_possible


async def crossed(store: Store, *, below: int) -> tuple[Artifact, Artifact, Artifact]:
    """A fork on a chain, and the two lines above it, merged into each other."""
    fork = await store.version("base")
    for number in range(below):
        fork = await store.patch(fork, f"below {number}")
    ours, theirs = await store.patch(fork, "ours"), await store.patch(fork, "theirs")
    ours_merged, theirs_merged = await store.patch(ours, "a"), await store.patch(theirs, "b")
    for child, parent in ((ours_merged, theirs), (theirs_merged, ours)):
        await store.artifacts.link(
            store.conn, child.artifact_id, parent.artifact_id, Relation.MERGED_FROM
        )
    found = await store.artifacts.list_common_ancestors(
        store.conn, ours_merged, theirs_merged, limit=9
    )
    assert found == [theirs, ours]
    return fork, ours_merged, theirs_merged


async def test_history_is_read_to_where_all_lines_meet(store: Store) -> None:
    fork, ours, theirs = await crossed(store, below=9)
    found = await store.artifacts.get_history(
        store.conn, [ours, theirs], versions_max=99, branches_max=99
    )
    assert found is not None
    assert {ours.artifact_id, theirs.artifact_id} <= found.keys()
    assert len(found) == 4, "nothing of what is below the fork"
    assert fork.artifact_id in {parent for parents in found.values() for parent in parents}


async def test_a_history_that_is_too_long_is_not_read_in_part(store: Store) -> None:
    _, ours, theirs = await crossed(store, below=1)
    for versions, branches in ((3, 99), (99, 1)):
        found = await store.artifacts.get_history(
            store.conn, [ours, theirs], versions_max=versions, branches_max=branches
        )
        assert found is None

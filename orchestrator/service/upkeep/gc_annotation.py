"""Annotations in garbage collection: one stays as long as what it is about, and goes with it.

An annotation does not keep its subject, unless it stays by itself, because a tag names it, say.
One about several artifacts stays as long as one of them does, and then keeps them all.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.models.upkeep.gc import Annotated, Grace, Root, WalkStep
from orchestrator.repository.upkeep.gc import GCRepository


async def needed_with_annotations(
    rows: GCRepository, conn: Connection, artifact_ids: Sequence[UUID], grace: Grace
) -> dict[UUID, Root]:
    """Which of these, none of which stays by itself, are needed, each with the root that needs it.

    That is what something that stays stands on, and what is about something that stays.
    """
    if not artifact_ids:
        return {}
    needed = _roots_by_artifact(await rows.walk(conn, artifact_ids, grace))
    left = [each for each in artifact_ids if each not in needed]
    pairs = await rows.list_annotated(conn, left) if left else []
    if not pairs:
        return needed
    judged = {*artifact_ids, *(pair.annotation.artifact_id for pair in pairs)}
    others = sorted({pair.subject.artifact_id for pair in pairs} - judged)
    staying = needed | await _staying(rows, conn, others, grace)
    while True:
        more = _held(pairs, staying)
        if not more:
            return staying
        staying |= more


async def _staying(
    rows: GCRepository, conn: Connection, artifact_ids: Sequence[UUID], grace: Grace
) -> dict[UUID, Root]:
    """Which of these stay, by themselves or because they are needed."""
    if not artifact_ids:
        return {}
    found = await rows.list_roots(conn, artifact_ids, grace)
    roots = {each.artifact_id: each.root for each in found if each.root is not None}
    unsure = [each for each in artifact_ids if each not in roots]
    if not unsure:
        return roots
    return roots | _roots_by_artifact(await rows.walk(conn, unsure, grace))


def _held(pairs: Sequence[Annotated], staying: Mapping[UUID, Root]) -> dict[UUID, Root]:
    """What stays because of those that do: annotations with their subjects, and the other way."""
    more: dict[UUID, Root] = {}
    for pair in pairs:
        annotation, subject = pair.annotation.artifact_id, pair.subject.artifact_id
        if subject in staying and annotation not in staying:
            more[annotation] = staying[subject]
        elif annotation in staying and subject not in staying:
            more[subject] = staying[annotation]
    return more


def blocked(pairs: Sequence[Annotated], free: Collection[UUID]) -> set[UUID]:
    """Which annotations cannot go now: they, or something that they are about, are not free."""
    found = {
        pair.annotation.artifact_id
        for pair in pairs
        if pair.annotation.artifact_id not in free or pair.subject.artifact_id not in free
    }
    while True:
        more = {
            pair.annotation.artifact_id for pair in pairs if pair.subject.artifact_id in found
        } - found
        if not more:
            return found
        found |= more


def _roots_by_artifact(steps: Sequence[WalkStep]) -> dict[UUID, Root]:
    """Which artifacts are needed, each with the root that needs it: a walk from each root that was
    met, back along the steps that led there.
    """
    parents: dict[UUID, list[UUID]] = {}
    needed: dict[UUID, Root] = {}
    for step in steps:
        if step.root is not None:
            needed[step.artifact_id] = step.root
        if step.parent_id is not None:
            parents.setdefault(step.artifact_id, []).append(step.parent_id)
    reached = list(needed)
    while reached:
        artifact_id = reached.pop()
        for parent_id in parents.get(artifact_id, ()):
            if parent_id not in needed:
                needed[parent_id] = needed[artifact_id]
                reached.append(parent_id)
    return needed

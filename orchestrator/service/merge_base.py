"""Finds what a merge begins with: the nearest common ancestors, and how several become one base.

No HTTP, no SQL, no transaction opened.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.documents.workflow_merge_base import BaseStep, MergeBase, Ref, SeveralBases
from orchestrator.errors import NotFound
from orchestrator.errors_change import NoCommonAncestor, TooManyBases
from orchestrator.models.artifact import Artifact
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.cas import CASService


class MergeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one merge may do to find its base."""

    #: Nearest common ancestors that are listed.
    bases_max: int = 100
    #: Merges of bases, and bytes that are read for them.
    steps_max: int = 32
    bytes_max: int = 32 * 1024 * 1024
    #: How much of the history of the bases is read.
    history_versions_max: int = 5_000
    history_branches_max: int = 100


class MergeBaseService:
    """Reads the histories of two versions, and the contents of what they both contain."""

    def __init__(self, cas: CASService, artifacts: ArtifactService, *, limits: MergeLimits) -> None:
        self._cas = cas
        self._artifacts = artifacts
        self._limits = limits

    async def find(
        self, conn: Connection, ours: Artifact, theirs: Artifact
    ) -> tuple[list[Artifact], MergeBase]:
        """The nearest common ancestors, and the content of the one, or of all that must be merged.

        It takes a fixed number of statements. NoCommonAncestor if there is none, TooManyBases if
        there are several and merging them exceeds a limit.
        """
        limit = self._limits.bases_max
        bases = await self._artifacts.list_common_ancestors(conn, ours, theirs, limit=limit)
        if not bases:
            raise NoCommonAncestor(str(ours.artifact_id), str(theirs.artifact_id))
        if len(bases) == 1:
            return bases, (await self._contents(conn, bases))[bases[0].artifact_id]
        several = None
        if len(bases) < limit:
            several = await self._several(conn, bases)
        if several is None:
            ids = [str(base.artifact_id) for base in bases]
            raise TooManyBases(str(ours.artifact_id), str(theirs.artifact_id), ids)
        return bases, several

    async def _several(self, conn: Connection, bases: Sequence[Artifact]) -> SeveralBases | None:
        history = await self._artifacts.get_history(
            conn,
            bases,
            versions_max=self._limits.history_versions_max,
            branches_max=self._limits.history_branches_max,
        )
        if history is None:
            return None
        ids = [base.artifact_id for base in bases]
        steps = plan_steps(history, ids, self._limits.steps_max)
        if steps is None:
            return None
        wanted = {ref for step in steps for ref in step if isinstance(ref, UUID)}
        namespace = bases[0].namespace
        versions = await self._artifacts.list_by_id(conn, namespace, wanted)
        if missing := wanted - versions.keys():
            raise NotFound("artifact", str(min(missing)))
        hashes = list(_hashes(versions.values()).values())
        if await self._cas.get_size_bulk(conn, hashes) > self._limits.bytes_max:
            return None
        return SeveralBases(await self._contents(conn, list(versions.values())), steps)

    async def _contents(self, conn: Connection, versions: Sequence[Artifact]) -> dict[UUID, bytes]:
        hashes = _hashes(versions)
        contents = await self._cas.get_content_bulk(conn, list(hashes.values()))
        return {artifact_id: contents[hash_] for artifact_id, hash_ in hashes.items()}


def _hashes(versions: Iterable[Artifact]) -> dict[UUID, CasId]:
    """What they are, by their ids; NotFound if one is no version of a workflow."""
    hashes = {}
    for each in versions:
        if each.version_hash is None:
            raise NotFound("workflow", str(each.artifact_id))
        hashes[each.artifact_id] = each.version_hash
    return hashes


def plan_steps(
    parents: Mapping[UUID, Sequence[UUID]], bases: Sequence[UUID], steps_max: int
) -> list[BaseStep] | None:
    """The merges that make one base of several; None if there would be too many.

    `parents` has the history of the bases, as far as they have nearest ancestors in common.
    """
    plan = _Plan(parents, steps_max)
    try:
        plan.base_of(tuple(sorted(bases)))
    except _TooManySteps:
        return None
    return plan.steps


class _TooManySteps(Exception):
    pass


class _Plan:
    """The oldest base is merged with the next one, the result with the next, and so on."""

    def __init__(self, parents: Mapping[UUID, Sequence[UUID]], steps_max: int) -> None:
        self.steps: list[BaseStep] = []
        self._parents = parents
        self._steps_left = steps_max
        self._made: dict[tuple[UUID, ...], Ref] = {}
        self._histories: dict[UUID, frozenset[UUID]] = {}

    def base_of(self, versions: tuple[UUID, ...]) -> Ref:
        """The only version, or the step that merges them all."""
        if len(versions) == 1:
            return versions[0]
        if versions not in self._made:
            # Counted before they are made: what is planned below is bounded, too.
            self._steps_left -= len(versions) - 1
            if self._steps_left < 0:
                raise _TooManySteps
            self._made[versions] = self._merged(versions)
        return self._made[versions]

    def _merged(self, versions: tuple[UUID, ...]) -> Ref:
        merged: Ref = versions[0]
        contained = self._history_of(versions[0])
        for version in versions[1:]:
            history = self._history_of(version)
            nearest = self._nearest(contained & history)
            base = self.base_of(nearest) if nearest else None
            self.steps.append(BaseStep(merged, version, base))
            merged = len(self.steps) - 1
            contained |= history
        return merged

    def _nearest(self, common: frozenset[UUID]) -> tuple[UUID, ...]:
        """Those that no other of them comes from."""
        farther = {parent for each in common for parent in self._parents.get(each, ())}
        return tuple(sorted(common - farther))

    def _history_of(self, version: UUID) -> frozenset[UUID]:
        """The version and all that it comes from."""
        if version not in self._histories:
            found, waiting = {version}, [version]
            while waiting:
                new = set(self._parents.get(waiting.pop(), ())) - found
                found |= new
                waiting += new
            self._histories[version] = frozenset(found)
        return self._histories[version]

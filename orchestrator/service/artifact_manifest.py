"""Rules of artifacts that a manifest names: no HTTP, no SQL, no transaction opened."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.core.identifier import new_id
from orchestrator.errors import AmbiguousHash, Contended, NotFound, RuleBroken, Violation
from orchestrator.models.artifact import Artifact, Kind, Link, NewArtifact, Relation
from orchestrator.models.artifact_manifest import (
    ABOUT,
    ANNOTATION,
    ArtifactDetails,
    File,
    HeldBlobs,
    NewManifest,
    NewParent,
    Standing,
)
from orchestrator.models.principal import Actor
from orchestrator.models.reference import Reference, Resolved
from orchestrator.models.upkeep.gc import Grace
from orchestrator.repository.artifact import ArtifactRepository
from orchestrator.repository.artifact_lineage import LineageRepository
from orchestrator.repository.artifact_manifest import ManifestRepository
from orchestrator.repository.reference import ReferenceRepository
from orchestrator.service.artifact_unique import find_or_create
from orchestrator.telemetry.after_commit import tell

#: Those that an answer lists by itself; the lineage of an artifact lists all.
PARENTS_SHOWN_MAX = 1_000


class ArtifactManifestService:
    """Artifacts of any kind are created and found; what comes later is only added to them."""

    def __init__(
        self,
        artifacts: ArtifactRepository,
        manifests: ManifestRepository,
        lineage: LineageRepository,
        references: ReferenceRepository,
        *,
        grace: Grace,
    ) -> None:
        self._artifacts = artifacts
        self._manifests = manifests
        self._lineage = lineage
        self._references = references
        self._grace = grace

    async def find_or_create(
        self, conn: Connection, new: Sequence[NewManifest]
    ) -> list[tuple[Artifact, bool]]:
        """Of each manifest the one artifact in its namespace, and whether it is new.

        The manifests must be stored. Contended if a blob of a new one is gone meanwhile.
        """
        rows = [artifact_row(each) for each in new]
        outcomes = await find_or_create(conn, self._artifacts, rows, self._manifests.list_locked)
        created = [
            (artifact, each)
            for (artifact, is_new), each in zip(outcomes, new, strict=True)
            if is_new
        ]
        files = [
            (artifact.artifact_id, at, file)
            for artifact, each in created
            for at, file in enumerate(each.files)
        ]
        if files and await self._manifests.insert_files(conn, files) < len(files):
            raise Contended("A blob was deleted while its artifact was created; send it again.")
        members = [
            (artifact.artifact_id, artifact.namespace, digest)
            for artifact, each in created
            for digest in each.digests
        ]
        if members:
            await self._manifests.insert_meta(conn, members)
        for artifact, each in created:
            tell_created(conn, artifact, by=each.by)
        return outcomes

    async def link(
        self,
        conn: Connection,
        artifact: Artifact,
        parents: Sequence[NewParent],
        *,
        is_new: bool,
        by: Actor,
    ) -> int:
        """Record what an artifact comes from; how many edges are new.

        RuleBroken names each parent that is not there, or that comes from the artifact itself: to
        one that was there before, edges may be added, but never one that closes a circle.
        """
        if not parents:
            return 0
        found = await self._find(conn, artifact.namespace, parents)
        pairs = list(dict.fromkeys(zip(found, (each.relation for each in parents), strict=True)))
        if is_new:
            return await self._insert(conn, {artifact.artifact_id: pairs})
        await self._lineage.lock_adding(conn, artifact.namespace)
        if await self._lineage.comes_from(conn, found, artifact.artifact_id):
            message = "A parent is this artifact, or comes from it."
            raise RuleBroken(message, [Violation("/parents", "circle", message)])
        added = await self._lineage.add(conn, artifact.artifact_id, pairs, by.name)
        if added:
            event = "added parents of artifact"
            tell(conn, event, by=by, artifact_id=str(artifact.artifact_id), count=added)
        return added

    async def refer(self, conn: Connection, held: Sequence[HeldBlobs]) -> None:
        """Keep blobs that documents name, and record which of them are other artifacts."""
        for namespace in sorted({each.artifact.namespace for each in held if not each.is_new}):
            await self._lineage.lock_adding(conn, namespace)
        await self._manifests.add_references(conn, held)
        found = await self._manifests.list_contents(conn, held)
        if not found:
            return
        locked = await self._references.lock(conn, list({parent_id for _, parent_id in found}))
        parents: dict[UUID, list[tuple[UUID, str]]] = {}
        for child_id, parent_id in found:
            if parent_id in locked:
                pair = (parent_id, str(Relation.REFERS_TO))
                parents.setdefault(child_id, []).append(pair)
        is_new = {each.artifact.artifact_id for each in held if each.is_new}
        await self._insert(conn, {each: parents[each] for each in is_new & parents.keys()})
        for each in held:
            artifact_id = each.artifact.artifact_id
            pairs = parents.get(artifact_id)
            if not pairs or artifact_id in is_new:
                continue
            # What comes from this artifact, and is named by it, gets no edge: its blob is enough.
            named = [parent_id for parent_id, _ in pairs]
            if not await self._lineage.comes_from(conn, named, artifact_id):
                await self._lineage.add(conn, artifact_id, pairs, each.by.name)

    async def _insert(
        self, conn: Connection, parents: Mapping[UUID, Sequence[tuple[UUID, str]]]
    ) -> int:
        """Edges of artifacts that are new, to (parent, relation); how many they are."""
        links = [
            Link(child_id=child_id, parent_id=parent_id, relation=relation)
            for child_id, pairs in parents.items()
            for parent_id, relation in pairs
        ]
        if links:
            await self._lineage.insert(conn, links)
        return len(links)

    async def _find(
        self, conn: Connection, namespace: str, parents: Sequence[NewParent]
    ) -> list[UUID]:
        """The artifacts that are named, which nobody can delete before this transaction ends."""
        references = [each.reference for each in parents]
        found = await self._references.resolve(conn, namespace, references)
        ids = [each.artifact_id for each in found if each.artifact_id and not each.is_ambiguous]
        there = await self._references.lock(conn, list(set(ids)))
        missing = [
            _not_named(f"/parents/{at}", reference, resolved)
            for at, (reference, resolved) in enumerate(zip(references, found, strict=True))
            if resolved.is_ambiguous or resolved.artifact_id not in there
        ]
        if missing:
            raise RuleBroken("Not every parent names an artifact.", missing)
        return ids

    async def retain(
        self, conn: Connection, artifact: Artifact, *, retained: bool, by: Actor
    ) -> None:
        """Let garbage collection leave it, or no longer leave it, whatever names it."""
        if retained:
            await self._manifests.put_retained(conn, artifact.artifact_id, by.name)
        else:
            await self._manifests.delete_retained(conn, artifact.artifact_id)

    async def describe(
        self, conn: Connection, artifact: Artifact, manifest: bytes | None
    ) -> ArtifactDetails:
        """All that is known of an artifact, besides its manifest, which the caller has read."""
        parents = await self._manifests.list_parents(conn, artifact.artifact_id, PARENTS_SHOWN_MAX)
        retained, named = await self._manifests.get_standing(
            conn, artifact.namespace, artifact.artifact_id
        )
        references = await self._manifests.list_references(
            conn, artifact.artifact_id, PARENTS_SHOWN_MAX
        )
        is_about = any(parent.relation == ABOUT for parent in parents)
        stays = retained or named or (artifact.kind == ANNOTATION and is_about)
        return ArtifactDetails(
            artifact=artifact,
            manifest=manifest,
            parents=parents,
            references=references,
            standing=self.standing_of(artifact, stays=stays, retained=retained),
        )

    def standing_of(self, artifact: Artifact, *, stays: bool, retained: bool) -> Standing:
        """How long it stays, if it does not stay for another reason."""
        expires_at = None if stays else artifact.created_at + self._grace_of(artifact.kind)
        return Standing(retained=retained, expires_at=expires_at)

    def _grace_of(self, kind: str) -> timedelta:
        is_run = kind in {Kind.RUN_MANIFEST, Kind.RUN_SNAPSHOT}
        return timedelta(seconds=self._grace.run_seconds if is_run else self._grace.seconds)

    async def list_files(
        self, conn: Connection, artifact_id: UUID, *, after: int, limit: int
    ) -> list[tuple[int, File]]:
        """A page of its files, each with its position."""
        return await self._manifests.list_files(conn, artifact_id, after, limit)

    async def list_annotations(
        self, conn: Connection, artifact_id: UUID, *, before: UUID, limit: int
    ) -> list[Artifact]:
        """A page of what was said about it later, newest first."""
        return await self._manifests.list_annotations(conn, artifact_id, before, limit)

    async def get_file(self, conn: Connection, artifact_id: UUID, name: str) -> tuple[CasId, str]:
        """The blob of a file and its media type; NotFound if no file has this name."""
        found = await self._manifests.get_file(conn, artifact_id, name)
        if found is None:
            raise NotFound("file", name)
        return found


def has_manifest(kind: str) -> bool:
    """Whether artifacts of this kind are named by a manifest."""
    return kind not in set(Kind)


def tell_created(conn: Connection, artifact: Artifact, *, by: Actor) -> None:
    """Report that there is a new artifact."""
    tell(
        conn,
        "created artifact",
        by=by,
        artifact_id=str(artifact.artifact_id),
        kind=artifact.kind,
        version_hash=str(artifact.cas_id),
    )


def artifact_row(new: NewManifest) -> NewArtifact:
    """The catalogue entry of a manifest."""
    return NewArtifact(
        artifact_id=new_id(),
        namespace=new.namespace,
        kind=new.kind,
        cas_id=new.cas_id,
        name=new.name,
        version_hash=new.cas_id,
        meta=msgspec.Raw(new.meta),
        created_by=new.by.name,
    )


def _not_named(pointer: str, reference: Reference, resolved: Resolved) -> Violation:
    if resolved.is_ambiguous:
        return Violation(pointer, "ambiguous-hash", str(AmbiguousHash(reference.text)))
    return Violation(pointer, "exists", f"There is no artifact {reference.text!r}.")

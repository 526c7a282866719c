"""Workflows where one statement spans blob, artifact and tag: no HTTP, no SQL, no transaction."""

from collections.abc import Sequence
from datetime import datetime
from weakref import WeakValueDictionary

import structlog

from orchestrator.core.cache import Cache
from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.errors import CorruptBlob, DomainError, NotFound, WrongKind, accepted
from orchestrator.models.artifact import WORKFLOW_KINDS
from orchestrator.models.workflow import (
    CreatedWorkflow,
    NewWorkflow,
    Pointing,
    ResolvedWorkflow,
    StoredVersion,
    WorkflowEntry,
)
from orchestrator.repository.workflow import WorkflowRepository
from orchestrator.service.artifact_version import dag_version, tell_created
from orchestrator.service.cas import tell_stored
from orchestrator.service.tag_outcome import tell_changed

log = structlog.get_logger()


class WorkflowJoinService:
    """What a tag names now, named at a version, or named at a time; and versions that are new:
    one statement each.

    The versions that tags named when they were last looked up stay in memory. Where a tag points
    is read each time, its version only when it is another one.
    """

    def __init__(self, workflows: WorkflowRepository, *, cache_bytes_max: int) -> None:
        self._workflows = workflows
        self._versions: Cache[tuple[str, str], StoredVersion] = Cache(cache_bytes_max)
        #: Those too large for it: many answers with one of them must not be as many copies.
        self._in_use: WeakValueDictionary[tuple[str, str], StoredVersion] = WeakValueDictionary()

    async def resolve(
        self,
        conn: Connection,
        namespace: str,
        tag: str,
        moment: int | datetime | None = None,
    ) -> ResolvedWorkflow:
        """At a version of the tag, at a time, or now; NotFound when the tag did not exist then or
        names nothing that has a version, WrongKind when it names something else.
        """
        if moment is None:
            (now,) = await self.resolve_many(conn, [(namespace, tag)])
            return accepted(now)
        if isinstance(moment, int):
            found = await self._workflows.resolve_version(conn, namespace, tag, moment)
        else:
            found = await self._workflows.resolve_at(conn, namespace, tag, moment)
        if found is None:
            raise NotFound("workflow", f"{tag}@{moment}" if isinstance(moment, int) else tag)
        if (refusal := _other_kind(tag, found.entry)) is not None:
            raise refusal
        _verify(found.content, found.entry.version_hash)
        return found

    async def resolve_many(
        self, conn: Connection, wanted: Sequence[tuple[str, str]]
    ) -> list[ResolvedWorkflow | DomainError]:
        """What each (namespace, tag) names now, in this order, or why there is no answer."""
        unique = list(dict.fromkeys(wanted))
        if len(unique) < len(wanted):
            found = dict(zip(unique, await self.resolve_many(conn, unique), strict=True))
            return [found[each] for each in wanted]
        known = [self._versions.get(each) or self._in_use.get(each) for each in wanted]
        questions = [
            (namespace, tag, None if had is None else had.artifact_id)
            for (namespace, tag), had in zip(wanted, known, strict=True)
        ]
        answers: list[ResolvedWorkflow | DomainError] = [
            NotFound("workflow", tag) for _, tag in wanted
        ]
        for pointing in await self._workflows.resolve(conn, questions):
            namespace, tag = wanted[pointing.at]
            version = pointing.version or known[pointing.at]
            assert version is not None
            if (refusal := _other_kind(tag, version)) is not None:
                answers[pointing.at] = refusal
                continue
            try:
                if pointing.version is not None:
                    _verify(version.content, version.version_hash)
                    if not self._versions.put((namespace, tag), version, len(version.content)):
                        self._in_use[namespace, tag] = version
                answers[pointing.at] = _resolved(namespace, tag, pointing, version)
            except CorruptBlob as error:
                answers[pointing.at] = error
        return answers

    async def create_new(
        self, conn: Connection, new: Sequence[NewWorkflow]
    ) -> list[CreatedWorkflow | None]:
        """Store versions and let tags name them, each tag at most once and on no condition.

        None where the content is there already: WorkflowService creates it, in a transaction.
        """
        versions = [dag_version(each.version()) for each in new]
        created = await self._workflows.create_new(conn, new, versions)
        for each, made in zip(new, created, strict=True):
            if made is not None:
                tell_stored(conn, each.cas_id, len(each.content), by=each.by)
                tell_created(conn, made.artifact, by=each.by)
                tell_changed(conn, made.change.tag, by=each.by)
        return created


def _other_kind(tag: str, found: StoredVersion | WorkflowEntry) -> WrongKind | None:
    """The refusal of a tag that names no workflow."""
    if found.kind in WORKFLOW_KINDS:
        return None
    return WrongKind("workflow", tag, artifact_id=str(found.artifact_id), kind=found.kind)


def _verify(content: bytes, version_hash: CasId) -> None:
    if CasId.of(content) != version_hash:
        log.error("corrupt blob", cas_id=str(version_hash))
        raise CorruptBlob(str(version_hash))


def _resolved(
    namespace: str, tag: str, pointing: Pointing, version: StoredVersion
) -> ResolvedWorkflow:
    entry = WorkflowEntry(
        namespace=namespace,
        tag=tag,
        tag_version=pointing.tag_version,
        message=pointing.message,
        moved_by=pointing.moved_by,
        moved_at=pointing.moved_at,
        artifact_id=version.artifact_id,
        kind=version.kind,
        cas_id=version.cas_id,
        version_hash=version.version_hash,
        depth=version.depth,
        nodes_count=version.nodes_count,
        edges_count=version.edges_count,
        created_by=version.created_by,
        created_at=version.created_at,
    )
    return ResolvedWorkflow(entry=entry, content=version.content, version=version)

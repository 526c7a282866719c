"""HTTP for new versions made from old ones: patches, cherry-picks, reverts, compaction."""

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from litestar.params import QueryParameter

from orchestrator.core.database import Connection
from orchestrator.documents.workflow_address import Address
from orchestrator.documents.workflow_change import Manner, Revision
from orchestrator.documents.workflow_patch import PatchFormat
from orchestrator.errors import Current, InvalidInput, PreconditionFailed
from orchestrator.errors_request import UnsupportedMediaType
from orchestrator.handlers.http.body import decode
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.manner import USUALLY, DryRun, MannerQuery
from orchestrator.handlers.http.precondition import (
    HashPrecondition,
    hash_guard,
    only_hash,
    workflow_precondition,
)
from orchestrator.handlers.http.reading import (
    SMALL_BODY_BYTES_MAX,
    ExpectedVersion,
    MessageQuery,
    TagPath,
    checked_message,
    message_in_query,
    tag_in_path,
)
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.http.reply import etag, json_answer
from orchestrator.handlers.version_body import (
    CherryPick,
    CompactWorkflow,
    Revert,
    changed_body,
    compacted_body,
)
from orchestrator.handlers.version_change import Again, GuardedChanges, Plan, Store
from orchestrator.handlers.workflow_body import rehearsed
from orchestrator.models.idempotency import Answer
from orchestrator.models.reference import Reference, parse_reference
from orchestrator.models.version import Change, Head, WorkflowVersion
from orchestrator.service.version import VersionService
from orchestrator.service.version_change import VersionChangeService

OnConflict = Annotated[
    Literal["refuse", "merge"],
    QueryParameter(
        description="What becomes of a patch that was made for another version, which `If-Match` "
        "or `expected_version` names: it is refused, or its result is merged into what the tag "
        "names now."
    ),
]


class VersionHandler:
    """Direct orchestration: the change is computed between two uses of the database."""

    def __init__(
        self,
        versions: VersionService,
        changes: VersionChangeService,
        guarded: GuardedChanges,
        replay: Replay,
        *,
        body_bytes_max: int,
    ) -> None:
        self._versions = versions
        self._changes = changes
        self._guarded = guarded
        self._replay = replay
        self._body_bytes_max = body_bytes_max

    async def patch(
        self,
        call: Call,
        tag: TagPath,
        message: MessageQuery = None,
        expected_version: ExpectedVersion = None,
        on_conflict: OnConflict = "refuse",
        how: MannerQuery = USUALLY,
    ) -> Answer:
        """Apply an RFC 6902 or RFC 7396 patch to the version that the tag names."""
        format_ = _patch_format(call, how.address)
        message = message_in_query(call, message)
        body, name = await call.read(self._body_bytes_max), tag_in_path(tag)
        manner = how.manner()
        if on_conflict == "merge":
            return await self._patch_merging(
                call, name, body, format_, message, expected_version, manner
            )

        async def plan(_: Connection, head: Head) -> Change[Revision]:
            return self._changes.plan_patch(head, body, format_, manner)

        return await self._change(call, name, body, message, expected_version, plan, manner)

    async def _patch_merging(
        self,
        call: Call,
        tag: str,
        body: bytes,
        format_: PatchFormat,
        message: str | None,
        expected_version: int | None,
        manner: Manner,
    ) -> Answer:
        """Apply a patch to the version that the request names, and merge it into the head."""
        named = only_hash(call)
        if (named is None) == (expected_version is None):
            rule = "To merge, name the version that the patch was made for: If-Match or a version."
            raise InvalidInput.at("/expected_version", "precondition", rule)
        base: WorkflowVersion | None = None

        async def plan(conn: Connection, head: Head) -> Change[Revision]:
            nonlocal base
            base = await self._versions.find_known(conn, head, named or expected_version or 0)
            if base is None:
                current = _current(head)
                shown = f'If-Match: "{named}"' if named else f"expected_version={expected_version}"
                raise PreconditionFailed("workflow", tag, shown, current)
            if not is_merged(head):
                return self._changes.plan_patch(head, body, format_, manner)
            return self._changes.plan_patch_elsewhere(head, base, body, format_, manner)

        def is_merged(head: Head) -> bool:
            assert base is not None
            return base.artifact.version_hash != head.version.artifact.version_hash

        store = self._storing(call, checked_message(message), manner, merged=is_merged)
        return await self._guarded.change(
            call,
            tag,
            body,
            plan=plan,
            store=store,
            again=self._again(manner),
            precondition=HashPrecondition(),
            dry_run=manner.dry_run,
        )

    async def cherry_pick(self, call: Call, tag: TagPath, how: MannerQuery = USUALLY) -> Answer:
        """Make the change that made a version again, on what the tag names."""
        body = await call.read_json(SMALL_BODY_BYTES_MAX)
        data, name = decode(body, CherryPick), tag_in_path(tag)
        manner = how.manner()
        picked = parse_reference(data.version, tag=name, pointer="/version")

        async def plan(conn: Connection, head: Head) -> Change[Revision]:
            return await self._changes.plan_cherry_pick(conn, head, picked, data.alone, manner)

        return await self._change(
            call, name, body, data.message, data.expected_version, plan, manner
        )

    async def revert(self, call: Call, tag: TagPath, how: MannerQuery = USUALLY) -> Answer:
        """Take back the change that made a version, wherever in the history it is."""
        body = await call.read_json(SMALL_BODY_BYTES_MAX)
        data, name = decode(body, Revert), tag_in_path(tag)
        manner = how.manner()
        reverted = _reverted(data, name)

        async def plan(conn: Connection, head: Head) -> Change[Revision]:
            return await self._changes.plan_revert(conn, head, reverted, data.alone, manner)

        return await self._change(
            call, name, body, data.message, data.expected_version, plan, manner
        )

    async def _change(
        self,
        call: Call,
        tag: str,
        body: bytes,
        message: str | None,
        expected_version: int | None,
        plan: Plan[Revision],
        manner: Manner,
    ) -> Answer:
        """Make a change whose result is a revision of the head; it is rebased if that moves."""
        return await self._guarded.change(
            call,
            tag,
            body,
            plan=plan,
            store=self._storing(call, checked_message(message), manner),
            again=self._again(manner),
            precondition=workflow_precondition(call, expected_version),
            dry_run=manner.dry_run,
        )

    def _again(self, manner: Manner) -> Again[Revision]:
        """How a change is rebased: all that it needs is known."""

        async def plan(
            _: Connection, head: Head, change: Change[Revision], made: Revision
        ) -> Change[Revision]:
            return self._changes.plan_again(head, change, made, manner=manner)

        return plan

    def _storing(
        self,
        call: Call,
        message: str | None,
        manner: Manner,
        *,
        merged: Callable[[Head], bool | msgspec.UnsetType] = lambda _: msgspec.UNSET,
    ) -> Store[Revision]:
        """How a revision is stored and answered, and whether it says that it was merged."""

        async def store(conn: Connection, change: Change[Revision], revision: Revision) -> Answer:
            changed = await self._changes.store_patch(
                conn,
                change.head,
                revision,
                by=call.by,
                message=message,
                origins=change.origins,
            )
            result = msgspec.structs.replace(
                changed_body(changed, revision.warnings), merged=merged(change.head)
            )
            if manner.dry_run:
                return json_answer(rehearsed(result, revision.preview))
            return json_answer(result, headers={"ETag": etag(result.version_hash)})

        return store

    async def compact(self, call: Call, tag: TagPath, dry_run: DryRun = False) -> Answer:
        """One version equal to the chain's head; the chain stays, the tag moves on `move`."""
        name = tag_in_path(tag)
        body = await call.read_json(SMALL_BODY_BYTES_MAX)
        data = decode(body, CompactWorkflow)
        message, by = checked_message(data.message), call.by
        precondition = workflow_precondition(call, data.expected_version)

        async def make(conn: Connection) -> Answer:
            with hash_guard(precondition, name):
                head = await self._guarded.head(conn, call.namespace, name, precondition)
                artifact, is_new = await self._changes.compact(conn, head, by=by)
                change = None
                if data.move:
                    change = await self._changes.move(conn, head, artifact, by=by, message=message)
            return json_answer(
                compacted_body(head, artifact, change, created=is_new, dry_run=dry_run)
            )

        repeated = call.idempotent(body, dry_run=dry_run)
        return await self._replay.once(call, repeated, make, dry_run=dry_run)


def _current(head: Head) -> Current:
    return Current(head.tag_version, version_hash=str(head.version.artifact.version_hash))


def _patch_format(call: Call, address: Address) -> PatchFormat:
    given = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in set(PatchFormat):
        raise UnsupportedMediaType(given, list(PatchFormat))
    format_ = PatchFormat(given)
    if address == "id" and format_ is PatchFormat.MERGE_PATCH:
        rule = "A merge patch has no pointers: it names a list as a whole, and no node in it."
        raise InvalidInput.at("/address", "merge-patch", rule)
    return format_


def _reverted(data: Revert, tag: str) -> int | Reference:
    if (data.seq is None) == (data.version is None):
        raise InvalidInput.at("/seq", "one-of", "Name either a seq or a version.")
    if data.version is not None:
        return parse_reference(data.version, tag=tag, pointer="/version")
    return data.seq or 0

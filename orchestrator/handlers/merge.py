"""HTTP for comparing and merging what tags name: the work is done without a connection."""

from functools import partial
from typing import Annotated, Literal

from litestar.params import QueryParameter
from msgspec.structs import replace

from orchestrator.core.database import Connection, Database
from orchestrator.documents.canonical_count import size_of_reading
from orchestrator.documents.workflow_address import Address
from orchestrator.documents.workflow_change import MergeResult
from orchestrator.handlers.http.body import decode
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.computing import Computing
from orchestrator.handlers.http.entity import tagged
from orchestrator.handlers.http.manner import USUALLY, AddressQuery, MannerQuery
from orchestrator.handlers.http.precondition import workflow_precondition
from orchestrator.handlers.http.reading import (
    SMALL_BODY_BYTES_MAX,
    TagPath,
    checked_message,
    tag_in_path,
)
from orchestrator.handlers.http.reply import json_answer
from orchestrator.handlers.merge_body import MergeWorkflow, merged_body
from orchestrator.handlers.merge_diff import (
    diff_json,
    diff_text,
    endpoint,
    manifest_diff_json,
    manifest_diff_text,
)
from orchestrator.handlers.version_change import GuardedChanges
from orchestrator.models.idempotency import Answer
from orchestrator.models.reference import NamedText, ReferenceText, parse_reference
from orchestrator.models.version import Change, Head, WorkflowVersion
from orchestrator.service.artifact_manifest import has_manifest
from orchestrator.service.merge import MergeService
from orchestrator.service.version import VersionService

PLAIN_TEXT = "text/plain; charset=utf-8"

NAMED = "a tag, `tag@3`, an artifact id, or a hash."
Against = Annotated[
    ReferenceText,
    QueryParameter(
        description="Before: a tag, `tag@3`, `3` or `@3` of this tag, an artifact id, or a hash.",
    ),
]
From = Annotated[
    NamedText,
    QueryParameter(name="from", description=f"Before: {NAMED}"),
]
To = Annotated[NamedText, QueryParameter(description=f"After: {NAMED}")]
DiffFormat = Annotated[
    Literal["json", "text"], QueryParameter(description="JSON, or text for people.")
]


class MergeHandler:
    """Diffs and merges of what tags name."""

    def __init__(
        self,
        database: Database,
        versions: VersionService,
        merges: MergeService,
        guarded: GuardedChanges,
        computing: Computing,
    ) -> None:
        self._database = database
        self._versions = versions
        self._merges = merges
        self._guarded = guarded
        self._computing = computing

    async def diff(
        self,
        call: Call,
        tag: TagPath,
        against: Against,
        format: DiffFormat = "json",  # noqa: A002 - its name in the query.
        address: AddressQuery = "position",
    ) -> Answer:
        """What changed from `against` to what the tag names, node by node."""
        name = tag_in_path(tag)
        reference = parse_reference(against, tag=name, pointer="/against")
        async with self._database.connection() as conn:
            head = await self._versions.get_head(conn, call.namespace, name)
            before = await self._versions.get(conn, call.namespace, reference)
        return await self._difference(call, before, head.version, format, address)

    async def diff_any(
        self,
        call: Call,
        from_: From,
        to: To,
        format: DiffFormat = "json",  # noqa: A002 - its name in the query.
        address: AddressQuery = "position",
    ) -> Answer:
        """What changed from one artifact to another, whatever names them: two versions of
        workflows, or two that are named by their manifests.
        """
        references = [
            parse_reference(text, tag=None, pointer=pointer)
            for text, pointer in ((from_, "/from"), (to, "/to"))
        ]
        async with self._database.connection() as conn:
            before, after = await self._versions.get_comparable(conn, call.namespace, references)
        if not has_manifest(after.artifact.kind):
            return await self._difference(call, before, after, format, address)
        contents = before.content, after.content
        size = sum(map(size_of_reading, contents))
        if format == "text":
            text = await self._computing.run(call, partial(manifest_diff_text, *contents), size)
            return tagged(call, text, media_type=PLAIN_TEXT)
        work = partial(manifest_diff_json, endpoint(before), endpoint(after), *contents)
        return tagged(call, await self._computing.run(call, work, size))

    async def _difference(
        self,
        call: Call,
        before: WorkflowVersion,
        after: WorkflowVersion,
        format: Literal["json", "text"],  # noqa: A002 - as above.
        address: Address,
    ) -> Answer:
        contents = before.content, after.content
        size = sum(map(size_of_reading, contents))
        if format == "text":
            text = await self._computing.run(call, partial(diff_text, *contents), size)
            return tagged(call, text, media_type=PLAIN_TEXT)
        work = partial(diff_json, endpoint(before), endpoint(after), *contents, address)
        return tagged(call, await self._computing.run(call, work, size))

    async def merge(self, call: Call, tag: TagPath, how: MannerQuery = USUALLY) -> Answer:
        """Merge a version into the tag; conflicts are 409 and list every place."""
        body = await call.read_json(SMALL_BODY_BYTES_MAX)
        data, name = decode(body, MergeWorkflow), tag_in_path(tag)
        message = checked_message(data.message)
        manner = replace(how, dry_run=how.dry_run or data.dry_run).manner()
        theirs = parse_reference(data.from_, tag=name, pointer="/from")
        base = None
        if data.base is not None:
            base = parse_reference(data.base, tag=name, pointer="/base")

        async def plan(conn: Connection, head: Head) -> Change[MergeResult]:
            return await self._merges.plan(
                conn, head, theirs, base=base, settlement=data.alone, manner=manner
            )

        async def store(
            conn: Connection, change: Change[MergeResult], result: MergeResult
        ) -> Answer:
            changed = await self._merges.store(conn, change, result, by=call.by, message=message)
            assert change.sides is not None
            body = merged_body(change.sides, result, changed, dry_run=manner.dry_run)
            return json_answer(body)

        return await self._guarded.change(
            call,
            name,
            body,
            plan=plan,
            store=store,
            again=partial(self._merges.plan_again, manner=manner),
            precondition=workflow_precondition(call, data.expected_version),
            dry_run=manner.dry_run,
        )

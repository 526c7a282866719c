"""HTTP for the chain below a tag: reads only, each on one connection."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar.params import PathParameter

from orchestrator.core.database import Database
from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.entity import listed
from orchestrator.handlers.http.paging import Cursor, Limit, Page, after, encoded
from orchestrator.handlers.http.precondition import check_if_match, unchanged
from orchestrator.handlers.http.reading import TagPath, segment, tag_in_path
from orchestrator.handlers.http.reply import Reply, etag, spliced
from orchestrator.handlers.version_body import SEQ_DIGITS_MAX, VersionItem, version_item
from orchestrator.models.idempotency import Answer
from orchestrator.models.reference import Reference
from orchestrator.service.version import VersionService

SeqText = Annotated[
    str, msgspec.Meta(extra_json_schema={"pattern": f"^[0-9]{{1,{SEQ_DIGITS_MAX}}}$"})
]
SeqPath = Annotated[
    SeqText, PathParameter(description="A position in the chain: 0 is the base, n the n-th patch.")
]


class VersionChainHandler:
    """The versions that a tag's version was made from by patches, one after the other."""

    def __init__(self, database: Database, versions: VersionService) -> None:
        self._database = database
        self._versions = versions

    async def list_versions(
        self, call: Call, tag: TagPath, limit: Limit = 100, cursor: Cursor = None
    ) -> Answer:
        """The chain below the tag, newest first: who made each version, when and how."""
        name = tag_in_path(tag)
        start: UUID | None = after(cursor, UUID, None)
        async with self._database.connection() as conn:
            top = await self._versions.find(conn, call.namespace, Reference(text=name, tag=name))
            if start is not None:
                at = Reference(text=str(start), artifact_id=start)
                top = await self._versions.find(conn, call.namespace, at)
            found = await self._versions.list_versions(conn, call.namespace, top, limit=limit + 1)
        items = [version_item(each) for each in found[:limit]]
        following = encoded(found[limit].artifact_id) if len(found) > limit else None
        return listed(call, Page[VersionItem](items, following))

    async def get_version(self, call: Call, tag: TagPath, seq: SeqPath) -> Reply:
        """The workflow at a position of the chain: 0 is the base, n the n-th patch on it."""
        name, position = tag_in_path(tag), parse_seq(segment(seq))
        async with self._database.connection() as conn:
            head = await self._versions.get_head(conn, call.namespace, name)
            version = await self._versions.get_at_seq(
                conn, call.namespace, head.version.artifact, position
            )
        item = version_item(version.artifact)
        check_if_match(call, item.version_hash, "version", f"{name}/versions/{position}")
        if (same := unchanged(call, item.version_hash)) is not None:
            return same
        headers = {"ETag": etag(item.version_hash)}
        return spliced(item, "workflow", version.content, headers)


def parse_seq(text: str) -> int:
    """A position in a chain."""
    if not (text.isascii() and text.isdecimal() and len(text) <= SEQ_DIGITS_MAX):
        raise InvalidInput.at("/seq", "range", "A position in a chain is a number from 0 on.")
    return int(text)

"""HTTP for the catalogue: reads only, each on one connection."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import parse_qsl
from uuid import UUID

from litestar.params import PathParameter, QueryParameter

from orchestrator.core.database import Database
from orchestrator.core.digest import CasId, CasIdText
from orchestrator.documents.artifact_draft import KindText, parse_kind
from orchestrator.documents.manifest import asked_digests
from orchestrator.errors import InvalidInput
from orchestrator.handlers.artifact_body import (
    ArtifactBody,
    ChainBody,
    FileBody,
    artifact_body,
    details_body,
    file_body,
)
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.entity import listed, tagged
from orchestrator.handlers.http.paging import (
    CURSOR_RULE,
    CountedPageQuery,
    Cursor,
    Limit,
    Page,
    after,
    found_page,
    page_of,
    tag_after,
)
from orchestrator.handlers.http.reading import (
    ArtifactPath,
    MakerQuery,
    SinceQuery,
    UntilQuery,
    artifact_in_path,
    parse_time,
    segment,
    without_nul,
)
from orchestrator.handlers.http.reply import IMMUTABLE, NONE, Reply
from orchestrator.handlers.transfer.delivery import BlobAnswers
from orchestrator.models.artifact import Artifact
from orchestrator.models.artifact_manifest import ArtifactFilter
from orchestrator.models.idempotency import Answer
from orchestrator.models.tag import TagReference
from orchestrator.service.artifact import ArtifactService
from orchestrator.service.artifact_lineage import ID_MAX
from orchestrator.service.artifact_manifest import ArtifactManifestService, has_manifest
from orchestrator.service.artifact_search import ArtifactSearchService
from orchestrator.service.cas import CASService
from orchestrator.service.tag import TagService
from orchestrator.service.version import VersionService

ID_MIN = UUID(int=0)
POSITION_MAX = 2**31
#: The parameters of a query that ask for a member of meta begin so.
META = "meta."
META_MEMBERS_MAX = 10
FilePath = Annotated[
    str, PathParameter(description="The name of a file; a slash in it is sent as %2F.")
]
KindQuery = Annotated[KindText | None, QueryParameter(description="Only artifacts of this kind.")]
NameQuery = Annotated[str | None, QueryParameter(description="Only artifacts with this name.")]
PrefixQuery = Annotated[
    str | None, QueryParameter(description="Only artifacts whose name begins so, by name.")
]
HashQuery = Annotated[
    CasIdText | None,
    QueryParameter(description="Only artifacts that are this version: `blake3:…`."),
]


class ArtifactHandler:
    """The catalogue over HTTP."""

    def __init__(
        self,
        database: Database,
        *,
        cas: CASService,
        artifacts: ArtifactService,
        versions: VersionService,
        manifests: ArtifactManifestService,
        search: ArtifactSearchService,
        tags: TagService,
        blobs: BlobAnswers,
    ) -> None:
        self._database = database
        self._cas = cas
        self._artifacts = artifacts
        self._versions = versions
        self._manifests = manifests
        self._search = search
        self._tags = tags
        self._blobs = blobs

    async def get(self, call: Call, artifact: ArtifactPath) -> Answer:
        """An artifact, which never changes, and its parents, to which some may be added."""
        named = artifact_in_path(artifact)
        async with self._database.connection() as conn:
            found = await self._versions.find(conn, call.namespace, named)
            manifest = None
            if has_manifest(found.kind):
                contents = await self._cas.get_content_bulk(conn, [found.cas_id])
                manifest = contents[found.cas_id]
            details = await self._manifests.describe(conn, found, manifest)
        return tagged(call, details_body(details))

    async def list_artifacts(
        self,
        call: Call,
        *,
        kind: KindQuery = None,
        name: NameQuery = None,
        prefix: PrefixQuery = None,
        created_by: MakerQuery = None,
        since: SinceQuery = None,
        until: UntilQuery = None,
        version_hash: HashQuery = None,
        page: CountedPageQuery,
    ) -> Answer:
        """Artifacts of a namespace, newest first; those of a prefix by name. `meta.KEY=VALUE` shows
        those whose meta has such a member: the text VALUE, or what JSON spells so.
        """
        wanted = ArtifactFilter(
            kind=None if kind is None else parse_kind(kind),
            name=without_nul(name, "/name"),
            prefix=without_nul(prefix, "/prefix"),
            created_by=without_nul(created_by, "/created_by"),
            since=None if since is None else parse_time(since, "/since"),
            until=None if until is None else parse_time(until, "/until"),
            version_hash=None
            if version_hash is None
            else CasId.parse(version_hash, "/version_hash"),
            meta=_members_asked(call.query),
        )
        async with self._database.connection() as conn:
            if prefix is None:
                start = after(page.cursor, UUID, ID_MAX)
                newest = await self._search.list_newest(
                    conn,
                    call.namespace,
                    wanted,
                    before=start,
                    limit=page.limit + 1,
                    total=page.total,
                )
                found = found_page(newest, page.limit, _id_of, artifact_body)
            else:
                named = await self._search.list_by_prefix(
                    conn,
                    call.namespace,
                    wanted,
                    after=_name_after(page.cursor),
                    limit=page.limit + 1,
                    total=page.total,
                )
                found = found_page(named, page.limit, _name_of, artifact_body)
        return listed(call, found)

    async def list_blobs(
        self, call: Call, artifact: ArtifactPath, limit: Limit = 100, cursor: Cursor = None
    ) -> Answer:
        """The files of an artifact, in their order."""
        named, start = artifact_in_path(artifact), after(cursor, int, -1)
        if not -1 <= start < POSITION_MAX:
            raise InvalidInput.at("/cursor", "cursor", CURSOR_RULE)
        async with self._database.connection() as conn:
            of = await self._versions.find(conn, call.namespace, named)
            found = await self._manifests.list_files(
                conn, of.artifact_id, after=start, limit=limit + 1
            )
        shown, following = page_of(found, limit, lambda each: each[0])
        return listed(call, Page[FileBody]([file_body(file) for _, file in shown], following))

    async def get_blob(self, call: Call, artifact: ArtifactPath, name: FilePath) -> Reply:
        """The bytes of one file, with the media type that the artifact says."""
        named, wanted = artifact_in_path(artifact), segment(name)
        async with self._database.connection() as conn:
            of = await self._versions.find(conn, call.namespace, named)
            cas_id, media_type = await self._manifests.get_file(conn, of.artifact_id, wanted)
        return await self._blobs.answer_file(call, cas_id, media_type, wanted)

    async def annotations(
        self, call: Call, artifact: ArtifactPath, limit: Limit = 100, cursor: Cursor = None
    ) -> Answer:
        """What was said about an artifact later, newest first."""
        named = artifact_in_path(artifact)
        before = after(cursor, UUID, ID_MAX)
        async with self._database.connection() as conn:
            of = await self._versions.find(conn, call.namespace, named)
            found = await self._manifests.list_annotations(
                conn, of.artifact_id, before=before, limit=limit + 1
            )
        shown, following = page_of(found, limit, lambda each: each.artifact_id)
        items = [artifact_body(each) for each in shown]
        return listed(call, Page[ArtifactBody](items, following))

    async def chain(self, call: Call, artifact: ArtifactPath) -> Answer:
        """The patches up to this artifact in the order of application, and their base."""
        named = artifact_in_path(artifact)
        async with self._database.connection() as conn:
            top = base = await self._versions.find(conn, call.namespace, named)
            if top.base_id is not None:
                base = await self._artifacts.get_by_id(conn, call.namespace, top.base_id)
            patches = await self._artifacts.get_patch_chain(conn, call.namespace, top.artifact_id)
        body = ChainBody(
            base=artifact_body(base), patches=[artifact_body(patch) for patch in patches]
        )
        # What another name means may change.
        return tagged(call, body, headers=NONE if named.artifact_id is None else IMMUTABLE)

    async def tags(
        self,
        call: Call,
        artifact: ArtifactPath,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Answer:
        """The tags that name this artifact or ever did, by name."""
        named = artifact_in_path(artifact)
        start = tag_after(cursor)
        async with self._database.connection() as conn:
            of = await self._versions.find(conn, call.namespace, named)
            found = await self._tags.list_by_target(
                conn, call.namespace, of.artifact_id, after=start, limit=limit + 1
            )
        shown, following = page_of(found, limit, lambda reference: reference.name)
        return listed(call, Page[TagReference](shown, following))


def _members_asked(query: bytes) -> Sequence[Sequence[bytes]]:
    """For each `meta.KEY=VALUE`, what such a member is found by."""
    if META.encode() not in query:
        return ()
    asked = [
        (key.removeprefix(META), value)
        for key, value in parse_qsl(query.decode(), keep_blank_values=True)
        if key.startswith(META)
    ]
    if len(asked) > META_MEMBERS_MAX:
        message = f"At most {META_MEMBERS_MAX} members of meta are asked for at once."
        raise InvalidInput.at("/meta", "length", message)
    return [asked_digests(key, value) for key, value in asked]


def _id_of(place: Artifact | UUID) -> UUID:
    return place if isinstance(place, UUID) else place.artifact_id


def _name_of(place: Artifact | tuple[str, UUID]) -> tuple[str | None, UUID]:
    return place if isinstance(place, tuple) else (place.name, place.artifact_id)


def _name_after(cursor: str | None) -> tuple[str, UUID]:
    name, artifact_id = after(cursor, tuple[str, UUID], ("", ID_MIN))
    return without_nul(name, "/cursor"), artifact_id

"""SQL that lists artifacts by what they are and what is said of them: one statement per method.

Pages go from the newest artifact to the oldest, those by the beginning of a name in the order of
names. For each filter there is an index that begins with it and goes on in the order of the page,
and a statement that is read along this index; what else is asked for is a condition. The filter
that usually lets the least through leads.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.documents.manifest import NAME_BYTES_MAX
from orchestrator.models.artifact import Artifact
from orchestrator.models.artifact_manifest import ArtifactFilter
from orchestrator.models.found import Count, Found
from orchestrator.repository.artifact import artifact_of
from orchestrator.repository.columns import columns
from orchestrator.repository.looking import Search, count, found

ID = "artifact_id"
ID_MIN, ID_MAX = UUID(int=0), UUID(int=2**128 - 1)
#: An id begins with the time at which a server made it, which may differ so much from the time of
#: the database.
CLOCKS_APART_SECONDS = 3_600
_UUID_TIME_SHIFT = 80
_LAST = "\U0010ffff"

# Of one member of meta an artifact has at most one digest, so it has all members if it has as many
# digests.
_WANTED = """
               ($4::text IS NULL OR c.kind = $4)
           AND ($5::text IS NULL OR c.name COLLATE "C" = $5)
           AND ($6::text IS NULL OR c.created_by = $6)
           AND ($7::bytea IS NULL OR c.version_hash = $7)
           AND ($8::timestamptz IS NULL OR c.created_at >= $8)
           AND ($9::timestamptz IS NULL OR c.created_at < $9)
           AND ($12 = 0 OR $12 = (SELECT count(*) FROM artifact_meta
                                   WHERE artifact_id = c.artifact_id
                                     AND digest = ANY($11::bytea[])))"""
_MADE = "artifact_id < $2 AND artifact_id >= $10"
_OLDER = f"namespace = $1 AND {_MADE}"
_ARTIFACT = columns("f", *Artifact.__struct_fields__)


def _search(source: str, order: str = "artifact_id DESC") -> Search:
    return Search(source, _WANTED, order=order, rows_max="$3")


def _along(**equal: str) -> Search:
    """Those with these columns that are older than $2, along the index of all of these columns.

    Said as one range of this index, because the planner takes ids between two parameters for few:
    it would read them along the ids, through those of all namespaces and kinds.
    """
    names, values = ", ".join(equal), ", ".join(equal.values())
    return _search(
        f"""
SELECT * FROM artifact
 WHERE ({names}, artifact_id) < ({values}, $2) AND ({names}, artifact_id) >= ({values}, $10)""",
        ", ".join(f"{column} DESC" for column in (*equal, ID)),
    )


def _of_few(condition: str) -> Search:
    """Those of the namespace $1 that are older than $2, if few meet the condition."""
    return _search(f"SELECT * FROM artifact WHERE {condition} AND {_OLDER}")


def _having(digest: str) -> str:
    return f"""
       (SELECT artifact_id FROM artifact_meta
         WHERE digest = {digest} AND {_OLDER} ORDER BY artifact_id DESC)"""


_ALL = _along(namespace="$1")
_BY_KIND = _along(kind="$4", namespace="$1")
_BY_NAME = _of_few('name COLLATE "C" = $5')
_BY_CREATOR = _along(created_by="$6", namespace="$1")
_BY_VERSION_HASH = _of_few("version_hash = $7")
_BY_META = _search(f"""
SELECT m.artifact_id, {columns("a", *(each for each in Artifact.__struct_fields__ if each != ID))}
  FROM ({_having("$13")} UNION ALL {_having("$14")}) m
 CROSS JOIN LATERAL (SELECT * FROM artifact WHERE artifact_id = m.artifact_id LIMIT 1) a""")
# From the first to beyond the last of all names that begin so. The times are a condition
# only: the planner would read the artifacts of a time along their ids.
_BY_PREFIX = Search(
    """
SELECT *, name COLLATE "C" AS in_code_points FROM artifact
 WHERE namespace = $1 AND (name COLLATE "C", artifact_id) > ($13, $14)
   AND name COLLATE "C" < $15""",
    f"{_WANTED} AND {_MADE}",
    order="in_code_points, artifact_id",
    rows_max="$3",
)
# The limit is the last parameter.
LIST, COUNT = _ALL.listed(_ARTIFACT, "$13"), _ALL.counted()
LIST_BY_KIND, COUNT_BY_KIND = _BY_KIND.listed(_ARTIFACT, "$13"), _BY_KIND.counted()
LIST_BY_NAME, COUNT_BY_NAME = _BY_NAME.listed(_ARTIFACT, "$13"), _BY_NAME.counted()
LIST_BY_CREATOR, COUNT_BY_CREATOR = _BY_CREATOR.listed(_ARTIFACT, "$13"), _BY_CREATOR.counted()
LIST_BY_VERSION_HASH = _BY_VERSION_HASH.listed(_ARTIFACT, "$13")
COUNT_BY_VERSION_HASH = _BY_VERSION_HASH.counted()
LIST_BY_META, COUNT_BY_META = _BY_META.listed(_ARTIFACT, "$15"), _BY_META.counted()
LIST_BY_PREFIX, COUNT_BY_PREFIX = _BY_PREFIX.listed(_ARTIFACT, "$16"), _BY_PREFIX.counted()


class ArtifactSearchRepository:
    """Rows of artifact and artifact_meta. The caller owns the transaction."""

    async def list_newest(
        self,
        conn: Connection,
        namespace: str,
        wanted: ArtifactFilter,
        before: UUID,
        rows_max: int,
        limit: int,
    ) -> Found[Artifact, UUID]:
        """Newest first, older than `before`."""
        statement, _ = _leading(wanted)
        rows = await conn.fetch(statement, *_values(namespace, wanted, before, rows_max), limit)
        return found(rows, rows_max, artifact_of, itemgetter(ID))

    async def list_by_prefix(
        self,
        conn: Connection,
        namespace: str,
        wanted: ArtifactFilter,
        after: tuple[str, UUID],
        rows_max: int,
        limit: int,
    ) -> Found[Artifact, tuple[str, UUID]]:
        """In the order of names, after this name and artifact."""
        given = _values_by_prefix(namespace, wanted, after, rows_max)
        rows = await conn.fetch(LIST_BY_PREFIX, *given, limit)
        return found(rows, rows_max, artifact_of, itemgetter("name", ID))

    async def count(
        self, conn: Connection, namespace: str, wanted: ArtifactFilter, rows_max: int
    ) -> Count:
        """On all pages of either list."""
        if wanted.prefix is not None:
            given = _values_by_prefix(namespace, wanted, ("", ID_MIN), rows_max)
            return await count(conn, COUNT_BY_PREFIX, given, rows_max)
        _, statement = _leading(wanted)
        return await count(conn, statement, _values(namespace, wanted, ID_MAX, rows_max), rows_max)


def _leading(wanted: ArtifactFilter) -> tuple[str, str]:
    """The list and the count that are read along the best index."""
    if wanted.version_hash is not None:
        return LIST_BY_VERSION_HASH, COUNT_BY_VERSION_HASH
    if wanted.name is not None:
        return LIST_BY_NAME, COUNT_BY_NAME
    if wanted.meta:
        return LIST_BY_META, COUNT_BY_META
    if wanted.created_by is not None:
        return LIST_BY_CREATOR, COUNT_BY_CREATOR
    return (LIST, COUNT) if wanted.kind is None else (LIST_BY_KIND, COUNT_BY_KIND)


def _values(namespace: str, wanted: ArtifactFilter, before: UUID, rows_max: int) -> list[Any]:
    """The parameters of a statement that leads, but for the limit."""
    if _leading(wanted)[0] is not LIST_BY_META:
        return _common(namespace, wanted, before, rows_max, wanted.meta)
    first, *others = wanted.meta
    common = _common(namespace, wanted, before, rows_max, others)
    return [*common, first[0], (*first, None)[1]]


def _values_by_prefix(
    namespace: str, wanted: ArtifactFilter, after: tuple[str, UUID], rows_max: int
) -> list[Any]:
    prefix = wanted.prefix or ""
    common = _common(namespace, wanted, ID_MAX, rows_max, wanted.meta)
    # Where both bounds of a name are given, an index may be read from the wrong one on.
    return [*common, *max(after, (prefix, ID_MIN)), _after_prefix(prefix)]


def _common(
    namespace: str,
    wanted: ArtifactFilter,
    before: UUID,
    rows_max: int,
    members: Sequence[Sequence[bytes]],
) -> list[Any]:
    """The parameters that all of the statements have."""
    earliest, latest = ids_between(wanted.since, wanted.until)
    return [
        namespace,
        min(before, latest),
        rows_max,
        wanted.kind,
        wanted.name,
        wanted.created_by,
        wanted.version_hash and wanted.version_hash.raw,
        wanted.since,
        wanted.until,
        earliest,
        [digest for digests in members for digest in digests],
        len(members),
    ]


def ids_between(since: datetime | None, until: datetime | None) -> tuple[UUID, UUID]:
    """The ids that can have been made between two times, and some more: from the first on, below
    the second.
    """
    earliest = ID_MIN if since is None else _id_at(since, -CLOCKS_APART_SECONDS)
    latest = ID_MAX if until is None else _id_at(until, CLOCKS_APART_SECONDS)
    return earliest, latest


def _id_at(moment: datetime, seconds: int) -> UUID:
    """Below all ids that are made from so long after this moment on (RFC 9562 §5.7)."""
    milliseconds = max(0, int((moment.timestamp() + seconds) * 1_000))
    return UUID(int=min(milliseconds, 2**48 - 1) << _UUID_TIME_SHIFT)


def _after_prefix(prefix: str) -> str:
    """The first text after all that begin so, in the order of code points; if there is none, one
    after all names.
    """
    stem = prefix.rstrip(_LAST)
    if not stem:
        return _LAST * NAME_BYTES_MAX
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)

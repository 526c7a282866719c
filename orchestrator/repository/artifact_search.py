"""SQL that lists artifacts by what they are and what is said of them: one statement per method.

Pages go from the newest artifact to the oldest, those by the beginning of a name in the order of
names. For each filter there is an index that begins with it and goes on in the order of the page,
and a statement that is read along this index; what else is asked for is a condition. The filter
that usually lets the least through leads.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.models.artifact import Artifact
from orchestrator.models.artifact_manifest import ArtifactFilter
from orchestrator.repository.artifact import artifact_of
from orchestrator.repository.columns import columns

_ARTIFACT = columns("a", *Artifact.__struct_fields__)
ID_MIN, ID_MAX = UUID(int=0), UUID(int=2**128 - 1)
#: An id begins with the time at which a server made it, which may differ so much from the time of
#: the database.
CLOCKS_APART_SECONDS = 3_600
_UUID_TIME_SHIFT = 80

# Of one member of meta an artifact has at most one digest, so it has all members if it has as many
# digests.
_ALSO = """
   AND ($4::text IS NULL OR a.kind = $4)
   AND ($5::text IS NULL OR a.name COLLATE "C" = $5)
   AND ($6::text IS NULL OR a.created_by = $6)
   AND ($7::bytea IS NULL OR a.version_hash = $7)
   AND ($8::timestamptz IS NULL OR a.created_at >= $8)
   AND ($9::timestamptz IS NULL OR a.created_at < $9)
   AND a.artifact_id >= $10
   AND ($12 = 0 OR $12 = (SELECT count(*) FROM artifact_meta
                           WHERE artifact_id = a.artifact_id AND digest = ANY($11::bytea[])))
"""


def _list(condition: str) -> str:
    """Those of the namespace $1 that are older than $2, at most $3."""
    return f"""
SELECT {_ARTIFACT} FROM artifact a
 WHERE {condition} AND a.namespace = $1 AND a.artifact_id < $2 {_ALSO}
 ORDER BY a.artifact_id DESC LIMIT $3
"""


LIST = _list("true")
LIST_BY_KIND = _list("a.kind = $4")
LIST_BY_NAME = _list('a.name COLLATE "C" = $5')
LIST_BY_CREATOR = _list("a.created_by = $6")
LIST_BY_VERSION_HASH = _list("a.version_hash = $7")


def _having(digest: str) -> str:
    return f"""
       (SELECT artifact_id FROM artifact_meta
         WHERE digest = {digest} AND namespace = $1 AND artifact_id < $2
         ORDER BY artifact_id DESC)"""


LIST_BY_META = f"""
SELECT {_ARTIFACT}
  FROM ({_having("$13")} UNION ALL {_having("$14")}) m
 CROSS JOIN LATERAL (SELECT * FROM artifact WHERE artifact_id = m.artifact_id LIMIT 1) a
 WHERE true {_ALSO}
 ORDER BY m.artifact_id DESC LIMIT $3
"""

# The end is beyond all names that begin so; null where there is none.
LIST_BY_PREFIX = f"""
SELECT {_ARTIFACT} FROM artifact a
 WHERE a.namespace = $1 AND a.artifact_id < $2 {_ALSO}
   AND a.name COLLATE "C" >= $13 AND ($14::text IS NULL OR a.name COLLATE "C" < $14)
   AND (a.name COLLATE "C", a.artifact_id) > ($15, $16)
 ORDER BY a.name COLLATE "C", a.artifact_id LIMIT $3
"""


class ArtifactSearchRepository:
    """Rows of artifact and artifact_meta. The caller owns the transaction."""

    async def list_newest(
        self, conn: Connection, namespace: str, wanted: ArtifactFilter, before: UUID, limit: int
    ) -> list[Artifact]:
        """Newest first, older than `before`."""
        if wanted.meta and wanted.version_hash is None and wanted.name is None:
            first, *others = wanted.meta
            given = _values(namespace, wanted, before, limit, others)
            rows = await conn.fetch(LIST_BY_META, *given, first[0], (*first, None)[1])
        else:
            given = _values(namespace, wanted, before, limit, wanted.meta)
            rows = await conn.fetch(_leading(wanted), *given)
        return [artifact_of(row) for row in rows]

    async def list_by_prefix(
        self,
        conn: Connection,
        namespace: str,
        wanted: ArtifactFilter,
        after: tuple[str, UUID],
        limit: int,
    ) -> list[Artifact]:
        """In the order of names, after this name and artifact."""
        given = _values(namespace, wanted, ID_MAX, limit, wanted.meta)
        prefix = wanted.prefix or ""
        rows = await conn.fetch(LIST_BY_PREFIX, *given, prefix, _after_prefix(prefix), *after)
        return [artifact_of(row) for row in rows]


def _leading(wanted: ArtifactFilter) -> str:
    if wanted.version_hash is not None:
        return LIST_BY_VERSION_HASH
    if wanted.name is not None:
        return LIST_BY_NAME
    if wanted.created_by is not None:
        return LIST_BY_CREATOR
    return LIST if wanted.kind is None else LIST_BY_KIND


def _values(
    namespace: str,
    wanted: ArtifactFilter,
    before: UUID,
    limit: int,
    members: Sequence[Sequence[bytes]],
) -> tuple[Any, ...]:
    """The parameters that all of the statements have."""
    earliest, latest = ids_between(wanted.since, wanted.until)
    return (
        namespace,
        min(before, latest),
        limit,
        wanted.kind,
        wanted.name,
        wanted.created_by,
        wanted.version_hash and wanted.version_hash.raw,
        wanted.since,
        wanted.until,
        earliest,
        [digest for digests in members for digest in digests],
        len(members),
    )


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


def _after_prefix(prefix: str) -> str | None:
    """The first text after all that begin so, in the order of code points; None: there is none."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)

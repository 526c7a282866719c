"""SQL that lists the tags of a namespace, as they are or were: one statement per method.

Tags are read in the order of their names. What is looked for besides is a condition on the rows
that are passed. If it is rare, the names that may meet it are found first, by an index of moves.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.models.found import Count, Found
from orchestrator.models.tag_search import NamedTag, TagFilter, TagsAmong
from orchestrator.repository.columns import columns
from orchestrator.repository.looking import Search, count, found
from orchestrator.repository.tag_move import cursor_after, move_of_tag_at, moved_to_few

#: After all characters of names, in the order of code points and in that of languages.
_LAST_CHARACTER = "\uffff"

_BY_NAME = "namespace = $1 AND name > $2 AND name >= $3 AND name < $4 AND starts_with(name, $3)"
_ALL = f"SELECT * FROM tag WHERE {_BY_NAME}"


def _chosen(names: str) -> str:
    """Those of these names."""
    return f"""
SELECT t.* FROM unnest({names}::text[]) n (name) CROSS JOIN LATERAL (
       SELECT * FROM tag WHERE name = n.name AND {_BY_NAME} LIMIT 1) t"""


# Most tags have moved little since, if at all: only of the others the move of the time is searched.
_THEN = f"""
  LEFT JOIN LATERAL (
       SELECT seq, action, to_id AS target_id, message, moved_by, moved_at, transaction_id
         FROM tag_move
        WHERE namespace = $1 AND name = c.name AND seq = {move_of_tag_at("c", "$11")}
        LIMIT 1) t ON true"""

_BESIDE = """
  LEFT JOIN LATERAL (SELECT * FROM artifact WHERE artifact_id = f.target_id LIMIT 1) a ON true"""


class TagSearch(NamedTuple):
    """The tags `f` that a filter wants, with their artifacts `a`; of `kinds` only, if there are
    any.
    """

    source: str
    kinds: str = ""
    past: bool = False

    @classmethod
    def now(cls, kinds: str = "", *, names: str = "") -> "TagSearch":
        """All tags as they are, or those of the names in a parameter."""
        return cls(_chosen(names) if names else _ALL, kinds)

    @classmethod
    def then(cls, kinds: str = "", *, names: str = "") -> "TagSearch":
        """All tags as they were at the time $11, or those of the names in a parameter."""
        return cls(_chosen(names) if names else _ALL, kinds, past=True)

    def listed(self, shown: str, limit: str) -> str:
        """What is `shown` of them, by name."""
        return self._search.listed(shown, limit, _BESIDE)

    def counted(self) -> str:
        """How many there are."""
        return self._search.counted()

    @property
    def _search(self) -> Search:
        tag = "t" if self.past else "c"
        kind = f"(SELECT kind FROM artifact WHERE artifact_id = {tag}.target_id)"
        return Search(
            self.source,
            f"""
               ($5::text IS NULL OR {tag}.moved_by = $5)
           AND ($6::timestamptz IS NULL OR {tag}.moved_at >= $6)
           AND ($7::timestamptz IS NULL OR {tag}.moved_at < $7)
           AND {tag}.moved_at IS NOT NULL AND ({tag}.target_id IS NULL) = $8
           AND ($9::text IS NULL OR {kind} = $9)
           {f"AND {kind} IN ({self.kinds})" if self.kinds else ""}""",
            order="name",
            rows_max="$10",
            read="c.looked, c.namespace, c.name, t.*" if self.past else "c.*",
            joined=_THEN if self.past else "",
        )


_SHOWN = (
    columns("f", "namespace", "name", "message", "moved_by", "moved_at")
    + ", "
    + columns("a", "artifact_id", "kind", "version_hash")
)
_NOW = f"""{_SHOWN}, f.version, f.cursor, (
       SELECT transaction_id FROM tag_move
        WHERE namespace = f.namespace AND name = f.name AND seq = f.version) AS transaction_id"""
_THEN_SHOWN = f"{_SHOWN}, f.seq AS version, f.transaction_id, {cursor_after('f')} AS cursor"

# The limit is the last parameter; before it are a time and names, where there are any.
_TAGS, _CHOSEN = TagSearch.now(), TagSearch.now(names="$11")
_DELETED = TagSearch(f"{_ALL} AND target_id IS NULL")
_TAGS_AT, _CHOSEN_AT = TagSearch.then(), TagSearch.then(names="$12")
LIST, COUNT = _TAGS.listed(_NOW, "$11"), _TAGS.counted()
LIST_CHOSEN, COUNT_CHOSEN = _CHOSEN.listed(_NOW, "$12"), _CHOSEN.counted()
LIST_DELETED, COUNT_DELETED = _DELETED.listed(_NOW, "$11"), _DELETED.counted()
LIST_AT, COUNT_AT = _TAGS_AT.listed(_THEN_SHOWN, "$12"), _TAGS_AT.counted()
LIST_CHOSEN_AT, COUNT_CHOSEN_AT = _CHOSEN_AT.listed(_THEN_SHOWN, "$13"), _CHOSEN_AT.counted()


def _narrowed(source: str, rows_max: str) -> str:
    """The names in the rows of a statement, if they are few."""
    return f"""
SELECT CASE WHEN count(*) <= {rows_max}
            THEN coalesce(array_agg(DISTINCT name), '{{}}') END
  FROM ({source} LIMIT {rows_max} + 1) m
"""


NAMES_BY_TIME = _narrowed(
    "SELECT name FROM tag_move WHERE namespace = $1 AND moved_at >= $2 AND moved_at <= $3", "$4"
)
NAMES_BY_MOVER = _narrowed(
    """SELECT name FROM tag_move
        WHERE moved_by = $2 AND namespace = $1 AND moved_at >= $3 AND moved_at <= $4""",
    "$5",
)
NAMES_BY_KIND = moved_to_few("name", "array_agg(DISTINCT name)")
NAMES_BY_PREFIX = _narrowed(
    """SELECT name FROM tag
         WHERE namespace = $1 AND name >= $2 AND name < $3 AND starts_with(name, $2)""",
    "$4",
)

# The few tags of an artifact are sorted: in the order of names all tags would be read.
LIST_NAMES = """
SELECT t.target_id, t.name FROM unnest($2::uuid[]) AS n (artifact_id) CROSS JOIN LATERAL (
       SELECT * FROM (SELECT target_id, name FROM tag
                       WHERE target_id = n.artifact_id AND namespace = $1 OFFSET 0) t
        ORDER BY name LIMIT $3) t
"""

_PLAIN = tuple(field for field in NamedTag.__struct_fields__ if field != "version_hash")


async def _few(conn: Connection, statement: str, *given: object) -> list[str] | None:
    names: list[str] | None = await conn.fetchval(statement, *given)
    return names


def by_what_is_asked(
    now: str, now_chosen: str, past: str, past_chosen: str
) -> Mapping[tuple[bool, bool], str]:
    """Statements by whether names are chosen, and whether they are about the past."""
    return {
        (False, False): now,
        (True, False): now_chosen,
        (False, True): past,
        (True, True): past_chosen,
    }


_LISTS = by_what_is_asked(LIST, LIST_CHOSEN, LIST_AT, LIST_CHOSEN_AT)
_COUNTS = by_what_is_asked(COUNT, COUNT_CHOSEN, COUNT_AT, COUNT_CHOSEN_AT)


class TagSearchRepository:
    """Rows of tag and tag_move, with what their artifacts say. The caller owns the transaction."""

    async def list_by_tag(
        self,
        conn: Connection,
        namespace: str,
        wanted: TagFilter,
        among: TagsAmong,
        after: str,
        limit: int,
    ) -> Found[NamedTag, str]:
        """By name, those after this one."""
        statement = LIST_DELETED if _is_of_deleted(wanted, among) else chosen(_LISTS, wanted, among)
        rows = await conn.fetch(statement, *tags_wanted(namespace, wanted, among, after, limit))
        return found(rows, among.rows_max, _named, itemgetter("name"))

    async def count(
        self, conn: Connection, namespace: str, wanted: TagFilter, among: TagsAmong
    ) -> Count:
        """On all pages."""
        is_deleted = _is_of_deleted(wanted, among)
        statement = COUNT_DELETED if is_deleted else chosen(_COUNTS, wanted, among)
        return await count(conn, statement, tags_wanted(namespace, wanted, among), among.rows_max)

    async def names_by_time(
        self, conn: Connection, namespace: str, since: datetime, until: datetime, names_max: int
    ) -> list[str] | None:
        """The tags that moved from then on until then; None if that are many moves."""
        return await _few(conn, NAMES_BY_TIME, namespace, since, until, names_max)

    async def names_by_mover(
        self,
        conn: Connection,
        namespace: str,
        moved_by: str,
        since: datetime,
        until: datetime,
        names_max: int,
    ) -> list[str] | None:
        """The tags that somebody moved within a time; None if that are many moves."""
        given = (namespace, moved_by, since, until, names_max)
        return await _few(conn, NAMES_BY_MOVER, *given)

    async def names_by_kind(
        self, conn: Connection, namespace: str, kind: str, artifacts_max: int, moves_max: int
    ) -> list[str] | None:
        """The tags that ever named such an artifact; None if these, or moves to them, are many."""
        return await _few(conn, NAMES_BY_KIND, namespace, kind, artifacts_max, moves_max)

    async def names_by_prefix(
        self, conn: Connection, namespace: str, prefix: str, names_max: int
    ) -> list[str] | None:
        """The tags whose names begin so, deleted or not; None if they are many."""
        given = (namespace, prefix, prefix + _LAST_CHARACTER, names_max)
        return await _few(conn, NAMES_BY_PREFIX, *given)

    async def list_names(
        self, conn: Connection, namespace: str, artifact_ids: Sequence[UUID], limit: int
    ) -> list[tuple[UUID, str]]:
        """The first tags that name each of these artifacts now."""
        rows = await conn.fetch(LIST_NAMES, namespace, artifact_ids, limit)
        return [(row["target_id"], row["name"]) for row in rows]


def chosen(statements: Mapping[tuple[bool, bool], str], wanted: TagFilter, among: TagsAmong) -> str:
    """The statement for what is looked at."""
    return statements[among.names is not None, wanted.at is not None]


def tags_wanted(
    namespace: str,
    wanted: TagFilter,
    among: TagsAmong,
    after: str = "",
    limit: int | None = None,
) -> list[Any]:
    """The parameters of a statement that lists tags, or counts those on all pages."""
    return [
        namespace,
        after,
        wanted.prefix,
        wanted.prefix + _LAST_CHARACTER,
        wanted.moved_by,
        wanted.since,
        wanted.until,
        wanted.deleted,
        wanted.kind,
        among.rows_max,
        *([] if wanted.at is None else [wanted.at]),
        *([] if among.names is None else [among.names]),
        *([] if limit is None else [limit]),
    ]


def _is_of_deleted(wanted: TagFilter, among: TagsAmong) -> bool:
    return wanted.deleted and wanted.at is None and among.names is None


def _named(row: asyncpg.Record) -> NamedTag:
    found = row["version_hash"]
    return NamedTag(**{field: row[field] for field in _PLAIN}, version_hash=found and CasId(found))

"""SQL for lineage: where artifacts come from and what comes of them, one statement per method."""

from collections.abc import Sequence
from uuid import UUID

from orchestrator.core.database import Connection
from orchestrator.models.artifact import Artifact, Link
from orchestrator.models.lineage import LineageStep
from orchestrator.repository.artifact import artifact_of
from orchestrator.repository.columns import columns

_ARTIFACT = columns("a", *Artifact.__struct_fields__)


def linked(source: str) -> str:
    """The edges in the rows of `source` (child_id, parent_id, relation), each once."""
    return f"""
INSERT INTO lineage (child_id, parent_id, relation)
SELECT n.child_id, n.parent_id, n.relation FROM {source} n
ON CONFLICT DO NOTHING
"""


INSERT = f"""
WITH new AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS n (child_id, parent_id, relation)
)
{linked("new")}
"""


# Edges in the order in which they are met, nearest first. Rows come as they are walked, so a page
# costs a page. An artifact whose edges are shown in part goes on with the farther end shown last.
# The planner cannot know how short a walk is; what has a limit it never reads as a whole table.
def _walk(near: str, far: str, *, first: str, beyond: str, order: str) -> str:
    return f"""
WITH RECURSIVE walk (id, after) AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[])
    UNION
    SELECT l.{far}, '{first}'::uuid FROM walk w CROSS JOIN LATERAL (
        SELECT {far} FROM lineage WHERE {near} = w.id AND {far} {beyond} w.after LIMIT $3) l
)
SELECT l.child_id, l.parent_id, l.relation,
       (SELECT true FROM lineage WHERE {near} = l.{far} LIMIT 1) IS NOT NULL AS leads_on
  FROM walk w CROSS JOIN LATERAL (
       SELECT * FROM lineage l WHERE l.{near} = w.id AND l.{far} {beyond} w.after
        ORDER BY l.{far} {order}, l.relation COLLATE "C" LIMIT $3) l
 LIMIT $3
"""


WALK_UP = _walk("child_id", "parent_id", first=str(UUID(int=2**128 - 1)), beyond="<=", order="DESC")
WALK_DOWN = _walk("parent_id", "child_id", first=str(UUID(int=0)), beyond=">=", order="ASC")

LIST_PARENTS = f"""
SELECT {_ARTIFACT} FROM lineage l JOIN artifact a ON a.artifact_id = l.parent_id
 WHERE l.child_id = $1 AND l.relation = ANY($2::text[])
 ORDER BY l.relation, l.parent_id
"""


# Of the versions that both contain, those that no other of them contains. The planner, which cannot
# know how few are met, would read all lineage and all artifacts beside them: not what is fenced
# off by OFFSET or LIMIT.
def _parents(of: str) -> str:
    return f"""
       SELECT parent_id FROM lineage
        WHERE child_id = {of}.id AND relation = ANY($3::text[]) OFFSET 0"""


LIST_COMMON_ANCESTORS = f"""
WITH RECURSIVE ours (id) AS (
    SELECT $1::uuid
     UNION
    SELECT p.parent_id FROM ours o CROSS JOIN LATERAL ({_parents("o")}) p
), theirs (id) AS (
    SELECT $2::uuid
     UNION
    SELECT p.parent_id FROM theirs t CROSS JOIN LATERAL ({_parents("t")}) p
), common AS (SELECT id FROM ours INTERSECT SELECT id FROM theirs)
SELECT {_ARTIFACT}
  FROM (SELECT id FROM common
        EXCEPT
        SELECT p.parent_id FROM common c CROSS JOIN LATERAL ({_parents("c")}) p) c
 CROSS JOIN LATERAL (SELECT * FROM artifact WHERE artifact_id = c.id LIMIT 1) a
 ORDER BY artifact_id DESC LIMIT $4
"""

# One version after the other with its parents, the newest first, until all that is left to walk
# comes from one of them: nothing beyond it can be nearer to any two of those before.
WALK_TO_ONE = """
WITH RECURSIVE walk (id, parents, waiting) AS (
    SELECT NULL::uuid, NULL::uuid[], $1::uuid[]
     UNION ALL
    SELECT n.id, p.parents,
           ARRAY(SELECT DISTINCT unnest(array_remove(w.waiting, n.id) || p.parents))
      FROM walk w
     CROSS JOIN LATERAL (SELECT id FROM unnest(w.waiting) id ORDER BY id DESC LIMIT 1) n
     CROSS JOIN LATERAL (SELECT ARRAY(
           SELECT parent_id FROM lineage
            WHERE child_id = n.id AND relation = ANY($2::text[]) OFFSET 0) AS parents) p
     WHERE cardinality(w.waiting) BETWEEN 2 AND $3
)
SELECT id, parents, cardinality(waiting) AS waiting FROM walk WHERE id IS NOT NULL LIMIT $4
"""

# Edges between artifacts that are there already.
ADD = """
INSERT INTO lineage (child_id, parent_id, relation, added_by, added_at)
SELECT $1, n.parent_id, n.relation, $4, clock_timestamp()
  FROM unnest($2::uuid[], $3::text[]) AS n (parent_id, relation)
ON CONFLICT DO NOTHING RETURNING parent_id
"""

# Two that add edges at once could close a circle together.
LOCK_ADDING = "SELECT pg_advisory_xact_lock($2, hashtext($1))"
ADDING_LOCK = 0x0A12

COMES_FROM = """
WITH RECURSIVE above (id) AS (
    SELECT unnest($1::uuid[])
     UNION
    SELECT p.parent_id FROM above a
     CROSS JOIN LATERAL (SELECT parent_id FROM lineage WHERE child_id = a.id OFFSET 0) p
)
SELECT EXISTS (SELECT FROM above WHERE id = $2)
"""


class LineageRepository:
    """Rows of lineage. The caller owns the transaction."""

    async def insert(self, conn: Connection, links: Sequence[Link]) -> None:
        """Adding an edge that is there already changes nothing."""
        await conn.execute(
            INSERT,
            [each.child_id for each in links],
            [each.parent_id for each in links],
            [each.relation for each in links],
        )

    async def walk(
        self,
        conn: Connection,
        from_ids: Sequence[UUID],
        after: Sequence[UUID],
        *,
        up: bool,
        limit: int,
    ) -> list[LineageStep]:
        """So many of the edges that can be reached from these, nearest first; those of one nearer
        end follow each other. `after` is for each the first farther end that counts.
        """
        statement = WALK_UP if up else WALK_DOWN
        return [LineageStep(**row) for row in await conn.fetch(statement, from_ids, after, limit)]

    async def list_parents(
        self, conn: Connection, child_id: UUID, relations: Sequence[str]
    ) -> list[Artifact]:
        """What an artifact comes from in one of these ways, one step up."""
        return [artifact_of(row) for row in await conn.fetch(LIST_PARENTS, child_id, relations)]

    async def list_common_ancestors(
        self,
        conn: Connection,
        one_id: UUID,
        other_id: UUID,
        relations: Sequence[str],
        limit: int,
    ) -> list[Artifact]:
        """The nearest artifacts that both come from in these ways, the newest first; one of the
        two itself if the other comes from it.
        """
        rows = await conn.fetch(LIST_COMMON_ANCESTORS, one_id, other_id, relations, limit)
        return [artifact_of(row) for row in rows]

    async def walk_to_one(
        self,
        conn: Connection,
        from_ids: Sequence[UUID],
        relations: Sequence[str],
        *,
        waiting_max: int,
        limit: int,
    ) -> dict[UUID, list[UUID]] | None:
        """The parents of several artifacts, and of what they come from in these ways, down to
        where all of it comes from one artifact. None if that is farther than the limits.
        """
        rows = await conn.fetch(WALK_TO_ONE, from_ids, relations, waiting_max, limit)
        if not rows or rows[-1]["waiting"] > 1:
            return None
        return {row["id"]: row["parents"] for row in rows}

    async def lock_adding(self, conn: Connection, namespace: str) -> None:
        """Until this transaction ends nobody else adds edges to what is there in the namespace."""
        await conn.execute(LOCK_ADDING, namespace, ADDING_LOCK)

    async def comes_from(
        self, conn: Connection, artifact_ids: Sequence[UUID], ancestor_id: UUID
    ) -> bool:
        """Whether one of them is the ancestor, or comes from it in whatever way."""
        found: bool = await conn.fetchval(COMES_FROM, artifact_ids, ancestor_id)
        return found

    async def add(
        self, conn: Connection, child_id: UUID, parents: Sequence[tuple[UUID, str]], by: str
    ) -> int:
        """Edges to these (parent, relation), which say who added them; how many are new."""
        ids = [parent_id for parent_id, _ in parents]
        relations = [relation for _, relation in parents]
        return len(await conn.fetch(ADD, child_id, ids, relations, by))

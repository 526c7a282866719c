"""Fills a migrated database with a store of a given size and proves it valid; it asks nothing.

Rows come by COPY. The triggers of foreign keys are off meanwhile, as they would take most of the
time; afterwards every foreign key and every rule of a trigger is checked over all rows. CHECKs and
unique indexes hold all along.
"""

import time
from collections.abc import Callable, Iterable

from orchestrator.core.database import Connection, connect
from tests.growth.shape import World

BLOB = ("cas_id", "size_bytes", "media_type", "content")
LEASE = ("cas_id", "namespace", "media_type", "expires_at")
ARTIFACT = (
    *("artifact_id", "namespace", "kind", "cas_id", "version_hash", "plan_hash", "base_id"),
    *("previous_id", "depth", "op_count", "nodes_count", "edges_count", "name", "meta"),
    *("created_by", "created_at"),
)
MEMBER = ("namespace", "digest", "artifact_id")
TRANSACTION = ("transaction_id", "namespace", "made_by", "made_at")
MOVE = (
    *("namespace", "name", "seq", "action", "from_id", "to_id", "parent_seq"),
    *("message", "moved_by", "moved_at", "transaction_id"),
)
KEY = ("principal", "key", "fingerprint", "status", "headers", "body", "expires_at")
TABLES = (
    *("cas_blob", "cas_lease", "artifact", "artifact_blob", "artifact_meta", "lineage"),
    *("tag", "tag_move", "transaction", "idempotency_key"),
)

# A tag is its last move.
TAGS = """
INSERT INTO tag (namespace, name, target_id, version, cursor, action, from_id, parent_seq, message,
                 moved_by, moved_at)
SELECT DISTINCT ON (namespace, name) namespace, name, to_id, seq AS version,
       CASE WHEN to_id IS NULL THEN parent_seq ELSE seq END AS cursor, action, from_id, parent_seq,
       message, moved_by, moved_at
  FROM tag_move m ORDER BY namespace, name, m.seq DESC
"""

# As an OCI manifest has layers: some versions need a further blob.
FURTHER = """
INSERT INTO artifact_blob (artifact_id, role, position, cas_id)
SELECT a.artifact_id, 'reference', 0, l.cas_id
  FROM (SELECT artifact_id, row_number() OVER (ORDER BY artifact_id) AS n FROM artifact) a
  JOIN (SELECT cas_id, row_number() OVER (ORDER BY cas_id) AS n FROM cas_lease) l USING (n)
"""

# Each answers whether a row breaks it.
RULES = {
    "a patch stands on a dag_version": """
        SELECT EXISTS (SELECT FROM artifact p JOIN artifact b ON b.artifact_id = p.base_id
                        WHERE p.kind = 'patch_set' AND b.kind <> 'dag_version')""",
    "a patch follows one of the same base, one deeper": """
        SELECT EXISTS (SELECT FROM artifact p JOIN artifact b ON b.artifact_id = p.previous_id
                        WHERE b.kind <> 'patch_set' OR b.base_id <> p.base_id
                           OR b.depth <> p.depth - 1)""",
    "moves have no gaps and follow each other": """
        SELECT EXISTS (
            SELECT FROM (SELECT *, lag(seq, 1, 0::bigint) OVER w AS before, lag(to_id) OVER w AS was
                           FROM tag_move WINDOW w AS (PARTITION BY namespace, name ORDER BY seq)) m
             WHERE seq <> before + 1 OR from_id IS DISTINCT FROM was OR from_id = to_id)""",
    "the times of moves never fall": """
        SELECT EXISTS (
            SELECT FROM (SELECT moved_at, lag(moved_at) OVER w AS before
                           FROM tag_move WINDOW w AS (PARTITION BY namespace, name ORDER BY seq)) m
             WHERE moved_at < before)""",
    "an edge leads to something older of its namespace": """
        SELECT EXISTS (SELECT FROM lineage l JOIN artifact c ON c.artifact_id = l.child_id
                                             JOIN artifact p ON p.artifact_id = l.parent_id
                        WHERE p.artifact_id >= c.artifact_id OR p.namespace <> c.namespace)""",
}
FOREIGN_KEYS = """
SELECT conname, conrelid::regclass::text AS child, confrelid::regclass::text AS parent,
       (SELECT array_agg(attname::text ORDER BY n)
          FROM unnest(conkey) WITH ORDINALITY k (attnum, n)
          JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.attnum) AS child_columns,
       (SELECT array_agg(attname::text ORDER BY n)
          FROM unnest(confkey) WITH ORDINALITY k (attnum, n)
          JOIN pg_attribute a ON a.attrelid = confrelid AND a.attnum = k.attnum) AS parent_columns
  FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace
"""


class Filler:
    """One filling of one database, and how long each part of it took."""

    def __init__(self, conn: Connection, world: World, tell: Callable[[str], None]) -> None:
        self._conn = conn
        self._world = world
        self._tell = tell
        self._since = time.monotonic()

    async def fill(self) -> None:
        world = self._world
        await self._conn.execute("SET session_replication_role = replica")
        await self._conn.execute("SET synchronous_commit = off")
        await self._conn.execute("SET enable_seqscan = on")  # All rows are checked.
        await self._copy("cas_blob", BLOB, world.blobs())
        await self._copy("cas_lease", LEASE, world.leases())
        await self._copy("artifact", ARTIFACT, world.artifacts())
        await self._copy("lineage", ("child_id", "parent_id", "relation"), world.lineage())
        await self._copy("artifact_meta", MEMBER, world.members())
        await self._copy("transaction", TRANSACTION, world.transactions())
        await self._copy("tag_move", MOVE, world.moves())
        await self._copy("idempotency_key", KEY, world.keys())
        for table, statement in (("tag", TAGS), ("artifact_blob", FURTHER)):
            done = await self._conn.execute(statement)
            self._say(f"{table}: {int(done.split()[-1]):,} rows")
        await self._conn.execute("SET session_replication_role = origin")
        await self._prove()
        # Now, or it comes by itself while something is measured.
        await self._conn.execute("VACUUM (ANALYZE)")
        await self._conn.execute("CHECKPOINT")
        self._say("vacuumed, analysed, on disk")

    async def _copy(
        self, table: str, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]
    ) -> None:
        done = await self._conn.copy_records_to_table(
            table, columns=columns, records=rows, timeout=3_600
        )
        self._say(f"{table}: {int(done.split()[-1]):,} rows")

    async def _prove(self) -> None:
        for key in await self._conn.fetch(FOREIGN_KEYS):
            pairs = list(zip(key["child_columns"], key["parent_columns"], strict=True))
            same = " AND ".join(f"p.{theirs} = c.{ours}" for ours, theirs in pairs)
            known = " AND ".join(f"c.{ours} IS NOT NULL" for ours, _ in pairs)
            statement = (
                f"SELECT EXISTS (SELECT FROM {key['child']} c WHERE {known}"
                f" AND NOT EXISTS (SELECT FROM {key['parent']} p WHERE {same}))"
            )
            if await self._conn.fetchval(statement, timeout=600):
                raise AssertionError(f"{key['child']} breaks {key['conname']}")
        for rule, statement in RULES.items():
            if await self._conn.fetchval(statement, timeout=600):
                raise AssertionError(f"The rows break a rule: {rule}.")
        self._say("every foreign key and rule holds")

    def _say(self, what: str) -> None:
        self._tell(f"{time.monotonic() - self._since:7.1f} s  {what}")


async def fill(url: str, world: World, tell: Callable[[str], None]) -> None:
    """The database is migrated and has no rows yet; what was done is told line by line."""
    conn = await connect(url, statement_seconds_max=3_600)
    try:
        # Text as it is: the codec of the product would encode it again.
        await conn.reset_type_codec("jsonb", schema="pg_catalog")
        await conn.set_type_codec(
            "json",
            schema="pg_catalog",
            encoder=str.encode,
            decoder=bytes.decode,
            format="binary",
        )
        await Filler(conn, world, tell).fill()
    finally:
        await conn.close()

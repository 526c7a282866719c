"""SQL for the name of the blob storage that the rows speak of: one statement per method."""

from orchestrator.core.database import Connection

INSERT = """
INSERT INTO cas_storage (identity) VALUES ($1) ON CONFLICT DO NOTHING RETURNING identity
"""

GET = "SELECT identity FROM cas_storage"

IS_USED = "SELECT EXISTS (SELECT FROM cas_blob WHERE storage_key IS NOT NULL)"


class StorageIdentityRepository:
    """The one row of cas_storage. The caller owns the transaction."""

    async def insert(self, conn: Connection, identity: str) -> bool:
        """False if there is one already."""
        return await conn.fetchval(INSERT, identity) is not None

    async def get(self, conn: Connection) -> str | None:
        found: str | None = await conn.fetchval(GET)
        return found

    async def is_used(self, conn: Connection) -> bool:
        """Whether any blob is in storage."""
        return bool(await conn.fetchval(IS_USED))

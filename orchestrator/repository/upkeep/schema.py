"""SQL for the version of the schema: no decisions."""

from orchestrator.core.database import Connection

# The table is looked for by name, so that a database never migrated is an answer, not an error.
EXISTS = "SELECT to_regclass('alembic_version') IS NOT NULL"

GET_VERSION = "SELECT version_num FROM alembic_version"


class SchemaRepository:
    """The row that the migrations keep."""

    async def get_version(self, conn: Connection) -> str | None:
        """None when the database was never migrated."""
        if not await conn.fetchval(EXISTS):
            return None
        version: str | None = await conn.fetchval(GET_VERSION)
        return version

"""SQL for the version of the schema: one statement, no decisions."""

from orchestrator.database import Connection

GET_VERSION = "SELECT version_num FROM alembic_version"


class SchemaRepository:
    """The row that the migrations keep."""

    async def get_version(self, conn: Connection) -> str | None:
        version: str | None = await conn.fetchval(GET_VERSION)
        return version

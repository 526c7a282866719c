"""Whether the database has the schema that this program is written for; it migrates nothing."""

from orchestrator.core.database import Connection
from orchestrator.models.upkeep.schema import SCHEMA_VERSION
from orchestrator.repository.upkeep.schema import SchemaRepository


class SchemaService:
    """Compares what the migrations left with what the statements need."""

    def __init__(self, schema: SchemaRepository) -> None:
        self._schema = schema

    async def version(self, conn: Connection) -> str | None:
        """The schema of the database; None when it was never migrated."""
        return await self._schema.get_version(conn)

    async def mismatch(self, conn: Connection) -> str | None:
        """What the database has instead, in words; None when it has our schema."""
        found = await self.version(conn)
        if found == SCHEMA_VERSION:
            return None
        return f"{found or 'none'}, not {SCHEMA_VERSION}"

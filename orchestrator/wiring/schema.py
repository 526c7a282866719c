"""The service that knows the schema, alone: the parent of the server needs no other."""

from orchestrator.repository.upkeep.schema import SchemaRepository
from orchestrator.service.upkeep.schema import SchemaService


def build_schema() -> SchemaService:
    """Without state, so that each may have its own."""
    return SchemaService(SchemaRepository())

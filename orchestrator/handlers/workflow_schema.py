"""HTTP for the descriptions of the API: the workflow schema and the way to the reference."""

import msgspec

from orchestrator.documents.workflow_schema import WORKFLOW_SCHEMA
from orchestrator.models.idempotency import Answer

_WORKFLOW_SCHEMA = msgspec.json.encode(WORKFLOW_SCHEMA)


class SchemaHandler:
    """Documents that describe others."""

    async def workflow(self) -> Answer:
        """The JSON Schema (2020-12) of workflow documents."""
        return Answer(
            status=200, headers={"Content-Type": "application/schema+json"}, body=_WORKFLOW_SCHEMA
        )

    async def home(self) -> Answer:
        """A browser that opens the bare address is led to the reference."""
        return Answer(status=302, headers={"Location": "/schema"}, body=b"")

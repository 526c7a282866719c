"""HTTP for the descriptions of documents."""

import msgspec

from orchestrator.documents.workflow_schema import WORKFLOW_SCHEMA
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.entity import tagged
from orchestrator.models.idempotency import Answer

_WORKFLOW_SCHEMA = msgspec.json.encode(WORKFLOW_SCHEMA)


class SchemaHandler:
    """Documents that describe others."""

    async def workflow(self, call: Call) -> Answer:
        """The JSON Schema (2020-12) of workflow documents."""
        return tagged(call, _WORKFLOW_SCHEMA, media_type="application/schema+json")

"""HTTP for the descriptions of the API: the workflow schema and the way to the reference."""

import msgspec
from litestar import Response

from orchestrator.documents.workflow_schema import WORKFLOW_SCHEMA

_WORKFLOW_SCHEMA = msgspec.json.encode(WORKFLOW_SCHEMA)


class SchemaHandler:
    """Documents that describe others."""

    async def workflow(self) -> Response[bytes]:
        """The JSON Schema (2020-12) of workflow documents."""
        return Response(content=_WORKFLOW_SCHEMA, media_type="application/schema+json")

    async def home(self) -> Response[None]:
        """A browser that opens the bare address is led to the reference."""
        return Response(content=None, status_code=302, headers={"Location": "/schema"})

"""Routes of the reference: a flat list that decides nothing. The page is our own, so it needs
nothing from other servers; what it shows comes from the OpenAPI document.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import public_operation
from orchestrator.handlers.reference import ReferenceHandler
from orchestrator.routes.openapi_document import document

PAGE = (Path(__file__).parent / "reference.html").read_bytes()


def reference_routes(described: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """The description of these routes, for people and for programs."""
    reference = ReferenceHandler(PAGE, _policy(), lambda: msgspec.json.encode(document(described)))
    return [
        get("/schema")(public_operation(reference.page)),
        get("/schema/openapi.json")(public_operation(reference.openapi)),
        get("/", status_code=302)(public_operation(reference.home)),
    ]


def _policy() -> str:
    """Only the one script and the one style of the page run; it reaches this server alone."""
    script, style = _hash_of(b"script"), _hash_of(b"style")
    return (
        f"default-src 'none'; connect-src 'self'; script-src {script}; style-src {style}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash_of(element: bytes) -> str:
    """How a policy names an element's text, which is all between its tags."""
    found = re.findall(rb"<%b>(.*?)</%b>" % (element, element), PAGE, re.DOTALL)
    (text,) = found
    return f"'sha256-{b64encode(sha256(text).digest()).decode()}'"

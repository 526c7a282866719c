"""The reference page: our own, so it needs nothing from other servers; what it shows comes from the
OpenAPI document.
"""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from litestar import Request, Router
from litestar.datastructures import ResponseHeader
from litestar.openapi.plugins import OpenAPIRenderPlugin

from orchestrator.handlers.http.paths import Declared

PAGE = (Path(__file__).parent / "reference.html").read_bytes()
#: What the framework adds of its own: the description, for people and for programs.
REFERENCE = [Declared("/schema", ("GET",)), Declared("/schema/openapi.json", ("GET",))]


class ReferencePage(OpenAPIRenderPlugin):
    """The page, and the headers of everything below `/schema`."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The same bytes always: the page fetches the document."""
        return PAGE

    def receive_router(self, router: Router) -> None:
        """A newer server may have another description."""
        headers = {"Content-Security-Policy": _policy(), "Cache-Control": "no-cache"}
        router.response_headers = [
            ResponseHeader(name=name, value=value) for name, value in headers.items()
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

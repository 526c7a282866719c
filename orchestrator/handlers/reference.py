"""HTTP for the reference of the API: the page for people, and the document for programs."""

from collections.abc import Callable
from functools import cached_property

from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.entity import tagged
from orchestrator.models.idempotency import Answer

_HTML = "text/html; charset=utf-8"


class ReferenceHandler:
    """Nothing here needs the database. `describe` is asked once, by the first request."""

    def __init__(self, page: bytes, policy: str, describe: Callable[[], bytes]) -> None:
        self._page = page
        self._headers = {"Content-Security-Policy": policy}
        self._describe = describe

    @cached_property
    def _document(self) -> bytes:
        return self._describe()

    async def page(self, call: Call) -> Answer:
        """Our own page: it needs nothing from other servers."""
        return tagged(call, self._page, media_type=_HTML, headers=self._headers)

    async def openapi(self, call: Call) -> Answer:
        """The OpenAPI document."""
        return tagged(call, self._document)

    async def home(self, _: Call) -> Answer:
        """A browser that opens the bare address is led to the page."""
        return Answer(status=302, headers={"Location": "/schema"}, body=b"")

"""Which paths there are, and which methods each has: what 404, 405 and OPTIONS are answered from.

A path has one spelling: with an empty segment, or a slash at its end, it is another one, which is
not there.
"""

from collections.abc import Collection, Iterable
from http import HTTPStatus

import msgspec
from litestar.exceptions import MethodNotAllowedException, NotFoundException

from orchestrator.handlers.http.framework_errors import framework_refusal
from orchestrator.models.idempotency import Answer

#: What every path answers that can be read, and what every path answers.
HEAD, OPTIONS = "HEAD", "OPTIONS"
ACCEPT_PATCH = "Accept-Patch"


class Declared(msgspec.Struct, frozen=True):
    """An operation: its template, its methods, and the types of the patches that it reads."""

    path: str
    methods: Collection[str]
    patch_types: Collection[str] = ()


class Place(msgspec.Struct, frozen=True):
    """A path, and what may be done there."""

    path: str
    #: Those that have operations. HEAD and OPTIONS need none.
    own: frozenset[str]
    patch_types: tuple[str, ...]

    @property
    def methods(self) -> list[str]:
        """All, in the order in which they are told."""
        return sorted(self.own | {OPTIONS} | ({HEAD} if "GET" in self.own else set()))

    @property
    def headers(self) -> dict[str, str]:
        """What is told of the path (RFC 9110 §10.2.1, RFC 5789 §3.1)."""
        told = {"Allow": ", ".join(self.methods)}
        if self.patch_types:
            told[ACCEPT_PATCH] = ", ".join(self.patch_types)
        return told

    def told_with(self, status: int) -> dict[str, str]:
        """What of it an operation's refusal says, too."""
        if status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            return {name: value for name, value in self.headers.items() if name == ACCEPT_PATCH}
        return self.headers

    def answer(self, method: str, path: str) -> Answer | None:
        """What no operation answers; None for what one does."""
        if method in self.own or (method == HEAD and "GET" in self.own):
            return None
        if method == OPTIONS:
            return Answer(status=204, headers=self.headers, body=b"")
        return framework_refusal(MethodNotAllowedException(headers=self.headers), path)


class Paths:
    """Finds the place of a path by one look for each number of segments."""

    def __init__(self, declared: Iterable[Declared]) -> None:
        self._exact: dict[str, Place] = {}
        self._named: dict[tuple[str, ...], Place] = {}
        #: By the number of segments: which of them may be anything.
        self._masks: dict[int, set[tuple[int, ...]]] = {}
        together: dict[str, list[Declared]] = {}
        for each in declared:
            together.setdefault(each.path, []).append(each)
        for path, operations in together.items():
            self._add(path, operations)
        self._parts_max = max(self._masks, default=0) + 1

    def _add(self, path: str, operations: list[Declared]) -> None:
        own = frozenset(method for each in operations for method in each.methods)
        types = dict.fromkeys(each for operation in operations for each in operation.patch_types)
        place = Place(path, own, tuple(types))
        parts = path.split("/")
        mask = tuple(at for at, part in enumerate(parts) if part.startswith("{"))
        if not mask:
            self._exact[path] = place
            return
        self._masks.setdefault(len(parts), set()).add(mask)
        self._named[_masked(parts, mask)] = place

    def find(self, path: str) -> Place | None:
        """Where the path leads; None: nowhere."""
        if (place := self._exact.get(path)) is not None:
            return place
        # A path may have very many segments.
        parts = path.split("/", self._parts_max)
        for mask in self._masks.get(len(parts), ()):
            if all(parts[at] for at in mask):
                place = self._named.get(_masked(parts, mask))
                if place is not None:
                    return place
        return None

    def nowhere(self, path: str) -> Answer:
        """There is no such path; and what may have been meant by it."""
        detail = "There is no such route."
        if path.endswith("/") or "//" in path:
            detail += " A path has no empty segment, and no slash at its end."
        elif self._is_below_a_name(path):
            detail += " A name with a slash is sent with %2F in place of the slash."
        return framework_refusal(NotFoundException(detail=detail), path)

    def _is_below_a_name(self, path: str) -> bool:
        parts = path.split("/", self._parts_max)
        above = ["/".join(parts[:length]) for length in self._masks if length < len(parts)]
        return any(each not in self._exact and self.find(each) is not None for each in above)


def _masked(parts: list[str], mask: tuple[int, ...]) -> tuple[str, ...]:
    return tuple("" if at in mask else part for at, part in enumerate(parts))

"""Which paths there are, and which methods each has: what 404, 405 and OPTIONS are answered from.

A path has one spelling: with an empty segment, or a slash at its end, it is another one, which is
not there.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from http import HTTPStatus

import msgspec
from litestar.exceptions import MethodNotAllowedException, NotFoundException

from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.framework_errors import framework_refusal
from orchestrator.models.idempotency import Answer
from orchestrator.models.name import parse_tag

_WITH_TAG = re.compile(r"(?P<above>[^{]*/)\{(?:tag|name)\}(?:/(?P<word>[^/]+))?")
#: Longer than a tag and all that may follow it.
_HINTED_LENGTH_MAX = 300
#: The methods of every path that can be read, and of every path.
HEAD, OPTIONS = "HEAD", "OPTIONS"
ACCEPT_PATCH = "Accept-Patch"


class Declared(msgspec.Struct, frozen=True):
    """An operation: its template, its methods, and the types of the patches that it reads."""

    path: str
    methods: Collection[str]
    patch_types: Collection[str] = ()
    #: Of a path with a word where others have a name, which may be that word: their template.
    beside: str = ""


class KnownPath(msgspec.Struct, frozen=True):
    """A path, and what may be done there."""

    path: str
    #: The methods that have operations. HEAD and OPTIONS need none.
    own: frozenset[str]
    patch_types: tuple[str, ...]

    @property
    def methods(self) -> list[str]:
        """All methods, in the order of `Allow`."""
        return sorted(self.own | {OPTIONS} | ({HEAD} if "GET" in self.own else set()))

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say what the path can do (RFC 9110 §10.2.1, RFC 5789 §3.1)."""
        told = {"Allow": ", ".join(self.methods)}
        if self.patch_types:
            told[ACCEPT_PATCH] = ", ".join(self.patch_types)
        return told

    def told_with(self, status: int) -> dict[str, str]:
        """Those of `headers` that belong to a refusal with this status."""
        if status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            return {name: value for name, value in self.headers.items() if name == ACCEPT_PATCH}
        return self.headers

    def answer(self, method: str, path: str) -> Answer | None:
        """The answer to a method that has no operation; None if it has one."""
        if method in self.own or (method == HEAD and "GET" in self.own):
            return None
        if method == OPTIONS:
            return Answer(status=204, headers=self.headers, body=b"")
        return framework_refusal(MethodNotAllowedException(headers=self.headers), path)


class Paths:
    """Finds the place of a path by one look for each number of segments."""

    def __init__(self, declared: Iterable[Declared]) -> None:
        self._exact: dict[str, KnownPath] = {}
        self._named: dict[tuple[str, ...], KnownPath] = {}
        #: By the number of segments: which of them may be anything.
        self._masks: dict[int, set[tuple[int, ...]]] = {}
        together: dict[str, list[Declared]] = {}
        worded: dict[str, str] = {}
        for each in declared:
            together.setdefault(each.path, []).append(each)
            if each.beside:
                worded[each.path] = each.beside
        for path, template in worded.items():
            together[path] += together[template]
        for path, operations in together.items():
            self._add(path, operations)
        self._parts_max = max(self._masks, default=0) + 1
        #: What can stand after the name of a tag, which may have slashes.
        self._below_tags: dict[str, set[str]] = {}
        for found in filter(None, map(_WITH_TAG.match, together)):
            words = self._below_tags.setdefault(found["above"], set())
            words |= {found["word"]} - {None}

    def _add(self, path: str, operations: list[Declared]) -> None:
        own = frozenset(method for each in operations for method in each.methods)
        types = dict.fromkeys(each for operation in operations for each in operation.patch_types)
        place = KnownPath(path, own, tuple(types))
        parts = path.split("/")
        mask = tuple(at for at, part in enumerate(parts) if part.startswith("{"))
        if not mask:
            self._exact[path] = place
            return
        self._masks.setdefault(len(parts), set()).add(mask)
        self._named[_masked(parts, mask)] = place

    @property
    def exact(self) -> Collection[str]:
        """Those without a name in them."""
        return self._exact.keys()

    def find(self, path: str) -> KnownPath | None:
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
        """The answer for a path that does not exist, with a hint what may have been meant."""
        detail = " ".join(["There is no such route.", *self._hints(path)])
        return framework_refusal(NotFoundException(detail=detail), path)

    def _hints(self, path: str) -> Iterator[str]:
        if path.endswith("/") or "//" in path:
            yield "A path has no empty segment, and no slash at its end."
            return
        for above, words in self._below_tags.items():
            rest = path.removeprefix(above)
            if rest != path and len(rest) <= _HINTED_LENGTH_MAX:
                yield from _meant(above, rest.split("/"), words)


def _meant(above: str, given: Sequence[str], words: Collection[str]) -> Iterator[str]:
    """Guess what this path below the tags was meant to be; nothing if there is no good guess."""
    tail = next((length for length in (1, 2) if given[-length:][0] in words), 0)
    parts = given[: len(given) - tail]
    if len(parts) < 2 or parts[1] in words:
        return  # It is below something that has nothing below it.
    similar = get_close_matches(parts[1], words, 1, 0.75) if len(given) == 2 else []
    if similar:
        yield f"There is {above}{parts[0]}/{similar[0]}."
        return
    with suppress(InvalidInput):
        parse_tag("/".join(parts))
        yield "A name with a slash is sent with %2F in place of the slash."


def _masked(parts: list[str], mask: tuple[int, ...]) -> tuple[str, ...]:
    return tuple("" if at in mask else part for at, part in enumerate(parts))

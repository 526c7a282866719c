"""The requests of the torture `stall`: large, hostile, none over 16 MiB; it sends nothing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

MIB = 1024 * 1024
BODY_BYTES_MAX = 16 * MIB
#: So many values a body may have; a few are left for what stands around them.
VALUES = 990_000
#: Canonical documents may have 8 MiB.
DOCUMENT_BYTES = 8 * MIB - 4_096

WORKFLOWS = "/api/v1/workflows"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True)
class Request:
    """One request; `body` is made when it is sent."""

    method: str
    path: str
    body: Callable[[], bytes] | None = None
    type: str = "application/json"
    accept_encoding: str = "identity"


@dataclass(frozen=True)
class Entry:
    """Something that may stall a server, and the requests that must come before it."""

    name: str
    request: Request
    before: tuple[Request, ...] = field(default=())
    #: Part of the short form.
    short: bool = False


def create(tag: str, document: Callable[[], bytes]) -> Request:
    """Store a document under a tag."""
    return Request(
        "POST", WORKFLOWS, lambda: b'{"tag":"' + tag.encode() + b'","workflow":' + document() + b"}"
    )


def patch(tag: str, body: Callable[[], bytes], type_: str = JSON_PATCH) -> Request:
    """Patch what a tag names."""
    return Request("PATCH", f"{WORKFLOWS}/{tag}", body, type_)


def _small(tag: str, method: str, rest: str, body: object = None) -> Request:
    encoded = json.dumps(body).encode()
    return Request(method, f"{WORKFLOWS}/{tag}{rest}", None if body is None else lambda: encoded)


def filled(start: bytes, piece: bytes, end: bytes, size: int = BODY_BYTES_MAX) -> bytes:
    """The piece again and again, in between."""
    return start + piece * ((size - len(start) - len(end)) // len(piece)) + end


def valid(member: bytes) -> bytes:
    """A workflow of one node that is valid, with one member more."""
    return b'{"nodes":[{"id":"a","type":"t"}],"z":' + member + b"}"


def listed(piece: bytes, count: int = VALUES) -> bytes:
    return b"[" + (piece + b",") * (count - 1) + piece + b"]"


def keys(count: int, value: str = "1", first: int = 0) -> bytes:
    return (
        "{" + ",".join(f'"k{number}":{value}' for number in range(first, first + count)) + "}"
    ).encode()


@cache
def nodes(count: int, kind: str = "t", step: int = 1) -> bytes:
    """A valid workflow: a chain of nodes; every `step`-th is of another kind."""
    made = [{"id": f"n{at}", "type": kind if at % step == 0 else "t"} for at in range(count)]
    edges = [{"from": f"n{at}", "to": f"n{at + 1}"} for at in range(count - 1)]
    return json.dumps({"nodes": made, "edges": edges}, separators=(",", ":")).encode()


def items(count: int, odd: str = "") -> bytes:
    """A valid workflow with a long list, in which every other item is another one with `odd`."""
    return valid(json.dumps([f"{at}{odd if at % 2 else ''}" for at in range(count)]).encode())


def transaction(document: bytes, count: int) -> bytes:
    """Creates of one document under many tags."""
    operations = [
        b'{"op":"create_workflow","tag":"t%d","workflow":%b}' % (at, document)
        for at in range(count)
    ]
    return b'{"operations":[' + b",".join(operations) + b"]}"


def operations(count: int) -> bytes:
    """Operations all over a long list of nodes."""
    return json.dumps(
        [{"op": "replace", "path": f"/nodes/{at * 3}/type", "value": "u"} for at in range(count)]
    ).encode()


def bomb() -> bytes:
    """Few operations that double a list again and again."""
    begun = [{"op": "add", "path": "/z", "value": [[1] * 20] * 20}]
    doubled = [{"op": "copy", "from": "/z", "path": f"/z/{at}"} for at in range(12)]
    return json.dumps(begun + doubled).encode()


def entries() -> Iterator[Entry]:
    yield from _creates()
    yield from _changes()
    yield from _comparisons()
    yield from _reads()


def _creates() -> Iterator[Entry]:
    def tagged(name: str, document: Callable[[], bytes], *, short: bool = False) -> Entry:
        return Entry(f"create: {name}", create("hostile", document), short=short)

    yield Entry(
        "create: NUL in the tag, too many values",
        Request(
            "POST",
            WORKFLOWS,
            lambda: filled(b'{"tag":"\\u0000","workflow":{"nodes":[],"z":[1', b",1", b"]}}"),
        ),
    )
    yield Entry(
        "create: NUL in the tag, as many values as may be",
        Request(
            "POST",
            WORKFLOWS,
            lambda: (
                b'{"tag":"\\u0000","workflow":{"nodes":[],"z":' + listed(b"100000000000000") + b"}}"
            ),
        ),
    )
    yield tagged("one key again and again", lambda: filled(b'{"a":1', b',"a":1', b"}", 15 * MIB))
    yield tagged("one key, 990,000 times", lambda: b"{" + b'"a":1,' * VALUES + b'"a":1}')
    yield Entry(
        "create: a member that is none, with a name of 15 MiB",
        Request("POST", WORKFLOWS, lambda: filled(b'{"', b"x", b'":1}', 15 * MIB)),
    )
    yield tagged(
        "a key of 15 MiB, twice",
        lambda: filled(b'{"', b"x", b'":1,"', 7 * MIB) + filled(b"", b"x", b'":1}', 7 * MIB - 2),
    )
    yield tagged("an id of 15 MiB", lambda: filled(b'{"nodes":[{"id":"', b"x", b'"}]}', 15 * MIB))
    yield tagged("1,300,000 keys", lambda: keys(1_300_000))
    yield tagged("990,000 keys", lambda: valid(keys(VALUES)), short=True)
    yield tagged("990,000 empty objects", lambda: valid(listed(b"{}")))
    yield tagged("490,000 objects of one key", lambda: valid(listed(b'{"a":1}', 490_000)))
    yield tagged("empty objects to the end", lambda: filled(b"[{}", b",{}", b"]", 15 * MIB))
    yield tagged("990,000 numbers", lambda: valid(listed(b"1")))
    yield tagged("660,000 floats", lambda: valid(listed(b"0.12345678", 660_000)))
    yield tagged("990,000 floats that are integers", lambda: valid(listed(b"1.0")))
    yield tagged("990,000 numbers with exponents", lambda: valid(listed(b"1e300")))
    yield tagged("5,200 of them, which are read at once", lambda: valid(listed(b"1e300", 5_200)))
    yield tagged("120,000 of them", lambda: valid(listed(b"1e300", 120_000)), short=True)
    yield tagged("nested to the end", lambda: filled(b"", b"[", b"", 15 * MIB))
    yield tagged("60 levels, everywhere", lambda: valid(listed(b"[" * 60 + b"]" * 60, 16_000)))
    yield tagged("a text of escapes", lambda: valid(filled(b'"', b"\\u00e9", b'"', 15 * MIB)))
    yield tagged("a text of 8 MiB", lambda: valid(filled(b'"', b"x", b'"', DOCUMENT_BYTES)))
    yield tagged("a number of 15 MiB", lambda: valid(filled(b"", b"1", b"", 15 * MIB)))
    yield tagged("a fraction of 15 MiB", lambda: valid(filled(b"0.", b"1", b"", 15 * MIB)))
    yield tagged("keys beyond U+FFFF", lambda: valid(keys(300_000).replace(b"k", "😀".encode())))
    yield tagged("half pairs", lambda: valid(filled(b'["\\ud800"', b',"\\ud800"', b"]", 8 * MIB)))
    yield tagged("90,000 nodes in a chain", lambda: nodes(90_000))
    yield tagged("ids that are none", lambda: nodes(90_000).replace(b'"id":"n', b'"id":"n n'))
    yield tagged(
        "one id for all", lambda: b'{"nodes":' + listed(b'{"id":"a","type":"t"}', 300_000) + b"}"
    )
    yield tagged("edges to nowhere", lambda: nodes(90_000).replace(b'"to":"n', b'"to":"m'))
    yield Entry(
        "transaction: 1,000 documents",
        Request("POST", "/api/v1/transactions", lambda: transaction(nodes(100), 1_000)),
    )
    yield Entry(
        "transaction: two documents of 8 MiB",
        Request("POST", "/api/v1/transactions", lambda: transaction(nodes(88_000), 2)),
    )
    yield Entry(
        "missing: as many names as may be",
        Request(
            "POST",
            "/api/v1/cas/missing",
            lambda: b'{"cas_ids":' + listed(b'"blake3:' + b"0" * 64 + b'"', 9_000) + b"}",
        ),
    )


def _changes() -> Iterator[Entry]:
    chain = create("changed", lambda: nodes(88_000))
    tiny = create("changed", lambda: nodes(2))
    wide = create("changed", lambda: valid(keys(VALUES // 2)))

    yield Entry("patch: 1,000 operations", patch("changed", lambda: operations(1_000)), (chain,))
    yield Entry("patch: a bomb", patch("changed", bomb), (tiny,))
    yield Entry(
        "patch: a test of a large value",
        patch(
            "changed",
            lambda: b'[{"op":"test","path":"/z","value":' + keys(VALUES // 2) + b"}]",
        ),
        (wide,),
    )
    yield Entry(
        "patch: no operations, many values",
        patch("changed", lambda: listed(b"{}")),
        (tiny,),
    )
    yield Entry(
        "patch: a value of 990,000 keys",
        patch("changed", lambda: b'[{"op":"add","path":"/z","value":' + keys(VALUES) + b"}]"),
        (tiny,),
    )
    yield Entry(
        "merge patch: 990,000 members",
        patch("changed", lambda: keys(VALUES), MERGE_PATCH),
        (tiny,),
    )
    yield Entry(
        "merge patch: 490,000 members, most of them there",
        patch("changed", lambda: b'{"z":' + keys(VALUES // 2, "null", 1_000) + b"}", MERGE_PATCH),
        (wide,),
    )
    yield Entry(
        "merge patch: one value",
        patch("changed", lambda: b'{"z":' + keys(VALUES) + b"}", MERGE_PATCH),
        (tiny,),
    )
    yield Entry(
        "merge patch: NUL at the end",
        patch(
            "changed",
            lambda: b'{"z":' + listed(b"100000000000000")[:-1] + b',"\\u0000"]}',
            MERGE_PATCH,
        ),
        (tiny,),
    )
    yield Entry(
        "compact: a document of 8 MiB",
        _small("changed", "POST", "/compact", {"move": True}),
        (chain, patch("changed", lambda: operations(10))),
    )


def _comparisons() -> Iterator[Entry]:
    def pair(old: Callable[[], bytes], new: Callable[[], bytes]) -> tuple[Request, ...]:
        return create("compared", old), create("compared", new)

    diff = _small("compared", "GET", "/diff?against=1")
    lists = pair(lambda: items(22_000), lambda: items(22_000, "x"))
    yield Entry("diff: two lists of 0.28 MB", diff, lists)
    yield Entry(
        "diff: two lists of 8 MiB", diff, pair(lambda: items(600_000), lambda: items(600_000, "x"))
    )
    yield Entry(
        "diff: all nodes of 7 MB",
        diff,
        pair(lambda: nodes(80_000), lambda: nodes(80_000, "u")),
    )
    yield Entry(
        "diff: all keys of 8 MiB",
        diff,
        pair(lambda: valid(keys(450_000)), lambda: valid(keys(450_000, "2", 200_000))),
    )
    yield Entry(
        "diff as text: all nodes of 7 MB",
        _small("compared", "GET", "/diff?against=1&format=text"),
        pair(lambda: nodes(80_000), lambda: nodes(80_000, "u")),
    )
    # Both begin at one version and go their own ways.
    sides = (
        create("left", lambda: nodes(80_000)),
        create("right", lambda: nodes(80_000)),
        create("left", lambda: nodes(80_000, "u", 3)),
        create("right", lambda: nodes(80_000, "v", 5)),
    )
    base = {"from": "right", "base": "right@1"}
    yield Entry("merge: 40,000 changes, conflicts", _small("left", "POST", "/merge", base), sides)
    yield Entry(
        "merge: 40,000 changes, one side preferred",
        _small("left", "POST", "/merge", {**base, "prefer": "ours"}),
        sides,
    )
    yield Entry(
        "merge: a dry run of 40,000 changes",
        _small("left", "POST", "/merge", {**base, "prefer": "ours", "dry_run": True}),
        sides,
    )


def _reads() -> Iterator[Entry]:
    large = create("changed", lambda: nodes(88_000))
    path = f"{WORKFLOWS}/changed"
    yield Entry("read: a document of 8 MiB", Request("GET", path), (large,))
    for coding in ("gzip", "zstd"):
        request = Request("GET", path, accept_encoding=coding)
        yield Entry(f"read: a document of 8 MiB as {coding}", request, (large,))
    patches = patch("changed", lambda: _replacing("u")), patch("changed", lambda: _replacing("v"))
    parts = Request("GET", f"{path}?materialize=false")
    yield Entry("read: a document of 8 MiB and two patches of it", parts, (large, *patches))


def _replacing(kind: str) -> bytes:
    """A patch that replaces all nodes."""
    value = json.loads(nodes(88_000, kind))["nodes"]
    return json.dumps([{"op": "replace", "path": "/nodes", "value": value}]).encode()

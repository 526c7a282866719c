"""The requests of the torture `stall`: large, hostile, none over 16 MiB; it sends nothing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from torture.stall_documents import (
    BLOB,
    DOCUMENT_BYTES,
    MIB,
    VALUES,
    artifact,
    bomb,
    filled,
    items,
    keys,
    listed,
    nodes,
    operations,
    replacing,
    transaction,
    valid,
)

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
    yield tagged("5,200 of them, 31 KiB", lambda: valid(listed(b"1e300", 5_200)))
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
    for name, members in (
        ("990,000 members of meta", lambda: b'"meta":' + keys(VALUES)),
        ("60,000 blobs that are not there", lambda: b'"blobs":' + listed(BLOB, 60_000)),
        ("1,000 blobs that are not there", lambda: b'"blobs":' + listed(BLOB, 1_000)),
    ):
        yield Entry(
            f"artifact: {name}",
            Request("POST", "/api/v1/artifacts", partial(artifact, members)),
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
    patches = patch("changed", lambda: replacing("u")), patch("changed", lambda: replacing("v"))
    parts = Request("GET", f"{path}?materialize=false")
    yield Entry("read: a document of 8 MiB and two patches of it", parts, (large, *patches))

"""The bodies of the requests of the torture `stall`: how large and hostile documents are made."""

import json
from collections.abc import Callable
from functools import cache

MIB = 1024 * 1024
BODY_BYTES_MAX = 16 * MIB
#: So many values a body may have; a few are left for what stands around them.
VALUES = 990_000
#: Canonical documents may have 8 MiB.
DOCUMENT_BYTES = 8 * MIB - 4_096

BLOB = b'{"cas_id":"blake3:' + b"0" * 64 + b'"}'


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


def artifact(members: Callable[[], bytes]) -> bytes:
    return b'{"kind":"report",' + members() + b"}"


def replacing(kind: str) -> bytes:
    """A patch that replaces all nodes."""
    value = json.loads(nodes(88_000, kind))["nodes"]
    return json.dumps([{"op": "replace", "path": "/nodes", "value": value}]).encode()

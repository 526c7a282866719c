"""What is stored by a benchmark: documents and blobs that are known again; nothing is sent here."""

import json
from functools import cache
from itertools import pairwise

from blake3 import blake3

MIB = 1024 * 1024
LARGE_BYTES = 64 * MIB
MEGABYTES = LARGE_BYTES / 1e6
KIB_DOCUMENT_BYTES = 1024


def document(name: str) -> bytes:
    """A workflow of exactly 1 KiB in canonical form; another one for each name."""
    steps = [f"step-{number}" for number in range(6)]
    nodes: list[dict[str, object]] = [
        {"id": step, "timeout_ms": 1000, "type": "task"} for step in steps
    ]
    edges = [{"from": one, "to": two} for one, two in pairwise(steps)]
    workflow = {"edges": edges, "metadata": {"name": name, "note": ""}, "nodes": nodes}
    padding = "x" * (KIB_DOCUMENT_BYTES - len(_canonical(workflow)))
    workflow["metadata"] = {"name": name, "note": padding}
    return _canonical(workflow)


def large_document(name: str) -> bytes:
    """A workflow of about 100 KB."""
    nodes = [
        {"config": {"command": "x" * 120}, "id": f"node-{n}", "type": "task"} for n in range(400)
    ]
    edges = [{"from": f"node-{n}", "to": f"node-{n + 1}"} for n in range(399)]
    return _canonical({"edges": edges, "metadata": {"name": name}, "nodes": nodes})


def blob(name: str, size: int) -> bytes:
    """Bytes that cannot be compressed; others for each name."""
    return blake3(name.encode()).digest(size)


@cache
def _large_base() -> bytes:
    return blob("large", LARGE_BYTES)


def large(name: str) -> bytearray:
    """64 MiB, made in a moment: only its first 64 bytes depend on the name."""
    made = bytearray(_large_base())
    made[:64] = blob(name, 64)
    return made


def cas_id(content: bytes | bytearray) -> str:
    return f"blake3:{blake3(content, max_threads=blake3.AUTO).hexdigest()}"


def _canonical(workflow: object) -> bytes:
    # The canonical form of what is only ASCII text and small integers.
    return json.dumps(workflow, sort_keys=True, separators=(",", ":")).encode()

"""How much work a patch may be is judged by its text."""

import json
from typing import Any

from orchestrator.documents.workflow_patch import size_of_work

HEAD = b"x" * 4_000
#: From here on work is done elsewhere.
LONG = 32 * 1024


def work(*operations: dict[str, Any]) -> int:
    return size_of_work(HEAD, json.dumps(operations).encode())


def test_few_operations_are_as_long_as_what_they_read() -> None:
    one = {"op": "add", "path": "/a", "value": 1}
    assert work(one) < 5_000
    assert work(*[one] * 5) < 5_000


def test_many_operations_or_copies_are_long() -> None:
    assert work(*[{"op": "test", "path": "/a", "value": 1}] * 100) > LONG
    assert work(*[{"op": "copy", "from": "/a", "path": "/b"}] * 4) > LONG


def test_disguised_operations_are_long() -> None:
    plain = json.dumps([{"op": "copy", "from": "/a", "path": "/b"}] * 4)
    for disguised in (plain.replace("copy", "c\\u006fpy"), plain.replace('"op"', '"o\\u0070"')):
        assert json.loads(disguised) == json.loads(plain)
        assert size_of_work(HEAD, disguised.encode()) > LONG


def test_long_is_long_enough() -> None:
    """It must not take the room of others in a queue, nor time to be judged."""
    copies = [{"op": "copy", "from": "/a", "path": "/b"}]
    assert LONG < work(*copies * 1_000) <= 256 * 1024
    patch = json.dumps(copies * 100_000).encode()
    assert size_of_work(HEAD, patch) == len(HEAD) + len(patch)

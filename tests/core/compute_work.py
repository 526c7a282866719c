"""Work that tests send to processes."""

import os
import time

from orchestrator.errors import RuleBroken, Violation

_LEAKED: list[bytes] = []


def refuse() -> None:
    error = RuleBroken("No.", [Violation("/a", "rule", "Not this.")])
    error.operation = 3
    raise error


def spin() -> None:
    while True:
        pass


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def grow() -> None:
    held: list[bytes] = []
    while True:
        held.append(bytes(1024 * 1024))


def abort() -> None:
    os.abort()


def leak() -> None:
    _LEAKED.append(b"x" * 160 * 1024 * 1024)


def same(value: bytes) -> bytes:
    return value

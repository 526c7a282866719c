"""Vocabulary of searches: what a page of one found, and how far it looked; no I/O."""

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
K = TypeVar("K")


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many there are; at least so many if not all was looked at."""

    number: int
    is_exact: bool


class Found(msgspec.Struct, Generic[T, K], frozen=True, kw_only=True):
    """What a page has. If `end` is a place, nothing behind it was looked at. `total` is of all
    pages, if it was asked for.
    """

    items: list[T]
    end: K | None = None
    total: Count | None = None

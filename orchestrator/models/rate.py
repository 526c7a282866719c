"""Vocabulary of rate limits; no I/O."""

import msgspec

#: Every request that may change something.
WRITES = "writes"
WINDOW_SECONDS = 60


class RateCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests of the window were counted, this one included, and when it ends."""

    count: int
    seconds_left: float

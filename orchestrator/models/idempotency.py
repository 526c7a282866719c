"""Vocabulary of repeated requests; no I/O."""

import msgspec

from orchestrator.models.principal import Actor


class IdempotentCall(msgspec.Struct, frozen=True, kw_only=True):
    """A request that may be repeated: its caller, its key, and the hash of all that it says."""

    by: Actor
    key: str
    fingerprint: bytes


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole response, so that a repeated request can be given it again byte for byte."""

    status: int
    headers: dict[str, str]
    body: bytes

"""Vocabulary of who calls; no I/O."""

import msgspec


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A caller that was recognised, and the namespace it works in unless it names another."""

    name: str
    namespace: str

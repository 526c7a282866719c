"""Vocabulary of who calls; no I/O."""

import re

import msgspec

#: What a token may be made of (RFC 9110 §11.2, `token68`): no space of any alphabet.
TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A caller that was recognised, and the namespace it works in unless it names another."""

    name: str
    namespace: str


class Actor(msgspec.Struct, frozen=True):
    """Who does something, and in which request: it goes with every order that changes things."""

    name: str
    #: None outside a request: a job acts in none.
    correlation_id: str | None = None

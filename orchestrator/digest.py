"""Cas ids: the name of a blob, a type that carries its algorithm and is parsed once at the edge."""

import re

from blake3 import blake3

from orchestrator.errors import InvalidInput

BLAKE3 = 1
_BLAKE3_TEXT = re.compile(r"blake3:[0-9a-f]{64}")
#: Above this size several threads hash faster than one, below they cost more (measured).
_THREADED_BYTES_MIN = 256 * 1024


class CasId:
    """A BLAKE3-256 name: `raw` is one algorithm byte and 32 digest bytes, `str()` the text form."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @classmethod
    def of(cls, content: bytes) -> "CasId":
        """The name of these bytes; nothing is stored."""
        threads = blake3.AUTO if len(content) >= _THREADED_BYTES_MIN else 1
        return cls(b"\x01" + blake3(content, max_threads=threads).digest())

    @classmethod
    def parse(cls, text: str, pointer: str = "") -> "CasId":
        """Raise InvalidInput unless the text is `blake3:` and 64 lower-case hex digits."""
        if not _BLAKE3_TEXT.fullmatch(text):
            raise InvalidInput.at(
                pointer, "cas-id", "A cas id is 'blake3:' followed by 64 lower-case hex digits."
            )
        return cls(b"\x01" + bytes.fromhex(text[7:]))

    def __str__(self) -> str:
        return "blake3:" + self.raw[1:].hex()

    def __repr__(self) -> str:
        return f"CasId({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CasId) and other.raw == self.raw

    def __lt__(self, other: "CasId") -> bool:
        return self.raw < other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

"""The names of blobs, types that carry their algorithm and are parsed once at the edge."""

import re
from hashlib import sha256
from typing import Annotated, TypeAlias

import msgspec
from blake3 import blake3

from orchestrator.errors import InvalidInput

BLAKE3 = 1
CAS_ID_PATTERN = "blake3:[0-9a-f]{64}"
BLOB_NAME_PATTERN = "(blake3|sha256):[0-9a-f]{64}"
_BLAKE3_TEXT = re.compile(CAS_ID_PATTERN)
_SHA256_TEXT = re.compile("sha256:[0-9a-f]{64}")
#: As they are described. Parsing checks them, and says which rule is broken.
CasIdText = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": f"^{CAS_ID_PATTERN}$"})]
BlobNameText = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": f"^{BLOB_NAME_PATTERN}$"})]
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


class Sha256:
    """The second name of a blob, `sha256:` and 64 hex digits; `raw` is its 32 digest bytes."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @classmethod
    def of(cls, content: bytes) -> "Sha256":
        """The name of these bytes."""
        return cls(sha256(content).digest())

    def __str__(self) -> str:
        return "sha256:" + self.raw.hex()

    def __repr__(self) -> str:
        return f"Sha256({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sha256) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)


BlobName: TypeAlias = CasId | Sha256


def parse_name(text: str, pointer: str = "") -> BlobName:
    """Either name of a blob, or InvalidInput."""
    if _SHA256_TEXT.fullmatch(text):
        return Sha256(bytes.fromhex(text[7:]))
    if not _BLAKE3_TEXT.fullmatch(text):
        message = "A blob is named 'blake3:' or 'sha256:' and 64 lower-case hex digits."
        raise InvalidInput.at(pointer, "cas-id", message)
    return CasId.parse(text, pointer)

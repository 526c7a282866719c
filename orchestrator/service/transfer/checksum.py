"""The checksum that a sender gives for one body, checked while the body comes."""

from collections.abc import Callable
from hashlib import sha1, sha256
from typing import Any

from orchestrator.errors_upload import ChecksumMismatch

ALGORITHMS: dict[str, Callable[[], Any]] = {
    "sha1": lambda: sha1(usedforsecurity=False),
    "sha256": sha256,
}


class BodyChecksum:
    """Of the body of one request; the name of a blob is checked elsewhere."""

    def __init__(self, algorithm: str, expected: bytes) -> None:
        self._algorithm = algorithm
        self._expected = expected
        self._hash = ALGORITHMS[algorithm]()

    @staticmethod
    def size_bytes(algorithm: str) -> int:
        """How long a digest of this algorithm is."""
        return int(ALGORITHMS[algorithm]().digest_size)

    def update(self, piece: bytes) -> None:
        """The next bytes of the body."""
        self._hash.update(piece)

    def check(self) -> None:
        """Raise ChecksumMismatch unless the body was the one that was meant."""
        if self._hash.digest() != self._expected:
            raise ChecksumMismatch(self._algorithm)

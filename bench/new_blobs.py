"""Uploads of blobs that are all new: what every program is sent, and what is read back after it."""

import secrets
from collections.abc import Sequence

from bench.material import blob
from bench.ours_api import same
from bench.ours_write import sample
from bench.program import Program

BLOB_BYTES = 1024


class NewBlobs:
    """Blobs of 1 KiB. How one is sent, and where it is then, each program says for itself."""

    script = "replay"

    def __init__(self, program: Program) -> None:
        self.program = program
        self._contents: list[bytes] = []

    def take(self, count: int) -> list[bytes]:
        """Requests for so many new blobs."""
        prefix = secrets.token_hex(8)
        self._contents = [blob(f"{prefix}-{number}", BLOB_BYTES) for number in range(count)]
        return self.requests(self._contents)

    def verify(self, sent: int) -> None:
        """Read some of the blobs that were sent."""
        for index in sample(sent):
            content = self._contents[index]
            answer = self.program.wanted("GET", self.path(content), 200)
            same(f"blob {index}", answer.body, content)

    def requests(self, contents: Sequence[bytes]) -> list[bytes]:
        """The requests that store these."""
        raise NotImplementedError

    def path(self, content: bytes) -> str:
        """Where this blob is read."""
        raise NotImplementedError

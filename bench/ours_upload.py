"""How our server is sent blobs that are all new."""

from collections.abc import Sequence

from bench.material import cas_id
from bench.new_blobs import NewBlobs
from bench.ours_api import BYTES, CAS


class Uploads(NewBlobs):
    """A POST for each blob."""

    statuses: Sequence[int] = (201,)

    def requests(self, contents: Sequence[bytes]) -> list[bytes]:
        return [self.program.raw("POST", CAS, each, BYTES) for each in contents]

    def path(self, content: bytes) -> str:
        return f"{CAS}/{cas_id(content)}"

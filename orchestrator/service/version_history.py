"""What a version was made from, with all documents: no HTTP, no SQL, nothing is computed."""

from collections.abc import Iterator, Sequence

from orchestrator.core.database import Connection
from orchestrator.models.artifact import CONTAINING, Artifact
from orchestrator.models.version_history import Ancestor, History, PastVersion
from orchestrator.repository.version_history import VersionHistoryRepository
from orchestrator.service.cas import CASService


class VersionHistoryService:
    """Histories as far as the limits allow: two statements at any depth."""

    def __init__(
        self,
        cas: CASService,
        histories: VersionHistoryRepository,
        *,
        versions_max: int,
        bytes_max: int,
    ) -> None:
        self._cas = cas
        self._histories = histories
        self._versions_max = versions_max
        self._bytes_max = bytes_max

    async def get(self, conn: Connection, namespace: str, head: Artifact) -> History:
        """A version and all that it contains the changes of, newest first."""
        found = await self._histories.list_versions(
            conn, namespace, head.artifact_id, CONTAINING, self._versions_max + 1
        )
        # A version has a newer id than what it was made from.
        found.sort(key=lambda each: each.artifact.artifact_id, reverse=True)
        versions = list(self._within_limits(found))
        truncated = len(versions) < len(found)
        hashes = {each.artifact.version_hash for each in versions}
        contents = await self._cas.get_content_bulk(conn, [each for each in hashes if each])
        places = {each.artifact.artifact_id: at for at, each in enumerate(versions)}
        ancestors = [
            Ancestor(
                content=contents[each.artifact.version_hash or each.artifact.cas_id],
                parents=tuple(places[parent] for parent in each.parents if parent in places),
                is_cut=truncated and not places.keys() >= set(each.parents),
            )
            for each in versions
        ]
        return History(versions=versions, ancestors=ancestors, truncated=truncated)

    def _within_limits(self, found: Sequence[PastVersion]) -> Iterator[PastVersion]:
        size = 0
        for at, each in enumerate(found[: self._versions_max]):
            size += each.size_bytes
            if at and size > self._bytes_max:
                return
            yield each

"""What documents name: composes blobs and catalogue; no HTTP, no SQL, no transaction."""

from collections.abc import Sequence

from orchestrator.core.database import Connection
from orchestrator.core.digest import BlobName
from orchestrator.models.artifact_manifest import HeldBlobs, NamedBlobs
from orchestrator.models.cas import Blob
from orchestrator.service.artifact_manifest import ArtifactManifestService
from orchestrator.service.cas import CASService


class BlobReferenceService:
    """An artifact holds the blobs that its document names, as far as they are there."""

    def __init__(self, cas: CASService, manifests: ArtifactManifestService) -> None:
        self._cas = cas
        self._manifests = manifests

    async def refer(self, conn: Connection, named: Sequence[NamedBlobs]) -> list[tuple[str, ...]]:
        """Let artifacts keep the blobs that they name; returns, of each, the names that mean
        nothing here.

        A name that came before its blob counts once the same document comes again. No name, no
        statement.
        """
        visible = await self._list_visible(conn, named)
        held, missing = [], []
        for each in named:
            here = visible.get(each.artifact.namespace, {})
            cas_ids = dict.fromkeys(here[name].cas_id for name in each.names if name in here)
            if cas_ids:
                held.append(HeldBlobs(each.artifact, list(cas_ids), is_new=each.is_new, by=each.by))
            missing.append(tuple(str(name) for name in each.names if name not in here))
        if held:
            await self._manifests.refer(conn, held)
        return missing

    async def _list_visible(
        self, conn: Connection, named: Sequence[NamedBlobs]
    ) -> dict[str, dict[BlobName, Blob]]:
        """By namespace, which is one for all, unless creates share a transaction."""
        wanted: dict[str, list[BlobName]] = {}
        for each in named:
            if each.names:
                wanted.setdefault(each.artifact.namespace, []).extend(each.names)
        return {
            namespace: await self._cas.list_visible(conn, namespace, names)
            for namespace, names in wanted.items()
        }

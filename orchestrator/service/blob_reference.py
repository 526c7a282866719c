"""What documents name: composes blobs and catalogue; no HTTP, no SQL, no transaction."""

from collections.abc import Sequence

from orchestrator.core.database import Connection
from orchestrator.core.digest import BlobName
from orchestrator.models.artifact import Artifact
from orchestrator.models.principal import Actor
from orchestrator.service.artifact_manifest import ArtifactManifestService
from orchestrator.service.cas import CASService


class BlobReferenceService:
    """An artifact holds the blobs that its document names, as far as they are there."""

    def __init__(self, cas: CASService, manifests: ArtifactManifestService) -> None:
        self._cas = cas
        self._manifests = manifests

    async def refer(
        self,
        conn: Connection,
        artifact: Artifact,
        names: Sequence[BlobName],
        *,
        is_new: bool,
        by: Actor,
    ) -> tuple[str, ...]:
        """Let the artifact keep these blobs; returns the names that mean nothing here.

        A name that came before its blob counts once the same document comes again. No name, no
        statement.
        """
        if not names:
            return ()
        visible = await self._cas.list_visible(conn, artifact.namespace, names)
        cas_ids = list(dict.fromkeys(visible[name].cas_id for name in names if name in visible))
        if cas_ids:
            await self._manifests.refer(conn, artifact, cas_ids, is_new=is_new, by=by)
        return tuple(str(name) for name in names if name not in visible)

"""New artifacts by one statement over blob, artifact and tag: no HTTP, no SQL, no transaction."""

from collections.abc import Sequence

from orchestrator.core.database import Connection
from orchestrator.models.artifact import Artifact
from orchestrator.models.artifact_manifest import ArtifactDetails, CreatedArtifact, WantedArtifact
from orchestrator.models.tag import TagChange, TagTarget
from orchestrator.repository.artifact import artifact_made
from orchestrator.repository.artifact_join import ArtifactJoinRepository
from orchestrator.repository.tag import change_of
from orchestrator.service.artifact_manifest import (
    ArtifactManifestService,
    artifact_row,
    tell_created,
)
from orchestrator.service.cas import tell_stored
from orchestrator.service.tag_outcome import tell_changed


class ArtifactJoinService:
    """Artifacts that are new, without parents, on which nothing is demanded."""

    def __init__(self, rows: ArtifactJoinRepository, manifests: ArtifactManifestService) -> None:
        self._rows = rows
        self._manifests = manifests

    async def create_new(
        self, conn: Connection, wanted: Sequence[WantedArtifact]
    ) -> list[CreatedArtifact | None]:
        """Store artifacts and let tags name them, each tag at most once.

        None where the content is there already, or a blob is gone.
        """
        rows = [artifact_row(each.new) for each in wanted]
        found = await self._rows.create_new(conn, wanted, rows)
        created: list[CreatedArtifact | None] = []
        for each, row in zip(wanted, rows, strict=True):
            if row.artifact_id not in found:
                created.append(None)
                continue
            created_at, changed = found[row.artifact_id]
            artifact = artifact_made(row, created_at)
            tell_stored(conn, artifact.cas_id, len(each.new.content), by=each.new.by)
            tell_created(conn, artifact, by=each.new.by)
            change = None
            if each.tag is not None:
                change = change_of(each.order(artifact.artifact_id), _target(artifact), changed)
                tell_changed(conn, change.tag, by=each.new.by)
            created.append(self._created(each, artifact, change))
        return created

    def _created(
        self, wanted: WantedArtifact, artifact: Artifact, change: TagChange | None
    ) -> CreatedArtifact:
        details = ArtifactDetails(
            artifact=artifact,
            manifest=wanted.new.content,
            parents=(),
            references=(),
            standing=self._manifests.standing_of(
                artifact, stays=change is not None, retained=False
            ),
        )
        return CreatedArtifact(details=details, is_new=True, change=change)


def _target(artifact: Artifact) -> TagTarget:
    return TagTarget(
        artifact_id=artifact.artifact_id, kind=artifact.kind, version_hash=artifact.version_hash
    )

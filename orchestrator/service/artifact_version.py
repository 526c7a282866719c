"""Whole versions as the catalogue has them, and what is reported of a new one; it stores nothing.

It serves the catalogue itself, and the statement that creates blob, artifact and tag at once.
"""

from orchestrator.core.database import Connection
from orchestrator.core.identifier import new_id
from orchestrator.models.artifact import Kind, NewArtifact, NewVersion
from orchestrator.models.principal import Actor
from orchestrator.telemetry.after_commit import tell


def dag_version(version: NewVersion) -> NewArtifact:
    """The catalogue entry of a whole version, which is its own version."""
    return NewArtifact(
        artifact_id=new_id(),
        namespace=version.namespace,
        kind=Kind.DAG_VERSION,
        cas_id=version.cas_id,
        name=version.name,
        version_hash=version.cas_id,
        nodes_count=version.nodes_count,
        edges_count=version.edges_count,
        meta=version.meta,
        created_by=version.by.name,
    )


def tell_created(conn: Connection, artifact: NewArtifact, *, by: Actor) -> None:
    """That there is a new version."""
    tell(
        conn,
        "created DAG version artifact",
        by=by,
        artifact_id=str(artifact.artifact_id),
        version_hash=str(artifact.cas_id),
        nodes_count=artifact.nodes_count,
    )

"""Versions as the catalogue has them, and what is reported of a new one; it stores nothing.

It serves the catalogue itself, and the statement that creates blob, artifact and tag at once.
"""

from orchestrator.core.database import Connection
from orchestrator.core.identifier import new_id
from orchestrator.models.artifact import Kind, NewArtifact, NewPatch, NewVersion
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


def patch_set(patch: NewPatch) -> NewArtifact:
    """The catalogue entry of a patch above a whole version or another patch."""
    below = patch.below
    chained = below.kind == Kind.PATCH_SET
    return NewArtifact(
        artifact_id=new_id(),
        namespace=below.namespace,
        kind=Kind.PATCH_SET,
        cas_id=patch.cas_id,
        name=below.name,
        version_hash=patch.version_hash,
        base_id=below.base_id if chained else below.artifact_id,
        previous_id=below.artifact_id if chained else None,
        depth=below.depth + 1,
        op_count=patch.op_count,
        nodes_count=patch.nodes_count,
        edges_count=patch.edges_count,
        meta=patch.meta,
        created_by=patch.by.name,
    )


def tell_created(conn: Connection, artifact: NewArtifact, *, by: Actor) -> None:
    """Report that there is a new version."""
    tell(
        conn,
        "created DAG version artifact",
        by=by,
        artifact_id=str(artifact.artifact_id),
        version_hash=str(artifact.cas_id),
        nodes_count=artifact.nodes_count,
    )

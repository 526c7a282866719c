"""The manifest of an artifact whose blobs are known; pure, so that other processes can make it."""

from collections.abc import Mapping

from orchestrator.core.digest import BlobName, CasId
from orchestrator.documents.canonical import canonicalise
from orchestrator.documents.manifest import ManifestBlob, meta_digests, write_manifest
from orchestrator.errors import RuleBroken, Violation
from orchestrator.models.artifact_manifest import ArtifactDraft, File, NewFile, NewManifest
from orchestrator.models.cas import Blob
from orchestrator.models.principal import Actor


def new_manifest(
    draft: ArtifactDraft, blobs: Mapping[BlobName, Blob], namespace: str, by: Actor
) -> NewManifest:
    """The manifest of a draft whose blobs were looked up; RuleBroken names those that are not
    there. It is not short work if there is much in it.
    """
    missing = [
        Violation(f"/blobs/{at}/cas_id", "exists", f"There is no blob {file.blob}.")
        for at, file in enumerate(draft.files)
        if file.blob not in blobs
    ]
    if missing:
        raise RuleBroken("A blob of the artifact is not in this namespace.", missing)
    files = [_file(file, blobs[file.blob]) for file in draft.files]
    content = write_manifest(
        kind=draft.kind,
        name=draft.name,
        blobs=[
            ManifestBlob(
                cas_id=str(file.cas_id),
                name=file.name,
                media_type=file.media_type,
                size_bytes=file.size_bytes,
            )
            for file in files
        ],
        meta=draft.meta,
    )
    return NewManifest(
        namespace=namespace,
        kind=draft.kind,
        name=draft.name,
        content=content,
        cas_id=CasId.of(content),
        files=files,
        meta=canonicalise(draft.meta),
        digests=meta_digests(draft.meta),
        references=draft.references,
        by=by,
    )


def _file(file: NewFile, blob: Blob) -> File:
    return File(
        cas_id=blob.cas_id,
        name=file.name,
        media_type=file.media_type or blob.media_type,
        size_bytes=blob.size_bytes,
    )

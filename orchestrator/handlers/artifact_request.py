"""What a request to create an artifact says. It knows no request and imports no framework, so that
processes that compute can read it.
"""

from typing import Any

import msgspec

from orchestrator.core.digest import BlobNameText
from orchestrator.documents.artifact_draft import (
    ArtifactLimits,
    DescribedBlob,
    DescribedParent,
    KindText,
    draft_artifact,
)
from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.body import MessageText, Version, decode
from orchestrator.models.artifact_manifest import ArtifactDraft
from orchestrator.models.name import TagText, parse_tag


class CreateArtifact(msgspec.Struct, forbid_unknown_fields=True):
    """An artifact of any kind: its blobs, what is said of it, what it comes from, and perhaps a
    tag that is to name it. `cas_id` is short for one blob without a name.
    """

    kind: KindText
    cas_id: BlobNameText | None = None
    blobs: list[DescribedBlob] | None = None
    name: str | None = None
    meta: dict[str, Any] = {}
    parents: list[DescribedParent] = []
    tag: TagText | None = None
    message: MessageText | None = None
    expected_version: Version | None = None
    absent: bool = False
    retain: bool | None = None


class ReadArtifact(msgspec.Struct, frozen=True):
    """What was read: the artifact, and what is to happen to the tag that is to name it."""

    draft: ArtifactDraft
    tag: str | None
    message: str | None
    expected_version: int | None
    absent: bool
    retain: bool | None


def read_artifact(body: bytes, *, values_max: int, limits: ArtifactLimits) -> ReadArtifact:
    """Read and check a body."""
    data = decode(body, CreateArtifact, values_max=values_max)
    _check_tag(data)
    blobs = data.blobs or []
    if data.cas_id is not None:
        if data.blobs is not None:
            raise InvalidInput.at("/cas_id", "one-of", "Name either a cas_id or blobs.")
        blobs = [DescribedBlob(cas_id=data.cas_id)]
    draft = draft_artifact(
        kind=data.kind,
        name=data.name,
        blobs=blobs,
        meta=data.meta,
        parents=data.parents,
        limits=limits,
    )
    return ReadArtifact(
        draft, data.tag, data.message, data.expected_version, data.absent, data.retain
    )


def _check_tag(data: CreateArtifact) -> None:
    if data.tag is not None:
        parse_tag(data.tag)
    elif data.expected_version is not None or data.absent:
        pointer = "/expected_version" if data.expected_version is not None else "/absent"
        raise InvalidInput.at(pointer, "tag", "A precondition is about a tag, which is not named.")
    if data.absent and data.expected_version is not None:
        message = "A tag cannot be absent and at an expected version."
        raise InvalidInput.at("/absent", "absent", message)

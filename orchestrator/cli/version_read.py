"""Finds the version of a workflow that a person names, in one request if a tag names it."""

from dataclasses import dataclass
from typing import Any

import msgspec

from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.failure import NotFound
from orchestrator.cli.reference import artifact_named, may_be_hash, names_tag, tag_and_version
from orchestrator.cli.showing import workflow_in


@dataclass(frozen=True)
class FoundVersion:
    """A version, the answer that a program gets, and the document as it is stored."""

    body: bytes
    content: bytes

    @property
    def members(self) -> dict[str, Any]:
        """What is said of the version."""
        members: dict[str, Any] = msgspec.json.decode(self.body)
        return members


def find_version(
    server: ServerConnection, text: str, version: int | None = None, at: str | None = None
) -> FoundVersion:
    """By a tag, a version of a tag, an artifact id, or a hash of which some digits are enough."""
    if not names_tag(text):
        return _by_artifact(server, text)
    tag, named = tag_and_version(text, version, at)
    try:
        reply = server.get("workflows", tag, version=named, at=at)
    except NotFound:
        if named is not None or at is not None or not may_be_hash(text):
            raise
        return _by_artifact(server, text)
    return FoundVersion(reply.body, workflow_in(reply))


def _by_artifact(server: ServerConnection, text: str) -> FoundVersion:
    artifact = artifact_named(server, text)
    content = server.get("cas", str(artifact["version_hash"])).body
    body = msgspec.json.encode({**artifact, "workflow": msgspec.Raw(content)})
    return FoundVersion(body, content)

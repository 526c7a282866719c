"""The ways in which a person names an artifact: an id, a hash, a tag, a version of a tag."""

from typing import Any
from uuid import UUID

import msgspec

from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.failure import CommandFailed


def reference(text: str) -> dict[str, str]:
    """The member of a request that names it. No tag can look like an id or a hash, so there is
    nothing to guess.
    """
    if _is_uuid(text):
        return {"artifact_id": text}
    return {"cas_id": text} if ":" in text else {"tag": text}


def artifact_id_of(server: ServerConnection, text: str) -> str:
    """The id of the artifact that is named."""
    ((member, value),) = reference(text).items()
    if member == "artifact_id":
        return value
    if member == "tag":
        tag, _, version = value.partition("@")
        return str(server.get("tags", tag, version=version or None).json()["artifact_id"])
    page = server.list_all("artifacts", version_hash=value)
    found: list[dict[str, Any]] = [msgspec.json.decode(item) for item in page.items]
    if not found:
        raise CommandFailed(f"There is no version {value}.")
    # The same document may also be the result of patches; as a version it stands for itself.
    versions = [artifact for artifact in found if artifact["kind"] == "dag_version"]
    return str((versions or found)[0]["artifact_id"])


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False

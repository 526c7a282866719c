"""The bodies of what an auditor asks about the nodes and edges of a workflow; no requests here."""

from typing import Any
from uuid import UUID

import msgspec

from orchestrator.core.digest import CasIdText
from orchestrator.core.moment import Moment
from orchestrator.documents.workflow_blame import Blame, NodeAction, NodeEvent
from orchestrator.handlers.http.paging import Page
from orchestrator.models.version_history import History, PastVersion


class BlamedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The version that made a node or an edge what it is."""

    version_hash: CasIdText
    artifact_id: UUID
    changed_by: str
    changed_at: Moment
    message: str | None


class BlameBody(msgspec.Struct, frozen=True, kw_only=True):
    """Each node by its id and each edge by its ends, `from->to`, and its condition, ` if …`.

    If the history is `truncated`, the oldest version that was read stands for those before it.
    """

    version_hash: CasIdText
    artifact_id: UUID
    nodes: dict[str, BlamedVersion]
    edges: dict[str, BlamedVersion]
    truncated: bool


class NodeEventBody(BlamedVersion, frozen=True, kw_only=True):
    """What a version did to the node, and the node after it; null once it is removed."""

    action: NodeAction
    node: dict[str, Any] | None


class NodeHistoryBody(Page[NodeEventBody], frozen=True, kw_only=True):
    """A page of the history of a node; `truncated` if older versions were not read."""

    truncated: bool


def blame_body(history: History, blame: Blame) -> BlameBody:
    """The places of versions as what is said of them."""
    said = [_blamed(each) for each in history.versions]
    return BlameBody(
        version_hash=said[0].version_hash,
        artifact_id=said[0].artifact_id,
        nodes={key: said[at] for key, at in blame.nodes.items()},
        edges={key: said[at] for key, at in blame.edges.items()},
        truncated=history.truncated,
    )


def event_body(history: History, event: NodeEvent) -> NodeEventBody:
    """The event with what is said of its version."""
    said = msgspec.structs.asdict(_blamed(history.versions[event.at]))
    return NodeEventBody(**said, action=event.action, node=event.node)


def _blamed(version: PastVersion) -> BlamedVersion:
    artifact = version.artifact
    return BlamedVersion(
        version_hash=str(artifact.version_hash),
        artifact_id=artifact.artifact_id,
        changed_by=artifact.created_by,
        changed_at=artifact.created_at,
        message=version.message,
    )

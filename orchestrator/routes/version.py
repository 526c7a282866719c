"""Routes of versions: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler

from orchestrator.documents.workflow_patch import PatchFormat
from orchestrator.handlers.http.framework import PATCH_TYPES
from orchestrator.handlers.http.reply import API, JSON
from orchestrator.handlers.merge import PLAIN_TEXT, MergeHandler
from orchestrator.handlers.merge_body import MergedBody, MergeWorkflow
from orchestrator.handlers.merge_diff import DiffBody
from orchestrator.handlers.version import VersionHandler
from orchestrator.handlers.version_body import (
    ChangedBody,
    CherryPick,
    CompactedBody,
    CompactWorkflow,
    Revert,
    VersionBody,
    VersionItem,
)
from orchestrator.handlers.version_chain import VersionChainHandler
from orchestrator.handlers.version_history import VersionHistoryHandler
from orchestrator.handlers.version_history_body import BlameBody, NodeHistoryBody
from orchestrator.routes import examples_version as examples
from orchestrator.routes.openapi import (
    Described,
    Media,
    answer,
    not_modified,
    takes,
    takes_patch,
)
from orchestrator.routes.openapi_headers import ETAG_OF_CHANGED, IDEMPOTENCY, IF_MATCH, OF_READ
from orchestrator.routes.resource import Resource, ok, page, page_as

ROUTES = Resource("versions")
WORKFLOW = f"{API}/workflows/{{tag:str}}"
WRITE_REFUSALS = (404, 408, 409, 412, 413, 415, 422, 507)


def version_routes(
    versions: VersionHandler,
    chains: VersionChainHandler,
    merges: MergeHandler,
    histories: VersionHistoryHandler,
) -> list[HTTPRouteHandler]:
    """All routes of the four handlers."""
    changed = answer(ChangedBody, examples.PATCHED, "What the tag names now.", ETAG_OF_CHANGED)
    difference = {
        200: Described(
            "As JSON; as text with format=text.",
            (
                Media(JSON, DiffBody, examples.DIFFERENCE),
                Media(PLAIN_TEXT, str, examples.DIFFERENCE_TEXT),
            ),
            OF_READ,
        )
    } | not_modified()
    return [
        ROUTES.route(
            "PATCH",
            WORKFLOW,
            versions.patch,
            "patchWorkflow",
            "Patch what a tag names",
            {200: changed},
            refuses=WRITE_REFUSALS,
            reads=takes_patch(examples.PATCH),
            opt={PATCH_TYPES: tuple(PatchFormat)},
        ),
        ROUTES.get(
            f"{WORKFLOW}/versions",
            chains.list_versions,
            "listVersions",
            "The chain below a tag, newest first",
            page(VersionItem, examples.VERSIONS),
            refuses=(404,),
        ),
        ROUTES.get(
            f"{WORKFLOW}/versions/{{seq:str}}",
            chains.get_version,
            "getVersion",
            "The workflow at a position of the chain",
            ok(VersionBody, examples.VERSION_WITH_WORKFLOW, "The version.", *OF_READ)
            | not_modified(),
            refuses=(404,),
        ),
        ROUTES.post(
            f"{WORKFLOW}/compact",
            versions.compact,
            "compactWorkflow",
            "One version equal to a chain's head",
            ok(CompactedBody, examples.COMPACTED, "The version."),
            refuses=WRITE_REFUSALS,
            reads=takes(CompactWorkflow, examples.COMPACT, IDEMPOTENCY, IF_MATCH),
        ),
        ROUTES.post(
            f"{WORKFLOW}/cherry-pick",
            versions.cherry_pick,
            "cherryPick",
            "Make one change of another chain here too",
            {200: changed},
            refuses=WRITE_REFUSALS,
            reads=takes(CherryPick, examples.CHERRY_PICK, IDEMPOTENCY, IF_MATCH),
        ),
        ROUTES.post(
            f"{WORKFLOW}/revert",
            versions.revert,
            "revertVersion",
            "Take one change back",
            {200: changed},
            refuses=WRITE_REFUSALS,
            reads=takes(Revert, examples.REVERT, IDEMPOTENCY, IF_MATCH),
        ),
        ROUTES.get(
            f"{WORKFLOW}/blame",
            histories.blame,
            "blameWorkflow",
            "Which version made each node and edge what it is",
            ok(BlameBody, examples.BLAME, "Each node and each edge.", *OF_READ) | not_modified(),
            refuses=(404, 422),
        ),
        ROUTES.get(
            f"{WORKFLOW}/nodes/{{node_id:str}}/history",
            histories.node_history,
            "listNodeEvents",
            "The versions that added, changed or removed a node",
            page_as(NodeHistoryBody, examples.NODE_HISTORY),
            refuses=(404, 422),
        ),
        ROUTES.get(
            f"{WORKFLOW}/diff",
            merges.diff,
            "diffWorkflow",
            "What changed since a tag, a version or an artifact",
            difference,
            refuses=(404, 422),
        ),
        ROUTES.get(
            f"{API}/diff",
            merges.diff_any,
            "diffVersions",
            "What changed from one version to another",
            difference,
            refuses=(404, 422),
        ),
        ROUTES.post(
            f"{WORKFLOW}/merge",
            merges.merge,
            "mergeWorkflow",
            "Three-way merge into a tag",
            ok(MergedBody, examples.MERGED, "What the merge turned out to be."),
            refuses=WRITE_REFUSALS,
            reads=takes(MergeWorkflow, examples.MERGE, IDEMPOTENCY, IF_MATCH),
        ),
    ]

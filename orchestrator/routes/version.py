"""Routes of versions: a flat list that decides nothing."""

from litestar import get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation as Specification

from orchestrator.handlers.http.framework import Operation, operation
from orchestrator.handlers.http.paging import Page
from orchestrator.handlers.merge import MergeHandler
from orchestrator.handlers.merge_body import DiffBody, MergedBody, MergeWorkflow
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
from orchestrator.routes import examples
from orchestrator.routes.openapi import (
    API,
    IDEMPOTENCY,
    IF_CHANGED,
    IF_MATCH,
    answer,
    heeds,
    problems,
    takes,
    takes_patch,
)

TAGS = ["versions"]
WORKFLOW = f"{API}/workflows/{{tag:str}}"
WRITE_PROBLEMS = problems(404, 408, 409, 412, 413, 415, 422, 507)


def version_routes(versions: VersionHandler, merges: MergeHandler) -> list[HTTPRouteHandler]:
    """All routes of both handlers."""
    changed = answer(ChangedBody, examples.PATCHED, "What the tag names now.")
    compacted = answer(CompactedBody, examples.COMPACTED, "The version.")
    merged = answer(MergedBody, examples.MERGED, "What the merge turned out to be.")
    return [
        patch(
            WORKFLOW,
            operation_id="patchWorkflow",
            operation_class=takes_patch(examples.PATCH),
            summary="Patch what a tag names",
            tags=TAGS,
            responses={200: changed, **WRITE_PROBLEMS},
        )(operation(versions.patch)),
        get(
            f"{WORKFLOW}/versions",
            operation_id="listVersions",
            summary="The chain below a tag, newest first",
            tags=TAGS,
            responses={
                200: answer(Page[VersionItem], examples.VERSIONS, "A page."),
                **problems(404),
            },
        )(operation(versions.list_versions)),
        get(
            f"{WORKFLOW}/versions/{{seq:str}}",
            operation_id="getVersion",
            operation_class=heeds(IF_CHANGED),
            summary="The workflow at a position of the chain",
            tags=TAGS,
            responses={
                200: answer(VersionBody, examples.VERSION_WITH_WORKFLOW, "The version."),
                **problems(304, 404),
            },
        )(operation(versions.get_version)),
        _change(
            versions.compact,
            "compact",
            operation_id="compactWorkflow",
            body=takes(CompactWorkflow, examples.COMPACT, IDEMPOTENCY, IF_MATCH),
            summary="One version equal to a chain's head",
            result=compacted,
        ),
        _change(
            versions.cherry_pick,
            "cherry-pick",
            operation_id="cherryPick",
            body=takes(CherryPick, examples.CHERRY_PICK, IDEMPOTENCY, IF_MATCH),
            summary="Make one change of another chain here too",
            result=changed,
        ),
        _change(
            versions.revert,
            "revert",
            operation_id="revertVersion",
            body=takes(Revert, examples.REVERT, IDEMPOTENCY, IF_MATCH),
            summary="Take one change back",
            result=changed,
        ),
        get(
            f"{WORKFLOW}/diff",
            operation_id="diffWorkflow",
            summary="What changed since a tag, a version or an artifact",
            tags=TAGS,
            responses={
                200: answer(DiffBody, examples.DIFFERENCE, "As JSON; as text with format=text."),
                **problems(404),
            },
        )(operation(merges.diff)),
        _change(
            merges.merge,
            "merge",
            operation_id="mergeWorkflow",
            body=takes(MergeWorkflow, examples.MERGE, IDEMPOTENCY, IF_MATCH),
            summary="Three-way merge into a tag",
            result=merged,
        ),
    ]


def _change(
    method: Operation,
    name: str,
    *,
    operation_id: str,
    body: type[Specification],
    summary: str,
    result: ResponseSpec,
) -> HTTPRouteHandler:
    """The route of a change of what a tag names: it makes nothing with an address of its own."""
    return post(
        f"{WORKFLOW}/{name}",
        operation_id=operation_id,
        operation_class=body,
        summary=summary,
        tags=TAGS,
        status_code=200,
        responses={200: result, **WRITE_PROBLEMS},
    )(operation(method))

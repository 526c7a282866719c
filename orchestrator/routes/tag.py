"""Routes of tags: a flat list that decides nothing."""

from litestar import delete, get, post, put
from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.framework import operation
from orchestrator.handlers.http.paging import Page
from orchestrator.handlers.tag import TagHandler
from orchestrator.handlers.tag_body import (
    DeletedTagBody,
    MoveTag,
    PutTag,
    StepTag,
    TagBody,
    TagChangeBody,
    TagItem,
)
from orchestrator.models.tag import TagMove
from orchestrator.routes import examples
from orchestrator.routes.openapi import (
    API,
    IDEMPOTENCY,
    IF_ABSENT,
    IF_CHANGED,
    IF_MATCH,
    answer,
    heeds,
    problems,
    takes,
)

TAGS = ["tags"]
TAG = f"{API}/tags/{{name:str}}"


def tag_routes(tags: TagHandler) -> list[HTTPRouteHandler]:
    """All routes of the handler."""
    step = takes(StepTag, examples.STEP_TAG, IDEMPOTENCY, IF_MATCH, required=False)
    changed = answer(TagChangeBody, examples.TAG_CHANGE, "The tag as it stands now.")
    return [
        get(
            f"{API}/tags",
            operation_id="listTags",
            summary="List tags by name",
            tags=TAGS,
            responses={200: answer(Page[TagItem], examples.TAGS, "A page."), **problems()},
        )(operation(tags.list_tags)),
        get(
            TAG,
            operation_id="getTag",
            operation_class=heeds(IF_CHANGED),
            summary="Look a tag up",
            tags=TAGS,
            responses={200: answer(TagBody, examples.TAG, "The tag."), **problems(304, 404)},
        )(operation(tags.get)),
        put(
            TAG,
            operation_id="putTag",
            operation_class=takes(PutTag, examples.PUT_TAG, IF_MATCH, IF_ABSENT),
            summary="Create or move a tag",
            tags=TAGS,
            responses={
                200: changed,
                201: answer(TagChangeBody, examples.TAG_CHANGE, "The tag was created."),
                **problems(404, 408, 412, 413, 415),
            },
        )(operation(tags.put)),
        delete(
            TAG,
            operation_id="deleteTag",
            operation_class=heeds(IF_MATCH),
            summary="Delete a tag; its history stays",
            tags=TAGS,
            status_code=200,
            responses={
                200: answer(DeletedTagBody, examples.DELETED_TAG, "The tag is gone."),
                **problems(404, 412),
            },
        )(operation(tags.delete)),
        post(
            f"{TAG}/move",
            operation_id="moveTag",
            operation_class=takes(MoveTag, examples.MOVE_TAG, IDEMPOTENCY, IF_MATCH),
            summary="Move a tag if it is where the caller thinks",
            tags=TAGS,
            status_code=200,
            responses={200: changed, **problems(404, 408, 409, 412, 413, 415, 422)},
        )(operation(tags.move)),
        post(
            f"{TAG}/undo",
            operation_id="undoTag",
            operation_class=step,
            summary="Undo the last move",
            tags=TAGS,
            status_code=200,
            responses={200: changed, **problems(404, 408, 409, 412, 413, 415, 422)},
        )(operation(tags.undo)),
        post(
            f"{TAG}/redo",
            operation_id="redoTag",
            operation_class=step,
            summary="Redo what was undone",
            tags=TAGS,
            status_code=200,
            responses={200: changed, **problems(404, 408, 409, 412, 413, 415, 422)},
        )(operation(tags.redo)),
        get(
            f"{TAG}/history",
            operation_id="listTagMoves",
            summary="Every move of a tag, newest first",
            tags=TAGS,
            responses={200: answer(Page[TagMove], examples.HISTORY, "A page."), **problems(404)},
        )(operation(tags.history)),
    ]

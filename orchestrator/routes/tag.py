"""Routes of tags: a flat list that decides nothing."""

from litestar.handlers import HTTPRouteHandler

from orchestrator.handlers.http.reply import API
from orchestrator.handlers.tag import TagHandler
from orchestrator.handlers.tag_body import (
    DeletedTagBody,
    HistoryItem,
    MoveItem,
    MoveTag,
    PutTag,
    StepTag,
    TagChangeBody,
    TagDetails,
    TagItem,
)
from orchestrator.handlers.tag_search import TagSearchHandler
from orchestrator.routes import examples
from orchestrator.routes.openapi import answer, heeds, not_modified, takes
from orchestrator.routes.openapi_headers import (
    ETAG,
    IDEMPOTENCY,
    IF_ABSENT,
    IF_MATCH,
    LOCATION,
    OF_VERSIONED,
)
from orchestrator.routes.resource import Resource, counted_page, ok, page

ROUTES = Resource("tags")
TAG = f"{API}/tags/{{name:str}}"
MOVE_REFUSALS = (404, 408, 409, 412, 413, 415, 422)


def tag_routes(tags: TagHandler, search: TagSearchHandler) -> list[HTTPRouteHandler]:
    """All routes of both handlers."""
    step = takes(StepTag, examples.STEP_TAG, IDEMPOTENCY, IF_MATCH, required=False)
    changed = answer(TagChangeBody, examples.TAG_CHANGE, "The tag as it stands now.", ETAG)
    return [
        ROUTES.get(
            f"{API}/tags",
            search.list_tags,
            "listTags",
            "List tags by name",
            counted_page(TagItem, examples.TAGS),
        ),
        ROUTES.get(
            TAG,
            tags.get,
            "getTag",
            "Look a tag up",
            ok(TagDetails, examples.TAG_DETAILS, "The tag.", *OF_VERSIONED)
            | not_modified(*OF_VERSIONED),
            refuses=(404,),
        ),
        ROUTES.route(
            "PUT",
            TAG,
            tags.put,
            "putTag",
            "Create or move a tag",
            {
                200: changed,
                201: answer(
                    TagChangeBody, examples.TAG_CHANGE, "The tag was created.", ETAG, LOCATION
                ),
            },
            refuses=(404, 408, 412, 413, 415),
            reads=takes(PutTag, examples.PUT_TAG, IF_MATCH, IF_ABSENT),
        ),
        ROUTES.route(
            "DELETE",
            TAG,
            tags.delete,
            "deleteTag",
            "Delete a tag; its history stays",
            ok(DeletedTagBody, examples.DELETED_TAG, "The tag is gone."),
            refuses=(404, 409, 412),
            reads=heeds(IF_MATCH),
        ),
        ROUTES.post(
            f"{TAG}/move",
            tags.move,
            "moveTag",
            "Move a tag if it is where the caller thinks",
            {200: changed},
            refuses=MOVE_REFUSALS,
            reads=takes(MoveTag, examples.MOVE_TAG, IDEMPOTENCY, IF_MATCH),
        ),
        ROUTES.post(
            f"{TAG}/undo",
            tags.undo,
            "undoTag",
            "Undo the last move",
            {200: changed},
            refuses=MOVE_REFUSALS,
            reads=step,
        ),
        ROUTES.post(
            f"{TAG}/redo",
            tags.redo,
            "redoTag",
            "Redo what was undone",
            {200: changed},
            refuses=MOVE_REFUSALS,
            reads=step,
        ),
        ROUTES.get(
            f"{TAG}/history",
            tags.history,
            "listTagMoves",
            "Every move of a tag, newest first",
            page(HistoryItem, examples.HISTORY),
            refuses=(404,),
        ),
        ROUTES.get(
            f"{API}/moves",
            search.list_moves,
            "listMoves",
            "Every move of every tag, newest first",
            counted_page(MoveItem, examples.MOVES),
        ),
    ]

"""Answers whose entity tag is made of their bytes: lists, and all else that has no better one."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from blake3 import blake3

from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.paging import Page
from orchestrator.handlers.http.precondition import check_if_match, unchanged
from orchestrator.handlers.http.reply import JSON, etag, json_answer
from orchestrator.models.idempotency import Answer

#: Enough against accidents: a client gains nothing by making two answers with one tag.
_TAG_BYTES = 16


def tagged(
    call: Call,
    body: object,
    *,
    media_type: str = JSON,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """200 with the body; 304 if the caller has it. It is encoded unless it is bytes already."""
    made = json_answer(body, headers={**(headers or {}), "Content-Type": media_type})
    tag = blake3(made.body).hexdigest(_TAG_BYTES)
    check_if_match(call, tag, "answer", call.path)
    if (same := unchanged(call, tag, headers)) is not None:
        return same
    made.headers["ETag"] = etag(tag)
    return made


def listed(call: Call, page: Page[Any]) -> Answer:
    """A page of a list; a `Link` leads to the next one (RFC 8288)."""
    headers = {} if page.next is None else {"Link": f'<{_next(call, page.next)}>; rel="next"'}
    return tagged(call, page, headers=headers)


def _next(call: Call, cursor: str) -> str:
    query = parse_qsl(call.query.decode("latin-1"), keep_blank_values=True)
    kept = [each for each in query if each[0] != "cursor"]
    return f"{call.path}?{urlencode([*kept, ('cursor', cursor)])}"

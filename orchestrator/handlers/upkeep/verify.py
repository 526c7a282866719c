"""HTTP for verification: reads what is to be checked, answers with one page of it."""

from typing import Annotated

import msgspec

from orchestrator.core.database import Connection
from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.body import decode
from orchestrator.handlers.http.call import Call
from orchestrator.handlers.http.paging import CURSOR_RULE, LIMIT_MAX, CursorText, after, encoded
from orchestrator.handlers.http.reading import SMALL_BODY_BYTES_MAX
from orchestrator.handlers.http.replay import Replay
from orchestrator.handlers.http.reply import json_answer
from orchestrator.jobs.verification import Verification
from orchestrator.models.idempotency import Answer
from orchestrator.models.upkeep.verify import PageReport, Scope, VerifyPosition, VerifyProblem

#: As it is described.
PageLimit = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 1, "maximum": LIMIT_MAX})]


class Verify(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be checked, and from where on."""

    read_data: bool = False
    repair: bool = False
    limit: PageLimit = LIMIT_MAX
    cursor: CursorText | None = None


class VerifyBody(msgspec.Struct, frozen=True, kw_only=True):
    """One page; `next` is null on the last."""

    checked_blobs: int
    checked_bytes: int
    checked_objects: int
    total_blobs: int | None
    problems: list[VerifyProblem]
    next: CursorText | None


class VerifyHandler:
    """Verification, page by page. Each page opens the connections that it needs itself."""

    def __init__(self, verification: Verification, replay: Replay) -> None:
        self._verification = verification
        self._replay = replay

    async def verify(self, call: Call) -> Answer:
        """Check a bounded number of blobs, objects or uploads against each other. Without
        `repair` nothing is changed. Give `next` back as `cursor` until it is null.
        """
        body = await call.read_json(SMALL_BODY_BYTES_MAX)
        wanted = decode(body, Verify)
        if not 1 <= wanted.limit <= LIMIT_MAX:
            message = f"A page has 1 to {LIMIT_MAX} items."
            raise InvalidInput.at("/limit", "limit", message)
        position = _position(wanted.cursor)
        scope = Scope(read_data=wanted.read_data, repair=wanted.repair)
        repeated = call.idempotent(body)
        if (first := await self._replay.first_answer(call, repeated)) is not None:
            return first
        with call.pausing():
            report = await self._verification.page(position, scope, limit=wanted.limit)

        async def make(_: Connection) -> Answer:
            return json_answer(_body(report))

        # A crash before this commit loses the report, not what was repaired: send it again.
        return await self._replay.once(call, repeated, make)


def _position(cursor: str | None) -> VerifyPosition | None:
    position: VerifyPosition | None = after(cursor, VerifyPosition, None)
    if position is not None and not position.is_readable:
        raise InvalidInput.at("/cursor", "cursor", CURSOR_RULE)
    return position


def _body(report: PageReport) -> VerifyBody:
    return VerifyBody(
        checked_blobs=report.checked_blobs,
        checked_bytes=report.checked_bytes,
        checked_objects=report.checked_objects,
        total_blobs=report.total_blobs,
        problems=report.problems,
        next=encoded(report.next) if report.next is not None else None,
    )

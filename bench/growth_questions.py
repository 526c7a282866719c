"""What lists a server that was filled is asked for, with every filter; it measures nothing.

Each answer has as many items with few rows as with many: times and beginnings of names are chosen
so, and of what is rare there is as much in a store of any size.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from orchestrator.handlers.http.paging import encoded
from tests.growth.shape import BUSY_TAG, MOVING, NAMESPACES, PERSON, ROBOT, START, World

PAGE = 100
#: So many there are in a small store, too.
SHORT_PAGE = 90
NOBODY = "nobody"
#: So many of the tags are in a short time: more than a page.
SOME = 200


def questions(world: World) -> dict[str, str]:
    """By what is asked, the path that asks it."""
    return {
        **dict(_of_tags(world)),
        **dict(_of_moves(world)),
        **dict(_of_artifacts(world)),
        **dict(_of_transactions(world)),
    }


def _asked(list_: str, **query: object) -> str:
    return f"/{list_}?{urlencode({'limit': PAGE, **query})}"


def _named(list_: str, query: Mapping[str, Any], *said: str) -> tuple[str, str]:
    """The question as a row says it: of times and cursors only what they are."""
    unsaid = {"cursor", "limit", *TIMES}
    shown = [f"{name}={value}" for name, value in query.items() if name not in unsaid]
    return f"{list_}{'?' if shown or said else ''}{'&'.join([*shown, *said])}", _asked(
        list_, **query
    )


TIMES = ("since", "until", "at")


def _time(share: float) -> datetime:
    """So far along the time in which tags were moved last; half of all moves were before it."""
    return START + MOVING * (1 + share)


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _of_tags(world: World) -> Iterator[tuple[str, str]]:
    some = SOME / world.sizes.tags
    last, first, middle = (_text(_time(share)) for share in (1 - some, some, 0.5))
    early = _text(START + MOVING * some)
    deep = encoded(f"flow-{world.asked_tags // 2:07d}")
    yield _named("tags", {})
    yield _named("tags", {"cursor": deep}, "cursor, deep")
    yield _named("tags", {"prefix": "flow-0000"})
    yield _named("tags", {"prefix": "x"})
    for person in (ROBOT, PERSON, NOBODY):
        yield _named("tags", {"moved_by": person})
    yield _named("tags", {"since": middle}, "since, half of them")
    end = _text(_time(1))  # Later there is what was written meanwhile.
    yield _named("tags", {"since": last, "until": end}, "since&until, few")
    yield _named("tags", {"until": middle}, "until, half of them")
    yield _named("tags", {"until": first}, "until, few")
    for kind in ("dag_version", "model", "scan"):
        yield _named("tags", {"kind": kind})
    yield _named("tags", {"deleted": "true"})
    yield _named("tags", {"at": middle}, "at")
    yield _named("tags", {"at": early}, "at, when there were few")
    yield _named("tags", {"total": "true"})
    yield _named("tags", {"total": "true", "moved_by": PERSON})
    yield _named("tags", {"total": "true", "at": middle}, "at")
    yield _named("tags", {"moved_by": ROBOT, "kind": "model"})
    yield _named("workflows", {})
    yield _named("workflows", {"cursor": deep}, "cursor, deep")
    yield _named("workflows", {"total": "true"})
    yield _named("workflows", {"at": middle}, "at")
    yield f"tags/{BUSY_TAG}/history", _asked(f"tags/{BUSY_TAG}/history")
    seq = encoded(world.sizes.moves // 20)
    yield f"tags/{BUSY_TAG}/history?cursor, deep", _asked(f"tags/{BUSY_TAG}/history", cursor=seq)


def _of_moves(world: World) -> Iterator[tuple[str, str]]:
    some = SOME / world.sizes.tags
    last, middle = _text(_time(1 - some)), _text(_time(0))
    until = _text(_time(some))
    yield _named("moves", {})
    yield _named("moves", {"cursor": encoded((middle, "x", 1))}, "cursor, deep")
    for prefix in ("flow-", "flow-0000", "flow-0000500", "x"):
        yield _named("moves", {"prefix": prefix})
    for person in (ROBOT, PERSON, NOBODY):
        yield _named("moves", {"moved_by": person})
    yield _named("moves", {"since": middle}, "since, half of them")
    yield _named("moves", {"since": last}, "since, few")
    yield _named("moves", {"until": middle}, "until")
    yield _named("moves", {"since": middle, "until": until}, "since&until, few")
    for kind in ("dag_version", "model", "scan"):
        yield _named("moves", {"kind": kind})
    transaction = str(world.transaction(world.asked_tags // 20))
    yield "moves?transaction_id", _asked("moves", transaction_id=transaction)
    yield _named("moves", {"total": "true"})
    yield _named("moves", {"total": "true", "prefix": "flow-0000500"})
    yield _named("moves", {"prefix": "flow-", "moved_by": PERSON})


def _of_artifacts(world: World) -> Iterator[tuple[str, str]]:
    middle = len(world.ids) // 2
    at = _text(world.made_at(middle))
    yield _named("artifacts", {})
    yield _named("artifacts", {"cursor": encoded(world.ids[middle])}, "cursor, deep")
    for kind in ("dataset", "model", "scan"):
        yield _named("artifacts", {"kind": kind})
    for name in ("model-100", "x"):
        yield _named("artifacts", {"name": name})
    for prefix in ("set-", "model-1", "x"):
        yield _named("artifacts", {"prefix": prefix})
    for person in (ROBOT, PERSON, NOBODY):
        yield _named("artifacts", {"created_by": person})
    yield _named("artifacts", {"since": at}, "since, half of them")
    yield _named("artifacts", {"until": at}, "until, half of them")
    for meta in ({"stage": "trial"}, {"owner": PERSON}, {"owner": NOBODY}):
        asked = {f"meta.{name}": value for name, value in meta.items()}
        yield _named("artifacts", {**asked, "limit": SHORT_PAGE})
    yield _named("artifacts", {"kind": "dataset", "meta.stage": "final", "limit": SHORT_PAGE})
    yield _named("artifacts", {"kind": "dataset", "created_by": PERSON})
    yield _named("artifacts", {"namespace": NAMESPACES[1]})
    yield _named("artifacts", {"total": "true"})
    yield _named("artifacts", {"total": "true", "kind": "model"})


def _of_transactions(world: World) -> Iterator[tuple[str, str]]:
    middle = _text(START + MOVING * 0.9)
    yield _named("transactions", {})
    cursor = encoded(world.transaction(world.asked_tags // 20))
    yield _named("transactions", {"cursor": cursor}, "cursor, deep")
    for person in (ROBOT, PERSON, NOBODY):
        yield _named("transactions", {"made_by": person})
    yield _named("transactions", {"since": middle}, "since, half of them")
    yield _named("transactions", {"until": middle}, "until, half of them")
    yield _named("transactions", {"total": "true", "made_by": PERSON})
    transaction = world.transaction(world.asked_tags // 20)
    yield "transactions/ID", f"/transactions/{transaction}"

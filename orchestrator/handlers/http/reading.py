"""Reads what a request says: names, times, messages. Nothing is decided here."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, overload
from urllib.parse import unquote_to_bytes

import msgspec
from litestar.params import PathParameter, QueryParameter

from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.body import (
    MESSAGE_LENGTH_MAX,
    MessageText,
    TimeText,
    VersionNumber,
)
from orchestrator.handlers.http.call import Call
from orchestrator.models.name import TagText, parse_tag
from orchestrator.models.reference import NamedText, Reference, parse_reference
from orchestrator.models.tag import SEQ_MAX

TagVersion = Annotated[
    VersionNumber | None,
    QueryParameter(description="Time travel: what the tag named at this version of it."),
]
TagPath = Annotated[
    TagText, PathParameter(description="The name of a tag; a slash in it is sent as %2F.")
]
ArtifactPath = Annotated[
    NamedText,
    PathParameter(
        description="An artifact: its id, a tag, `tag@3`, or a hash or its first digits; a slash "
        "is sent as %2F."
    ),
]
TagTime = Annotated[
    TimeText | None,
    QueryParameter(
        description="Time travel: what the tag named then (RFC 3339, a date, -2h); not version"
    ),
]
MessageQuery = Annotated[
    MessageText | None, QueryParameter(description="Why; shown in the history.")
]
ExpectedVersion = Annotated[
    int | None,
    QueryParameter(ge=1, le=SEQ_MAX, description="Refuse if the tag is not at this version."),
]
MakerQuery = Annotated[str | None, QueryParameter(description="Only what this principal made.")]
SinceQuery = Annotated[
    TimeText | None, QueryParameter(description="Only what was made since (RFC 3339, a date, -2h).")
]
UntilQuery = Annotated[
    TimeText | None,
    QueryParameter(description="Only what was made before (RFC 3339, a date, -2h)."),
]
MESSAGE_RULE = "A message is UTF-8 text without NUL."
#: A time of RFC 3339 §5.6: msgspec reads other spellings of the offset, too.
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:)(\d\d)((?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d))", re.ASCII
)
LEAP_SECOND = "60"
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_AGO = re.compile(r"-(\d{1,9})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
#: For bodies that hold no document: they are parsed in line, so they must be short.
SMALL_BODY_BYTES_MAX = 64 * 1024
#: Besides a length, what tells that a body comes.
HAS_BODY = {"content-type", "transfer-encoding"}


def segment(raw: str) -> str:
    """One path segment, decoded once; routing works on the raw path so that %2F stays inside."""
    if raw.isascii() and "%" not in raw:
        return raw
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput.at("/path", "utf-8", "A name in the path is not UTF-8.") from None


def tag_in_path(raw: str) -> str:
    """A tag name from the route."""
    return parse_tag(segment(raw))


def artifact_in_path(raw: str) -> Reference:
    """The name of an artifact from the route."""
    return parse_reference(segment(raw), tag=None, pointer="/artifact")


async def read_small(call: Call) -> bytes:
    """A short body of JSON, which may also be left out."""
    if call.headers.get("content-length", "0") == "0" and not HAS_BODY & call.headers.keys():
        return b"{}"
    return await call.read_json(SMALL_BODY_BYTES_MAX) or b"{}"


def checked_message(message: str | None) -> str | None:
    """A message of a length that a history can show."""
    if message is None:
        return None
    if len(message) > MESSAGE_LENGTH_MAX:
        rule = f"A message has at most {MESSAGE_LENGTH_MAX} characters."
        raise InvalidInput.at("/message", "length", rule)
    if "\x00" in message:
        raise InvalidInput.at("/message", "text", MESSAGE_RULE)
    return message


@overload
def without_nul(text: str, pointer: str) -> str: ...
@overload
def without_nul(text: str | None, pointer: str) -> str | None: ...
def without_nul(text: str | None, pointer: str) -> str | None:
    """Text to find stored text by, of which none has a NUL."""
    if text is not None and "\x00" in text:
        raise InvalidInput.at(pointer, "text", "This is UTF-8 text without NUL.")
    return text


def message_in_query(call: Call, message: str | None) -> str | None:
    """A message that stands in the query."""
    if message is None:
        return None
    check_query_text(call.query)
    return checked_message(message)


def check_query_text(query: bytes) -> None:
    """Refuse a query that is no UTF-8: the framework reads U+FFFD for such bytes."""
    try:
        unquote_to_bytes(query).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput.at("/message", "text", MESSAGE_RULE) from None


def parse_time(text: str, pointer: str = "/at") -> datetime:
    """A time of RFC 3339 with an offset (one without would mean another moment on each machine), a
    date, which is its beginning in UTC, or how long ago by the clock of this server: `-2h`.
    """
    moment: datetime | None = None
    try:
        if (ago := _AGO.fullmatch(text)) is not None:
            moment = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        elif _DATE.fullmatch(text):
            moment = msgspec.convert(f"{text}T00:00:00Z", datetime)
        elif (written := _TIME.fullmatch(text)) is not None:
            moment = _moment(*written.groups())
    except (msgspec.ValidationError, OverflowError):
        pass  # It looks like a time, and is none.
    if moment is None:
        message = (
            "A time is written as in RFC 3339, with an offset: 2026-01-31T12:00:00Z; as a date: "
            "2026-01-31; or as how long ago: -30m, -2h, -7d."
        )
        raise InvalidInput.at(pointer, "time", message)
    return moment


def _moment(minute: str, second: str, rest: str) -> datetime | None:
    """The time in UTC. A leap second is at the end of a month there, and is counted as the one
    after it, as by the clocks that wrote the history.
    """
    is_leap = second == LEAP_SECOND
    found = msgspec.convert(f"{minute}{'59' if is_leap else second}{rest}", datetime)
    # The ends of the calendar in another zone are outside of it in ours.
    moment = found.astimezone(UTC)
    if not is_leap:
        return moment
    after = moment + timedelta(seconds=1)
    return after if (after.day, after.hour, after.minute) == (1, 0, 0) else None


def time_travel(version: int | None, at: str | None) -> int | datetime | None:
    """The moment that `?version=` or `?at=` names; None for now."""
    if version is not None and at is not None:
        raise InvalidInput.at("/at", "one-moment", "Ask for a version or for a time, not for both.")
    if version is not None:
        if not 1 <= version <= SEQ_MAX:
            raise InvalidInput.at("/version", "range", "The versions of a tag begin at 1.")
        return version
    return None if at is None else parse_time(at)

"""How moments look: as the server wrote them, in local time, or as an age; it reads no clock."""

from datetime import datetime, timedelta
from typing import Literal, TypeAlias

TimeFormat: TypeAlias = Literal["local", "relative", "rfc3339"]

#: The units of an age, the longest first.
_UNITS = (
    ("year", timedelta(days=365)),
    ("month", timedelta(days=30)),
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)


def shown_moment(timestamp: str, style: TimeFormat, now: datetime) -> str:
    """A timestamp of the server; one that is none stays as it is."""
    if style == "rfc3339":
        return timestamp
    try:
        moment = datetime.fromisoformat(timestamp)
        return age(moment, now) if style == "relative" else local(moment)
    except (ValueError, TypeError, OverflowError):
        return timestamp


def local(moment: datetime) -> str:
    """To the second, in the time zone of this machine."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def age(moment: datetime, now: datetime) -> str:
    """How long ago, or how far ahead, in the longest unit of which there is a whole one."""
    distance = abs(now - moment)
    for name, unit in _UNITS:
        if count := distance // unit:
            text = f"{count} {name}{'' if count == 1 else 's'}"
            return f"{text} ago" if moment <= now else f"in {text}"
    return "now"

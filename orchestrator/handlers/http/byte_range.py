"""Byte ranges (RFC 9110 §14): which part of a blob a request asks for."""

import re

from orchestrator.errors_request import RangeNotSatisfiable
from orchestrator.handlers.http.call import Call

_SINGLE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII | re.IGNORECASE)


def requested_range(call: Call, size: int, etag: str) -> range | None:
    """The one range asked for, cut to the blob; None for the whole.

    A server may answer more than it was asked for: several ranges, other units, what makes no
    sense, and a range of something else than this blob (`If-Range`) are answered with the whole.
    """
    match = _SINGLE.fullmatch(call.headers.get("range", ""))
    if match is None or call.headers.get("if-range", f'"{etag}"') != f'"{etag}"':
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        found = range(max(0, size - int(last)), size)
    elif last and int(last) < int(first):
        return None
    else:
        found = range(int(first), min(int(last) + 1, size) if last else size)
    if not found:
        raise RangeNotSatisfiable(size)
    return found

"""Equality of JSON values: two are equal if they have the same canonical form; it writes none.

So 1 is 1.0 and -0.0 is 0, but 1 is not true, and the order of members does not count.
"""

from typing import Any

import msgspec

_encode = msgspec.json.Encoder(order="sorted").encode


def equal(a: Any, b: Any) -> bool:
    """Whether the values are equal; what is no JSON value, such as UNSET, is equal to itself."""
    if a is b:
        return True
    # This runs in C code, but takes 1 for True: what it calls equal is looked at once more.
    if a != b:
        return False
    if type(a) is str:
        return True
    return _encode(a) == _encode(b) or _has_equal_types(a, b)


def fingerprint(value: Any) -> bytes:
    """Equal for equal values, if their numbers are as `parse` returns them: 1, and never 1.0."""
    return _encode(value)


def _has_equal_types(a: Any, b: Any) -> bool:
    """Whether values that Python takes for equal have no boolean where the other has a number."""
    if isinstance(a, dict):
        return all(_has_equal_types(child, b[key]) for key, child in a.items())
    if isinstance(a, list):
        return all(map(_has_equal_types, a, b))
    return isinstance(a, bool) == isinstance(b, bool)

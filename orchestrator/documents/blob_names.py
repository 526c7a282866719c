"""The blobs that a canonical document names: strings that are, as a whole, the name of a blob."""

import re

from orchestrator.core.digest import BlobName, parse_name
from orchestrator.errors import RuleBroken, Violation

#: So many references may one document have.
NAMES_MAX = 10_000

_STARTS = (b'"blake3:', b'"sha256:')
# A quote after a backslash belongs to the text of a string, and what a colon follows is a key. In
# canonical JSON nothing stands between them.
_NAME = re.compile(rb'(?<!\\)"((?:blake3|sha256):[0-9a-f]{64})"(?!:)')


def blobs_named(content: bytes, pointer: str = "") -> tuple[BlobName, ...]:
    """Each name once, in the order of the document. RuleBroken if there are too many."""
    if not any(start in content for start in _STARTS):
        return ()
    names = dict.fromkeys(found[1] for found in _NAME.finditer(content))
    if len(names) > NAMES_MAX:
        message = f"A document names at most {NAMES_MAX} blobs; this one names {len(names)}."
        raise RuleBroken(message, [Violation(pointer, "blobs-max", message)])
    return tuple(parse_name(name.decode()) for name in names)

"""Text from a document as it may stand in a message; it decides on no message."""

import json


def shortened(text: str, *, characters_max: int = 80) -> str:
    """The text in quotes, without what a terminal could take for a command, and cut if long."""
    quoted = json.dumps(text[:characters_max], ensure_ascii=not text.isprintable())
    return quoted if len(text) <= characters_max else f'{quoted[:-1]}…"'

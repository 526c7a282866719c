"""Reads JSON bodies. It knows no request and imports no framework, so that processes that compute
can do it.
"""

from typing import Annotated, TypeVar

import msgspec

from orchestrator.documents.canonical import DEPTH_MAX, VALUES_MAX, parse
from orchestrator.documents.canonical_rules import INTEGER_MAX
from orchestrator.documents.pointer import pointer_to_field
from orchestrator.errors import InvalidInput
from orchestrator.models.tag import SEQ_MAX

T = TypeVar("T")

#: The version of a tag.
#: In JSON, where larger numbers are not exact.
Version = Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]

MESSAGE_LENGTH_MAX = 4_096

# As they are described. Reading checks them, and says which rule is broken.
VersionNumber = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 1, "maximum": SEQ_MAX})]
_DATE = "(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_HOUR = "([01][0-9]|2[0-3]):[0-5][0-9]"
#: A time and its date, a date alone, or how long ago. That the month has such a day is not said.
TIME_PATTERN = (
    rf"^({_DATE}([Tt ]{_HOUR}:([0-5][0-9]|60)(\.[0-9]+)?([Zz]|[+-]{_HOUR}))?|-[0-9]{{1,9}}[smhdw])$"
)
TimeText = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": TIME_PATTERN})]
MessageText = Annotated[
    str,
    msgspec.Meta(extra_json_schema={"pattern": r"^[^\u0000]*$", "maxLength": MESSAGE_LENGTH_MAX}),
]

ERROR_CHARACTERS_MAX = 200
#: How deep a document may stand in a body: /operations/0/workflow.
ENVELOPE_DEPTH = 3


def decode(body: bytes, type_: type[T], *, values_max: int = VALUES_MAX) -> T:
    """The body as the type, or InvalidInput with a pointer to what is wrong.

    Bodies are read as strictly as the documents in them: no key twice, no NUL, no number that
    another program would read differently.
    """
    value = parse(
        body,
        bytes_max=len(body),
        kind="body",
        depth_max=DEPTH_MAX + ENVELOPE_DEPTH,
        values_max=values_max,
    )
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        if len(message) > ERROR_CHARACTERS_MAX:  # It names a member as long as the body.
            message = message[:ERROR_CHARACTERS_MAX] + "…`"
        raise InvalidInput.at(pointer_to_field(path.rstrip("`")), "shape", message) from None

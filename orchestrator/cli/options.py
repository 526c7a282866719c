"""Arguments and options that several commands share; what they do is in the commands.

Each command lists its own, also where two lists are alike: the parser reads its signature.
"""

from pathlib import Path
from typing import Annotated, Any, TypeAlias

from cyclopts import Group, Parameter, validators

from orchestrator.cli.session import Session

_MOMENT = Group("Moment", help="Time travel.", validator=validators.mutually_exclusive, sort_key=10)


def _refuse_option(_type: object, value: object) -> None:
    """A misspelt option where a file is expected is an error, not a file."""
    if str(value).startswith("-") and str(value) != "-":
        raise ValueError(f"There is no option {value}; a file of that name is ./{value}.")


#: An argument that may be `-`, which the parser would take for an option.
MAY_BE_STDIN = Parameter(allow_leading_hyphen=True, validator=_refuse_option)

#: What every command gets from the options before or after it.
WithSession: TypeAlias = Annotated[Session, Parameter(parse=False)]

TagName: TypeAlias = Annotated[str, Parameter(help="The name of the tag.")]
ReferenceName: TypeAlias = Annotated[
    str, Parameter(help="A tag, a version of a tag: tag@3, an artifact id, or a hash: blake3:….")
]
FileName: TypeAlias = Annotated[
    Path, MAY_BE_STDIN, Parameter(help="A file, or - for standard input.")
]
MessageOption: TypeAlias = Annotated[str | None, Parameter(help="Why; shown in the history.")]
ExpectedVersionOption: TypeAlias = Annotated[
    int | None, Parameter(help="Refuse if the tag is not at this version.")
]
ByIdOption: TypeAlias = Annotated[
    bool,
    Parameter(
        name="--by-id",
        negative="",
        help="Nodes and edges are named by what they are: /nodes/ID, /edges/FROM->TO.",
    ),
]
DryRunOption: TypeAlias = Annotated[
    bool, Parameter(negative="", help="Only show what would change; nothing is stored.")
]
LenientOption: TypeAlias = Annotated[
    bool,
    Parameter(negative="", help="A graph that makes no sense, such as a cycle, is only warned of."),
]
VersionOption: TypeAlias = Annotated[
    int | None, Parameter(group=_MOMENT, help="What the tag named at this version of it.")
]
AtOption: TypeAlias = Annotated[
    str | None,
    Parameter(
        group=_MOMENT,
        allow_leading_hyphen=True,
        help="What it named then, such as 2026-01-31T12:00:00Z, 2026-01-31 or -2h.",
    ),
]
PrefixOption: TypeAlias = Annotated[str | None, Parameter(help="Only tags whose names begin so.")]
MovedByOption: TypeAlias = Annotated[
    str | None, Parameter(help="Only what this principal moved last.")
]
SinceOption: TypeAlias = Annotated[
    str | None,
    Parameter(
        allow_leading_hyphen=True,
        help="Only what moved from this time on: 2026-01-31, 2026-01-31T12:00:00Z, -2h, -7d.",
    ),
]
UntilOption: TypeAlias = Annotated[
    str | None, Parameter(allow_leading_hyphen=True, help="Only what moved before this time.")
]
KindOption: TypeAlias = Annotated[
    str | None, Parameter(help="Only tags that name an artifact of this kind.")
]
LimitOption: TypeAlias = Annotated[
    int | None, Parameter(validator=validators.Number(gte=1), help="Stop after so many.")
]


def manner(*, dry_run: bool = False, lenient: bool = False) -> dict[str, Any]:
    """The parameters of a request that say how a change is made."""
    return {"dry_run": dry_run or None, "validation": "lenient" if lenient else None}

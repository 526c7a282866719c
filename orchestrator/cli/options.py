"""Arguments and options that several commands share; what they do is in the commands."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Group, Parameter, Token, validators

from orchestrator.cli.completers import (
    complete_node,
    complete_reference,
    complete_tag,
    complete_transaction,
)
from orchestrator.cli.expectation import Expectation, parse_expectation
from orchestrator.cli.session import Session

_MOMENT = Group("Moment", help="Time travel.", validator=validators.mutually_exclusive, sort_key=10)


def _refuse_option(_type: object, value: object) -> None:
    """A misspelt option where a file is expected is an error, not a file."""
    if str(value).startswith("-") and str(value) != "-":
        raise ValueError(f"There is no option {value}; a file of that name is ./{value}.")


def _read_expectation(_type: object, tokens: Sequence[Token]) -> Expectation:
    return parse_expectation(tokens[0].value)


#: An argument that may be `-`, which the parser would take for an option.
MAY_BE_STDIN = Parameter(allow_leading_hyphen=True, validator=_refuse_option)

#: What every command gets from the options before or after it.
WithSession: TypeAlias = Annotated[Session, Parameter(parse=False)]

REFERENCE_HELP = (
    "A tag, tag@3, an artifact id, or a version hash, of which the first 8 digits are enough."
)
TagName: TypeAlias = Annotated[str, Parameter(help="The name of the tag.", completer=complete_tag)]
VersionedTagName: TypeAlias = Annotated[
    str,
    Parameter(help="The name of the tag, or a version of it: tag@3.", completer=complete_reference),
]
ReferenceName: TypeAlias = Annotated[
    str, Parameter(help=REFERENCE_HELP, completer=complete_reference)
]
NodeName: TypeAlias = Annotated[str, Parameter(help="The id of a node.", completer=complete_node)]
TransactionId: TypeAlias = Annotated[
    str, Parameter(help="The id of a transaction.", completer=complete_transaction)
]
FileName: TypeAlias = Annotated[
    Path, MAY_BE_STDIN, Parameter(help="A file, or - for standard input.")
]
DocumentName: TypeAlias = Annotated[
    Path, MAY_BE_STDIN, Parameter(help="A file, JSON or YAML, or - for standard input.")
]
MessageOption: TypeAlias = Annotated[
    str | None, Parameter(name=["--message", "-m"], help="Why; shown in the history.")
]
ExpectOption: TypeAlias = Annotated[
    Expectation | None,
    Parameter(
        converter=_read_expectation,
        n_tokens=1,
        accepts_keys=False,
        help="Refuse unless the tag is so: at this version of it, naming this version hash (its "
        "first 8 digits are enough), or absent.",
    ),
]
ExpectTagsOption: TypeAlias = Annotated[
    list[str] | None,
    Parameter(
        name="--expect",
        negative="",
        help="TAG=VERSION: refuse unless the tag is at this version. It may be given again.",
    ),
]
PrefixOption: TypeAlias = Annotated[
    str | None, Parameter(help="Only tags whose names begin so.", completer=complete_tag)
]
LenientOption: TypeAlias = Annotated[
    bool,
    Parameter(negative="", help="A graph that makes no sense, such as a cycle, is only warned of."),
]
YesOption: TypeAlias = Annotated[
    bool, Parameter(name=["--yes", "-y"], negative="", help="Do not ask, at a terminal.")
]
ByIdOption: TypeAlias = Annotated[
    bool,
    Parameter(
        name="--by-id",
        negative="",
        help="Pointers name nodes and edges by what they are: /nodes/ID, /edges/FROM->TO.",
    ),
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
SinceOption: TypeAlias = Annotated[
    str | None,
    Parameter(
        allow_leading_hyphen=True,
        help="Only what was made from this time on: 2026-01-31, 2026-01-31T12:00:00Z, -2h, -7d.",
    ),
]
UntilOption: TypeAlias = Annotated[
    str | None, Parameter(allow_leading_hyphen=True, help="Only what was made before this time.")
]
LimitOption: TypeAlias = Annotated[
    int | None, Parameter(validator=validators.Number(gte=1), help="Stop after so many.")
]


@dataclass(frozen=True, kw_only=True)
class MoveFilter:
    """Which moves, or tags by their last move, a list shows."""

    prefix: PrefixOption = None
    moved_by: Annotated[str | None, Parameter(help="Only what this principal moved.")] = None
    since: SinceOption = None
    until: UntilOption = None
    limit: LimitOption = None

    @property
    def params(self) -> dict[str, Any]:
        """As the server is asked."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class TagFilter(MoveFilter):
    """Which tags a list shows, by their last move, and when."""

    kind: Annotated[str | None, Parameter(help="Only tags that name an artifact of this kind.")] = (
        None
    )
    at: AtOption = None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Whether a change is only tried."""

    dry_run: Annotated[
        bool, Parameter(negative="", help="Only show what would change; nothing is stored.")
    ] = False

    @property
    def params(self) -> dict[str, Any]:
        """As the server is asked."""
        return {"dry_run": self.dry_run or None}


@dataclass(frozen=True, kw_only=True)
class Judgement(Trial):
    """How the result of a change is judged, and how pointers into it are written."""

    lenient: LenientOption = False
    by_id: ByIdOption = False

    @property
    def params(self) -> dict[str, Any]:
        """As the server is asked."""
        return {
            **super().params,
            "validation": "lenient" if self.lenient else None,
            "address": "id" if self.by_id else None,
        }


FOR_GOOD, STRICTLY = Trial(), Judgement()
TrialOptions: TypeAlias = Annotated[Trial, Parameter(name="*")]
JudgementOptions: TypeAlias = Annotated[Judgement, Parameter(name="*")]

ALL_MOVES, ALL_TAGS = MoveFilter(), TagFilter()
MoveFilters: TypeAlias = Annotated[MoveFilter, Parameter(name="*")]
TagFilters: TypeAlias = Annotated[TagFilter, Parameter(name="*")]
DocumentFormat: TypeAlias = Literal["json", "yaml"]

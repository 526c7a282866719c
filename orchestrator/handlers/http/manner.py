"""Reads how a change is to be made: only to see what would come of it, and by which judgement."""

from typing import Annotated, Literal, TypeAlias

from litestar.params import QueryParameter

from orchestrator.documents.workflow_change import Manner

DryRun = Annotated[
    bool,
    QueryParameter(
        description="Answer what would come of it, or why it would be refused; nothing is written."
    ),
]
ValidationName: TypeAlias = Literal["strict", "lenient"]
Validation = Annotated[
    ValidationName,
    QueryParameter(
        description="lenient: a graph that makes no sense, such as a cycle, is not refused; the "
        "answer has a warning."
    ),
]


def is_lenient(validation: ValidationName) -> bool:
    """Whether a graph that makes no sense is to be let through."""
    return validation == "lenient"


def manner_of(validation: ValidationName, *, dry_run: bool) -> Manner:
    """What both parameters say."""
    return Manner(dry_run=dry_run, lenient=is_lenient(validation))

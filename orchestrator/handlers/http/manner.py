"""Reads how a change is to be made: only to see what would come of it, by which judgement, and with
which kind of pointers.
"""

from typing import Annotated, Literal, TypeAlias

from litestar.params import QueryParameter

from orchestrator.documents.workflow_address import Address
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


AddressQuery = Annotated[
    Address,
    QueryParameter(
        description="How pointers into a workflow name its nodes and edges: by their positions, or "
        "by what they are: `/nodes/<id>`, `/edges/<from>-><to>` with ` if <condition>` behind it."
    ),
]


def is_lenient(validation: ValidationName) -> bool:
    """Whether a graph that makes no sense is to be let through."""
    return validation == "lenient"


def manner_of(validation: ValidationName, address: Address, *, dry_run: bool) -> Manner:
    """What the parameters say."""
    return Manner(dry_run=dry_run, lenient=is_lenient(validation), address=address)

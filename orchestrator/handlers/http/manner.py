"""Reads how a change is to be made: only to see what would come of it, by which judgement, and with
which kind of pointers.
"""

from typing import Annotated, Literal

from litestar.params import QueryParameter

from orchestrator.documents.workflow_address import Address
from orchestrator.documents.workflow_change import Manner
from orchestrator.handlers.http.query_group import QueryGroup

DryRun = Annotated[
    bool,
    QueryParameter(
        description="Answer what would come of it, or why it would be refused; nothing is written."
    ),
]
Validation = Annotated[
    Literal["strict", "lenient"],
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


class JudgementQuery(QueryGroup, frozen=True, kw_only=True):
    """How a document is judged, and how what is said of it points into it."""

    validation: Validation = "strict"
    address: AddressQuery = "position"

    @property
    def is_lenient(self) -> bool:
        """Whether a graph that makes no sense is to be let through."""
        return self.validation == "lenient"


class MannerQuery(JudgementQuery, frozen=True, kw_only=True):
    """How a change is to be made."""

    dry_run: DryRun = False

    def manner(self) -> Manner:
        """What the parameters say."""
        return Manner(dry_run=self.dry_run, lenient=self.is_lenient, address=self.address)


#: If the query says nothing of it.
USUALLY = MannerQuery()

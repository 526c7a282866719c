"""`orchestrator moves`: what happened to all tags of a namespace."""

from typing import Annotated

from cyclopts import App, Parameter

from orchestrator.cli.completers import complete_transaction
from orchestrator.cli.options import ALL_MOVES, MoveFilters, WithSession
from orchestrator.cli.showing import show_list

app = App(
    name="moves",
    help_epilogue="Examples:\n\n"
    "  orchestrator moves --limit 10\n"
    "  orchestrator moves --prefix prod/ --since -2h",
)

_COLUMNS = (
    "moved_at",
    "moved_by",
    "name",
    "version",
    "action",
    "kind",
    "version_hash",
    "transaction_id",
    "message",
)


@app.default
def moves(
    *,
    only: MoveFilters = ALL_MOVES,
    transaction: Annotated[
        str | None,
        Parameter(help="Only what this transaction moved: its id.", completer=complete_transaction),
    ] = None,
    session: WithSession,
) -> None:
    """List every move of every tag of the namespace, newest first."""
    with session.connect() as server:
        page = server.list_all("moves", **only.params, transaction_id=transaction)
    show_list(session, page, _COLUMNS, named=lambda move: f"{move['name']}@{move['version']}")

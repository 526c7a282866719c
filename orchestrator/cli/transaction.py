"""`orchestrator transaction …`: many tags at once, all or none."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from orchestrator.cli.documents import read_document
from orchestrator.cli.exchange import Reply
from orchestrator.cli.expectation import versions_expected
from orchestrator.cli.failure import InvalidContent, WrongUsage
from orchestrator.cli.options import (
    FOR_GOOD,
    STRICTLY,
    DocumentName,
    ExpectTagsOption,
    JudgementOptions,
    LimitOption,
    MessageOption,
    SinceOption,
    TransactionId,
    TrialOptions,
    UntilOption,
    WithSession,
)
from orchestrator.cli.output import write_lines
from orchestrator.cli.session import Session
from orchestrator.cli.showing import (
    ACTIONS,
    DRY_RUN,
    show_change,
    show_data,
    show_list,
    show_members,
    show_rows,
)

app = App(
    name="transaction",
    help="Many tags at once, all or none: apply, look back, revert.",
    help_epilogue="Examples:\n\n"
    "  orchestrator transaction apply release.json -m 'May'\n"
    "  orchestrator transaction list --since -7d",
)

_MEMBERS = (
    "transaction_id",
    "namespace",
    "message",
    "made_by",
    "made_at",
    "reverts_id",
    "reverted_by_id",
)
_LIST_COLUMNS = ("transaction_id", "made_at", "made_by", "reverted_by_id", "message")
_MOVE_COLUMNS = ("name", "action", "version", "version_hash", "artifact_id")


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator transaction apply release.json -m 'May'\n"
    "  orchestrator transaction apply release.yaml --expect prod/billing=3 --dry-run\n"
    "  generate | orchestrator transaction apply -"
)
def apply(
    file: DocumentName,
    /,
    *,
    message: MessageOption = None,
    expect: ExpectTagsOption = None,
    how: JudgementOptions = STRICTLY,
    session: WithSession,
) -> None:
    """Carry out the operations of a file: a list, or the body of the request."""
    body = read_document(file).value
    members = body if isinstance(body, dict) else {"operations": body}
    operations = members.get("operations")
    if not isinstance(operations, list):
        raise InvalidContent(f"{file}: There is no list of operations.")
    members = {**members, "operations": _expecting(operations, versions_expected(expect))}
    if message is not None:
        members["message"] = message
    with session.connect() as server:
        show_results(session, server.post("transactions", params=how.params, **members))


def _expecting(operations: list[Any], expected: dict[str, int]) -> list[Any]:
    """The operations, with the versions at which their tags are expected."""
    named = {each.get("tag") for each in operations if isinstance(each, dict)}
    if others := sorted(expected.keys() - named):
        raise WrongUsage(
            f"No operation is about {', '.join(others)}, so nothing is expected there."
        )
    return [
        {**each, "expected_version": expected[each["tag"]]}
        if isinstance(each, dict) and each.get("tag") in expected
        else each
        for each in operations
    ]


@app.command(
    name="list",
    help_epilogue="Examples:\n\n"
    "  orchestrator transaction list --limit 10\n"
    "  orchestrator transaction list --made-by ann --since -7d",
)
def list_transactions(
    *,
    made_by: Annotated[str | None, Parameter(help="Only those of this principal.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    session: WithSession,
) -> None:
    """List transactions, newest first."""
    with session.connect() as server:
        page = server.list_all(
            "transactions", limit=limit, made_by=made_by, since=since, until=until
        )
    show_list(session, page, _LIST_COLUMNS)


@app.command(help_epilogue="Examples:\n\n  orchestrator transaction show 01936f3f-2b3c-…")
def show(transaction_id: TransactionId, /, *, session: WithSession) -> None:
    """Show what a transaction moved."""
    with session.connect() as server:
        reply = server.get("transactions", transaction_id)
    if session.wants_data:
        show_data(session, reply.body)
        return
    found = reply.json()
    show_members(session, found, _MEMBERS)
    _show_moves(session, [{**each, "artifact_id": each["to_id"]} for each in found["moves"]])


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator transaction revert 01936f3f-2b3c-… -m 'Roll back'\n"
    "  orchestrator transaction revert 01936f3f-2b3c-… --expect prod/billing=4"
)
def revert(
    transaction_id: TransactionId,
    /,
    *,
    message: MessageOption = None,
    expect: ExpectTagsOption = None,
    how: TrialOptions = FOR_GOOD,
    session: WithSession,
) -> None:
    """Take a transaction back: each of its tags stands where it stood before."""
    expected = versions_expected(expect) or None
    with session.connect() as server:
        reply = server.post(
            *("transactions", transaction_id, "revert"),
            params=how.params,
            message=message,
            expected=expected,
        )
    show_results(session, reply)


def show_results(session: Session, reply: Reply) -> None:
    """What a transaction did to each of its tags."""
    if session.wants_data:
        show_data(session, reply.body)
        return
    found = reply.json()
    if "dry_run" not in found:
        show_members(session, found, ("transaction_id",))
    elif not session.quiet:
        write_lines([DRY_RUN])
    _show_moves(
        session,
        [
            {
                **each,
                "name": each.get("tag") or each["name"],
                "version": each.get("tag_version") or each["version"],
            }
            for each in found["results"]
        ],
    )
    for each in found["results"]:
        show_change(session, each)


def _show_moves(session: Session, moves: list[dict[str, Any]]) -> None:
    if not session.quiet:
        rows = [{**each, "action": ACTIONS[each["action"]]} for each in moves]
        show_rows(session, _MOVE_COLUMNS, rows)

"""`orchestrator workflow …`: documents by tag; the server checks their rules."""

from typing import Annotated

import msgspec
from cyclopts import App, Group, Parameter, validators

from orchestrator.cli import (
    version,
    version_history,
    version_lineage,
    workflow_edit,
    workflow_export,
    workflow_import,
)
from orchestrator.cli.deletion import delete_tag
from orchestrator.cli.documents import read_workflow
from orchestrator.cli.expectation import creating
from orchestrator.cli.failure import InvalidContent, violation_lines
from orchestrator.cli.options import (
    ALL_TAGS,
    STRICTLY,
    AtOption,
    ByIdOption,
    DocumentName,
    ExpectOption,
    Judgement,
    JudgementOptions,
    LenientOption,
    MessageOption,
    ReferenceName,
    TagFilters,
    TagName,
    VersionOption,
    WithSession,
    YesOption,
)
from orchestrator.cli.output import write_document, write_exactly
from orchestrator.cli.reference import tag_and_version
from orchestrator.cli.session import Session
from orchestrator.cli.showing import show_data, show_list, show_members, show_record
from orchestrator.cli.version_read import find_version
from orchestrator.errors import Violation

app = App(
    name="workflow",
    help="Workflows by tag: create, look up, patch, compare, merge.",
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow create billing billing.json\n"
    "  orchestrator workflow edit billing\n"
    "  orchestrator workflow diff billing@3 billing\n"
    "  orchestrator workflow merge billing billing/trial",
)
for _part in (
    version.app,
    version_history.app,
    version_lineage.app,
    workflow_edit.app,
    workflow_export.app,
    workflow_import.app,
):
    app.command(_part, name="*")

MEMBERS = (
    "action",
    "namespace",
    "tag",
    "tag_version",
    "version_hash",
    "artifact_id",
    "kind",
    "cas_id",
    "depth",
    "nodes_count",
    "edges_count",
    "message",
    "moved_by",
    "moved_at",
    "created_by",
    "created_at",
)
_JUDGED_MEMBERS = ("version_hash", "size_bytes", "nodes_count", "edges_count")
_LIST_COLUMNS = (
    "tag",
    "tag_version",
    "nodes_count",
    "edges_count",
    "version_hash",
    "moved_at",
)
_PATCH_MEMBERS = ("seq", "op_count", "version_hash", "artifact_id", "created_by", "created_at")
_PARTS = Group("What to print", validator=validators.mutually_exclusive, sort_key=10)


class _Judged(msgspec.Struct):
    violations: list[Violation]


class _Base(msgspec.Struct):
    artifact_id: str
    version_hash: str
    workflow: msgspec.Raw


class _Components(msgspec.Struct):
    base: _Base
    patches: list[dict[str, msgspec.Raw]]


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow create release/v1.0 billing.json -m 'First' --expect absent\n"
    "  orchestrator workflow create billing billing.yaml --expect 3 --dry-run\n"
    "  generate | orchestrator workflow create billing -"
)
def create(
    tag: TagName,
    file: DocumentName,
    /,
    *,
    message: MessageOption = None,
    expect: ExpectOption = None,
    how: JudgementOptions = STRICTLY,
    session: WithSession,
) -> None:
    """Store a version of a workflow and let the tag name it."""
    document = read_workflow(file)  # The server reads it again; only here is the name known.
    with session.connect() as server:
        reply = server.post(
            "workflows",
            params=how.params,
            tag=tag,
            workflow=msgspec.Raw(document.content),
            message=message,
            **creating(server, tag, expect),
        )
    show_record(session, reply, MEMBERS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow validate billing.json\n"
    "  generate | orchestrator workflow validate - --lenient -o json"
)
def validate(
    file: DocumentName,
    /,
    *,
    lenient: LenientOption = False,
    by_id: ByIdOption = False,
    session: WithSession,
) -> None:
    """Judge a document without storing it; the exit code is 6 if it breaks rules."""
    document = read_workflow(file)
    with session.connect() as server:
        reply = server.post(
            *("workflows", "validate"),
            params=Judgement(lenient=lenient, by_id=by_id).params,
            workflow=msgspec.Raw(document.content),
        )
    show_record(session, reply, _JUDGED_MEMBERS)
    violations = msgspec.json.decode(reply.body, type=_Judged).violations
    if violations:
        raise InvalidContent(f"{file} breaks rules.", violation_lines("", violations))


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow get billing\n"
    "  orchestrator workflow get billing@3 -o yaml\n"
    "  orchestrator workflow get 6c21e0a9\n"
    "  orchestrator workflow get billing --at 2026-01-31T12:00:00Z\n"
    "  orchestrator workflow get billing --document | b3sum"
)
def get(
    reference: ReferenceName,
    /,
    *,
    version: VersionOption = None,
    at: AtOption = None,
    document: Annotated[
        bool,
        Parameter(group=_PARTS, negative="", help="Only the document, in the form that is hashed."),
    ] = False,
    components: Annotated[
        bool, Parameter(group=_PARTS, negative="", help="The base and the patches on it.")
    ] = False,
    session: WithSession,
) -> None:
    """Look a version of a workflow up."""
    if components:
        _show_components(session, reference, version, at)
        return
    with session.connect() as server:
        found = find_version(server, reference, version, at)
    if document:
        write_exactly(found.content)
    elif session.wants_data:
        show_data(session, found.body)
    else:
        show_members(session, found.members, MEMBERS)
        if not session.quiet:
            print()
            write_document(found.content)


@app.command(
    name="list",
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow list\n"
    "  orchestrator workflow list --prefix team/ --at -7d\n"
    "  orchestrator workflow list -q",
)
def list_workflows(*, only: TagFilters = ALL_TAGS, session: WithSession) -> None:
    """List the workflows of the namespace by tag, as they are or as they were."""
    with session.connect() as server:
        page = server.list_all("workflows", **only.params)
    show_list(session, page, _LIST_COLUMNS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow delete billing -m 'Replaced by invoices'\n"
    "  orchestrator workflow delete billing --expect 7 --yes"
)
def delete(
    tag: TagName,
    /,
    *,
    message: MessageOption = None,
    expect: ExpectOption = None,
    yes: YesOption = False,
    session: WithSession,
) -> None:
    """Delete the tag of a workflow; its history and every version that it named stay.

    At a terminal you are asked before, unless --yes says that you are sure.
    """
    delete_tag(session, "workflows", tag, message, expect, is_sure=yes)


def _show_components(session: Session, reference: str, version: int | None, at: str | None) -> None:
    tag, named = tag_and_version(reference, version, at)
    with session.connect() as server:
        reply = server.get("workflows", tag, version=named, at=at, materialize="false")
    show_record(session, reply, MEMBERS)
    if session.wants_data or session.quiet:
        return
    parts = msgspec.json.decode(reply.body, type=_Components)
    print("\nbase")
    show_members(session, msgspec.structs.asdict(parts.base), ("artifact_id", "version_hash"))
    write_document(bytes(parts.base.workflow))
    for patch in parts.patches:
        print("\npatch")
        members = {name: msgspec.json.decode(value) for name, value in patch.items()}
        show_members(session, members, _PATCH_MEMBERS)
        write_document(bytes(patch["operations"]))

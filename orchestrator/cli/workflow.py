"""`orchestrator workflow …`: documents by tag; the server checks their rules."""

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Group, Parameter, validators

from orchestrator.cli import version, version_history, version_lineage, workflow_import
from orchestrator.cli.documents import parse_json, read_bytes
from orchestrator.cli.failure import InvalidDocument, violation_lines
from orchestrator.cli.options import (
    AtOption,
    DryRunOption,
    ExpectedVersionOption,
    FileName,
    KindOption,
    LenientOption,
    LimitOption,
    MessageOption,
    MovedByOption,
    PrefixOption,
    SinceOption,
    TagName,
    UntilOption,
    VersionOption,
    WithSession,
    manner,
)
from orchestrator.cli.output import write_document, write_exactly, write_record
from orchestrator.cli.showing import show_list, show_record, workflow_in
from orchestrator.cli.tag import MEMBERS as TAG_MEMBERS
from orchestrator.errors import Violation

app = App(name="workflow", help="Workflows by tag: create, look up, patch, compare, merge.")
for _part in (version.app, version_history.app, version_lineage.app):
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
_JUDGED = ("version_hash", "size_bytes", "nodes_count", "edges_count")
_LIST_COLUMNS = (
    "tag",
    "tag_version",
    "nodes_count",
    "edges_count",
    "version_hash",
    "moved_at",
)
_PATCH_COLUMNS = ("seq", "op_count", "version_hash", "artifact_id", "created_by", "created_at")
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
    "  orchestrator workflow create release/v1.0 billing.json --message 'First'\n"
    "  generate | orchestrator workflow create billing - --expected-version 3\n"
    "  orchestrator workflow create billing billing.json --dry-run"
)
def create(
    tag: TagName,
    file: FileName,
    /,
    *,
    message: MessageOption = None,
    expected_version: ExpectedVersionOption = None,
    dry_run: DryRunOption = False,
    lenient: LenientOption = False,
    session: WithSession,
) -> None:
    """Store a version of a workflow and let the tag name it."""
    content = read_bytes(file)
    parse_json(file, content)  # The server reads it again; only here is the file's name known.
    with session.connect() as server:
        reply = server.post(
            "workflows",
            params=manner(dry_run=dry_run, lenient=lenient),
            tag=tag,
            workflow=msgspec.Raw(content),
            message=message,
            expected_version=expected_version,
        )
    show_record(session, reply, MEMBERS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow validate billing.json\n"
    "  generate | orchestrator workflow validate - --lenient --output json"
)
def validate(file: FileName, /, *, lenient: LenientOption = False, session: WithSession) -> None:
    """Judge a document without storing it; the exit code is 6 if it breaks rules."""
    content = read_bytes(file)
    parse_json(file, content)
    with session.connect() as server:
        reply = server.post(
            "workflows",
            "validate",
            params=manner(lenient=lenient),
            workflow=msgspec.Raw(content),
        )
    show_record(session, reply, _JUDGED)
    violations = msgspec.json.decode(reply.body, type=_Judged).violations
    if violations:
        raise InvalidDocument(f"{file} breaks rules.", violation_lines("", violations))


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow get billing\n"
    "  orchestrator workflow get billing --at 2026-01-31T12:00:00Z\n"
    "  orchestrator workflow get billing --document | b3sum"
)
def get(
    tag: TagName,
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
    """Look a workflow up by its tag."""
    materialize = "false" if components else None
    with session.connect() as server:
        reply = server.get("workflows", tag, version=version, at=at, materialize=materialize)
    if document:
        write_exactly(workflow_in(reply))
        return
    show_record(session, reply, MEMBERS)
    if session.is_json:
        return
    if components:
        _write_components(msgspec.json.decode(reply.body, type=_Components))
    else:
        print()
        write_document(workflow_in(reply))


@app.command(
    name="list",
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow list\n"
    "  orchestrator workflow list --prefix team/ --at -7d\n"
    "  orchestrator workflow list --output json | jq -r '.items[].tag'",
)
def list_workflows(
    *,
    prefix: PrefixOption = None,
    moved_by: MovedByOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    kind: KindOption = None,
    at: AtOption = None,
    limit: LimitOption = None,
    session: WithSession,
) -> None:
    """List the workflows of the namespace by tag, as they are or as they were."""
    with session.connect() as server:
        page = server.list_all(
            "workflows",
            prefix=prefix,
            moved_by=moved_by,
            since=since,
            until=until,
            kind=kind,
            at=at,
            limit=limit,
        )
    show_list(session, page, _LIST_COLUMNS)


@app.command(help_epilogue="Examples:\n\n  orchestrator workflow delete billing")
def delete(tag: TagName, /, *, session: WithSession) -> None:
    """Delete the tag; its history and every version that it named stay."""
    with session.connect() as server:
        show_record(session, server.delete("workflows", tag), TAG_MEMBERS)


@app.command(
    name="import",
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow import runs/*.json --prefix wfcommons/\n"
    "  orchestrator workflow import montage.json --tag montage",
)
def import_(
    file: FileName,
    /,
    *files: Annotated[Path, Parameter(help="More files.")],
    prefix: Annotated[str, Parameter(help="Before each tag, such as team/.")] = "",
    tag: Annotated[str | None, Parameter(help="The tag of the one file.")] = None,
    message: MessageOption = None,
    session: WithSession,
) -> None:
    """Create a version of each file, WfFormat (wfcommons.org) or workflow.

    The tag is the name of the file without its ending. A file that cannot be imported does not
    keep the others from being.
    """
    plan = workflow_import.plan([file, *files], prefix=prefix, tag=tag)
    workflow_import.run(session, plan, message)


def _write_components(parts: _Components) -> None:
    print("\nbase")
    write_record(msgspec.structs.asdict(parts.base), ("artifact_id", "version_hash"))
    write_document(bytes(parts.base.workflow))
    for patch in parts.patches:
        print("\npatch")
        members = {name: msgspec.json.decode(value) for name, value in patch.items()}
        write_record(members, _PATCH_COLUMNS)
        write_document(bytes(patch["operations"]))

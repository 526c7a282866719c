"""`orchestrator artifact …`: artifacts of any kind and their files; the server checks the rules."""

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
from cyclopts import App, Parameter

from orchestrator.cli import version_history, version_lineage
from orchestrator.cli.artifact_members import members_in, meta_in, parent_in
from orchestrator.cli.completers import complete_tag
from orchestrator.cli.exchange import Reply
from orchestrator.cli.expectation import creating
from orchestrator.cli.failure import CommandFailed, WrongUsage
from orchestrator.cli.options import (
    DocumentName,
    ExpectOption,
    LimitOption,
    MessageOption,
    ReferenceName,
    SinceOption,
    UntilOption,
    WithSession,
)
from orchestrator.cli.output import write_document
from orchestrator.cli.reference import artifact_named, parent_reference
from orchestrator.cli.session import Session
from orchestrator.cli.showing import ACTIONS, show_data, show_list, show_members, show_rows

app = App(
    name="artifact",
    help="Artifacts of any kind: push and pull files, list, annotate.",
    help_epilogue="Examples:\n\n"
    "  orchestrator artifact push model.bin --kind model --tag churn/v1\n"
    "  orchestrator artifact pull churn/v1 -o models/churn\n"
    "  orchestrator artifact list --kind model",
)
app.command(
    version_lineage.lineage,
    help_epilogue="Examples:\n\n"
    "  orchestrator artifact lineage model/v1\n"
    "  orchestrator artifact lineage orders@3 --direction down",
)
app.command(
    version_history.diff,
    help_epilogue="Examples:\n\n"
    "  orchestrator artifact diff model/v1\n"
    "  orchestrator artifact diff model/v1@1 model/v2",
)

_MEMBERS = (
    "action",
    "namespace",
    "kind",
    "name",
    "artifact_id",
    "cas_id",
    "tag",
    "created_by",
    "created_at",
    "retained",
    "expires_at",
)
_COLUMNS = ("kind", "name", "version_hash", "artifact_id", "created_by", "created_at")
_FILE_COLUMNS = ("name", "size_bytes", "media_type", "cas_id")
_PARENT_COLUMNS = ("relation", "artifact_id", "added_by", "added_at")
_ANNOTATION_COLUMNS = ("created_at", "created_by", "artifact_id", "meta")
_PULLED_COLUMNS = ("name", "action", "size_bytes", "cas_id")

Meta: TypeAlias = Annotated[
    list[str] | None,
    Parameter(
        name="--meta",
        negative="",
        help="KEY=VALUE. The value is text, except for true, false, null, and numbers as JSON "
        "writes them: 5 and 0.93 are numbers, 1.10 and 007 are text. It may be given again.",
    ),
]
MetaFile: TypeAlias = Annotated[
    DocumentName | None,
    Parameter(name="--meta-file", help="An object with more, in JSON or YAML, or - for stdin."),
]


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator artifact push model.bin --kind model --tag churn/v1\n"
    "  orchestrator artifact push weights/ README.md --kind model --tag churn/v2 \\\n"
    "    --meta accuracy=0.93 --meta framework=torch --parent trained_on=orders@3\n"
    "  orchestrator artifact push scan.json --kind acme/scan --parent model/v1"
)
def push(
    file: Annotated[Path, Parameter(help="A file, or a folder with all that is in it.")],
    /,
    *files: Annotated[Path, Parameter(help="More files and folders.")],
    kind: Annotated[str, Parameter(help="What it is, such as model, dataset or acme/scan.")],
    name: Annotated[str | None, Parameter(help="A name to find it by.")] = None,
    meta: Meta = None,
    meta_file: MetaFile = None,
    parent: Annotated[
        list[str] | None,
        Parameter(
            name="--parent",
            negative="",
            help="What it comes from: REF or RELATION=REF, where REF is a tag, tag@3, an artifact "
            "id, or a hash. Without RELATION it is derived_from. It may be given again.",
        ),
    ] = None,
    media_type: Annotated[
        str | None, Parameter(help="What the bytes are. Else each name says it by its ending.")
    ] = None,
    tag: Annotated[
        str | None, Parameter(help="The tag that is to name it.", completer=complete_tag)
    ] = None,
    message: MessageOption = None,
    expect: ExpectOption = None,
    retain: Annotated[
        bool | None, Parameter(help="Let garbage collection leave it, whatever names it.")
    ] = None,
    session: WithSession,
) -> None:
    """Store files as one artifact; only what the server does not have is sent.

    A file has its own name in it, a file of a folder its path below the folder.
    Symbolic links in a folder are refused.
    """
    from orchestrator.cli import artifact_push

    if tag is None and not (message is None and expect is None):
        raise WrongUsage("A message or an expectation is for a tag: give --tag.")
    members: dict[str, Any] = {
        "kind": kind,
        "name": name,
        "meta": meta_in(meta or (), meta_file),
        "parents": [parent_in(each) for each in parent or ()],
        "tag": tag,
        "message": message,
        "retain": retain,
    }
    found = artifact_push.find_files([file, *files])
    hashed = artifact_push.hash_files(found, media_type, quiet=session.quiet)
    with session.connect() as server:
        if tag is not None:
            members |= creating(server, tag, expect)
        artifact_push.send_missing(server, hashed, quiet=session.quiet)
        reply = server.post("artifacts", **members, blobs=[each.member for each in hashed])
    _show_artifact(session, reply)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator artifact pull churn/v1\n"
    "  orchestrator artifact pull churn/v1@2 -o models/churn"
)
def pull(
    artifact: ReferenceName,
    /,
    *,
    folder: Annotated[
        Path, Parameter(name=["--folder", "-o"], help="Write there; it is made if need be.")
    ] = Path(),
    force: Annotated[
        bool, Parameter(negative="", help="Replace files that are there and differ.")
    ] = False,
    session: WithSession,
) -> None:
    """Write the files of an artifact into a folder.

    Each is checked against its hash. Those that are there already are left.
    After a failure, the same command goes on where this one stopped.
    """
    from orchestrator.cli import artifact_pull

    with session.connect() as server:
        found = artifact_named(server, artifact)
        files = artifact_pull.files_of(server, artifact, found)
        outcomes = artifact_pull.write_files(
            server, files, folder, force=force, quiet=session.quiet
        )
    rows = [
        {
            "name": artifact_pull.name_of(file),
            "action": "failed" if isinstance(outcome, CommandFailed) else outcome,
            "size_bytes": file.size_bytes,
            "cas_id": file.cas_id,
        }
        for file, outcome in zip(files, outcomes, strict=True)
    ]
    if session.wants_data:
        answer = {"artifact_id": found["artifact_id"], "files": rows}
        show_data(session, msgspec.json.encode(answer))
    else:
        show_rows(session, _PULLED_COLUMNS, rows, {"name": "file"})
    failures = [
        f"{row['name']}: {outcome.detail}"
        for row, outcome in zip(rows, outcomes, strict=True)
        if isinstance(outcome, CommandFailed)
    ]
    if failures:
        raise CommandFailed(f"{len(failures)} of {len(files)} files were not written.", failures)


@app.command(
    name="list",
    help_epilogue="Examples:\n\n"
    "  orchestrator artifact list --kind model --meta stage=prod\n"
    "  orchestrator artifact list --prefix churn/ --since 2026-01-31T00:00:00Z",
)
def list_artifacts(
    *,
    kind: Annotated[str | None, Parameter(help="Only those of this kind.")] = None,
    name: Annotated[str | None, Parameter(help="Only those with this name.")] = None,
    prefix: Annotated[
        str | None, Parameter(help="Only those whose name begins so, by name.")
    ] = None,
    created_by: Annotated[str | None, Parameter(help="Only what this principal made.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    meta: Annotated[
        list[str] | None,
        Parameter(
            name="--meta",
            negative="",
            help="KEY=VALUE: only those whose meta has it, as text or as JSON spells it. It may "
            "be given again.",
        ),
    ] = None,
    limit: LimitOption = None,
    session: WithSession,
) -> None:
    """List the artifacts of the namespace, newest first."""
    filters = {f"meta.{key}": value for key, value in members_in(meta or ()).items()}
    with session.connect() as server:
        page = server.list_all(
            "artifacts",
            limit=limit,
            kind=kind,
            name=name,
            prefix=prefix,
            created_by=created_by,
            since=since,
            until=until,
            **filters,
        )
    show_list(session, page, _COLUMNS)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator artifact show churn/v1\n"
    "  orchestrator artifact show blake3:6c21… --output json"
)
def show(artifact: ReferenceName, /, *, session: WithSession) -> None:
    """Show an artifact: its meta, its files, what it comes from, and when it may be deleted."""
    with session.connect() as server:
        reply = server.get("artifacts", artifact)
    _show_artifact(session, reply)


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator artifact annotate churn/v1 --meta verdict=passed -m 'Looks good'"
)
def annotate(
    artifact: ReferenceName,
    /,
    *,
    meta: Meta = None,
    meta_file: MetaFile = None,
    message: Annotated[
        str | None,
        Parameter(name=["--message", "-m"], help="A text: the member `message` of meta."),
    ] = None,
    session: WithSession,
) -> None:
    """Say something about an artifact, which itself never changes.

    An annotation lives as long as what it is about.
    """
    said = meta_in(meta or (), meta_file)
    if message is not None:
        if "message" in said:
            raise WrongUsage("The message is in meta, too.")
        said["message"] = message
    if not said:
        raise WrongUsage("Say something: --message TEXT or --meta KEY=VALUE.")
    about = {**parent_reference(artifact), "relation": "about"}
    with session.connect() as server:
        reply = server.post("artifacts", kind="annotation", meta=said, parents=[about])
    _show_artifact(session, reply)


@app.command(help_epilogue="Examples:\n\n  orchestrator artifact annotations churn/v1 --limit 10")
def annotations(
    artifact: ReferenceName, /, *, limit: LimitOption = None, session: WithSession
) -> None:
    """List what was said about an artifact, newest first."""
    with session.connect() as server:
        page = server.list_all("artifacts", artifact, "annotations", limit=limit)
    if session.wants_data:
        show_list(session, page, _ANNOTATION_COLUMNS)
        return
    said = [msgspec.json.decode(item) for item in page.items]
    rows = [{**each, "meta": msgspec.json.encode(each["meta"]).decode()} for each in said]
    show_rows(session, _ANNOTATION_COLUMNS, rows, named=lambda row: row["artifact_id"])


def _show_artifact(session: Session, reply: Reply) -> None:
    if session.wants_data:
        show_data(session, reply.body)
        return
    found = reply.json()
    if "action" in found:
        found["action"] = ACTIONS[found["action"]]
    if tag := found.get("tag"):
        found["tag"] = f"{tag['name']}@{tag['version']}"
    show_members(session, found, _MEMBERS)
    if session.quiet:
        return
    if found["meta"]:
        print()
        write_document(msgspec.json.encode(found["meta"]))
    for columns, rows in ((_FILE_COLUMNS, found["blobs"]), (_PARENT_COLUMNS, found["parents"])):
        if rows:
            print()
            used = [column for column in columns if any(column in row for row in rows)]
            show_rows(session, used, rows)

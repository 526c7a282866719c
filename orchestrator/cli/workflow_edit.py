"""`orchestrator workflow edit`: a version in your editor, and the difference as a patch.

Whatever fails, what was written in the editor is kept, and the failure says where.
"""

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from orchestrator.cli.documents import Document, parse_document, read_bytes
from orchestrator.cli.expectation import Expectation, version_expected
from orchestrator.cli.failure import CommandFailed, ExitCode, WrongUsage
from orchestrator.cli.options import (
    DocumentFormat,
    ExpectOption,
    MessageOption,
    TagName,
    WithSession,
)
from orchestrator.cli.output import write_to_stderr
from orchestrator.cli.session import Session
from orchestrator.cli.showing import show_record
from orchestrator.cli.version import CHANGED_MEMBERS, JSON_PATCH
from orchestrator.cli.version_read import FoundVersion, find_version
from orchestrator.cli.version_text import write_changes

app = App()


@app.command(
    help_epilogue="Examples:\n\n"
    "  orchestrator workflow edit billing -m 'Wait longer'\n"
    "  EDITOR='code --wait' orchestrator workflow edit billing --format yaml\n"
    "  orchestrator workflow edit billing --expect 7"
)
def edit(
    tag: TagName,
    /,
    *,
    message: MessageOption = None,
    expect: ExpectOption = None,
    format: Annotated[  # noqa: A002 - its name on the command line.
        DocumentFormat, Parameter(help="How the editor shows it.")
    ] = "json",
    session: WithSession,
) -> None:
    """Change what a tag names in your editor: $VISUAL, $EDITOR, or vi.

    What you changed is shown, and sent as a patch of the version that you saw: if the tag moves
    meanwhile, the patch is refused, and what you wrote is kept in a file.
    """
    found = _found(session, tag, expect)
    file = _written(tag, found, format)
    try:
        _run_editor(file)
        edited = parse_document(file, read_bytes(file))
        if edited.value != msgspec.json.decode(found.content):
            _send(session, tag, found, edited, file, message)
        else:
            write_to_stderr("Nothing was changed.\n")
    except CommandFailed as failure:
        kept = f"What you wrote is kept in {file}"
        raise failure.with_lines([kept, *failure.lines]) from failure
    shutil.rmtree(file.parent)


def _found(session: Session, tag: str, expect: Expectation | None) -> FoundVersion:
    with session.connect() as server:
        version = version_expected(server, tag, expect)
        found = find_version(server, tag)
    current = found.members["tag_version"]
    if version not in {None, current}:
        raise CommandFailed(
            f"The tag {tag!r} is not at the expected version {version}.",
            [f"It is at version {current} now."],
            exit_code=ExitCode.CONFLICT,
        )
    return found


def _written(tag: str, found: FoundVersion, format_: DocumentFormat) -> Path:
    """A file that only we can read, and whose name tells the editor and the person what it is."""
    from orchestrator.cli.workflow_export import formatted

    folder = tempfile.mkdtemp(prefix="orchestrator-")
    file = Path(folder) / f"{tag.replace('/', '-')}.{format_}"
    file.write_bytes(formatted(found.content, format_))
    return file


def _run_editor(file: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        command = [*shlex.split(editor), str(file)]
        code = subprocess.run(command, check=False).returncode
    except (OSError, ValueError) as error:
        raise WrongUsage(
            f"The editor {editor!r} cannot be started: {error}.",
            ["Name another one in VISUAL or EDITOR."],
        ) from error
    if code:
        raise CommandFailed(f"The editor {editor!r} ended with {code}, so nothing was sent.")


def _send(
    session: Session,
    tag: str,
    found: FoundVersion,
    edited: Document,
    file: Path,
    message: str | None,
) -> None:
    from orchestrator.documents.patch_difference import patch_between

    before = msgspec.json.decode(found.content)
    patch = msgspec.json.encode(patch_between(before, edited.value))
    version = found.members["tag_version"]
    with session.connect() as server:
        try:
            reply = server.patch(
                *("workflows", tag),
                content=(patch, JSON_PATCH),
                message=message,
                expected_version=version,
            )
        except CommandFailed as failure:
            if failure.exit_code is not ExitCode.CONFLICT:
                raise
            change = file.with_suffix(".patch.json")
            change.write_bytes(patch)
            raise failure.with_lines([*failure.lines, *_ways_on(tag, version, change)]) from failure
    if not session.wants_data and not session.quiet:
        write_changes(before, edited.value)
    show_record(session, reply, CHANGED_MEMBERS)


def _ways_on(tag: str, version: int, change: Path) -> list[str]:
    merging = f"{tag} {change} --expect {version} --on-conflict merge"
    return [
        f"See what it became: orchestrator workflow diff {tag}@{version} {tag}",
        f"Merge your change: orchestrator workflow patch {merging}",
    ]

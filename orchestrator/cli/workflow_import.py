"""Creates workflows from many files, one by one; `wfformat` translates WfFormat."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.documents import STDIN, naming, parse_json, read_bytes
from orchestrator.cli.exchange import Reply
from orchestrator.cli.failure import CommandFailed, ServerUnusable, WrongUsage
from orchestrator.cli.output import console, printable, write_bytes, write_error, write_json
from orchestrator.cli.session import Session
from orchestrator.cli.showing import ACTIONS
from orchestrator.documents.canonical import canonicalise

#: A bar is shown from so many files on.
PROGRESS_FILES_MIN = 2


def plan(files: Sequence[Path], *, prefix: str, tag: str | None) -> dict[str, Path]:
    """Which file goes under which tag. Two files for one tag are refused: the last would win."""
    if tag is not None:
        if len(files) > 1:
            raise WrongUsage("--tag is for one file; give --prefix for several.")
        return {prefix + tag: files[0]}
    planned: dict[str, Path] = {}
    for file in files:
        if file == STDIN:
            raise WrongUsage("Standard input has no name: give --tag.")
        name = prefix + file.stem
        if name in planned:
            raise WrongUsage(f"{planned[name]} and {file} would both become {name!r}.")
        planned[name] = file
    return planned


def run(session: Session, planned: Mapping[str, Path], message: str | None) -> None:
    """Import the files one by one and report each; fails in the end if one failed."""
    failed: list[Path] = []
    width = max(map(len, planned))
    with session.connect() as server, _progress(len(planned)) as advance:
        for tag, file in planned.items():
            try:
                reply = _import(server, tag, file, message)
            except ServerUnusable:
                raise
            except CommandFailed as error:
                failed.append(file)
                named = str(file) in error.detail
                write_error(error.detail if named else f"{file}: {error.detail}", error.lines)
            else:
                _report(session, reply, width)
            advance()
    if failed:
        names = ", ".join(map(str, failed))
        raise CommandFailed(f"{len(failed)} of {len(planned)} files were not imported: {names}")


def _import(server: ServerConnection, tag: str, file: Path, message: str | None) -> Reply:
    workflow = msgspec.Raw(_workflow_in(file))
    return server.post("workflows", tag=tag, workflow=workflow, message=message)


def _workflow_in(file: Path) -> bytes:
    """The workflow of a file; one that needs no translation is sent as it is."""
    from orchestrator.cli.wfformat import is_wfformat, workflow_from_wfformat

    content = read_bytes(file)
    document: Any = parse_json(file, content)
    if not is_wfformat(document):
        return content
    with naming(file):
        return canonicalise(workflow_from_wfformat(document))


def _report(session: Session, reply: Reply, width: int) -> None:
    if session.is_json:
        write_json(reply.body)
        return
    made = reply.json()
    line = (
        f"{made['tag']:<{width}}  {ACTIONS[made['action']]:<9}  {made['nodes_count']:>6} nodes  "
        f"{made['edges_count']:>6} edges  {made['version_hash']}\n"
    )
    write_bytes(printable(line[:-1]).encode() + b"\n")


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A bar on a terminal, unless the lines go there too and show enough."""
    if total < PROGRESS_FILES_MIN or not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda: None
        return
    from rich.progress import Progress

    with Progress(console=console(sys.stderr), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("Importing", total=total)
        yield lambda: progress.advance(task)

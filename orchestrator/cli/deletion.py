"""Deletes a tag, after the person at the terminal said that it is meant; programs are not asked."""

import sys

from orchestrator.cli.expectation import Expectation, version_expected
from orchestrator.cli.failure import CommandFailed
from orchestrator.cli.output import printable, write_to_stderr
from orchestrator.cli.session import Session
from orchestrator.cli.showing import TAG_MEMBERS, show_record


def delete_tag(
    session: Session,
    resource: str,
    tag: str,
    message: str | None,
    expect: Expectation | None,
    *,
    is_sure: bool,
) -> None:
    """Delete it as a tag, or as the workflow that it must name."""
    with session.connect() as server:
        version = version_expected(server, tag, expect)
        _confirm(f"Delete {tag!r}?", is_sure=is_sure)
        reply = server.delete(resource, tag, message=message, expected_version=version)
    show_record(session, reply, TAG_MEMBERS)


def _confirm(question: str, *, is_sure: bool) -> None:
    if is_sure or not sys.stdin.isatty():
        return
    write_to_stderr(f"{printable(question)} Undo can restore it. [y/N] ")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandFailed("Nothing was deleted.")

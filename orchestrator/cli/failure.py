"""What a person reads when a command fails; it prints nothing itself."""

from collections.abc import Iterable

from orchestrator.errors import Violation


class CommandFailed(Exception):
    """The command could not do it: one line after `error:`, and the lines below that one."""

    exit_code = 1

    def __init__(self, detail: str, lines: Iterable[str] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.lines = tuple(lines)


class WrongUsage(CommandFailed):
    """The command was called with wrong arguments."""

    exit_code = 2


class InvalidDocument(CommandFailed):
    """The document that was to be judged breaks rules."""

    exit_code = 6


class ServerUnusable(CommandFailed):
    """Every further request would fail too: no server answers, or it refuses the token."""


def violation_lines(detail: str, violations: Iterable[Violation]) -> list[str]:
    """Each broken rule with the place where it is broken, unless the detail says just that."""
    return [
        f"{each.pointer}: {each.message}" if each.pointer else each.message
        for each in violations
        if each.pointer or each.message != detail
    ]

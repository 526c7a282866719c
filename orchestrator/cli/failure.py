"""Why a command failed: what a person reads, and the number that a script gets; prints nothing."""

from collections.abc import Iterable
from enum import IntEnum

from orchestrator.errors import Violation


class ExitCode(IntEnum):
    """How a command ended. Numbers never change their meaning; the page of the command line lists
    them.
    """

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    NOT_ALLOWED = 5
    INVALID = 6
    UNREACHABLE = 7
    INTERRUPTED = 130


#: What a refusal of the server means to a script. Any other status is just a failure.
EXIT_CODES = {
    400: ExitCode.INVALID,
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.CONFLICT,
    410: ExitCode.NOT_FOUND,
    412: ExitCode.CONFLICT,
    413: ExitCode.INVALID,
    415: ExitCode.INVALID,
    416: ExitCode.INVALID,
    422: ExitCode.INVALID,
    428: ExitCode.CONFLICT,
    # It was reached, or something in front of it, and cannot serve now: the same later may do.
    429: ExitCode.UNREACHABLE,
    502: ExitCode.UNREACHABLE,
    503: ExitCode.UNREACHABLE,
    504: ExitCode.UNREACHABLE,
}


class CommandFailed(Exception):
    """The command could not do it: one line after `error:`, and the lines below that one."""

    exit_code = ExitCode.FAILED

    def __init__(
        self,
        detail: str,
        lines: Iterable[str] = (),
        *,
        exit_code: ExitCode | None = None,
        problem: bytes | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.lines = tuple(lines)
        if exit_code is not None:
            self.exit_code = exit_code
        #: The problem document of the server that refused, if one did.
        self.problem = problem

    def with_lines(self, lines: Iterable[str]) -> "CommandFailed":
        """The same failure, with other lines below it."""
        return self._like(self.detail, lines)

    def with_detail(self, detail: str) -> "CommandFailed":
        """The same failure, in other words."""
        return self._like(detail, self.lines)

    def _like(self, detail: str, lines: Iterable[str]) -> "CommandFailed":
        return CommandFailed(detail, lines, exit_code=self.exit_code, problem=self.problem)


class WrongUsage(CommandFailed):
    """The command was called with wrong arguments."""

    exit_code = ExitCode.WRONG_USAGE


class NotFound(CommandFailed):
    """What was named is not there."""

    exit_code = ExitCode.NOT_FOUND


class InvalidContent(CommandFailed):
    """What was given is not what it should be: a file, a name, a document."""

    exit_code = ExitCode.INVALID


class ServerUnusable(CommandFailed):
    """Every further request would fail too: no server answers, or it refuses the token."""

    exit_code = ExitCode.UNREACHABLE


def violation_lines(detail: str, violations: Iterable[Violation]) -> list[str]:
    """Each broken rule with the place where it is broken, unless the detail says just that."""
    return [
        f"{each.pointer}: {each.message}" if each.pointer else each.message
        for each in violations
        if each.pointer or each.message != detail
    ]

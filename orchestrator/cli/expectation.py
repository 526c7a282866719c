"""What a change demands of a tag before it is made: `--expect`, the same for every command."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.cli.connection import ServerConnection
from orchestrator.cli.failure import CommandFailed, ExitCode, WrongUsage

ABSENT = "absent"
HASH_DIGITS_MIN, HASH_DIGITS = 8, 64
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """The version that the tag is at, the hash that it names, or that there is no such tag."""

    version: int | None = None
    #: Hexadecimal digits, all of them or the first ones.
    digits: str | None = None
    is_absent: bool = False

    @property
    def is_whole_hash(self) -> bool:
        """Whether it is a hash that can be sent."""
        return self.digits is not None and len(self.digits) == HASH_DIGITS


def parse_expectation(text: str) -> Expectation:
    """Read a number, `absent`, or a hash; ValueError says what there is to choose from."""
    if text == ABSENT:
        return Expectation(is_absent=True)
    if text.isascii() and text.isdecimal() and 1 <= int(text[:20]) < 2**63:
        return Expectation(version=int(text))
    digits = text.removeprefix("blake3:")
    if HASH_DIGITS_MIN <= len(digits) <= HASH_DIGITS and _HEX.issuperset(digits):
        return Expectation(digits=digits)
    raise ValueError(
        f"{text!r} is none of: a version of the tag such as 3, a version hash or at least "
        f"{HASH_DIGITS_MIN} digits of it, {ABSENT}"
    )


def version_expected(
    server: ServerConnection, tag: str, expectation: Expectation | None
) -> int | None:
    """The version at which the tag must be for a change of what is there.

    A hash is compared with what the tag names now. If it moves after that, the server refuses.
    """
    if expectation is None:
        return None
    if expectation.is_absent:
        raise WrongUsage(f"This changes a tag that there is, so it cannot be {ABSENT}.")
    if expectation.digits is None:
        return expectation.version
    found = server.get("tags", tag).json()
    named = str(found["version_hash"])
    if not named.removeprefix("blake3:").startswith(expectation.digits):
        raise CommandFailed(
            f"The tag {tag!r} does not name the expected {expectation.digits}.",
            [f"It names {named} now, at version {found['version']}."],
            exit_code=ExitCode.CONFLICT,
        )
    version: int = found["version"]
    return version


def creating(server: ServerConnection, tag: str, expectation: Expectation | None) -> dict[str, Any]:
    """What a request says of the tag that it may also create."""
    if expectation is not None and expectation.is_absent:
        return {"is_absent": True}
    return {"expected_version": version_expected(server, tag, expectation)}


def versions_expected(pairs: Sequence[str] | None) -> dict[str, int]:
    """TAG=VERSION of several tags, each once."""
    versions: dict[str, int] = {}
    for pair in pairs or ():
        tag, equals, text = pair.partition("=")
        expectation = parse_expectation(text) if equals and text.isdecimal() else None
        if expectation is None or expectation.version is None:
            raise WrongUsage(f"{pair!r} expects nothing: write TAG=VERSION.")
        if tag in versions:
            raise WrongUsage(f"The tag {tag!r} is expected twice.")
        versions[tag] = expectation.version
    return versions

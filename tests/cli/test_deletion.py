"""A person at a terminal is asked before a tag goes; a program is not."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli.main import main
from tests.api import chain
from tests.cli.conftest import Run


class Typed(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "options", "is_deleted"),
    [("y\n", (), True), ("n\n", (), False), ("", (), False), ("", ("--yes",), True)],
)
@pytest.mark.parametrize("part", ["tag", "workflow"])
def test_a_person_is_asked(
    cli: Run,
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    part: str,
    typed: str,
    options: tuple[str, ...],
    is_deleted: bool,
) -> None:
    cli("workflow", "create", "w", write("w.json", chain("a")))
    monkeypatch.setattr(sys, "stdin", Typed(typed))
    assert main([part, "delete", "w", *options]) == (0 if is_deleted else 1)
    assert ("Delete 'w'?" in capfdbinary.readouterr().err.decode()) == (not options)
    assert cli("tag", "show", "w").code == (3 if is_deleted else 0)

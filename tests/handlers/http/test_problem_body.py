"""Every member that a problem can have is described."""

import ast
import inspect
import textwrap

import msgspec
import pytest

from orchestrator.errors import Current, DomainError
from orchestrator.handlers.http.problem_body import ProblemBody
from tests.handlers.http.test_problem import NOT_OVER_HTTP, subclasses

DESCRIBED = {field.name for field in msgspec.structs.fields(ProblemBody)}


def attributes(error: type[DomainError]) -> set[str]:
    """What the constructor stores: it becomes members of the document."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(error)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


ERRORS = [each for each in subclasses(DomainError) if each.__name__ not in NOT_OVER_HTTP]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_what_an_error_stores_is_described(error: type[DomainError]) -> None:
    # The facts of what is there instead are members of their own.
    assert attributes(error) - {"current"} <= DESCRIBED


def test_what_is_there_instead_is_described() -> None:
    assert {f"current_{field.name}" for field in msgspec.structs.fields(Current)} <= DESCRIBED

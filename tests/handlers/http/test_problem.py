"""Every error of the domain has its place in the one table."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import orchestrator.app  # noqa: F401  All modules that could define an error are loaded.
from orchestrator import errors
from orchestrator.errors import DomainError
from orchestrator.handlers.http.edge import Edge
from orchestrator.handlers.http.problem import PROBLEMS, problem_answer
from orchestrator.service.tag import TagService
from tests.api import Api
from tests.conftest import TOKEN, logged


def subclasses(of: type[DomainError]) -> Iterator[type[DomainError]]:
    for each in of.__subclasses__():
        yield each
        yield from subclasses(each)


#: Told to the person at the console, before there is an HTTP server.
NOT_OVER_HTTP = {"DatabaseNewer"}


def test_every_domain_error_has_a_problem() -> None:
    known = {each for each in subclasses(DomainError) if each.__name__ not in NOT_OVER_HTTP}
    assert set(PROBLEMS) == known


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("tag", "x"), 404),
        (errors.AlreadyExists("tag", "x"), 409),
        (errors.VersionConflict("tag", "x", 1), 409),
        (errors.NothingToUndo("x", 1), 409),
        (errors.NothingToRedo("x", 1), 409),
        (errors.InvalidInput("bad"), 400),
        (errors.RuleBroken("bad", []), 422),
        (errors.CorruptBlob("x"), 500),
        (errors.StorageUnavailable(), 503),
        (errors.StorageFull(), 507),
        (errors.Unauthenticated("no"), 401),
        (errors.Forbidden("no"), 403),
        (errors.TooLarge("blob", 1), 413),
        (errors.UnsupportedMediaType("a", ["b"]), 415),
        (errors.PreconditionFailed("tag", "x", "If-Match"), 412),
        (errors.IdempotencyKeyReused("x"), 422),
        (errors.BodyTooSlow(1), 408),
        (errors.DigestMismatch("a", "b"), 400),
        (errors.RangeNotSatisfiable(1), 416),
        (
            errors.RateLimited(
                tier="writes", limit=1, window_seconds=60, count=2, retry_after_seconds=3
            ),
            429,
        ),
    ],
)
def test_each_error_has_the_status_that_was_decided(error: DomainError, status: int) -> None:
    answer = problem_answer(error, "/x")
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_what_an_error_keeps_is_in_the_problem() -> None:
    import msgspec  # noqa: PLC0415

    error = errors.VersionConflict("tag", "main", 1, current_version=2)
    body = msgspec.json.decode(problem_answer(error, "/x").body)
    assert body == {
        "type": "urn:orchestrator:problem:version-conflict",
        "title": "Version conflict",
        "status": 409,
        "detail": "The tag 'main' is not at the expected version 1.",
        "error": "version conflict",
        "instance": "/x",
        "kind": "tag",
        "key": "main",
        "expected_version": 1,
        "current_version": 2,
    }


async def test_an_unexpected_exception_is_500_without_internals(
    make_app: Callable[..., Edge],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("internal secret")

    monkeypatch.setattr(TagService, "list_by_name", broken)
    async with Api.on(make_app(), TOKEN) as api:
        response = await api.get("/tags")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.json()["error"] == "internal error"
    assert b"internal secret" in logged(capfdbinary)

"""Every error of the domain has its place in the one table."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

import orchestrator.app  # noqa: F401 - it loads all modules that could define an error.
from orchestrator import errors, errors_change, errors_request
from orchestrator.errors import DomainError
from orchestrator.handlers.http.edge import Edge
from orchestrator.handlers.http.problem import PROBLEMS, problem_answer
from orchestrator.service.tag_search import TagSearchService
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
        (errors_change.NothingToUndo("x", 1), 409),
        (errors_change.NothingToRedo("x", 1), 409),
        (errors.InvalidInput("bad"), 400),
        (errors.RuleBroken("bad", []), 422),
        (errors.CorruptBlob("x"), 500),
        (errors.StorageUnavailable(), 503),
        (errors.StorageFull(), 507),
        (errors_request.Unauthenticated("no"), 401),
        (errors_request.Forbidden("no"), 403),
        (errors.TooLarge("blob", 1), 413),
        (errors_request.UnsupportedMediaType("a", ["b"]), 415),
        (errors.PreconditionFailed("tag", "x", "If-Match"), 412),
        (errors_request.IdempotencyKeyReused("x"), 422),
        (errors_request.BodyTooSlow(1), 408),
        (errors.DigestMismatch("a", "b"), 400),
        (errors_request.RangeNotSatisfiable(1), 416),
        (
            errors_request.RateLimited(
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
    error = errors.VersionConflict("tag", "main", 1, errors.Current(2))
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


def test_an_attribute_of_an_error_cannot_take_the_place_of_what_every_problem_says() -> None:
    error = errors.NotFound("tag", "main")
    own = ("type", "title", "status", "detail", "error", "instance")
    vars(error).update(dict.fromkeys(own, "taken"))
    answer = problem_answer(error, "/here")
    assert answer.status == 404
    assert msgspec.json.decode(answer.body) == {
        "type": "urn:orchestrator:problem:not-found",
        "title": "Not found",
        "status": 404,
        "detail": "The tag 'main' does not exist.",
        "error": "tag not found",
        "instance": "/here",
        "kind": "tag",
        "key": "main",
    }


def test_what_is_there_instead_is_named_as_current() -> None:
    current = errors.Current(2, artifact_id="a")
    body = msgspec.json.decode(problem_answer(errors.AlreadyExists("tag", "x", current)).body)
    assert (body["current_version"], body["current_artifact_id"]) == (2, "a")
    assert "current_version_hash" not in body
    assert body["error"] == "tag already exists"
    body = msgspec.json.decode(problem_answer(errors.AlreadyExists("tag", "x")).body)
    assert not any(name.startswith("current") for name in body)


def test_the_refused_one_of_several_operations_is_named() -> None:
    error = errors.NotFound("tag", "x")
    assert "operation" not in msgspec.json.decode(problem_answer(error).body)
    error.operation = 3
    assert msgspec.json.decode(problem_answer(error).body)["operation"] == 3


async def test_an_unexpected_exception_is_500_without_internals(
    make_app: Callable[..., Edge],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("internal secret")

    monkeypatch.setattr(TagSearchService, "list_by_tag", broken)
    async with Api.on(make_app(), TOKEN) as api:
        response = await api.get("/tags")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.json()["error"] == "internal error"
    assert b"internal secret" in logged(capfdbinary)


def test_tags_that_moved_are_all_listed() -> None:
    """They are as many as the operations of one transaction at most."""
    moved = [errors_change.MovedTag("x" * 200, 1, 2, None) for _ in range(1_000)]
    error = errors_change.TagsMoved(moved)
    body = msgspec.json.decode(problem_answer(error).body)
    assert (body["tags_count"], len(body["tags"])) == (1_000, 1_000)
    assert len(body["detail"]) < 1_000

"""Any request, with the token and the namespace of the other commands."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api import chain
from tests.cli.conftest import Run


@pytest.fixture
def w(cli: Run, write: Callable[..., Path]) -> None:
    assert cli("workflow", "create", "team/w", write("w.json", chain("a"))).code == 0


def test_a_request_is_sent_as_it_is(cli: Run, w: None, namespace: str) -> None:
    for path in ("/tags?limit=1", "tags", "/api/v1/tags"):
        found = cli("api", "GET", path).json()
        assert [each["namespace"] for each in found["items"]] == [namespace]
    assert cli("api", "get", "/tags", "--param", "prefix=x").json()["items"] == []
    assert cli("api", "GET", "/tags?namespace=other").json()["items"] == []
    assert cli("api", "GET", "/health").json()["status"] == "ok"
    body = json.dumps({"message": "Back", "from": "team/w"})
    made = cli("api", "PUT", "/tags/prod%2Fw", "--data", body)
    assert made.json()["message"] == "Back"


def test_a_body_comes_from_a_file_with_its_media_type(cli: Run, w: None) -> None:
    patch = b'[{"op": "add", "path": "/metadata", "value": {}}]'
    header = ("--header", "Content-Type: application/json-patch+json")
    done = cli("api", "PATCH", "/workflows/team%2Fw", "--data-file", "-", *header, stdin=patch)
    assert done.json()["action"] == "move"


def test_the_head_of_the_answer_is_shown_on_request(cli: Run, w: None) -> None:
    lines = cli("api", "GET", "/tags/team%2Fw", "--include").out.splitlines()
    assert lines[0] == "HTTP/1.1 200"
    assert 'etag: "1"' in lines
    assert json.loads(lines[-1])["name"] == "team/w"
    assert cli("api", "HEAD", "/tags/team%2Fw").out == ""
    assert cli("api", "GET", "/metrics").out.startswith("# HELP")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("GET", "/tags/nobody"), 3),
        (("GET", "/nothing"), 3),
        (("POST", "/tags/team%2Fw/undo"), 4),
        (("POST", "/workflows", "--data", "{}"), 6),
        (("GET", "/tags", "--header", "If-Match: x"), 6),
        (("GET", "/tags", "--header", "x"), 2),
        (("FETCH", "/tags"), 2),
        (("POST", "/workflows", "--data", "{}", "--data-file", "-"), 2),
    ],
)
def test_a_refusal_has_the_exit_code_of_any_other(
    cli: Run, w: None, arguments: tuple[str, ...], code: int
) -> None:
    done = cli("api", *arguments)
    assert (done.code, done.out) == (code, ""), done.err


def test_who_calls_is_shown(cli: Run, namespace: str, data_dir: Path) -> None:
    shown = cli("whoami").out
    assert "principal   admin" in shown
    assert f"namespace   {namespace}" in shown
    assert "owner of *" in shown
    assert str(data_dir / "admin.token") in shown
    assert cli("whoami", "-q").out == "admin\n"
    assert cli("whoami", "-o", "json").json()["principal"] == "admin"
    assert cli("whoami", "--token", "x").code == 5

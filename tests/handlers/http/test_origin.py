"""The Host of a request: there is one, and it says something."""

import pytest

from orchestrator.errors import Forbidden, InvalidInput
from orchestrator.handlers.http.origin import Origins

ANY = Origins(allowed_hosts=(), allowed_origins=())
HERE = Origins(allowed_hosts=("here.example",), allowed_origins=())


@pytest.mark.parametrize("origins", [ANY, HERE])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": ""},
        {"host": "here.example, here.example"},
        {"host": ", "},
        {"host": "a b"},
        {"host": "somebody@here.example"},
        {"host": "here.example/path"},
        {"host": "here.example?a"},
        {"host": "hér.example"},
    ],
)
def test_a_request_without_one_host_is_malformed(origins: Origins, headers: dict[str, str]) -> None:
    for version in ("1.1", "2"):
        with pytest.raises(InvalidInput) as refused:
            origins.check(headers, version)
        assert refused.value.errors[0].pointer == "/Host"


def test_the_first_version_of_http_had_no_host() -> None:
    ANY.check({}, "1")
    ANY.check({"host": ""}, "1.0")
    with pytest.raises(Forbidden):
        HERE.check({}, "1")


@pytest.mark.parametrize("host", ["here.example", "127.0.0.1:80", "[::1]:8080", "a_b", "%41"])
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    ANY.check({"host": host}, "1.1")


def test_one_host_is_enough() -> None:
    HERE.check({"host": "Here.example:8080"}, "1.1")
    with pytest.raises(Forbidden):
        HERE.check({"host": "there.example"}, "1.1")

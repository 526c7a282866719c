"""The Host of a request, and the origin of the page that sent it."""

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.errors_request import Forbidden
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
        {"host": "here.example:65536"},
        {"host": "here.example:8080x"},
        {"host": "here.example:80:80"},
        {"host": ":80"},
        {"host": "[::1"},
        {"host": "[:::1]"},
    ],
)
def test_a_request_without_one_host_is_malformed(origins: Origins, headers: dict[str, str]) -> None:
    for version in ("1.1", "2"):
        with pytest.raises(InvalidInput) as refused:
            origins.check(headers, "http", version)
        assert refused.value.errors[0].pointer == "/Host"


def test_the_first_version_of_http_had_no_host() -> None:
    ANY.check({}, "http", "1")
    ANY.check({"host": ""}, "http", "1.0")
    with pytest.raises(Forbidden):
        HERE.check({}, "http", "1")


@pytest.mark.parametrize("host", ["here.example", "127.0.0.1:80", "[::1]:8080", "a_b", "%41"])
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    ANY.check({"host": host}, "http", "1.1")


def test_one_host_is_enough() -> None:
    HERE.check({"host": "Here.example:8080"}, "http", "1.1")
    with pytest.raises(Forbidden):
        HERE.check({"host": "there.example"}, "http", "1.1")


#: The scheme that we speak, whether a proxy is in front of us, the Host, the Origin.
Page = tuple[str, bool, str, str]
OURS: list[Page] = [
    ("http", False, "here.example:8080", "http://here.example:8080"),
    ("http", False, "Here.example", "http://HERE.example"),
    ("https", False, "here.example", "https://here.example"),
    ("https", False, "here.example:443", "https://here.example"),
    ("http", False, "[::1]:80", "http://[::1]"),
    ("http", True, "here.example", "https://here.example"),
    ("http", True, "here.example:443", "https://here.example"),
]
OTHERS: list[Page] = [
    ("http", False, "here.example", "https://here.example"),
    ("https", False, "here.example", "http://here.example"),
    ("http", True, "here.example", "http://here.example"),
    ("http", False, "here.example:443", "http://here.example"),
    ("http", False, "here.example", "ftp://here.example"),
    ("http", False, "here.example", "here.example"),
    ("http", False, "here.example", "null"),
    ("http", False, "here.example", ""),
]


def check_page(page: Page, http_version: str = "1.1") -> str | None:
    scheme, behind_proxy, host, origin = page
    origins = Origins(allowed_hosts=(), allowed_origins=(), behind_proxy=behind_proxy)
    return origins.check({"host": host, "origin": origin}, scheme, http_version)


@pytest.mark.parametrize("page", OURS)
def test_our_own_pages_are_known_by_scheme_and_host(page: Page) -> None:
    assert check_page(page) is None


@pytest.mark.parametrize("page", OTHERS)
def test_a_page_of_another_scheme_or_host_is_refused(page: Page) -> None:
    with pytest.raises(Forbidden):
        check_page(page)


@pytest.mark.parametrize("behind_proxy", [True, False])
@pytest.mark.parametrize("origin", ["", "null", "http://", "https://", "://", "nonsense"])
def test_without_a_host_no_page_is_our_own(origin: str, behind_proxy: bool) -> None:
    with pytest.raises(Forbidden):
        check_page(("http", behind_proxy, "", origin), "1.0")


def test_an_allowed_origin_is_told_as_it_was_sent() -> None:
    origins = Origins(allowed_hosts=(), allowed_origins=("https://friend.example",))
    headers = {"host": "here.example", "origin": "https://Friend.example"}
    assert origins.check(headers, "http", "1.1") == "https://Friend.example"

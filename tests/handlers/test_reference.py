"""The reference page stands alone and is harmless; tests/server/test_browser.py looks at it."""

import re
from html.parser import HTMLParser

import pytest

from orchestrator.routes.reference import PAGE
from tests.api import Api

TEXT = PAGE.decode()
#: What browsers are told of every answer; whatever the API sends, the page must send too.
SECURITY_HEADERS = {"x-content-type-options", "referrer-policy"}


class _Attributes(HTMLParser):
    """Every attribute of the page's markup."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(name, value or "") for name, value in attrs]


@pytest.fixture(scope="module")
def attributes() -> list[tuple[str, str]]:
    parser = _Attributes()
    parser.feed(TEXT)
    return parser.found


async def test_the_page_is_html_and_public(api: Api) -> None:
    page = await api.http.get("/schema", headers={"Authorization": ""})
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.content == PAGE


async def test_the_page_has_the_security_headers_of_every_answer(api: Api) -> None:
    page = await api.http.get("/schema", headers={"Authorization": ""})
    other = await api.http.get("/health/live", headers={"Authorization": ""})
    for name in SECURITY_HEADERS & set(other.headers):
        assert page.headers[name] == other.headers[name]


def test_nothing_comes_from_another_server(attributes: list[tuple[str, str]]) -> None:
    assert not re.search(r"https?://|//cdn|@import|url\(|\bimport\b", TEXT)
    links = [value for name, value in attributes if name in {"href", "src", "action"}]
    assert links
    assert all(re.match(r"#|/[a-z]|data:,$", link) for link in links)


async def test_the_page_may_run_its_own_script_and_reach_this_server_only(api: Api) -> None:
    page = await api.http.get("/schema", headers={"Authorization": ""})
    directives = page.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "connect-src 'self'", "base-uri 'none'"} <= set(directives)
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "Content-Security-Policy" not in TEXT


@pytest.mark.parametrize(
    "way", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
)
def test_data_cannot_become_markup_or_code(way: str) -> None:
    assert way not in TEXT


@pytest.mark.parametrize("store", ["localStorage", "sessionStorage", "indexedDB", "cookie"])
def test_nothing_is_stored(store: str) -> None:
    assert store not in TEXT


def test_no_script_or_style_is_an_attribute(attributes: list[tuple[str, str]]) -> None:
    assert not [name for name, _ in attributes if name == "style" or name.startswith("on")]

"""The reference page stands alone, is harmless, and shows every operation."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest

from orchestrator.routes.reference import PAGE
from tests.api import Api
from tests.handlers.test_openapi import DOCUMENT

TEXT = PAGE.decode()
OPERATION_IDS = [
    operation["operationId"]
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
]
#: What browsers are told of every answer; whatever the API sends, the page must send too.
SECURITY_HEADERS = {"x-content-type-options", "referrer-policy"}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--virtual-time-budget=10000",
]
START_SECONDS_MAX = 30


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


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """A real server; public routes need no database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ORCHESTRATOR_")}
    settings = {
        "ORCHESTRATOR_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "ORCHESTRATOR_ADMIN_TOKEN_SHA256": "0" * 64,
        "ORCHESTRATOR_BLOB_STORE": (tmp_path / "blobs").as_uri(),
    }
    command = [sys.executable, "-m", "granian", "orchestrator.app:create_app", "--factory"]
    command += ["--interface", "asgi", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=inherited | settings, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _await(f"{url}/health/live")
        yield url
    finally:
        process.terminate()
        process.wait(START_SECONDS_MAX)


def _await(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            httpx2.get(url).raise_for_status()
        except httpx2.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on the PATH")
def test_a_browser_shows_every_operation(served: str, tmp_path: Path) -> None:
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    shown = subprocess.run(
        [str(CHROMIUM), *QUIET, profile, "--dump-dom", f"{served}/schema"],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    ).stdout
    assert sorted(re.findall(r'<article id="([^"]+)"', shown)) == sorted(OPERATION_IDS)
    links = set(re.findall(r'href="#([^"]+)"', shown.partition("</nav>")[0]))
    assert links >= set(OPERATION_IDS)

"""A real browser uses a real server: the reference page, and pages of other origins."""

import functools
import html
import http.server
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Show, file_of_npm
from tests.handlers.test_openapi import DOCUMENT
from tests.seeds import seed
from tests.server.conftest import Launch, Server

TUS = "tus-js-client@4.3.1"
TUS_INTEGRITY = (
    "sha512-ZLeYmjrkaU1fUsKbIi8JML52uAocjEZtBx4DKjRrqzrZa0O4MYwT6db"
    "+oqePlspV+FxXJAyFBc/L5gwUi2OFsg=="
)
OPERATION_IDS = [
    operation["operationId"]
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base.
        """Nothing."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A folder, and the port where it is served: `127.0.0.1` and `localhost` are two origins."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copy(Path(__file__).with_name("other-origin.html"), folder / "page.html")
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield folder, serving.server_port
        serving.shutdown()


@pytest.fixture(scope="module")
def server(
    launch: Launch,
    migrated: Path,
    pages: tuple[Path, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Server:
    """A server that allows the pages at `127.0.0.1`."""
    environ = {"ORCHESTRATOR_ALLOWED_ORIGINS": f"http://127.0.0.1:{pages[1]}"}
    started = launch(seed(tmp_path_factory.mktemp("browser") / "data", migrated), environ=environ)
    assert started.url, started.stderr()
    return started


def test_the_reference_page_shows_every_operation(server: Server, show: Show) -> None:
    shown = show(f"{server.url}/schema")
    assert sorted(re.findall(r'<article id="([^"]+)"', shown)) == sorted(OPERATION_IDS)
    links = set(re.findall(r'href="#([^"]+)"', shown.partition("</nav>")[0]))
    assert links >= set(OPERATION_IDS)


def seen_by_a_page(show: Show, page: str, server: Server, tag: str) -> dict[str, Any]:
    shown = show(f"{page}/page.html#{server.url}/api/v1%20{server.token}%20{tag}")
    found = re.search(r'<pre id="seen">(.+)</pre>', shown)
    assert found, shown[:2000]
    seen: dict[str, Any] = json.loads(html.unescape(found[1]))
    return seen


@pytest.fixture
def tus(pages: tuple[Path, int], pytestconfig: pytest.Config, tmp_path: Path) -> None:
    """tus-js-client, beside the page."""
    cache = getattr(pytestconfig, "cache", None)  # It can be switched off.
    place = Path(cache.mkdir("npm")) if cache else tmp_path
    script = file_of_npm(place, TUS, TUS_INTEGRITY, "dist/tus.min.js")
    (pages[0] / "tus.min.js").write_bytes(script)


@pytest.mark.usefixtures("tus")
def test_a_page_of_an_allowed_origin_uses_the_api(
    server: Server, show: Show, pages: tuple[Path, int]
) -> None:
    seen = seen_by_a_page(show, f"http://127.0.0.1:{pages[1]}", server, "allowed")
    created = seen["created"]
    assert (created["created"], created["again"], created["patched"]) == (201, 304, 200)
    assert created["location"].startswith("/api/v1/workflows/allowed")
    assert created["etag"].startswith('"blake3:')
    assert created["correlation"]
    assert seen["refusal"] == {"status": 401, "error": "not authenticated"}
    name = seen["uploaded"]["name"].strip('"')
    blob = server.request("GET", f"/api/v1/cas/{name}")
    assert (blob.content, blob.headers["content-type"]) == (b"x" * 700_000, "text/plain")


@pytest.mark.usefixtures("tus")
def test_a_page_of_another_origin_can_do_and_read_nothing(
    server: Server, show: Show, pages: tuple[Path, int]
) -> None:
    seen = seen_by_a_page(show, f"http://localhost:{pages[1]}", server, "other")
    for outcome in seen.values():
        assert list(outcome) == ["error"]
    assert server.request("GET", "/api/v1/workflows/other").status_code == 404

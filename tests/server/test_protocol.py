"""Requests as they come over a real socket, written by hand: what no client library would send."""

import http.client
import json
import socket
from typing import Any

import pytest

from tests.processes import wait_until
from tests.server.conftest import Server


def asked(server: Server, *lines: str, body: bytes = b"") -> tuple[int, http.client.HTTPMessage]:
    """The status and the headers of the answer to a request of these lines."""
    return answered(server, *lines, body=body)[:2]


def answered(
    server: Server, *lines: str, body: bytes = b""
) -> tuple[int, http.client.HTTPMessage, dict[str, Any]]:
    """The same, and the problem document if it is one."""
    place = server.url.removeprefix("http://")
    said = [line.replace("PLACE", place).replace("TOKEN", server.token) for line in lines]
    host, _, port = place.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("\r\n".join([*said, "", ""]).encode("latin-1") + body)
        found = http.client.HTTPResponse(connection, method=lines[0].partition(" ")[0])
        found.begin()
        read = found.read()
    problem: dict[str, Any] = {}
    if read and found.headers["content-type"] == "application/problem+json":
        problem = json.loads(read)
        assert problem["status"] == found.status
    return found.status, found.headers, problem


@pytest.mark.parametrize("path", ["/health", "/api/v1/tags", "/api/v1/workflows/main"])
@pytest.mark.parametrize("hosts", [[], ["Host:"], ["Host: PLACE", "Host: PLACE"]])
def test_a_request_without_one_host_is_400(server: Server, hosts: list[str], path: str) -> None:
    status, headers = asked(server, f"GET {path} HTTP/1.1", *hosts)
    assert (status, headers["content-type"]) == (400, "application/problem+json")


def test_a_target_in_absolute_form_is_judged_by_its_authority(server: Server) -> None:
    assert asked(server, "GET http://PLACE/health HTTP/1.1")[0] == 200
    assert asked(server, "GET http://evil.example/health HTTP/1.1")[0] == 403
    assert asked(server, "GET http://evil.example/health HTTP/1.1", "Host: PLACE")[0] == 403
    assert asked(server, "GET http://PLACE/health HTTP/1.1", "Host: evil.example")[0] == 200


@pytest.mark.parametrize(
    ("codings", "status"),
    [("gzip, chunked", 501), ("chunked, chunked", 400), ("x, chunked", 501), ("chunked", 201)],
)
def test_a_transfer_coding_is_chunked_or_refused(server: Server, codings: str, status: int) -> None:
    given = asked(
        server,
        "POST /api/v1/cas?namespace=codings HTTP/1.1",
        "Host: PLACE",
        "Authorization: Bearer TOKEN",
        f"Transfer-Encoding: {codings}",
        body=b"3\r\nabc\r\n0\r\n\r\n",
    )
    assert given[0] == status
    assert (given[1].get("connection") == "close") == (status != 201)


@pytest.mark.parametrize(
    ("lines", "status", "rule"),
    [
        (["GET /" + "a" * 70_000 + " HTTP/1.1", "Host: PLACE"], 414, "limit_bytes"),
        (["GET /health HTTP/1.1", *["X: x"] * 101], 431, "limit"),
        (["GET /health HTTP/1.1", "X: " + "x" * 40_000], 431, "limit_bytes"),
        (["BREW /health HTTP/1.1", "Host: PLACE"], 501, "detail"),
        (["GET /health HTTP/2.0", "Host: PLACE"], 505, "supported"),
        (["GET /health"], 505, "supported"),
        (["GET /health HTTP/1.1", "X : y"], 400, "errors"),
    ],
)
def test_what_cannot_be_read_is_refused_logged_and_counted_as_all_else(
    server: Server, lines: list[str], status: int, rule: str
) -> None:
    given, headers, problem = answered(server, *lines)
    assert (given, headers["connection"]) == (status, "close")
    assert problem["status"] == status
    assert rule in problem
    correlation = headers["x-correlation-id"]
    assert wait_until(lambda: f'"correlation_id":"{correlation}"' in server.stderr())
    counted = f'route="unmatched",status="{status}"}}'
    assert wait_until(lambda: counted in server.request("GET", "/metrics").text)


@pytest.mark.parametrize("length", ["9" * 10_000, "9" * 20, "1.0", "-1", "+1", "1, 2"])
def test_a_length_that_is_no_number_is_400(server: Server, length: str) -> None:
    given = asked(
        server,
        "POST /api/v1/cas HTTP/1.1",
        "Host: PLACE",
        "Authorization: Bearer TOKEN",
        f"Content-Length: {length}",
        body=b"x",
    )
    assert given[0] == 400


@pytest.mark.parametrize("path", ["/", "/health", "/health/live", "/schema", "/metrics"])
def test_a_head_has_the_headers_of_the_get(server: Server, path: str) -> None:
    lines = ("Host: PLACE", "Authorization: Bearer TOKEN")
    (head, said), (get, whole) = (
        asked(server, f"{method} {path} HTTP/1.1", *lines) for method in ("HEAD", "GET")
    )
    assert head == get
    assert said["content-type"] == whole["content-type"]
    if path != "/metrics":  # It counts the requests for it.
        assert said["content-length"] == whole["content-length"]


def test_a_connection_is_usable_after_a_head(server: Server) -> None:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    for method in ("HEAD", "GET", "HEAD", "OPTIONS", "GET"):
        connection.request(method, "/health")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == (204 if method == "OPTIONS" else 200)
        assert bool(body) == (method == "GET")
    connection.close()

"""Asks a server that may be dead; and whether it still has what it acknowledged."""

import json
from collections.abc import Collection
from http.client import HTTPException
from typing import Any

from bench.server import Server
from torture.run import Run

API = "/api/v1"
OK = 200
PAGE = 1_000


def ask(server: Server, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
    """Status and body of the answer; the status is 0 if there is none."""
    connection = server.connect()
    headers = {**server.headers, "Content-Type": "application/json"}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, HTTPException):
        return 0, None
    finally:
        connection.close()


def check_tags(run: Run, server: Server, acknowledged: Collection[str], when: str) -> None:
    """Each tag whose creation was acknowledged is listed."""
    found: set[str] = set()
    path: str | None = f"{API}/tags?limit={PAGE}"
    while path is not None:
        status, page = ask(server, "GET", path)
        if status != OK:
            run.fail(f"{when}: a list got {status}")
            return
        found.update(each["name"] for each in page["items"])
        path = page["next"] and f"{API}/tags?limit={PAGE}&cursor={page['next']}"
    if lost := set(acknowledged) - found:
        run.fail(f"{when}: {len(lost)} acknowledged writes are lost: {min(lost)}, …")

"""Requests to our API that several works begin with; nothing here is measured."""

import json
from typing import Any

from bench.load import WrongAnswers
from bench.program import Program

WORKFLOWS = "/api/v1/workflows"
CAS = "/api/v1/cas"
TAG_PATH = "/api/v1/tags"
ARTIFACTS = "/api/v1/artifacts"
TAGS = 1_000
JSON = {"Content-Type": "application/json"}
BYTES = {"Content-Type": "application/octet-stream"}
OPERATIONS_MAX = 1_000


def transact(ours: Program, operations: list[bytes]) -> list[dict[str, Any]]:
    """In as few transactions as they may have."""
    results: list[dict[str, Any]] = []
    for first in range(0, len(operations), OPERATIONS_MAX):
        some = operations[first : first + OPERATIONS_MAX]
        body = b'{"operations":[%b]}' % b",".join(some)
        answer = ours.wanted("POST", "/api/v1/transactions", 200, body=body, headers=JSON)
        results += json.loads(answer.body)["results"]
    return results


def create_workflows(ours: Program, documents: dict[str, bytes]) -> list[dict[str, Any]]:
    """A tag for each document; nothing happens to those that are there already."""
    operations = [
        b'{"op":"create_workflow","tag":"%b","workflow":%b}' % (tag.encode(), content)
        for tag, content in documents.items()
    ]
    return transact(ours, operations)


def workflow_of(ours: Program, tag: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(ours.wanted("GET", f"{WORKFLOWS}/{tag}", 200).body)
    return answer


def same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise WrongAnswers(f"{what} is {str(found)[:200]}, not {str(expected)[:200]}")

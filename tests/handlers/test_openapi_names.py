"""What the description says of names, ids and cursors is what reading them demands."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest

from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.reading import parse_time
from orchestrator.models.name import parse_namespace, parse_tag
from orchestrator.models.reference import parse_reference
from tests.handlers.test_openapi import DOCUMENT

HASH = f"blake3:{'a' * 64}"
ID = str(UUID(int=7))
NAMES = [
    *("", "a", "a/b", "a//b", "/a", "a/", "-a", ".a", "a.b-c_d", "A", "a__b", "a--b", "a_", "ä"),
    *("a" * 200, "a" * 201, "a" * 255, "a" * 256, "a\n", "a b", "..", "a/..", "0", "123"),
    *("_global_", "_global_x", "_globa", "x_global_", ID, ID.upper(), f"{ID}0", f"a/{ID}"),
    *("a" * 32, "A" * 64, "a" * 33, "0" * 63, HASH),
]
REFERENCES = [
    *NAMES,
    *("main@3", "@3", "3", "0", "@0", "main@0", "main@", "main@x", "a@b@3", "0@3", "@", "9" * 18),
    *(HASH[:14], HASH[:15], HASH[:40], HASH[7:15], HASH[7:], "deadbeef", "deadbee", "0" * 8),
    *(
        "9" * 19,
        f"{ID}@3",
        f"{'a' * 200}@3",
        f"{'a' * 201}@3",
        HASH.upper(),
        f"{HASH}0",
        "_global_@1",
    ),
]
TIMES = [
    *("2026-01-31", "2026-13-01", "2026-00-01", "2026-01-32", "0000-01-01", "2026-1-1", "26-01-31"),
    *("2026-01-31T12:00:00Z", "2026-01-31t12:00:00.5z", "2026-01-31 12:00:00+01:00"),
    *("2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z", "2026-01-31T12:00:61Z", "2026-01-31T12:00Z"),
    *("2026-01-31T12:00:00", "2026-01-31T12:00:00+24:00", "2026-01-31T12:00:00+0100"),
    *("-2h", "-30m", "-7d", "-1w", "-1s", "-2y", "2h", "-h", "", "now", "٢٠٢٦-01-31"),
]
#: Members and parameters with these names are the same everywhere.
SAME = {
    "namespace": {"pattern", "maxLength"},
    "tag": {"pattern"},
    "cursor": {"pattern"},
    "next": {"pattern"},
    "cas_id": {"pattern"},
    "cas_ids": {"pattern"},
    "version_hash": {"pattern"},
    "plan_hash": {"pattern"},
    "artifact_id": {"format"},
    "upload_id": {"format"},
    "at": {"pattern"},
    "since": {"pattern"},
    "until": {"pattern"},
    "created_at": {"format"},
    "moved_at": {"format"},
}


def schema_of(path: str, name: str) -> dict[str, Any]:
    parameters = DOCUMENT["paths"][f"/api/v1{path}"]["get"]["parameters"]
    (found,) = [each["schema"] for each in parameters if each["name"] == name]
    return dict(found)


def accepts(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except InvalidInput:
        return False
    return True


@pytest.mark.parametrize(
    ("schema", "parse", "texts"),
    [
        (schema_of("/tags/{name}", "name"), parse_tag, NAMES),
        (schema_of("/tags", "namespace"), parse_namespace, NAMES),
        (
            schema_of("/workflows/{tag}/diff", "against"),
            lambda text: parse_reference(text, tag="main", pointer=""),
            REFERENCES,
        ),
        (
            schema_of("/artifacts/{artifact}", "artifact"),
            lambda text: parse_reference(text, tag=None, pointer=""),
            REFERENCES,
        ),
        (schema_of("/tags/{name}", "at"), parse_time, TIMES),
    ],
    ids=["tag", "namespace", "reference", "reference without a tag", "time"],
)
def test_what_is_said_of_a_name_is_what_is_demanded(
    schema: dict[str, Any], parse: Callable[[str], object], texts: list[str]
) -> None:
    validator = jsonschema_rs.validator_for(schema)
    said = {text: validator.is_valid(text) for text in texts}
    assert said == {text: accepts(parse, text) for text in texts}
    assert len(set(said.values())) == 2


def _named(node: Any, where: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every member of a body and every parameter, with its name."""
    if isinstance(node, list):
        for at, each in enumerate(node):
            yield from _named(each, f"{where}/{at}")
    if not isinstance(node, dict):
        return
    if {"name", "in", "schema"} <= node.keys():
        yield where, node["name"], node["schema"]
    for name, schema in node.get("properties", {}).items():
        if isinstance(schema, dict):
            yield where, name, schema
    for key, each in node.items():
        if key not in {"examples", "example"}:
            yield from _named(each, f"{where}/{key}")


def _rules(schema: dict[str, Any]) -> set[str]:
    """What is said of the text: in the list of it, or besides null."""
    inner = [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())]
    return set(schema).union(*map(set, inner)) if inner else set(schema)


def test_every_name_id_and_cursor_says_how_it_is_written() -> None:
    silent = [
        (where, name, schema)
        for where, name, schema in _named(DOCUMENT, "")
        if name in SAME
        and not SAME[name] <= _rules(schema)
        and not ("$ref" in schema or schema == {"type": "null"})
        # Where undo and redo of a tag stand.
        and {"type": "integer"} not in schema.get("anyOf", [schema])
        and "/options/" not in where  # It reads nothing.
    ]
    assert silent == []


def test_nothing_in_a_query_is_null() -> None:
    parameters = [
        (operation["operationId"], each)
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for each in operation["parameters"]
    ]
    assert [each for each in parameters if "anyOf" in each[1]["schema"]] == []

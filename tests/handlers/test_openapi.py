"""The description of the API is complete, and true."""

from typing import Any, cast

import jsonschema_rs
import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from orchestrator.app import create_app
from orchestrator.documents.workflow_schema import WORKFLOW_SCHEMA
from orchestrator.routes.openapi_document import addresses, document
from tests.api import Api
from tests.conftest import settings_for

APP = create_app(settings_for("postgresql://nowhere/x")).app
assert isinstance(APP, Litestar)
HANDLERS = [
    handler
    for route in APP.routes
    if isinstance(route, HTTPRoute)
    for handler in route.route_handlers
    if handler.fn.__module__.startswith("orchestrator.")
]
DOCUMENT: dict[str, Any] = document(HANDLERS)
OPERATIONS = [
    pytest.param(path, method, operation, id=operation["operationId"])
    for path, methods in sorted(DOCUMENT["paths"].items())
    for method, operation in sorted(methods.items())
]


def resolved(said: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to, or what is there."""
    found: Any = DOCUMENT if "$ref" in said else said
    for step in said.get("$ref", "#").split("/")[1:]:
        found = found[step]
    return cast("dict[str, Any]", found)


#: Answers that are all headers.
BODILESS = {
    *(("createUpload", "201"), ("headUpload", "200"), ("getBlob", "307"), ("headBlob", "307")),
    *(("getBlobOfArtifact", "307"), ("headBlobOfArtifact", "307")),
}
METHODS_WITH_BODY = {"post", "put", "patch"}


def test_every_route_is_described() -> None:
    routed = {
        (path, method.lower())
        for handler in HANDLERS
        for path in addresses(handler)
        for method in handler.http_methods
    }
    described = {
        (path, method) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert routed - described == {
        (path, "get") for path in ("/", "/schema", "/schema/openapi.json")
    }


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_operation_has_schemas_and_examples_for_all_it_says(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    assert operation["summary"]
    assert operation["tags"]
    if method in METHODS_WITH_BODY:
        for content in operation["requestBody"]["content"].values():
            assert content["schema"]
            assert content["examples"]
    success = [status for status in operation["responses"] if status.startswith("2")]
    assert success
    public = operation.get("security") == [{}]
    assert {"403", "500", "503"} | (set() if public else {"400", "401"}) <= set(
        operation["responses"]
    )
    for status, said in operation["responses"].items():
        response = resolved(said)
        assert response["description"]
        if status in {"204", "304"} or (operation["operationId"], status) in BODILESS:
            assert "content" not in response
            continue
        for content in response["content"].values():
            assert content["schema"], (path, status)
            assert content["examples"], (path, status)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_example_is_an_instance_of_its_schema(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    bodies = [operation["requestBody"]] if "requestBody" in operation else []
    for body in [*bodies, *map(resolved, operation["responses"].values())]:
        for media_type, content in body.get("content", {}).items():
            if "json" not in media_type:
                continue
            schema = {**content["schema"], "components": DOCUMENT["components"]}
            validator = jsonschema_rs.validator_for(schema)
            for example in content["examples"].values():
                found = [error.message for error in validator.iter_errors(example["value"])]
                assert found == [], (path, method)


async def test_what_is_served_is_the_document_and_a_page_that_needs_no_other_server(
    api: Api,
) -> None:
    served = await api.http.get("/schema/openapi.json", headers={"Authorization": ""})
    assert served.status_code == 200
    assert msgspec.json.decode(served.content)["paths"].keys() == DOCUMENT["paths"].keys()
    page = await api.http.get("/schema", headers={"Authorization": ""})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "https://" not in page.text
    home = await api.http.get("/", headers={"Authorization": ""})
    assert (home.status_code, home.headers["location"]) == (302, "/schema")


async def test_the_schema_of_workflows_is_served(api: Api) -> None:
    served = await api.get("/schemas/workflow", headers={"Authorization": ""})
    assert served.headers["content-type"] == "application/schema+json"
    assert served.json() == WORKFLOW_SCHEMA

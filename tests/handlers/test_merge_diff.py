"""The difference of any two versions, over HTTP."""

import pytest

from tests.api import Api
from tests.handlers.test_merge import add_node, branches
from tests.handlers.test_version import patched, timeout


async def test_any_two_versions_are_compared(api: Api) -> None:
    await branches(api)
    await patched(api, "main", timeout(5), *add_node("c", "b"))
    hash_ = (await api.get("/workflows/main")).json()["version_hash"]
    expected = await api.get("/workflows/main/diff", params={"against": "side"})
    for first, last in (("side", "main"), ("main@1", hash_)):
        response = await api.get("/diff", params={"from": first, "to": last})
        assert (response.status_code, response.content) == (200, expected.content)
    text = await api.get("/diff", params={"from": "main", "to": "side", "format": "text"})
    assert text.text.startswith("- node c")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"from": "main"}, 400),
        ({"to": "main"}, 400),
        ({"from": "@1", "to": "main"}, 400),
        ({"from": "main", "to": "1"}, 400),
        ({"from": "main", "to": "nope"}, 404),
        ({"from_": "main", "to": "main"}, 400),
    ],
)
async def test_what_is_compared_must_be_named(api: Api, query: dict[str, str], status: int) -> None:
    await branches(api)
    response = await api.get("/diff", params=query)
    assert response.status_code == status, response.text

"""Entity tags of lists and descriptions, links between pages, and what may be stored for ever."""

import pytest

from tests.api import Api

LISTS = [
    "/workflows",
    "/workflows/main/versions",
    "/tags",
    "/tags/main/history",
    "/artifacts",
    "/artifacts/ID/lineage",
    "/artifacts/ID/tags",
    "/artifacts/ID/chain",
    "/workflows/main/diff?against=1",
    "/workflows/main/diff?against=1&format=text",
    "/workflows/main?materialize=false",
]


async def made(api: Api) -> str:
    await api.create("main", "a")
    await api.create("other", "o")
    artifact_id = (await api.create("main", "a", "b"))["artifact_id"]
    return str(artifact_id)


@pytest.mark.parametrize("where", LISTS)
async def test_who_has_the_answer_is_not_sent_it_again(api: Api, where: str) -> None:
    where = where.replace("ID", await made(api))
    first = await api.get(where)
    tag = first.headers["etag"]
    again = await api.get(where, headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    head = await api.http.head(f"/api/v1{where}", headers={"If-None-Match": tag})
    assert (head.status_code, head.headers["etag"]) == (304, tag)
    other = await api.get(where, headers={"If-Match": '"x"'})
    assert other.status_code == 412
    same = await api.get(where, headers={"If-Match": tag})
    assert same.content == first.content


async def test_a_list_that_changed_has_another_tag(api: Api) -> None:
    await made(api)
    before = (await api.get("/tags")).headers["etag"]
    await api.create("third", "t")
    after = await api.get("/tags", headers={"If-None-Match": before})
    assert after.status_code == 200
    assert after.headers["etag"] != before


@pytest.mark.parametrize("where", ["/schema", "/schema/openapi.json", "/api/v1/schemas/workflow"])
async def test_descriptions_have_entity_tags(api: Api, where: str) -> None:
    public = {"Authorization": ""}
    first = await api.http.get(where, headers=public)
    again = await api.http.get(where, headers={**public, "If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    head = await api.http.head(where, headers=public)
    assert head.headers["etag"] == first.headers["etag"]


async def test_a_link_leads_to_the_next_page_and_the_last_page_has_none(api: Api) -> None:
    names = [f"release/v{number}" for number in range(5)]
    for name in names:
        await api.create(name, "a")
    where, found = "/api/v1/tags?limit=2", []
    while True:
        page = await api.http.get(where)
        found += [each["name"] for each in page.json()["items"]]
        link = page.headers.get("link")
        assert (link is None) == (page.json()["next"] is None)
        if link is None:
            break
        where, _, relation = link.removeprefix("<").partition(">; ")
        assert relation == 'rel="next"'
        assert page.links["next"]["url"] == where
    assert found == names


async def test_a_link_has_all_else_that_the_request_said(api: Api) -> None:
    await made(api)
    namespace = (await api.get("/tags")).json()["items"][0]["namespace"]
    page = await api.get(f"/artifacts?namespace={namespace}&kind=dag_version&limit=1&cursor=")
    assert page.status_code == 400  # An empty cursor is none that a page has said.
    page = await api.get(f"/artifacts?namespace={namespace}&kind=dag_version&limit=1")
    following = page.links["next"]["url"]
    assert following == (
        f"/api/v1/artifacts?namespace={namespace}&kind=dag_version&limit=1"
        f"&cursor={page.json()['next']}"
    )
    second = (await api.http.get(following)).links["next"]["url"]
    assert second.count("cursor=") == 1


@pytest.mark.parametrize(
    ("where", "is_immutable"),
    [
        ("/workflows/main", False),
        ("/workflows/main?version=1", True),
        ("/workflows/main?version=1&materialize=false", True),
        ("/workflows/main?at=2100-01-01T00:00:00Z", False),
        ("/tags/main", False),
        ("/tags/main?version=1", True),
        ("/artifacts/ID", False),
        ("/artifacts/ID/chain", True),
        ("/artifacts/ID/lineage", False),
        ("/artifacts", False),
    ],
)
async def test_what_never_changes_may_be_stored_by_its_caller_alone(
    api: Api, where: str, is_immutable: bool
) -> None:
    where = where.replace("ID", await made(api))
    found = await api.get(where)
    said = found.headers["cache-control"]
    assert said == ("private, max-age=31536000, immutable" if is_immutable else "no-cache")
    again = await api.get(where, headers={"If-None-Match": found.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, said)

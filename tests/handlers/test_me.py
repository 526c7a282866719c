"""Who calls."""

from tests.api import Api


async def test_a_caller_learns_what_the_token_stands_for(api: Api, namespace: str) -> None:
    found = await api.get("/me")
    assert found.json() == {
        "principal": "admin",
        "namespace": namespace,
        "grants": [{"namespace": "*", "role": "owner"}],
    }
    same = {"If-None-Match": found.headers["etag"]}
    assert (await api.get("/me", headers=same)).status_code == 304
    refused = await api.get("/me", headers={"Authorization": "Bearer x"})
    assert refused.status_code == 401

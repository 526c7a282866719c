"""How many uploads may be open, and how much each may say of itself."""

from collections.abc import Callable

import pytest

from orchestrator.app import create_app
from orchestrator.handlers.http.edge import Edge
from tests.api import Api
from tests.conftest import TOKEN, settings_for
from tests.handlers.transfer.uploading import begun, create, patch


async def test_a_namespace_has_only_so_many_unfinished_uploads(
    make_app: Callable[..., Edge],
) -> None:
    async with Api.on(make_app(uploads_open_max=2), TOKEN) as api:
        first, _ = await begun(api, 5), await begun(api, 5)
        refused = await create(api, 5)
        assert (refused.status_code, refused.json()["limit"]) == (409, 2)
        assert (await create(api, 5, params={"namespace": "elsewhere-2"})).is_success
        await patch(api, first, 0, b"hello")
        assert (await create(api, 5)).status_code == 201


@pytest.mark.parametrize("setting", ["uploads_open_caller_max", "uploads_open_total_max"])
async def test_other_namespaces_do_not_make_room_for_more(
    fresh_database: str, setting: str
) -> None:
    app = create_app(settings_for(fresh_database, **{setting: 3}))
    async with Api.on(app, TOKEN) as api:
        where = [await begun(api, 5, params={"namespace": f"n-{number}"}) for number in range(3)]
        refused = await create(api, 5, params={"namespace": "another"})
        assert (refused.status_code, refused.json()["limit"]) == (409, 3)
        await patch(api, where[0], 0, b"hello")
        assert (await create(api, 5, params={"namespace": "another"})).status_code == 201


async def test_metadata_has_a_limit(api: Api) -> None:
    for size, status in ((4_096, 201), (4_097, 413)):
        metadata = {"Upload-Metadata": "x" * size}
        answer = await create(api, 5, headers=metadata)
        assert answer.status_code == status
    assert answer.json()["limit_bytes"] == 4_096

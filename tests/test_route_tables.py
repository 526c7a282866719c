"""The applications of the tests share registered routes, and nothing else."""

from collections.abc import Callable

from orchestrator.handlers.http.edge import Edge
from tests.api import Api, chain
from tests.conftest import ROUTES, TOKEN


async def test_routes_are_registered_once_for_applications_that_follow_each_other(
    make_app: Callable[..., Edge],
) -> None:
    async with Api.on(make_app(), TOKEN):
        pass
    made = ROUTES.made
    assert made
    for seconds in (10.0, 20.0):
        async with Api.on(make_app(idempotency_seconds=seconds), TOKEN) as api:
            await api.create("main", "a")
    assert ROUTES.made == made


async def test_applications_that_run_at_the_same_time_have_their_own_settings(
    make_app: Callable[..., Edge],
) -> None:
    small, large = make_app(json_body_bytes_max=100), make_app()
    async with Api.on(small, TOKEN) as one, Api.on(large, TOKEN) as other:
        body = {"tag": "main", "workflow": chain("a"), "message": "m" * 200}
        for api, status in ((one, 413), (other, 201), (one, 413)):
            assert (await api.post("/workflows", body)).status_code == status

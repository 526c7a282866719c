"""What is checked before any handler runs: unknown parameters, room on the disk, the rate."""

from orchestrator.core.database import Database
from orchestrator.core.disk import Disk
from orchestrator.errors import InvalidInput
from orchestrator.handlers.http.direct import Asked
from orchestrator.handlers.http.problem import AnyRequest
from orchestrator.handlers.http.reading import principal_of
from orchestrator.service.rate import RateService

#: The option of a route that is served on a full disk too: it makes room.
FREES_SPACE = "frees_space"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Admission:
    """Called by the framework before each request that found its route."""

    def __init__(self, database: Database, rates: RateService, disk: Disk) -> None:
        self._database = database
        self._rates = rates
        self._disk = disk

    async def __call__(self, request: AnyRequest) -> None:
        """Refuse what makes no sense at once, and what comes too often."""
        if request.scope["query_string"]:
            _refuse_unknown_parameters(request)
        if request.scope["method"] in WRITES:
            frees_space = bool(request.route_handler.opt.get(FREES_SPACE))
            await self.admit_write(request, frees_space=frees_space)

    async def admit_write(self, request: Asked, *, frees_space: bool = False) -> None:
        """Refuse a write on a full disk, and one too many."""
        if not frees_space:
            self._disk.check()
        if self._rates.limits_writes:
            async with self._database.connection() as conn:
                await self._rates.admit_write(conn, principal_of(request).name)


def _refuse_unknown_parameters(request: AnyRequest) -> None:
    """A misspelt parameter must not be ignored: `?verison=3` would answer with another version."""
    known = request.route_handler.parsed_fn_signature.parameters.keys()
    for name in request.query_params:
        if len(request.query_params.getall(name)) > 1:
            message = f"The parameter {name!r} is given more than once."
            raise InvalidInput.at(f"/{name}", "repeated-parameter", message)
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        message = f"This operation has no parameter {unknown[0]!r}."
        raise InvalidInput.at(f"/{unknown[0]}", "unknown-parameter", message)

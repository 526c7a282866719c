"""Artifacts of which a namespace has one: the one that is there is found, else it is created."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from orchestrator.core.database import Connection
from orchestrator.core.digest import CasId
from orchestrator.errors import Contended
from orchestrator.models.artifact import Artifact, NewArtifact
from orchestrator.repository.artifact import ArtifactRepository

#: An artifact that is found may be deleted before it is locked: then it is tried again.
ATTEMPTS = 2

#: A namespace, and the hash that there may be once in it.
Key: TypeAlias = tuple[str, CasId]
FindLocked: TypeAlias = Callable[[Connection, Sequence[Key]], Awaitable[dict[Key, Artifact]]]


async def find_or_create(
    conn: Connection,
    artifacts: ArtifactRepository,
    new: Sequence[NewArtifact],
    find_locked: FindLocked,
) -> list[tuple[Artifact, bool]]:
    """Of each the one with its hash in its namespace, and whether it is new.

    Nobody can delete them before this transaction ends. Two statements if none is new.
    """
    keys = [(each.namespace, each.cas_id) for each in new]
    outcomes: dict[int, tuple[Artifact, bool]] = {}
    for _ in range(ATTEMPTS):
        left = [at for at in range(len(new)) if at not in outcomes]
        created = await artifacts.insert(conn, [new[at] for at in left])
        for at, artifact in zip(left, created, strict=True):
            if artifact is not None:
                outcomes[at] = (artifact, True)
        if left := [at for at in left if at not in outcomes]:
            found = await find_locked(conn, [keys[at] for at in left])
            outcomes |= {at: (found[keys[at]], False) for at in left if keys[at] in found}
        if len(outcomes) == len(new):
            return [outcomes[at] for at in range(len(new))]
    raise deleted_meanwhile()


def deleted_meanwhile() -> Contended:
    """What was found is gone again; nothing was changed."""
    return Contended("The artifact was deleted while it was found; send it again.")

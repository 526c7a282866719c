"""Creates and moves of several requests in one statement each: no HTTP, no SQL, no transaction."""

from collections.abc import Sequence

from orchestrator.core.database import Connection
from orchestrator.core.identifier import new_id
from orchestrator.models.tag import MovedTag, TagOrder
from orchestrator.models.workflow import CreatedWorkflow, NewWorkflow
from orchestrator.repository.publication import PublicationRepository
from orchestrator.service.artifact import tell_created
from orchestrator.service.cas import tell_stored
from orchestrator.service.tag import tell_changed


class PublicationService:
    """What goes without a question. Whoever gets None is to be served as if alone: what he wants
    is there already or is refused, and which of it only the focused services can tell.
    """

    def __init__(self, publications: PublicationRepository) -> None:
        self._publications = publications

    async def create_new(
        self, conn: Connection, new: Sequence[NewWorkflow]
    ) -> list[CreatedWorkflow | None]:
        """Versions whose content is new to the store, each put under another tag."""
        artifact_ids = [new_id() for _ in new]
        made = await self._publications.create_many(conn, new, artifact_ids)
        for artifact_id, each in zip(artifact_ids, new, strict=True):
            if artifact_id in made:
                created = made[artifact_id]
                tell_stored(conn, created.artifact.cas_id, len(each.content), by=each.by)
                tell_created(conn, created.artifact, by=each.by)
                tell_changed(conn, created.change.tag, by=each.by)
        return [made.get(artifact_id) for artifact_id in artifact_ids]

    async def move_ready(
        self, conn: Connection, orders: Sequence[TagOrder]
    ) -> list[MovedTag | None]:
        """Tags, another one each, that are as expected and are to name something else."""
        made = await self._publications.move_many(conn, orders)
        moved = [made.get((order.namespace, order.name)) for order in orders]
        for order, each in zip(orders, moved, strict=True):
            if each is not None:
                tell_changed(conn, each.change.tag, by=order.by)
        return moved

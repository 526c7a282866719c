"""New artifact ids: UUID version 7 (RFC 9562), so that they sort by the time they were made."""

from uuid import UUID

from uuid_utils import compat


def new_id() -> UUID:
    """Ids of one process never go back in time."""
    return compat.uuid7()

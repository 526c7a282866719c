"""Vocabulary of transactions: tags that moved together; no I/O."""

from datetime import datetime
from uuid import UUID

import msgspec

from orchestrator.core.moment import Moment


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """Who moved several tags at once, when and why; what it took back, and what took it back."""

    transaction_id: UUID
    namespace: str
    message: str | None
    made_by: str
    made_at: Moment
    reverts_id: UUID | None
    reverted_by_id: UUID | None


class TransactionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which transactions a list is about; None: any."""

    made_by: str | None = None
    since: datetime | None = None
    until: datetime | None = None

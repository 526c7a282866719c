"""Requests that are sent twice with one `Idempotency-Key`: the first answer is given again."""

from collections.abc import Awaitable, Callable

from orchestrator.core.database import Connection, Database
from orchestrator.errors import OutcomeUnknown, OutcomeUnknownToKey
from orchestrator.handlers.http.call import Call
from orchestrator.models.idempotency import Answer, IdempotentCall
from orchestrator.service.idempotency import IdempotencyService


class Replay:
    """The steps of a change that is made once for its key. Without a key it is just made."""

    def __init__(self, database: Database, idempotency: IdempotencyService) -> None:
        self._database = database
        self._idempotency = idempotency

    async def once(
        self,
        call: Call,
        repeated: IdempotentCall | None,
        make: Callable[[Connection], Awaitable[Answer]],
        *,
        dry_run: bool = False,
    ) -> Answer:
        """The first answer to this key; if there is none, make the change and its answer.

        Both and the memory of them are one transaction. What `make` refuses is not remembered. If
        nobody knows whether it was committed, a caller with a key may simply ask again. Of a dry
        run, which has no key, the answer is all that stays.
        """
        try:
            async with self._database.transaction(
                of=call.namespace, deadline=call.deadline(self._database), dry_run=dry_run
            ) as conn:
                if (first := await self._idempotency.claim(conn, repeated)) is not None:
                    return first
                answer = await make(conn)
                await self._idempotency.remember(conn, repeated, answer)
        except OutcomeUnknown as error:
            if repeated is None:
                raise
            raise OutcomeUnknownToKey from error.__cause__
        return answer

    async def first_answer(self, call: Call, repeated: IdempotentCall | None) -> Answer | None:
        """The first answer to this key, if there is one already.

        To be asked before a change is computed that may not be possible a second time, and again
        when the change was refused: the refusal may be due to a copy of the same request that was
        served meanwhile, and then the answer to the copy is the answer to both.
        """
        if repeated is None:
            return None
        async with self._database.connection(deadline=call.deadline(self._database)) as conn:
            return await self._idempotency.find(conn, repeated)

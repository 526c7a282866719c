"""SQL for the leases of jobs: one statement per method, no decisions."""

from uuid import UUID

from orchestrator.core.database import Connection

# Only one server wins: the others wait for its row, and then see that the lease is taken.
CLAIM = """
INSERT INTO job_lease AS l (job, holder, expires_at)
VALUES ($1, $2, now() + make_interval(secs => $3))
ON CONFLICT (job) DO UPDATE
   SET holder = excluded.holder, expires_at = excluded.expires_at
 WHERE l.expires_at <= now()
   AND (l.ended_at IS NULL OR l.ended_at <= now() - make_interval(secs => $4))
RETURNING true
"""

RENEW = """
UPDATE job_lease SET expires_at = now() + make_interval(secs => $3)
 WHERE job = $1 AND holder = $2
RETURNING true
"""

END = """
UPDATE job_lease
   SET expires_at = now(), ended_at = CASE WHEN $3 THEN now() ELSE ended_at END
 WHERE job = $1 AND holder = $2
"""


class LeaseRepository:
    """Rows of job_lease."""

    async def claim(
        self, conn: Connection, job: str, holder: UUID, *, seconds: float, pause_seconds: float
    ) -> bool:
        """False while another holder has it, or when the job ended less than the pause ago."""
        return bool(await conn.fetchval(CLAIM, job, holder, seconds, pause_seconds))

    async def renew(self, conn: Connection, job: str, holder: UUID, *, seconds: float) -> bool:
        """False when another holder has it now."""
        return bool(await conn.fetchval(RENEW, job, holder, seconds))

    async def end(self, conn: Connection, job: str, holder: UUID, *, done: bool) -> None:
        """Nothing changes when another holder has it now."""
        await conn.execute(END, job, holder, done)

"""The jobs, constructed once from the container; handlers are given those that requests ask for."""

from dataclasses import dataclass

from orchestrator.jobs.collection import Collection
from orchestrator.jobs.schedule import Schedule
from orchestrator.jobs.second_names import SecondNames
from orchestrator.jobs.upload_completion import UploadCompletion
from orchestrator.jobs.upload_pace import PACE, UploadPace
from orchestrator.jobs.upload_receiving import UploadReceiving
from orchestrator.jobs.upload_session import UploadSessions
from orchestrator.jobs.verification import Verification
from orchestrator.jobs.write_gate import WriteGate
from orchestrator.settings import Settings
from orchestrator.wiring.services import Container


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """One of each kind for a process."""

    write_gate: WriteGate
    upload_sessions: UploadSessions
    collection: Collection
    verification: Verification
    second_names: SecondNames
    schedule: Schedule


def build_jobs(c: Container, settings: Settings, pace: UploadPace = PACE) -> Jobs:
    """The graph beside the handlers."""
    write_gate = WriteGate(c.database, c.identity, c.disk)
    collection = Collection(c.database, c.gc, write_gate)
    return Jobs(
        write_gate=write_gate,
        upload_sessions=UploadSessions(
            c.database,
            c.uploads,
            c.stages,
            write_gate,
            UploadReceiving(c.database, c.uploads, c.stages, c.threads, pace),
            UploadCompletion(c.database, c.uploads, c.stages, c.cas, c.delivery, pace),
        ),
        collection=collection,
        verification=build_verification(c),
        second_names=SecondNames(
            c.database,
            c.cas,
            c.delivery,
            c.threads,
            wait_bytes_max=settings.sha256_wait_bytes_max,
        ),
        schedule=Schedule(
            c.database,
            c.leases,
            collection,
            interval_seconds=settings.gc_interval_seconds,
            page_items=settings.gc_page_items,
        ),
    )


def build_verification(c: Container) -> Verification:
    """A restore needs it alone."""
    return Verification(c.database, c.identity, c.verify, c.verify_leftovers)

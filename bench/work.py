"""The works: what is asked of whom, and the goal; how each program is asked is in its own file."""

from dataclasses import dataclass
from typing import NamedTuple

OURS = "ours"


class Measure(NamedTuple):
    """A figure that a goal is about."""

    field: str
    text: str


PER_CPU = Measure("per_cpu_second", "requests per CPU-second")
MB = Measure("mb_per_second", "MB/s")
P50 = Measure("p50_ms", "p50")
P95 = Measure("p95_ms", "p95")
P99 = Measure("p99_ms", "p99")
START = Measure("start_seconds", "seconds to ready")
PSS = Measure("pss_mib", "PSS")


@dataclass(frozen=True)
class Goal:
    """A bound for ours, or for ours divided by another's; of several, by the slowest of them."""

    measure: Measure
    bound: float
    against: tuple[str, ...] = ()
    at_most: bool = False

    def text(self) -> str:
        sign = "<=" if self.at_most else ">="
        if not self.against:
            unit = {"start_seconds": " s", "pss_mib": " MiB"}.get(self.measure.field, " ms")
            return f"{self.measure.text} {sign} {self.bound:g}{unit}"
        whom = " or ".join(self.against)
        whom = f"the slower of {whom}" if len(self.against) > 1 else whom
        return f"{self.measure.text} {sign} {self.bound:g}x {whom}"


@dataclass(frozen=True)
class Work:
    """One thing that programs are asked to do, under one name for all of them."""

    name: str
    what: str
    contenders: tuple[str, ...]
    measure: Measure = PER_CPU
    connections: int = 32
    goals: tuple[Goal, ...] = ()
    is_quick: bool = True


def _per_cpu(bound: float, against: str) -> Goal:
    return Goal(PER_CPU, bound, (against,))


OCI = ("docker-registry", "registry", "zot")

WORKS = (
    Work(
        "lookup",
        "a document of 1 KiB by its tag, 1,000 tags in turn",
        (OURS, *OCI, "mlflow", "asgi-select"),
        goals=(
            _per_cpu(10, "docker-registry"),
            _per_cpu(50, "mlflow"),
            _per_cpu(0.7, "asgi-select"),
        ),
    ),
    Work(
        "lookup-304",
        "the same with If-None-Match: 304",
        (OURS, "ours-200"),
        is_quick=False,
        goals=(_per_cpu(1.2, "ours-200"),),
    ),
    Work(
        "blob-1k",
        "a blob of 1 KiB by its digest, 300 blobs in turn",
        (OURS, *OCI, "bazel-remote", "nginx"),
        goals=(_per_cpu(25, "docker-registry"), _per_cpu(0.4, "nginx")),
    ),
    Work(
        "blob-64k",
        "a blob of 64 KiB by its digest, 300 blobs in turn",
        (OURS, *OCI, "bazel-remote", "nginx"),
        goals=(_per_cpu(25, "docker-registry"), _per_cpu(0.6, "nginx")),
        is_quick=False,
    ),
    Work(
        "upload-1k",
        "a new blob of 1 KiB",
        (OURS, *OCI, "bazel-remote"),
        goals=(_per_cpu(15, "docker-registry"),),
    ),
    Work(
        "create",
        "a new document of 1 KiB under a new tag; the limit commits a row of 1 KiB",
        (OURS, *OCI, "commit"),
        goals=(_per_cpu(15, "docker-registry"), Goal(P99, 25, at_most=True)),
    ),
    Work(
        "create-1",
        "the same, one connection; the other limit writes and syncs 4 KiB",
        (OURS, *OCI, "commit", "fdatasync"),
        measure=P50,
        connections=1,
        goals=(Goal(P50, 0.25, ("docker-registry",), at_most=True),),
    ),
    Work(
        "artifact",
        "an artifact that is new, with a blob that is known, under a new tag",
        (OURS,),
    ),
    Work(
        "move",
        "a tag to another document that exists, with the version that is expected",
        (OURS, *OCI, "mlflow"),
        goals=(_per_cpu(12, "docker-registry"),),
    ),
    Work(
        "patch",
        "a patch of a workflow of 100 KB, one connection",
        (OURS,),
        measure=P95,
        connections=1,
        goals=(Goal(P95, 20, at_most=True),),
    ),
    Work(
        "patch-4",
        "the same, four connections, each with a workflow of its own",
        (OURS,),
        measure=P95,
        connections=4,
        is_quick=False,
    ),
    # Those that write much come last: the disk is busy with it for a while.
    Work(
        "download-64m-1",
        "a blob of 64 MiB, whole, one stream",
        (OURS, *OCI, "bazel-remote", "nginx"),
        measure=MB,
        connections=1,
        goals=(Goal(MB, 1.0, ("nginx",)),),
    ),
    Work(
        "download-64m-8",
        "the same, 8 streams",
        (OURS, *OCI, "bazel-remote", "nginx"),
        measure=MB,
        connections=8,
        goals=(Goal(MB, 1.0, ("nginx",)),),
        is_quick=False,
    ),
    Work(
        "upload-64m",
        "a new blob of 64 MiB, one stream; the limits write and sync, or hash, as much",
        (OURS, *OCI, "bazel-remote", "disk", "blake3", "blake3-threads"),
        measure=MB,
        connections=1,
        goals=(Goal(MB, 2.3, ("docker-registry",)), Goal(MB, 0.5, ("disk", "blake3"))),
    ),
    Work(
        "mixed",
        "a document of 1 KiB by its tag while two clients upload 64 MiB again and again",
        (OURS,),
        measure=P99,
        connections=8,
        goals=(Goal(P99, 10, at_most=True),),
    ),
    Work(
        "start",
        "from the command to the first yes of /health/ready, with data there; then the idle memory",
        (OURS,),
        measure=START,
        connections=1,
        goals=(Goal(START, 1.0, at_most=True), Goal(PSS, 150, at_most=True)),
    ),
)

"""MLflow's model registry as a peer, in an environment of its own; asked for its aliases only."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.ours_api import JSON, same
from bench.ours_write import sample
from bench.program import Answer, Program
from bench.task import Reads, Task, Writes
from bench.work import Work

API = "/api/2.0/mlflow"
ALIAS = f"{API}/registered-models/alias"
ALIASES = 200
VERSIONS = 2


def home() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "orchestrator-bench" / "mlflow"


class MLflow(Program):
    """As it comes, on SQLite, but without the processes for jobs, which the registry needs not."""

    name = "mlflow"
    ready_path = "/health"

    @classmethod
    def missing(cls) -> str | None:
        if (home() / "bin" / "mlflow").exists():
            return None
        return f"a virtual environment with the package mlflow in {home()}"

    @classmethod
    def install(cls) -> None:
        """From PyPI; about 600 MB."""
        uv = str(Path(sys.executable).with_name("uv"))
        home().parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, home()], check=True)
        python = home() / "bin" / "python"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "mlflow"], check=True)

    def command(self, port: int) -> list[str]:
        return [
            str(home() / "bin" / "mlflow"),
            *("server", "--host", "127.0.0.1", "--port", str(port)),
            *("--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"),
            *("--default-artifact-root", str(self.folder / "artifacts")),
        ]

    def environment(self) -> dict[str, str]:
        return {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}

    def task(self, work: Work, contender: str) -> Task:
        del contender
        return TASKS[work.name](self, work)

    def seed(self) -> None:
        """One model with two versions; nothing happens if it is there already."""
        given = {"name": "bench"}
        if self.ask("GET", f"{API}/registered-models/get?name=bench").status == 200:
            return
        self.call("registered-models/create", given)
        for version in range(1, VERSIONS + 1):
            self.call("model-versions/create", {**given, "source": f"s3://bench/{version}"})
        for number in range(ALIASES):
            self.call("registered-models/alias", alias(number, 1))

    def call(self, path: str, body: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        self.wanted("POST", f"{API}/{path}", 200, body=content, headers=JSON)

    def look(self, number: int) -> Answer:
        return self.wanted("GET", f"{ALIAS}?name=bench&alias=alias-{number}", 200)

    def version(self, number: int) -> int:
        return int(json.loads(self.look(number).body)["model_version"]["version"])


def alias(number: int, version: int) -> dict[str, str]:
    return {"name": "bench", "alias": f"alias-{number}", "version": str(version)}


def _lookup(mlflow: MLflow, work: Work) -> Reads:
    mlflow.seed()
    one = mlflow.version(0)

    def look(index: int) -> Answer:
        answer = mlflow.look(index)
        same(f"alias {index}", json.loads(answer.body)["model_version"]["version"], str(one))
        return answer

    requests = [
        mlflow.raw("GET", f"{ALIAS}?name=bench&alias=alias-{number}") for number in range(ALIASES)
    ]
    # Its first answers, of all its processes, take more than a second.
    return Reads(mlflow, requests, look, work.connections, warm_seconds=3)


class Moves:
    """Each alias in turn, to and fro between two versions."""

    statuses: Sequence[int] = (200,)
    script = "replay"

    def __init__(self, mlflow: MLflow) -> None:
        self._mlflow = mlflow
        self._position = ALIASES
        mlflow.seed()

    def take(self, count: int) -> list[bytes]:
        return [self._request(n) for n in range(self._position, self._position + count)]

    def _request(self, position: int) -> bytes:
        body = json.dumps(alias(position % ALIASES, self._version(position))).encode()
        return self._mlflow.raw("POST", ALIAS, body, JSON)

    def verify(self, sent: int) -> None:
        for index in sample(min(sent, ALIASES), 3):
            position = self._position + sent - 1 - index
            found = self._mlflow.version(position % ALIASES)
            same(f"alias {position % ALIASES}", found, self._version(position))
        self._position += sent

    def _version(self, position: int) -> int:
        return position // ALIASES % VERSIONS + 1


TASKS: dict[str, Callable[[MLflow, Work], Task]] = {
    "lookup": _lookup,
    "move": lambda mlflow, work: Writes(mlflow, Moves(mlflow), work.connections),
}

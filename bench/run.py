"""One work after the other: starts who is needed, measures them in turns, ends who is not."""

import http.client
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import limit_local
from bench.load import WrongAnswers
from bench.program import Program
from bench.table import Row
from bench.task import Task
from bench.work import Work

BROKEN = (OSError, RuntimeError, ValueError, KeyError, http.client.HTTPException)


@dataclass(frozen=True)
class Pace:
    """How much is measured."""

    rounds: int
    seconds: float


class Runner:
    """Holds the programs that run. `close` ends them all."""

    def __init__(self, folder: Path, programs: Sequence[type[Program]], pace: Pace) -> None:
        self._folder = folder
        self._makers = {name: it for it in programs for name in (it.name, *it.also)}
        self._pace = pace
        self._running: dict[type[Program], Program] = {}

    def contenders(self, work: Work) -> list[str]:
        known = {*self._makers, *limit_local.NAMES}
        return [name for name in work.contenders if name in known]

    def run(self, work: Work) -> dict[str, Row]:
        rows = {name: Row(name) for name in self.contenders(work)}
        tasks: dict[str, Task] = {}
        broken = self._start([*rows])
        for name, row in rows.items():
            if problem := broken.get(self._makers.get(name)):
                row.problem = problem
                continue
            try:
                tasks[name] = self._task(work, name)
                tasks[name].warm()
            except (WrongAnswers, *BROKEN) as error:
                row.problem = problem_of(error)
        for _ in range(self._pace.rounds):
            for name, task in tasks.items():
                row = rows[name]
                if row.problem:
                    continue
                try:
                    row.figures.append(task.round(self._pace.seconds))
                except (WrongAnswers, *BROKEN) as error:
                    row.problem = problem_of(error)
        return rows

    def keep_only(self, works: Sequence[Work]) -> None:
        """End the programs that none of these works needs."""
        needed = {self._makers.get(name) for work in works for name in work.contenders}
        for kind in [*self._running]:
            if kind not in needed:
                self._running.pop(kind).stop()

    def close(self) -> None:
        with ExitStack() as stack:
            for program in self._running.values():
                stack.callback(program.stop)
        self._running.clear()

    def _start(self, contenders: Sequence[str]) -> dict[type[Program] | None, str]:
        """All that these need and that do not run yet, at once; why some do not, if so."""
        needed = {self._makers[name] for name in contenders if name in self._makers}
        missing = [kind for kind in needed if kind not in self._running]
        broken: dict[type[Program] | None, str] = {}

        def start(kind: type[Program]) -> None:
            program = kind(self._folder / kind.name)
            try:
                program.start()
            except BROKEN as error:
                program.stop()
                broken[kind] = problem_of(error)
            else:
                self._running[kind] = program

        with ThreadPoolExecutor() as pool:
            for _ in pool.map(start, missing):
                pass
        return broken

    def _task(self, work: Work, name: str) -> Task:
        if name in limit_local.NAMES:
            return limit_local.task(name, self._folder / "local")
        return self._running[self._makers[name]].task(work, name)


def problem_of(error: Exception) -> str:
    kind = "wrong answers" if isinstance(error, WrongAnswers) else f"failed: {type(error).__name__}"
    return f"{kind}: {' '.join(str(error).split())[:400]}"

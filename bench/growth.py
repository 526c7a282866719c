"""Measures whether a store with millions of rows is as fast as one with few, in each operation.

Run it with `.venv/bin/python -m bench.growth`. Two servers of its own are filled, one with a
million artifacts and as many blobs and moves, one with as little as fills a page, and asked in
turns. What counts is the ratio of their requests per CPU-second, all processes of a server
together: the median of all rounds. Every answer is checked, and has as many items on both servers.
`--explain` tells the plan of every statement on the full one.
"""

import argparse
import asyncio
import http.client
import json
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from bench.growth_asked import CLIENTS, Ask, Side
from bench.growth_explain import explain
from bench.server import Server
from orchestrator.embedded.cluster import running_url
from tests.growth.fill import fill
from tests.growth.shape import Sizes, World

#: Enough for every page to be a full one: 5,000 tags in the namespace that is asked.
FEW = Sizes(artifacts=5_000, blobs=6_000, tags=6_700, moves=33_500, keys=1_000, depth=100)
GOAL = 1.3


class Figure(NamedTuple):
    """One operation on one server for one round."""

    per_cpu_second: float
    waited_ms: list[float]


class Row(NamedTuple):
    """One operation: what it took on either server; `ratio` is how many times more on the full."""

    operation: str
    few_per_cpu_second: float
    many_per_cpu_second: float
    ratio: float
    few_p50_ms: float
    many_p50_ms: float
    few_p99_ms: float
    many_p99_ms: float


def run(server: Server, ask: Callable[[int], Ask], seconds: float) -> Figure:
    waited: list[float] = []
    wrong: list[str] = []
    stop = time.monotonic() + seconds

    def client(number: int) -> None:
        try:
            ask_on(server.connect(), number)
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no figure.
            wrong.append(f"{type(error).__name__}: {error}")

    def ask_on(connection: http.client.HTTPConnection, number: int) -> None:
        while not wrong and time.monotonic() < stop:
            asked = ask(number)
            started = time.monotonic()
            headers = {**server.headers, **asked.headers}
            connection.request(asked.method, asked.path, body=asked.body or None, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            waited.append((time.monotonic() - started) * 1_000)
            if answer.status != asked.status or not asked.check(body):
                wrong.append(f"{asked.method} {asked.path}: {answer.status} {body[:500]!r}")
        connection.close()

    before = server.cpu_seconds()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise AssertionError(wrong[0])
    return Figure(len(waited) / max(server.cpu_seconds() - before, 0.01), waited)


def compare(name: str, few: Side, many: Side, *, seconds: float, rounds: int) -> Row:
    sides = [(side.server, side.operations()[name]) for side in (few, many)]
    for server, ask in sides:
        run(server, ask, 0.3)  # What the first time costs more is not growth.
    pairs = [[run(server, ask, seconds) for server, ask in sides] for _ in range(rounds)]
    rates = [median(pair[at].per_cpu_second for pair in pairs) for at in (0, 1)]
    waited = [[each for pair in pairs for each in pair[at].waited_ms] for at in (0, 1)]
    last = [quantiles(each, n=100)[98] for each in waited]
    return Row(
        operation=name,
        few_per_cpu_second=rates[0],
        many_per_cpu_second=rates[1],
        ratio=median(few.per_cpu_second / many.per_cpu_second for few, many in pairs),
        few_p50_ms=median(waited[0]),
        many_p50_ms=median(waited[1]),
        few_p99_ms=last[0],
        many_p99_ms=last[1],
    )


def show(row: Row) -> None:
    print(
        f"{row.operation:<48}{row.few_per_cpu_second:>10,.0f}{row.many_per_cpu_second:>10,.0f}"
        f"{row.ratio:>8.2f}{'' if row.ratio <= GOAL else ' !':<2}"
        f"{row.few_p50_ms:>9.2f}{row.many_p50_ms:>9.2f}"
        f"{row.few_p99_ms:>9.2f}{row.many_p99_ms:>9.2f}",
        flush=True,
    )


def _say(line: str) -> None:
    print(line, flush=True)


def _unsaid(_: str) -> None:
    pass


def filled(
    folder: Path, sizes: Sizes, *, quiet: bool, cache_bytes: int | None
) -> tuple[Server, World]:
    caches = ("document_cache_bytes_max", "blob_cache_bytes_max")
    changed: dict[str, Any] = {} if cache_bytes is None else dict.fromkeys(caches, cache_bytes)
    server = Server(folder, **changed)
    try:
        url = running_url(folder / "postgres")
        assert url is not None
        world = World(sizes)
        asyncio.run(fill(url, world, _unsaid if quiet else _say))
    except BaseException:
        server.end()
        raise
    return server, world


def measured(few: Side, many: Side, chosen: argparse.Namespace) -> list[Row]:
    print(f"\n{'':<48}{'per CPU-second':^20}{'':<10}{'p50 ms':^18}{'p99 ms':^18}")
    print(f"{'':<48}{'few':>10}{'many':>10}{'ratio':>8}  " + f"{'few':>9}{'many':>9}" * 2)
    rows = []
    whole, other = few.items(), many.items()
    unequal = [name for name in whole.keys() & other.keys() if whole[name] != other[name]]
    assert not unequal, f"One of the servers has more items on these pages: {unequal}."
    for name in many.operations():
        if chosen.only in name:
            rows.append(compare(name, few, many, seconds=chosen.seconds, rounds=chosen.rounds))
            show(rows[-1])
    return rows


def summary(rows: Sequence[Row]) -> str:
    missed = [f"{row.operation} {row.ratio:.2f}" for row in rows if row.ratio > GOAL]
    return f"goal: at most {GOAL} times more with many rows; missed: {', '.join(missed) or 'none'}"


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="growth", description=(__doc__ or "").split("\n")[0])
    default = Sizes()
    for name in ("artifacts", "blobs", "tags", "moves", "keys", "depth"):
        parser.add_argument(f"--{name}", type=int, default=getattr(default, name))
    parser.add_argument("--seconds", type=float, default=0.3, help="a round, per server")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--only", default="", help="operations whose name contains this")
    parser.add_argument("--cache-bytes", type=int, help="of each cache of a server; 0: none")
    parser.add_argument("--folder", type=Path, help="where the data is while it runs")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--explain", action="store_true", help="only plans and their times")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if the goal is met by every operation."""
    chosen = options(arguments)
    names = ("artifacts", "blobs", "tags", "moves", "keys", "depth")
    sizes = Sizes(**{name: getattr(chosen, name) for name in names})
    servers: list[Server] = []
    with tempfile.TemporaryDirectory(prefix="growth-", dir=chosen.folder) as folder:
        try:
            cache_bytes = chosen.cache_bytes
            place = Path(folder) / "many"
            many, world = filled(place, sizes, quiet=False, cache_bytes=cache_bytes)
            servers.append(many)
            if chosen.explain:
                asyncio.run(explain(str(running_url(place / "postgres"))))
                return 0
            place = Path(folder) / "few"
            few, small = filled(place, FEW, quiet=True, cache_bytes=cache_bytes)
            servers.append(few)
            rows = measured(Side(few, small), Side(many, world), chosen)
        finally:
            for server in servers:
                server.end()
    print(summary(rows))
    if chosen.json:
        chosen.json.write_text(json.dumps([row._asdict() for row in rows], indent=2) + "\n")
    return int(any(row.ratio > GOAL for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())

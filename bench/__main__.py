"""The benchmark: our server and its peers at the same works in turns; options and order of them.

Each program is on loopback, with a data folder of its own below one temporary folder. For each work
the programs are asked in alternating rounds, so that whatever else the machine does meets them all.
A figure is shown only if the answers behind it were right.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.limit_asgi import Limit
from bench.ours import Ours
from bench.peer_bazel_remote import BazelRemote
from bench.peer_mlflow import MLflow
from bench.peer_nginx import Nginx
from bench.peer_oci import Distribution, DockerRegistry, Zot
from bench.program import Program
from bench.run import Pace, Runner
from bench.table import Row, as_json, say, text
from bench.work import WORKS, Work

PROGRAMS: tuple[type[Program], ...] = (
    Ours,
    DockerRegistry,
    Distribution,
    Zot,
    BazelRemote,
    MLflow,
    Nginx,
    Limit,
)
SELDOM = (Distribution, Zot, BazelRemote)
QUICK = Pace(rounds=2, seconds=0.3)
DISK_BYTES_MIN = 20 * 1024**3
BUSY_LOAD = 0.5


def options(arguments: list[str]) -> argparse.Namespace:
    works = ", ".join(work.name for work in WORKS)
    parser = argparse.ArgumentParser(
        prog="./dev bench",
        description="Our server and its peers at the same works, measured in turns. "
        "A whole run takes about ten minutes and writes up to 15 GiB below TMPDIR. "
        "`./dev bench growth` measures how a store grows; see its own --help.",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="under a minute: short rounds, fewer works, without mlflow",
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each work and program (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round (2)")
    parser.add_argument("--only", metavar="WORK,...", help=works)
    parser.add_argument("--without", metavar="PROGRAM,...", default="", help="leave these out")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there too")
    parser.add_argument("--list", action="store_true", help="show works, goals and programs")
    parser.add_argument("--install", action="store_true", help="install the peers that are missing")
    chosen = parser.parse_args(arguments)
    chosen.works = [work for work in WORKS if work.is_quick or not chosen.quick]
    if chosen.only:
        names = chosen.only.split(",")
        chosen.works = [work for work in WORKS if work.name in names]
        if unknown := set(names) - {work.name for work in WORKS}:
            parser.error(f"no such work: {', '.join(sorted(unknown))}; there are {works}")
    chosen.pace = QUICK if chosen.quick else Pace(max(1, chosen.rounds), max(0.2, chosen.seconds))
    return chosen


def show_list() -> None:
    for work in WORKS:
        print(f"{work.name:<15} {work.what}")
        print(f"{'':<15}   {', '.join(work.contenders)}")
        for goal in work.goals:
            print(f"{'':<15}   goal {goal.text()}")
    print("\nPrograms:")
    for program in PROGRAMS:
        missing = program.missing()
        print(f"  {program.name:<16} {'is here' if missing is None else f'missing: {missing}'}")


def install() -> None:
    """Debian's packages as root, and MLflow into a folder of its own."""
    packages = [it.package for it in (DockerRegistry, Nginx) if it.missing() and it.package]
    packages += [] if shutil.which("wrk") else ["wrk"]
    if packages and os.geteuid() == 0 and Path("/etc/debian_version").exists():
        say(f"bench: apt-get install {' '.join(packages)} (where services run, they are started)")
        subprocess.run(["apt-get", "update", "--quiet"], check=True)
        command = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *packages]
        subprocess.run(command, check=True)
    elif packages:
        say(f"bench: install {', '.join(packages)} yourself: this needs Debian and root.")
    if MLflow.missing():
        say("bench: installing mlflow from PyPI into a folder of its own, about 600 MB ...")
        MLflow.install()


def available(chosen: argparse.Namespace) -> list[type[Program]]:
    without = set(filter(None, chosen.without.split(",")))
    wanted = {name for work in chosen.works for name in work.contenders}
    found = []
    for program in PROGRAMS:
        if program.name in without or not wanted & {program.name, *program.also}:
            continue
        if program is MLflow and chosen.quick:
            say("bench: without mlflow, which alone takes 25 s to start.")
        elif missing := program.missing():
            if program not in SELDOM:
                say(f"bench: without {program.name}: {missing}, or ./dev bench --install")
        else:
            found.append(program)
    return found


def measure(chosen: argparse.Namespace, folder: Path) -> list[tuple[Work, dict[str, Row]]]:
    runner = Runner(folder, available(chosen), chosen.pace)
    results = []
    began = time.monotonic()
    try:
        for number, work in enumerate(chosen.works):
            passed = time.monotonic() - began
            say(
                f"bench: {passed:4.0f} s  {number + 1}/{len(chosen.works)} {work.name}: "
                + ", ".join(runner.contenders(work))
            )
            rows = runner.run(work)
            results.append((work, rows))
            print(text(work, rows), flush=True)
            runner.keep_only(chosen.works[number + 1 :])
    finally:
        runner.close()
    say(f"bench: {time.monotonic() - began:4.0f} s  done; removing what was written")
    return results


def report(chosen: argparse.Namespace, results: list[tuple[Work, dict[str, Row]]]) -> None:
    made: dict[str, Any] = {
        "machine": platform.platform(),
        "processors": os.cpu_count(),
        "rounds": chosen.pace.rounds,
        "seconds": chosen.pace.seconds,
        "works": [as_json(work, rows) for work, rows in results],
    }
    chosen.json.write_text(json.dumps(made, indent=1) + "\n")


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["growth"]:
        from bench import growth  # noqa: PLC0415 - has options of its own, and may be slow to load.

        return int(growth.main(arguments[1:]) or 0)
    chosen = options(arguments)
    if chosen.list:
        show_list()
        return 0
    if chosen.install:
        install()
    if not shutil.which("wrk"):
        say("bench: wrk is missing: apt-get install wrk, or ./dev bench --install as root.")
        return 1
    if not chosen.quick and shutil.disk_usage(tempfile.gettempdir()).free < DISK_BYTES_MIN:
        say(f"bench: {tempfile.gettempdir()} needs 20 GiB of room; TMPDIR names another folder.")
        return 1
    if chosen.quick and not chosen.only:
        left_out = ", ".join(work.name for work in WORKS if not work.is_quick)
        say(f"bench: quick, so without {left_out}.")
    if os.getloadavg()[0] > BUSY_LOAD * (os.cpu_count() or 1):
        say(
            f"bench: others use this machine, load {os.getloadavg()[0]:.1f}: trust the ratios more."
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # So that the programs are ended.
    # What is measured is the server as it is shipped: with its defaults, and as an installation
    # has it, with its modules compiled.
    for name in [name for name in os.environ if name.startswith("ORCHESTRATOR_")]:
        del os.environ[name]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="orchestrator-bench-") as folder:
        results = measure(chosen, Path(folder))
    if chosen.json:
        report(chosen, results)
    problems = [row for _, rows in results for row in rows.values() if row.problem]
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`./dev torture NAME`: try to break a server; exit with 1 if something did not hold."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from torture.run import Run
from torture.tortures import TORTURES


def main(arguments: list[str]) -> int:
    chosen = _options(arguments)
    if chosen.name is None:
        for torture in TORTURES.values():
            print(f"{torture.name:<14} {torture.what}")
        return 0
    failed = []
    for name in TORTURES if chosen.name == "all" else [chosen.name]:
        print(f"torture {name} --seed {chosen.seed}", flush=True)
        with (
            tempfile.TemporaryDirectory(prefix="torture-") as folder,
            Run(Path(folder), chosen.seed, chosen.minutes, chosen.short) as run,
        ):
            TORTURES[name].run(run)
        print(f"torture {name}: {f'{len(run.found)} findings' if run.found else 'all held'}")
        failed += [name] if run.found else []
    return 1 if failed else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev torture",
        description="Try to break a server of its own on this machine. Without a name: the list.",
        epilog="example: ./dev torture stall --seed 1",
    )
    parser.add_argument("name", nargs="?", choices=[*TORTURES, "all"], metavar="NAME")
    parser.add_argument("--minutes", type=float, help="how long, where a torture takes any time")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="of all chance")
    parser.add_argument("--short", action="store_true", help="the form that runs with the tests")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The commands of `./dev`: which environment each needs, and what it runs in it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from tools.environment import BUILD, DEVELOP, LEFT_OUT, LOWEST, NEWEST, SERVE, Environment
from tools.pythons import find_pythons
from tools.say import Failed, say

INTERRUPTED = 130
#: Options of `./dev test` that run the quick tests on other versions of the packages.
OTHER_VERSIONS = {"--lowest": LOWEST, "--newest": NEWEST}
EVERY_PYTHON = "--every-python"


def main(root: Path, command: str, *arguments: str) -> int:
    """Run a command of `./dev`, which knows these names; return its exit code."""
    try:
        if command == "test" and EVERY_PYTHON in arguments:
            return _test_on_every_python(root, arguments)
        environment = _environment(root, command, arguments)
        if not environment.is_ready():
            environment.make()
        if command in COMMAND_LINE:
            # The same data from wherever it is called.
            os.environ.setdefault("ORCHESTRATOR_DATA_DIR", f"{root}/.orchestrator")
            words = arguments if command == "cli" else (command, *arguments)
            _become(environment, environment.program("orchestrator"), *words)
        os.chdir(root)
        return COMMANDS[command](environment, arguments)
    except KeyboardInterrupt:
        say("Interrupted.")
        return INTERRUPTED
    except Failed as error:
        for line in str(error).splitlines():
            say(line)
        return 1


def _environment(root: Path, command: str, arguments: Sequence[str]) -> Environment:
    """Choose the environment that a command runs in."""
    for option, locks in OTHER_VERSIONS.items():
        if command == "test" and option in arguments:
            python = "{}.{}".format(*sys.version_info)
            return Environment(root, f".venvs/{python}-{option.removeprefix('--')}", locks)
    return Environment(root, ".venv", SERVE if command in COMMAND_LINE else DEVELOP)


def _become(environment: Environment, *words: str) -> NoReturn:
    """Go on as Python with these words; by way of its path, as `#!` cannot hold every path."""
    os.execv(environment.python, [environment.python, *words])  # noqa: S606 - no shell is meant.


class Checks:
    """Runs checks, and goes on after a failure, so that one run shows them all."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._failed: list[str] = []

    def run(self, *words: str) -> None:
        """Run one check: a program of the environment and its arguments."""
        say(" ".join(words))
        with subprocess.Popen(self._command(words)) as process:
            before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
            try:
                code = process.wait()
            finally:
                signal.signal(signal.SIGTERM, before)
        if code == -signal.SIGTERM:
            sys.exit(128 + signal.SIGTERM)
        if code:
            self._failed.append(" ".join(words[:2]))

    @contextmanager
    def beside(self, *words: str) -> Iterator[None]:
        """Run one check while the block runs others, and show afterwards what it said."""
        with (
            tempfile.TemporaryFile() as output,
            subprocess.Popen(self._command(words), stdout=output, stderr=output) as process,
        ):
            try:
                yield
            except BaseException:
                process.kill()
                raise
            if process.wait():
                self._failed.append(" ".join(words[:2]))
            say(" ".join(words))
            output.seek(0)
            sys.stdout.buffer.write(output.read())
            sys.stdout.flush()

    def _command(self, words: Sequence[str]) -> list[str]:
        module = ("-m", words[0]) if words[0] in {"mypy", "pytest"} else None
        begin = module or (self._environment.program(words[0]),)
        python = () if words[0] == "ruff" else (self._environment.python,)
        return [*python, *begin, *words[1:]]

    def result(self) -> int:
        """Name what failed; the exit code."""
        if self._failed:
            raise Failed(f"Failed: {', '.join(self._failed)}")
        return 0


def _run_quick_lint(checks: Checks) -> None:
    checks.run("ruff", "format", "--check", ".")
    checks.run("ruff", "check", ".")
    checks.run("lint-imports")


def _lint(environment: Environment, _: Sequence[str]) -> int:
    checks = Checks(environment)
    _run_quick_lint(checks)
    checks.run("mypy")
    return checks.result()


def _test(environment: Environment, arguments: Sequence[str]) -> int:
    ours = set(arguments) & {"--fast", *OTHER_VERSIONS}
    rest = [word for word in arguments if word not in ours]
    if "--newest" in ours:
        return _report(environment, rest)
    if ours:
        rest = [*FAST, *rest]
    if rest:
        _become(environment, "-m", "pytest", *rest)
    checks = Checks(environment)
    _run_quick_lint(checks)
    # The processors are never all busy with tests: some wait for a server.
    with checks.beside("mypy"):
        checks.run("pytest", *WHOLE)
    return checks.result()


def _report(environment: Environment, arguments: Sequence[str]) -> int:
    """Run the quick tests, and only tell how they went: nobody here made the newest versions."""
    checks = Checks(environment)
    checks.run("pytest", *FAST, *arguments)
    try:
        checks.result()
        say("The newest versions pass.")
    except Failed:
        say("The newest versions fail: a report, not a gate.")
    return 0


def _test_on_every_python(root: Path, arguments: Sequence[str]) -> int:
    """Run the same tests on each Python of this machine."""
    words = [word for word in arguments if word != EVERY_PYTHON]
    if not set(words) & {*OTHER_VERSIONS}:
        raise Failed(f"{EVERY_PYTHON} goes with --lowest or --newest.")
    failed = []
    for version, python in find_pythons(os.environ).items():
        name = "Python {}.{}".format(*version)
        say(f"{name}: {' '.join(words)}")
        done = subprocess.run([python, "-I", "-S", root / "tools", "test", *words], check=False)
        failed += [name] if done.returncode else []
    if failed:
        raise Failed(f"Failed: {', '.join(failed)}")
    return 0


def _bench(environment: Environment, arguments: Sequence[str]) -> int:
    _become(environment, "-m", "bench", *arguments)


def _torture(environment: Environment, arguments: Sequence[str]) -> int:
    _become(environment, "-m", "torture", *arguments)


def _lock(environment: Environment, arguments: Sequence[str]) -> int:
    """Write the lock files: each agrees with those before it; the last stands by itself."""
    uv = (environment.program("uv"), "pip", "compile", "--quiet", "--no-header")
    left_out = (word for name in LEFT_OUT for word in ("--no-emit-package", name))
    everything = ("pyproject.toml", "--extra", "embedded", *left_out)
    serve, develop = DEVELOP
    for words in (
        (*everything, "-o", serve),
        ("--group", "dev", "-c", serve, "-o", develop),
        ("--group", "build", "-c", develop, "-o", BUILD),
        (*everything, "--group", "dev", "--resolution", "lowest-direct", "-o", *LOWEST),
    ):
        subprocess.run([*uv, "--universal", "--generate-hashes", *words, *arguments], check=True)
    return 0


def _changelog(environment: Environment, arguments: Sequence[str]) -> int:
    """Show what the next release would say, or write it if its version is given."""
    words = ("--yes", *arguments) if arguments else ("--draft", "--version", "Unreleased")
    _become(environment, "-m", "towncrier", "build", *words)


#: Those that run the product: they need what serving needs.
COMMAND_LINE = {"serve", "cli", "migrate"}
COMMANDS = {
    "test": _test,
    "lint": _lint,
    "bench": _bench,
    "torture": _torture,
    "lock": _lock,
    "changelog": _changelog,
}
#: Tests of a group share what they started, so they run on one worker. There are more workers than
#: processors in a small machine: they often wait, for the database or for another process.
WORKERS = ("-n", "4", "--dist", "loadgroup")
FAST = ("-q", *WORKERS, "-m", "not slow")
WHOLE = (
    *(*WORKERS, "--cov=orchestrator", "--cov-branch"),
    *("--cov-report=term-missing:skip-covered", "--cov-fail-under=95"),
)

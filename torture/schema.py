"""Requests made from the OpenAPI document, valid and not: each answer must be as it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

from torture.run import Run

FOLDER = Path(__file__).parent
#: This check knows no rules that are said in words; ours does (schema_hooks.py).
LEFT_OUT = "positive_data_acceptance"
MINUTES = 10.0
#: The machine may be busy with other things, or stand still.
ANSWER_SECONDS_MAX = 60
SUMMARY = re.compile(r"^(API Operations:|Failures:|Errors:|Test cases:)$", re.MULTILINE)


def schema(run: Run) -> None:
    server = run.server(access_log="false")
    token = server.headers["Authorization"]
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file"]
    command += [str(FOLDER / "schema.toml")]
    command += ["run", f"http://{server.address}/schema/openapi.json"]
    command += ["--header", f"Authorization: {token}", "--checks", "all"]
    command += ["--exclude-checks", LEFT_OUT, "--seed", str(run.seed), "--continue-on-failure"]
    command += ["--request-timeout", str(ANSWER_SECONDS_MAX), "--warnings", "off", "--no-color"]
    if run.short:
        command += ["--phases", "fuzzing", "--max-examples", "2"]
    else:
        seconds = max(1, int(run.time_left(MINUTES)))
        command += ["--phases", "examples,coverage,fuzzing,stateful", "--max-time", str(seconds)]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "torture.schema_hooks",
        "PYTHONPATH": str(FOLDER.parent),
    }
    log = run.folder / "schemathesis.txt"
    with log.open("wb") as output:
        done = subprocess.run(
            command,
            cwd=run.folder,  # It leaves a cache.
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    told = log.read_text()
    start = SUMMARY.search(told)
    run.say(told[start.start() :] if start else told)
    if done.returncode:
        run.say(told[: start.start()] if start else "")
        run.fail(f"schemathesis ended with {done.returncode}: answers are not as described.")
    if server.process.poll() is not None:
        run.fail("The server ended.")

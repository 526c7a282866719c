"""Workflows of other programs are recognised and named; ours are not taken for them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api import chain
from tests.cli.conftest import Run

Write = Callable[..., Path]
SHARED = Path(__file__).parents[3] / "shared" / "data"

ASL = b'{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}'
ARGO = b"""\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: x-}
spec: {templates: [{name: x, container: {command: [no, on]}}]}
"""
ACTIONS = b"on: [push]\njobs:\n  build:\n    runs-on: ubuntu-latest\n    steps: [{run: make}]\n"
AIRFLOW = b"from airflow import DAG\nwith DAG('x') as dag:\n    pass\n"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("n8n.json", {"nodes": [{"name": "Start"}], "connections": {}}, "an n8n workflow"),
        ("asl.json", ASL, "an Amazon States Language (ASL) state machine"),
        ("argo.yaml", ARGO, "an Argo Workflows manifest"),
        ("ci.yml", ACTIONS, "a GitHub Actions workflow"),
        ("dag.py", AIRFLOW, "an Airflow DAG"),
        ("sw.yaml", b"document: {dsl: 1.0.0}\ndo: []\n", "a Serverless Workflow"),
    ],
)
def test_a_workflow_of_another_program_is_named_in_the_refusal(
    run: Run, write: Write, name: str, content: object, kind: str
) -> None:
    for command in (("create", "w"), ("import",)):
        done = run("workflow", *command, write(name, content), "--url", "http://127.0.0.1:1")
        assert done.code == 6
        assert f"error: {name}: This is {kind}, and cannot be imported yet.\n" in done.err


def test_a_workflow_of_ours_is_not_taken_for_another(cli: Run, write: Write) -> None:
    mine = {**chain("a"), "metadata": {"on": 1, "jobs": {}, "apiVersion": "argoproj.io/v1"}}
    assert cli("workflow", "create", "w", write("w.json", mine)).code == 0


@pytest.mark.parametrize("folder", ["argo", "stepfunctions", "serverless"])
def test_real_files_are_recognised(run: Run, folder: str) -> None:
    files = sorted((SHARED / folder).glob("*"))[:40]
    if not files:
        pytest.skip(f"{SHARED / folder} is not here")
    done = run("workflow", "import", *files, "--url", "http://127.0.0.1:1", "--token", "t")
    refused = [line for line in done.err.splitlines() if "cannot be imported yet" in line]
    assert len(refused) == len(files), done.err

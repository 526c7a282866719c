"""What `deploy/` says of the server is true of the server."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.cli.main import app
from orchestrator.handlers.http.edge import PUBLIC_PATHS
from orchestrator.settings import CLIENT_VARIABLES, PREFIX, Settings
from tools.environment import BUILD, SERVE

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
UNIT = DEPLOY / "systemd" / "orchestrator.service"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
FILES = [DOCKERFILE, COMPOSE, UNIT, *MANIFESTS]
NAMES = [str(file.relative_to(DEPLOY)) for file in FILES]


def deployment() -> Any:
    return yaml.safe_load((DEPLOY / "kubernetes" / "deployment.yaml").read_text())


def server() -> Any:
    return deployment()["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_every_variable_is_a_setting(file: Path) -> None:
    names = {name.lower() for name in re.findall(rf"{PREFIX}([A-Z_]+)", file.read_text())}
    assert names <= {*Settings.__struct_fields__, *CLIENT_VARIABLES}


@pytest.mark.parametrize("file", [DOCKERFILE, UNIT, DEPLOY / "kubernetes" / "deployment.yaml"])
def test_every_flag_is_one_of_serve(file: Path) -> None:
    (command,) = re.findall(r"(?m)^(?:CMD|ExecStart=| +args:).*\bserve\b.*$", file.read_text())
    known = {name for each in app["serve"].assemble_argument_collection() for name in each.names}
    assert set(re.findall(r"--[a-z-]+", command)) <= known


def test_every_port_is_the_one_that_the_server_listens_at() -> None:
    assert "\nEXPOSE 8080\n" in DOCKERFILE.read_text()
    assert "127.0.0.1:8080/health/ready" in DOCKERFILE.read_text()
    ports = yaml.safe_load(COMPOSE.read_text())["services"]["orchestrator"]["ports"]
    assert ports == ["127.0.0.1:8080:8080"]
    assert [port["containerPort"] for port in server()["ports"]] == [8080]
    assert "--port 8080" in UNIT.read_text()
    service = yaml.safe_load((DEPLOY / "kubernetes" / "service.yaml").read_text())
    assert service["spec"]["ports"][0]["targetPort"] == server()["ports"][0]["name"]


def test_every_probe_asks_a_path_that_needs_no_token() -> None:
    probes = [server()[name]["httpGet"] for name in server() if name.endswith("Probe")]
    assert len(probes) == 3
    assert {probe["path"] for probe in probes} <= PUBLIC_PATHS
    # A database that is away must not have the servers restarted.
    assert server()["livenessProbe"]["httpGet"]["path"] == "/health/live"


def test_every_selector_finds_the_servers() -> None:
    labels = deployment()["spec"]["template"]["metadata"]["labels"]
    for name, keys in (
        ("deployment", ("selector", "matchLabels")),
        ("service", ("selector",)),
        ("disruption", ("selector", "matchLabels")),
        ("network", ("podSelector", "matchLabels")),
    ):
        found = yaml.safe_load((DEPLOY / "kubernetes" / f"{name}.yaml").read_text())["spec"]
        for key in keys:
            found = found[key]
        assert found == labels


def test_nobody_is_root_and_nothing_may_be_gained() -> None:
    stages = DOCKERFILE.read_text().split("\nFROM ")
    assert "\nUSER 10001:10001\n" in stages[-1]
    assert "\nHEALTHCHECK " in stages[-1]
    pod = deployment()["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # Names keep their capitals.
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert service["User"] == "orchestrator"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"


def test_images_are_named_by_a_version() -> None:
    images = re.findall(r"(?m)^ARG PYTHON=(\S+)", DOCKERFILE.read_text())
    services = yaml.safe_load(COMPOSE.read_text())["services"].values()
    for image in [*images, *(service["image"] for service in services)]:
        assert re.search(r":\D*\d+[.\d-]+", image), image


def test_secrets_are_given_and_not_written_down() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"].values()
    for service in services:
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|URL$|HOST_", name) and name != "AWS_ENDPOINT_URL":
                assert re.search(r"\$\{\w+:\?\}", value), name
    for variable in server()["env"]:
        assert "valueFrom" in variable or variable["name"] == "AWS_REGION"


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    root = DEPLOY.parent
    allowed = re.findall(r"(?m)^!(\S+)", (root / ".dockerignore").read_text())
    copied = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text())
    names = {name for words in copied for name in words.split()}
    assert {*SERVE, BUILD, "orchestrator", "migrations"} <= names
    for name in names:
        assert (root / name).exists()
        assert any(Path(name).match(pattern) for pattern in allowed), name


def test_the_tools_that_are_here_accept_it(tmp_path: Path) -> None:
    if kubectl := shutil.which("kubectl"):
        words = [kubectl, "kustomize", str(DEPLOY / "kubernetes")]
        built = subprocess.run(words, check=True, capture_output=True).stdout
        kinds = {document["kind"] for document in yaml.safe_load_all(built)}
        assert kinds == {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"}
    if analyze := shutil.which("systemd-analyze"):
        # The program that the unit starts is not here; one that is stands for it.
        unit = tmp_path / UNIT.name
        unit.write_text(UNIT.read_text().replace("/opt/orchestrator/bin/orchestrator", "/bin/true"))
        subprocess.run([analyze, "verify", "--man=no", unit], check=True, capture_output=True)

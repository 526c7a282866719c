"""`orchestrator artifact pull`: whole files below one folder, whatever a server does."""

import fcntl
import json
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from orchestrator.cli.limits import Limits
from tests.cli.conftest import Run
from tests.cli.proxy import Proxy

LARGE = random.Random(5).randbytes(2 * 1024 * 1024 + 7)
Write = Callable[..., Path]
WORKFLOW = {"nodes": [{"id": "a", "type": "task"}], "edges": []}


@pytest.fixture
def limits() -> Limits:
    """Pauses that are too short for a person to wait for."""
    return Limits(download_retry_seconds=(0.01,) * 4)


def cas_id(content: bytes) -> str:
    return f"blake3:{blake3(content).hexdigest()}"


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if not path.is_dir()
    }


@pytest.fixture
def pushed(cli: Run, write: Write) -> dict[str, bytes]:
    """The files of the artifact that the tag `m` names."""
    files = {"a.bin": b"a", "empty": b"", "deep/er/ü b": b"b", "deep/same": b"a", "large": LARGE}
    for name, content in files.items():
        write(f"source/{name}", content)
    done = cli("artifact", "push", "source", "--kind", "model", "--tag", "m")
    assert done.code == 0, done.err
    return files


def actions(cli: Run, *arguments: object, code: int = 0) -> dict[str, str]:
    done = cli("artifact", "pull", *arguments, "--output", "json")
    assert done.code == code, done.err
    return {each["name"]: each["action"] for each in json.loads(done.out)["files"]}


def test_the_files_come_back_as_they_were(cli: Run, pushed: dict[str, bytes], alone: Path) -> None:
    made = cli("tag", "show", "m", "--output", "json").json()
    for at, name in enumerate(("m", "m@1", made["artifact_id"], made["version_hash"])):
        done = cli("artifact", "pull", name, "-o", f"new/{at}")
        assert (done.code, done.err) == (0, "")
        assert files_below(alone / f"new/{at}") == pushed
    assert "large" in done.out
    os.chdir(alone / "new")
    cli("artifact", "pull", "m")
    assert (alone / "new/deep/same").read_bytes() == b"a"


def test_what_is_there_stays_unless_it_is_to_be_replaced(
    cli: Run, pushed: dict[str, bytes], alone: Path
) -> None:
    for name in ("a.bin", "deep/same"):
        (alone / "to" / name).parent.mkdir(parents=True, exist_ok=True)
    (alone / "to/a.bin").write_bytes(b"a")
    (alone / "to/deep/same").write_bytes(b"z")
    (alone / "to/large").mkdir()
    (alone / "to/other").write_bytes(b"mine")
    inode = (alone / "to/a.bin").stat().st_ino
    done = cli("artifact", "pull", "m", "-o", "to")
    assert done.code == 1
    assert done.err.splitlines() == [
        "error: 2 of 5 files were not written.",
        "  deep/same: It is here already and differs; see --force.",
        "  large: It is a folder here.",
    ]
    assert (alone / "to/deep/same").read_bytes() == b"z"
    assert (alone / "to/deep/er/ü b").read_bytes() == b"b", "the others are written"
    (alone / "to/large").rmdir()
    assert actions(cli, "m", "-o", "to", "--force") == {
        "a.bin": "unchanged",
        "deep/er/ü b": "unchanged",
        "deep/same": "written",
        "empty": "unchanged",
        "large": "written",
    }
    assert files_below(alone / "to") == {**pushed, "other": b"mine"}
    assert (alone / "to/a.bin").stat().st_ino == inode


def test_nothing_is_written_through_a_link(cli: Run, pushed: dict[str, bytes], alone: Path) -> None:
    outside = alone / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"mine")
    (alone / "real").mkdir()
    (alone / "real/deep").symlink_to(outside)
    (alone / "real/a.bin").symlink_to(outside / "file")
    (alone / "real/empty").symlink_to(outside / "new")
    (alone / "to").symlink_to("real")
    found = actions(cli, "m", "-o", "to", code=1)
    assert [name for name, action in found.items() if action == "written"] == ["large"]
    assert "deep is a file or a symbolic link here." in cli("artifact", "pull", "m", "-o", "to").err
    found = actions(cli, "m", "-o", "to", "--force", code=1)
    assert [name for name, action in found.items() if action == "failed"] == [
        "deep/er/ü b",
        "deep/same",
    ]
    assert files_below(outside) == {"file": b"mine"}
    assert not (alone / "real/a.bin").is_symlink(), "the link itself was replaced"


@pytest.fixture
def large(cli: Run, write: Write) -> None:
    """The one file of what the tag `large` names."""
    file = write("large", LARGE)
    assert cli("artifact", "push", file, "--kind", "model", "--tag", "large").code == 0


def pull_a_part(cli: Run, proxy: Proxy, folder: Path) -> Path:
    """Where the part is that a server which is gone for long had sent."""
    proxy.limits = [(1 << 60, 900_000), *[(1 << 60, 10)] * 20]
    failed = cli("artifact", "pull", "large", "-o", folder)
    proxy.limits = []
    assert failed.code == 7
    (part,) = folder.iterdir()
    assert 0 < part.stat().st_size < len(LARGE)
    return part


def test_a_pull_survives_lost_connections(
    cli: Run, pushed: dict[str, bytes], alone: Path, proxy: Proxy
) -> None:
    proxy.limits = [(1 << 60, 900_000)] * 2
    assert set(actions(cli, "m", "-o", "to").values()) == {"written"}
    assert proxy.limits == []
    assert files_below(alone / "to") == pushed


def test_a_pull_that_was_cut_off_goes_on(cli: Run, large: None, alone: Path, proxy: Proxy) -> None:
    had = pull_a_part(cli, proxy, alone / "to").stat().st_size
    proxy.received = 0
    assert actions(cli, "large", "-o", "to") == {"large": "written"}
    assert proxy.received < len(LARGE) - had + 100_000, "what was there came again"
    assert files_below(alone / "to") == {"large": LARGE}


def test_what_a_former_pull_left_is_not_believed(
    cli: Run, large: None, alone: Path, proxy: Proxy
) -> None:
    part = pull_a_part(cli, proxy, alone / "to")
    for wrong in (b"x" * 1_000, b"x" * len(LARGE), LARGE + b"x"):
        part.write_bytes(wrong)
        assert actions(cli, "large", "-o", "to") == {"large": "written"}
        assert files_below(alone / "to") == {"large": LARGE}
        (alone / "to/large").unlink()


def test_two_pulls_do_not_write_one_file(cli: Run, large: None, alone: Path, proxy: Proxy) -> None:
    with pull_a_part(cli, proxy, alone / "to").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        found = cli("artifact", "pull", "large", "-o", "to")
    assert "large: Another command is writing this file." in found.err
    assert actions(cli, "large", "-o", "to") == {"large": "written"}


def test_an_artifact_without_files_is_not_pulled(cli: Run, write: Write) -> None:
    cli("workflow", "create", "orders", write("w.json", WORKFLOW))
    done = cli("artifact", "pull", "orders")
    assert done.err == "error: orders is an artifact of kind dag_version without files.\n"
    assert cli("artifact", "pull", "nothing").code == 3


class Hostile:
    """A server that answers with what a test puts there, whether or not it may be true."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifest = b""
        self.named = ""

    def offer(self, files: dict[str, bytes], **changed: Any) -> None:
        """An artifact of these files, all of whose hashes are right."""
        self.blobs = {cas_id(content): content for content in files.values()}
        self.offer_blobs(
            [
                {
                    "cas_id": cas_id(content),
                    "name": name,
                    "media_type": "text/plain",
                    "size_bytes": len(content),
                    **changed,
                }
                for name, content in files.items()
            ]
        )

    def offer_blobs(self, blobs: list[dict[str, Any]]) -> None:
        manifest: dict[str, Any] = {"kind": "model", "name": None, "blobs": blobs, "meta": {}}
        self.manifest = json.dumps(manifest).encode()
        self.named = cas_id(self.manifest)

    def answer(self, path: str) -> bytes | None:
        if path.startswith("/api/v1/tags/"):
            return b'{"artifact_id": "01936f3e-7c1a-7b52-9d0e-3f6a1c2b4d5e"}'
        if path.startswith("/api/v1/artifacts?"):
            return b'{"items": [{"artifact_id": "1", "kind": "model"}]}'
        if path.startswith("/api/v1/artifacts/"):
            media_type = "application/json;type=manifest"
            found = {"cas_id": self.named, "kind": "model", "media_type": media_type}
            return json.dumps(found).encode()
        name = path.partition("?")[0].rpartition("/")[2]
        return self.manifest if name == self.named else self.blobs.get(name)


@contextmanager
def serving(hostile: Hostile) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = hostile.answer(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def hostile(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    """The command goes to it."""
    hostile = Hostile()
    with serving(hostile) as url:
        monkeypatch.setenv("ORCHESTRATOR_URL", url)
        monkeypatch.setenv("ORCHESTRATOR_TOKEN", "t")
        yield hostile


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "..",
        "../outside",
        "deep/../../outside",
        "deep/./file",
        "deep//file",
        "deep/",
        "deep\\file",
        "..\\outside",
        "C:file",
        "c:/file",
        "a\x00b",
        "a\nb",
        "a\x1b[2J",
        "\x85",
        "\ud800",
        "x" * 256,
        ".pull-" + "0" * 32 + ".part",
        "deep/.pull-" + "0" * 32 + ".part",
    ],
)
def test_names_of_a_hostile_server_are_refused(
    run: Run, hostile: Hostile, alone: Path, name: str
) -> None:
    hostile.offer({"fine": b"fine", name: b"evil"})
    done = run("artifact", "pull", "m", "-o", "in/to")
    assert (done.code, done.out) == (1, "")
    assert files_below(alone) == {}, "the others are from the same server"
    assert "\x1b" not in done.err


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), (None, None), (None, "a")])
def test_files_of_a_hostile_server_do_not_get_into_each_others_way(
    run: Run, hostile: Hostile, alone: Path, names: tuple[str | None, ...]
) -> None:
    file = {"cas_id": cas_id(b"x"), "media_type": "text/plain", "size_bytes": 1}
    hostile.blobs = {cas_id(b"x"): b"x"}
    hostile.offer_blobs([{**file, "name": name} for name in names])
    done = run("artifact", "pull", "m")
    if names == (None, "a"):
        assert files_below(alone) == {cas_id(b"x")[7:]: b"x", "a": b"x"}
    else:
        assert (done.code, files_below(alone)) == (1, {})


def test_the_name_of_a_file_without_one_is_checked_too(
    run: Run, hostile: Hostile, alone: Path
) -> None:
    hostile.offer({"fine": b"evil"}, name=None, cas_id="blake3:../outside")
    assert run("artifact", "pull", "m", "-o", "to").code == 1
    assert files_below(alone) == {}


def test_bytes_of_a_hostile_server_are_not_believed(
    run: Run, hostile: Hostile, alone: Path
) -> None:
    hostile.offer({"a": b"right", "b": b"right too", "c": b"fine"})
    hostile.blobs[cas_id(b"right")] = b"wrong"
    hostile.blobs[cas_id(b"right too")] = b"right too, and more, for ever"
    done = run("artifact", "pull", "m")
    assert done.code == 1
    assert f"a: What came is not {cas_id(b'right')}" in done.err
    assert "b: More came than the 9 bytes" in done.err
    assert files_below(alone) == {"c": b"fine"}, "a file that cannot be read stops no other"
    del hostile.blobs[cas_id(b"right too")]
    assert "2 of 3 files were not written" in run("artifact", "pull", "m").err


def test_a_hostile_server_cannot_give_another_artifact_than_the_hash(
    run: Run, hostile: Hostile, alone: Path
) -> None:
    hostile.offer({"a": b"right"})
    right = hostile.named
    assert run("artifact", "pull", right, "-o", "to").code == 0
    hostile.offer({"a": b"evil"})
    assert run("artifact", "pull", right, "-o", "to", "--force").code == 1
    hostile.named = right
    assert f"What came is not {right}" in run("artifact", "pull", right, "-o", "to").err
    assert files_below(alone) == {"to/a": b"right"}

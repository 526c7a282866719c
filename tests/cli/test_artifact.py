"""`orchestrator artifact …` against a real server: push, show, list, annotate, lineage."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from orchestrator.cli.limits import Limits
from tests.cli.conftest import Run
from tests.cli.proxy import Proxy

Write = Callable[..., Path]
WORKFLOW = {"nodes": [{"id": "a", "type": "task"}], "edges": []}


def cas_id(content: bytes) -> str:
    return f"blake3:{blake3(content).hexdigest()}"


def push(cli: Run, *arguments: object) -> dict[str, Any]:
    done = cli("artifact", "push", *arguments, "--kind", "model", "--output", "json")
    body: dict[str, Any] = done.json()
    return body


def test_files_and_folders_become_one_artifact(cli: Run, write: Write) -> None:
    cli("workflow", "create", "orders", write("w.json", WORKFLOW))
    write("weights/a.bin", b"a")
    write("weights/deep/b.json", {"b": 1})
    write("elsewhere/notes.tar.gz", b"packed")
    body = push(
        cli,
        "weights",
        "elsewhere/notes.tar.gz",
        *("--name", "churn", "--tag", "churn/v1", "--message", "First"),
        *("--meta", "accuracy=0.93", "--meta", "framework=torch"),
        *("--parent", "trained_on=orders@1", "--parent", "orders", "--retain"),
    )
    assert [(each["name"], each["media_type"]) for each in body["blobs"]] == [
        ("a.bin", "application/octet-stream"),
        ("deep/b.json", "application/json"),
        ("notes.tar.gz", "application/gzip"),
    ]
    assert body["blobs"][0]["cas_id"] == cas_id(b"a")
    assert body["meta"] == {"accuracy": 0.93, "framework": "torch"}
    assert {each["relation"] for each in body["parents"]} == {"trained_on", "derived_from"}
    assert (body["tag"]["name"], body["tag"]["message"]) == ("churn/v1", "First")
    assert (body["name"], body["retained"], body["action"]) == ("churn", True, "create")
    shown = cli("artifact", "show", "churn/v1")
    for text in (body["artifact_id"], "0.93", "deep/b.json", "trained_on", "application/gzip"):
        assert text in shown.out


def test_what_is_pushed_again_is_found_again_and_not_sent_again(
    cli: Run, write: Write, proxy: Proxy
) -> None:
    large = os.urandom(500_000)
    write("one/large", large)
    write("one/same", large)
    arguments = ("artifact", "push", "one", "--kind", "model", "--tag", "m")
    assert "created" in cli(*arguments).out
    assert 500_000 < proxy.sent < 600_000, "the same content was sent twice"
    before = proxy.sent
    again = cli(*arguments)
    assert again.code == 0
    assert "unchanged" in again.out
    assert "m@1" in again.out
    assert proxy.sent - before < 20_000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-1", -1),
        ("0.93", 0.93),
        ("true", True),
        ("null", None),
        ("1.10", "1.10"),
        ("007", "007"),
        ("1e5", "1e5"),
        ("12345678901234567890", "12345678901234567890"),
        ("[1]", "[1]"),
        ('"5"', '"5"'),
        ("", ""),
        ("a=b", "a=b"),
        ("True", "True"),
        ("é", "é"),
    ],
)
def test_a_value_of_meta_is_text_unless_json_writes_it_just_so(
    cli: Run, write: Write, text: str, value: object
) -> None:
    made = push(cli, write("file", b"x"), "--meta", f"key={text}")
    assert made["meta"] == {"key": value}
    assert type(made["meta"]["key"]) is type(value)
    found = cli("artifact", "list", "--meta", f"key={text}", "--output", "json").json()
    assert [each["artifact_id"] for each in found["items"]] == [made["artifact_id"]]


def test_meta_comes_from_a_file_too(cli: Run, write: Write) -> None:
    meta = {"layers": [1, {"n": None}], "zip": "5"}
    file = write("blob", b"x")
    made = push(cli, file, "--meta-file", write("meta.json", meta), "--meta", "n=1")
    assert made["meta"] == {**meta, "n": 1}
    piped = cli(
        *("artifact", "push", file, "--kind", "model", "--meta-file", "-", "--output", "json"),
        stdin=json.dumps({**meta, "n": 1}).encode(),
    ).json()
    assert piped["artifact_id"] == made["artifact_id"]


def test_wrong_words_are_refused_before_anything_is_sent(cli: Run, write: Write) -> None:
    file, meta = write("file", b"x"), write("meta.json", {"a": 1})
    for arguments in (
        (file,),
        (file, "--kind", "model", "--meta", "word"),
        (file, "--kind", "model", "--meta", "a=1", "--meta", "a=2"),
        (file, "--kind", "model", "--meta", "a=1", "--meta-file", meta),
        (file, "--kind", "model", "--meta-file", write("list.json", [])),
        (file, "--kind", "model", "--message", "for no tag"),
        (file, "--kind", "model", "--expect", "absent"),
        (file, "--kind", "model", "--tag", "t", "--expect", "absent", "--expect", "1"),
        ("-", "--kind", "model"),
    ):
        done = cli("artifact", "push", *arguments)
        code = 6 if arguments[-1] == meta.with_name("list.json") else 2
        assert (done.code, done.out) == (code, ""), arguments
    assert cli("cas", "missing", cas_id(b"x")).out == f"{cas_id(b'x')}\n"


def test_files_that_do_not_go_together_are_all_named(cli: Run, write: Write, alone: Path) -> None:
    write("one/a", b"1")
    write("two/a", b"2")
    write("two/b\\c", b"3")
    write("two/.pull-" + "0" * 32 + ".part", b"4")
    (alone / "two/link").symlink_to("/etc/passwd")
    os.mkfifo(alone / "two/pipe")
    done = cli("artifact", "push", "one", "two", "--kind", "model")
    assert (done.code, done.out) == (1, "")
    lines = done.err.splitlines()
    assert lines[0] == "error: These files cannot be in one artifact."
    assert "  two/link is a symbolic link: name the file itself." in lines
    assert "  two/pipe is no file and no folder." in lines
    assert "  'a': Blob 0 has this name already." in lines
    assert sum("b" in line and "relative path" in line for line in lines) == 1
    assert "has not ended" in done.err
    assert cli("artifact", "push", "one/none", "--kind", "model").code == 1
    (alone / "empty").mkdir()
    assert "There is no file" in cli("artifact", "push", "empty", "--kind", "model").err


def test_a_link_that_is_named_itself_is_followed(cli: Run, write: Write, alone: Path) -> None:
    (alone / "link").symlink_to(write("file.json", {}))
    (blob,) = push(cli, "link")["blobs"]
    assert (blob["name"], blob["cas_id"]) == ("link", cas_id(b"{}"))


def test_the_tag_moves_on_its_condition(cli: Run, write: Write) -> None:
    arguments = ("artifact", "push", write("file", b"x"), "--kind", "model", "--tag", "m")
    assert "m@1" in cli(*arguments, "--expect", "absent").out
    assert cli(*arguments, "--expect", "absent", "--meta", "n=2").code == 4
    stale = cli(*arguments, "--meta", "n=2", "--expect", "7")
    assert "It is at version 1 now." in stale.err
    assert "m@2" in cli(*arguments, "--meta", "n=2", "--expect", "1").out


def test_a_large_file_is_sent_resumably(cli: Run, write: Write, proxy: Proxy) -> None:
    content = os.urandom(1_000_000)
    patient = Limits(resumable_bytes_min=100_000, upload_retry_seconds=(0.5,) * 4)
    proxy.limits = [(400_000, 1 << 60)]
    file = write("large", content)
    done = cli("artifact", "push", file, "--kind", "model", limits=patient)
    assert (done.code, done.err) == (0, "")
    assert max(proxy.offsets) > 0
    assert cli("cas", "get", cas_id(content)).stdout == content


def test_artifacts_are_listed_by_every_filter(cli: Run, write: Write) -> None:
    file = write("file", b"x")
    made = [push(cli, file, "--name", name, "--meta", f"n={name}") for name in ("a/1", "a/2", "b")]
    cli("artifact", "push", file, "--kind", "scan", "--name", "a/1")

    def listed(*filters: str) -> list[str]:
        page = cli("artifact", "list", *filters, "--output", "json").json()
        return [each["name"] for each in page["items"]]

    assert listed("--kind", "model") == ["b", "a/2", "a/1"]
    assert listed("--prefix", "a/", "--kind", "model") == ["a/1", "a/2"]
    assert listed("--name", "a/1", "--created-by", "admin") == ["a/1", "a/1"]
    assert listed("--meta", "n=a/2") == ["a/2"]
    assert listed("--kind", "model", "--since", made[1]["created_at"]) == ["b", "a/2"]
    assert listed("--until", made[1]["created_at"]) == ["a/1"]
    assert listed("--kind", "model", "--limit", "1") == ["b"]
    table = cli("artifact", "list", "--kind", "scan").out.splitlines()
    assert " ".join(table[0].split()) == "kind name version hash artifact id created by created at"
    assert len(table) == 2
    assert cli("artifact", "list", "--meta", "word").code == 2


def test_an_artifact_is_named_by_tag_version_id_and_hash(cli: Run, write: Write) -> None:
    first = push(cli, write("file", b"1"), "--tag", "m")
    second = push(cli, write("file", b"2"), "--tag", "m")
    for name, made in (
        ("m", second),
        ("m@1", first),
        (first["artifact_id"], first),
        (first["cas_id"], first),
    ):
        shown = cli("artifact", "show", name, "--output", "json").json()
        assert shown["artifact_id"] == made["artifact_id"]
        assert cli("artifact", "lineage", name).code == 0
    assert cli("artifact", "show", "blake3:" + "0" * 64).code == 3
    moved = cli("tag", "move", "m", "m@1", "--output", "json").json()
    assert moved["artifact_id"] == first["artifact_id"]


def test_annotations_are_about_an_artifact(cli: Run, write: Write) -> None:
    made = push(cli, write("file", b"1"), "--tag", "m")
    done = cli("artifact", "annotate", "m@1", "--meta", "ok=true", "--message", "Looks good")
    assert done.code == 0
    assert "about" in done.out
    cli("artifact", "annotate", made["cas_id"], "--meta-file", "-", stdin=b'{"n":[1]}')
    items = cli("artifact", "annotations", "m", "--output", "json").json()["items"]
    assert [each["meta"] for each in items] == [
        {"n": [1]},
        {"message": "Looks good", "ok": True},
    ]
    table = cli("artifact", "annotations", made["artifact_id"], "--limit", "1").out
    assert '{"n":[1]}' in table
    assert len(table.splitlines()) == 2
    assert cli("artifact", "annotate", "m").code == 2
    assert cli("artifact", "annotate", "m", "--message", "a", "--meta", "message=b").code == 2
    assert cli("artifact", "annotate", "nothing", "--message", "a").code == 6


def test_lineage_leads_up_and_down(cli: Run, write: Write) -> None:
    data = push(cli, write("data", b"1"), "--tag", "data")
    push(cli, write("file", b"2"), "--tag", "m", "--parent", "trained_on=data")
    up = cli("artifact", "lineage", "m")
    assert "trained_on" in up.out
    assert data["artifact_id"] in up.out
    assert "trained_on" in cli("artifact", "lineage", "data", "--direction", "down").out

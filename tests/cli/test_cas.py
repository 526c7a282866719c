"""`orchestrator cas …` against a real server."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from tests.cli.conftest import Run, Terminal
from tests.warm.client import Result

BINARY = bytes(range(256))
NOTHING = "blake3:" + "0" * 64
Write = Callable[..., Path]


def cas_id(content: bytes) -> str:
    return f"blake3:{blake3(content).hexdigest()}"


def test_a_blob_comes_back_byte_by_byte(cli: Run, write: Write) -> None:
    put = cli("cas", "put", write("blob", BINARY), "--media-type", "image/png")
    assert put.code == 0
    assert cas_id(BINARY) in put.out
    assert "image/png" in put.out
    assert cli("cas", "get", cas_id(BINARY)).stdout == BINARY


def test_a_blob_is_read_from_standard_input_and_written_to_a_file(cli: Run, alone: Path) -> None:
    content = BINARY[::-1]
    put = cli("cas", "put", "-", "--output", "json", stdin=content).json()
    assert (put["cas_id"], put["media_type"]) == (cas_id(content), "application/octet-stream")
    assert cli("cas", "get", put["cas_id"], "-o", "copy").stdout == b""
    assert (alone / "copy").read_bytes() == content
    nowhere = cli("cas", "get", put["cas_id"], "-o", "no/where")
    assert nowhere.err == "error: no/where cannot be written: No such file or directory.\n"


def test_blobs_that_are_missing_are_printed(cli: Run) -> None:
    known = cli("cas", "put", "-", "--output", "json", stdin=b"known").json()["cas_id"]
    done = cli("cas", "missing", known, NOTHING)
    assert (done.code, done.out) == (0, f"{NOTHING}\n")
    assert cli("cas", "missing", known).out == ""
    asked = cli("cas", "missing", "-", "--output", "json", stdin=f"{NOTHING}\n{known}\n".encode())
    assert asked.json() == {"missing": [NOTHING]}


def test_any_number_of_blobs_is_asked_for(cli: Run) -> None:
    names = [cas_id(str(number).encode()) for number in range(2_500)]
    done = cli("cas", "missing", "-", stdin="\n".join(names).encode())
    assert done.out.split() == names


def test_a_blob_that_does_not_exist_is_refused(cli: Run) -> None:
    assert cli("cas", "get", NOTHING).err == f"error: The blob '{NOTHING}' does not exist.\n"
    wrong = cli("cas", "get", "blake3:00")
    assert wrong.code == 6
    assert "  /cas_id: A blob is named" in wrong.err


def test_the_second_name_is_shown_to_who_asks_for_it(cli: Run, write: Write) -> None:
    content = b"two names"
    second = f"sha256:{hashlib.sha256(content).hexdigest()}"
    for resumable in ("--resumable", "--no-resumable"):
        assert "sha256" not in cli("cas", "put", write("none", resumable), resumable).out
        put = cli("cas", "put", write("blob", content), "--sha256", resumable)
        assert second in put.out
    cli("cas", "get", second, "-o", "copy")
    assert Path("copy").read_bytes() == content


def test_a_file_that_is_there_stays_until_the_blob_is_whole(cli: Run, write: Write) -> None:
    write("copy", b"before")
    assert cli("cas", "get", NOTHING, "-o", "copy").code == 3
    assert Path("copy").read_bytes() == b"before"
    name = cli("cas", "put", write("blob", BINARY), "--output", "json").json()["cas_id"]
    Path("link").symlink_to("copy")
    assert cli("cas", "get", name, "-o", "link").code == 0
    assert Path("link").is_symlink()
    assert Path("copy").read_bytes() == BINARY
    assert cli("cas", "get", name, "-o", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()
    assert sorted(each.name for each in Path().iterdir()) == ["blob", "copy", "link"]


def test_a_misspelt_option_is_no_file(cli: Run) -> None:
    done = cli("cas", "put", "--mediatype")
    assert done.code == 2
    assert "There is no option --mediatype" in done.err


def test_binary_bytes_are_kept_from_a_terminal(cli: Run, terminal: Terminal) -> None:
    for content, is_shown in ((BINARY, False), (b"\x1b[2J", False), (b"plain\n", True)):
        name = cli("cas", "put", "-", "--output", "json", stdin=content).json()["cas_id"]
        code, seen = terminal("cas", "get", name)
        assert code == (0 if is_shown else 2)
        assert ("Give -o FILE" not in seen) == is_shown


def test_bytes_pass_through_a_pipe(shell: Callable[[str], Result], write: Write) -> None:
    write("blob", BINARY)
    done = shell("cat blob | orchestrator cas put - && orchestrator cas get " + cas_id(BINARY))
    assert done.stdout.endswith(BINARY)

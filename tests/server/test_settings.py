"""Every setting with values that cannot be meant: one line that names it, and no secret."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.handlers.http.authentication import Authenticator
from orchestrator.handlers.http.origin import Origins
from orchestrator.server.error import UsageError
from orchestrator.server.parent import ServeOptions, serve
from orchestrator.server.settings import checked_settings
from orchestrator.settings import PREFIX, Settings
from orchestrator.wiring.services import build
from tests.server.certificates import CERTIFICATE, KEY, KEY_WITH_PASSPHRASE

SECRET = "s3cretW0rd"
GIVEN = {
    f"{PREFIX}DATABASE_URL": "postgresql:///x",
    f"{PREFIX}BLOB_STORE": "file:///none",
    f"{PREFIX}ADMIN_TOKEN_SHA256": "0" * 64,
}
NAMES = Settings.__struct_fields__
NUMBERS = [each.name for each in msgspec.structs.fields(Settings) if each.type in {int, float}]
NO_NUMBERS = [
    *("", " ", "-1", "-0.5", "nan", "inf", "-inf", "1e999", "9" * 400, str(10**19), "0x10"),
    *("1_000", "1,2", "1;2", "٣", "true", "16M", SECRET),
]
HOSTILE = [
    *NO_NUMBERS,
    *("0", "false", ",", "*", "/", "..", "\x1b[31m", "a\nb", "\udcff", "ü", "%00", "x" * 5_000),
    f"postgresql://user:{SECRET}@[::1/x",
    f"postgresql://user:{SECRET}@host:notaport/x",
    f"s3://key:{SECRET}@bucket/prefix",
    f"s3://{SECRET}@bucket",
    f"s3://bucket:{SECRET}/prefix",
    f"s3://[::1/{SECRET}",
    f"https://user:{SECRET}@host/",
    f"file:///blobs?{SECRET}",
]
REFUSED = [
    *(
        ("blob_store", value)
        for value in [
            *("", "blobs", "/blobs", "file://host/blobs", "file:blobs", "file:///a%00b", "s3://"),
            *("s3:///prefix", "s3://bucket:80/x", "s3://bucket//x", "s3://bucket/%00", "az://c/p"),
            *("http://host/bucket", "memory:///", "file:///a#b", "file:///a?b", "s3://b/\x01"),
            *(value for value in HOSTILE if SECRET in value),
        ]
    ),
    *(
        ("allowed_origins", value)
        for value in [
            *("tools.example", "https://tools.example/", "https://tools.example/x", "*", "null"),
            *("https://", "https://a b", "https://tools.example:", f"https://user:{SECRET}@host"),
        ]
    ),
    *(
        ("allowed_hosts", value)
        for value in ("https://here.example", "a b", "[::1", "here:port", "*", "me@here", "a/b")
    ),
    *(("namespace_default", value) for value in ("", "Upper", "a b", "/a", "a" * 300, "ü", "-")),
    *(("admin_token_sha256", value) for value in (SECRET, "0" * 63, "g" * 64, " " * 64)),
    *(("blob_compressed_media_types", value) for value in ("text", "text/", "a b/c", "ü/x")),
    *(("log_level", value) for value in ("", "loud", "notset", "10", SECRET)),
    *(("access_log", value) for value in ("", "yes", "2", SECRET)),
    *(("blob_redirect_seconds", value) for value in ("0", "604801")),
    *(("database_url", value) for value in HOSTILE if SECRET in value),
]


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment of the tests says of buckets does not count."""
    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)


def refusal(name: str, value: str) -> str | None:
    """The line that refuses the value; None if it is taken, and everything can be built with it."""
    try:
        settings = checked_settings({**GIVEN, f"{PREFIX}{name.upper()}": value})
    except UsageError as error:
        return str(error)
    build(settings)
    Authenticator(settings.admin_token_sha256, namespace=settings.namespace_default)
    Origins(allowed_hosts=settings.allowed_hosts, allowed_origins=settings.allowed_origins)
    return None


def check_line(name: str, line: str) -> None:
    assert name in line
    assert line.isprintable()
    assert SECRET.lower() not in line.lower()
    assert len(line) < 500


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_value_is_taken_as_it_is_or_refused_in_one_line(name: str) -> None:
    lines = [line for value in HOSTILE if (line := refusal(name, value)) is not None]
    assert lines or name in {"database_folder", "metrics_folder"}  # Any text names a folder.
    for line in lines:
        check_line(name, line)


@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_number_is_refused(name: str) -> None:
    for value in NO_NUMBERS:
        line = refusal(name, value)
        assert line is not None, value
        check_line(name, line)


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_value_against_the_rule_of_its_setting_is_refused(name: str, value: str) -> None:
    line = refusal(name, value)
    assert line is not None
    check_line(name, line)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("blob_store", f"s3://bucket{rest}") for rest in ("", "/", "/prefix/more")),
        ("blob_store", "file:///with%20space/%23"),
        ("blob_store", "abfs://container@account.dfs.core.windows.net/prefix"),
        ("allowed_origins", "https://tools.example, http://[::1]:8080,tauri://localhost"),
        ("allowed_hosts", "here.example,HERE.example:8080, [::1]:80,127.0.0.1"),
        ("allowed_hosts", ""),
        ("log_level", "WARNING"),
        ("blob_compressed_media_types", "*,text/*, application/*+json"),
    ],
)
def test_what_can_be_meant_is_taken(name: str, value: str) -> None:
    assert refusal(name, value) is None


@pytest.mark.parametrize(
    "variable", ["AWS_S3_EXPRESS", "AWS_CONDITIONAL_PUT", "AWS_CHECKSUM_ALGORITHM"]
)
def test_a_wrong_variable_of_the_bucket_is_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, SECRET)
    line = refusal("blob_store", "s3://bucket")
    assert line is not None
    check_line("AWS_", line)


def test_a_variable_that_there_is_not_is_told_in_one_line() -> None:
    line = refusal("no\nsuch\x1b[31msetting", SECRET)
    assert line is not None
    check_line("such", line)


@pytest.mark.parametrize(
    ("code", "environ", "options"),
    [
        (2, {f"{PREFIX}BLOB_STORE": f"s3://key:{SECRET}@bucket"}, {}),
        (2, {f"{PREFIX}UPLOAD_SECONDS": "nan"}, {}),
        (2, {}, {"host": "a" * 300}),
        (2, {}, {"host": "..a"}),
        (1, {}, {"host": "a\0b"}),
        (1, {}, {"host": "[::1/"}),
        (1, {}, {"host": "no-such-host.invalid"}),
        (2, {}, {"workers": 0}),
    ],
)
def test_a_server_refuses_before_it_makes_anything(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    code: int,
    environ: dict[str, str],
    options: dict[str, object],
) -> None:
    assert refused(tmp_path, capsys, environ, **options) == code


def refused(
    place: Path, capsys: pytest.CaptureFixture[str], environ: dict[str, str], **options: Any
) -> int:
    """The exit code of a server that said one line, and made nothing."""
    folder = place / "data"
    given = ServeOptions(data_dir=folder, port=0, **options)
    code = serve(given, dict(environ))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("orchestrator: ")
    check_line("", line)
    assert not folder.exists()
    return code


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        (None, None),
        ("", ""),
        (CERTIFICATE, None),
        (CERTIFICATE, "junk"),
        (CERTIFICATE, CERTIFICATE),
        (CERTIFICATE, KEY_WITH_PASSPHRASE),
        (KEY, CERTIFICATE),
        ("-----BEGIN CERTIFICATE-----", KEY),
    ],
)
def test_tls_files_that_do_not_fit_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], certificate: str | None, key: str | None
) -> None:
    paths = tmp_path / "c.pem", tmp_path / "k.pem"
    for path, text in zip(paths, (certificate, key), strict=True):
        if text is not None:
            path.write_text(text)
    tls = {"tls_certificate": paths[0], "tls_key": paths[1]}
    assert refused(tmp_path, capsys, {}, **tls) == 1
    assert refused(tmp_path, capsys, {}, tls_certificate=paths[0]) == 2

"""What pip's settings mean for uv, and which of several wins."""

from pathlib import Path

from tools.sources import PYPI, Sources

NO_FILE = {"PIP_CONFIG_FILE": "/dev/null"}


def test_without_settings_the_system_is_trusted_and_pypi_is_asked() -> None:
    sources = Sources(NO_FILE)
    assert sources.indexes == [PYPI]
    assert sources.uv_environ() == {**NO_FILE, "UV_SYSTEM_CERTS": "1"}


def test_each_option_of_pip_is_a_variable_of_uv(tmp_path: Path) -> None:
    given = {
        "PIP_INDEX_URL": "https://mirror.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://a.example https://b.example",
        "PIP_FIND_LINKS": f"{tmp_path} {tmp_path}/missing https://links.example",
        "PIP_TRUSTED_HOST": "mirror.example",
        "PIP_PROXY": "http://proxy.example:3128",
        "PIP_DEFAULT_TIMEOUT": "180",
        "PIP_RETRIES": "5",
        "PIP_CLIENT_CERT": "client.pem",
        "PIP_KEYRING_PROVIDER": "subprocess",
        "PIP_NO_INDEX": "1",
    }
    environ = Sources({**NO_FILE, **given}).uv_environ()
    assert {name: value for name, value in environ.items() if not name.startswith("PIP_")} == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://a.example https://b.example",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": f"{tmp_path},https://links.example",
        "UV_INSECURE_HOST": "mirror.example",
        "ALL_PROXY": "http://proxy.example:3128",
        "UV_HTTP_TIMEOUT": "180",
        "UV_HTTP_RETRIES": "5",
        "SSL_CLIENT_CERT": "client.pem",
        "UV_KEYRING_PROVIDER": "subprocess",
        "UV_NO_INDEX": "1",
        "UV_SYSTEM_CERTS": "1",
    }


def test_what_is_set_for_uv_wins() -> None:
    own = {"UV_DEFAULT_INDEX": "https://own.example", "UV_INDEX": "https://more.example"}
    pip = {"PIP_INDEX_URL": "https://pip.example", "PIP_EXTRA_INDEX_URL": "https://x.example"}
    sources = Sources({**NO_FILE, **own, **pip})
    assert sources.indexes == ["https://own.example", "https://more.example"]
    assert own.items() <= sources.uv_environ().items()


def test_a_variable_of_pip_wins_over_its_files_and_a_command_over_all_commands(
    tmp_path: Path,
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\ncert = a.pem\ntimeout = 1\n[install]\ncert = b.pem\n")
    sources = Sources({"PIP_CONFIG_FILE": str(file), "PIP_TIMEOUT": "2"})
    assert sources.uv_environ()["SSL_CERT_FILE"] == "b.pem"
    assert sources.uv_environ()["UV_HTTP_TIMEOUT"] == "2"
    assert f"b.pem (install.cert in {file})" in sources.describe()


def test_a_folder_of_certificates_is_one_for_uv_too(tmp_path: Path) -> None:
    environ = Sources({**NO_FILE, "PIP_CERT": str(tmp_path), "SSL_CERT_FILE": "x"}).uv_environ()
    assert environ["SSL_CERT_DIR"] == str(tmp_path)
    assert "SSL_CERT_FILE" not in environ


def test_a_password_is_never_shown() -> None:
    sources = Sources({**NO_FILE, "PIP_INDEX_URL": "https://ann:secret@mirror.example/simple"})
    assert "secret" not in sources.describe() + sources.place()
    assert "https://***@mirror.example/simple (PIP_INDEX_URL)" in sources.describe()

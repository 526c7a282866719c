"""What is set up for pip counts for all that `./dev` installs: here with the real uv, over TLS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.checkout import Checkout
from tests.tools.index import Index, serve_index


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with serve_index(tmp_path_factory.mktemp("index")) as served:
        yield served


def prepare(checkout: Checkout, index: Index, settings: dict[str, str]) -> None:
    checkout.lock(index.tiny)
    checkout.lock(index.uv, "requirements-dev.lock")
    words = {"INDEX": index.url, "CERTIFICATE": str(index.certificate)}
    checkout.settings = {name: words.get(value, value) for name, value in settings.items()}
    index.requests.clear()


def installs(checkout: Checkout, index: Index) -> bool:
    """Tell whether all went well, and both came from the index."""
    code, _, errors = checkout.run("serve")
    assert code == 0, errors
    assert list(checkout.root.glob(".venv/lib/python*/site-packages/tiny.py"))
    return {path.rpartition("/")[2][:4] for path in index.requests} >= {"uv-0", "tiny"}


NO_FILE = {"PIP_CONFIG_FILE": "/dev/null"}


@pytest.mark.parametrize(
    "name", ["PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"]
)
def test_a_private_authority_that_a_variable_names_is_trusted(
    checkout: Checkout, index: Index, name: str
) -> None:
    prepare(checkout, index, {**NO_FILE, "PIP_INDEX_URL": "INDEX", name: "CERTIFICATE"})
    assert installs(checkout, index)


@pytest.mark.parametrize("place", ["home", "named"])
def test_a_private_authority_in_a_file_of_pip_is_trusted(
    checkout: Checkout, index: Index, tmp_path: Path, place: str
) -> None:
    file = tmp_path / "pip.conf" if place == "named" else checkout.path / ".config/pip/pip.conf"
    prepare(checkout, index, {"PIP_CONFIG_FILE": str(file)} if place == "named" else {})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"[global]\nindex-url = {index.url}\n[install]\ncert = {index.certificate}\n")
    assert installs(checkout, index)


def test_a_further_index_is_used_as_well(checkout: Checkout, index: Index) -> None:
    settings = {"PIP_INDEX_URL": index.url.replace("simple", "empty/tiny-not/no")}
    prepare(checkout, index, {**NO_FILE, **settings, "PIP_CERT": "CERTIFICATE"})
    checkout.settings["PIP_EXTRA_INDEX_URL"] = index.url
    assert installs(checkout, index)


def test_a_proxy_that_is_set_for_pip_is_used(checkout: Checkout, tmp_path: Path) -> None:
    with serve_index(tmp_path, tls=False) as proxy:
        prepare(checkout, proxy, NO_FILE)
        checkout.settings["PIP_INDEX_URL"] = "http://index.invalid/simple"
        checkout.settings["PIP_PROXY"] = proxy.url.removesuffix("/simple")
        assert installs(checkout, proxy)
        assert all(path.startswith("http://index.invalid/") for path in proxy.requests)


def test_an_authority_that_is_not_trusted_is_named(checkout: Checkout, index: Index) -> None:
    prepare(checkout, index, {**NO_FILE, "PIP_INDEX_URL": "INDEX"})
    code, _, errors = checkout.run("serve")
    assert code == 1
    *_, reason, used, advice = errors.splitlines()
    assert "certificate verify failed" in reason
    assert used == (
        f"dev: It used the index {index.url} (PIP_INDEX_URL) and the certificates that the system "
        "trusts."
    )
    assert advice.startswith("dev: Mend what is wrong there")


def test_a_wrong_certificate_file_is_named_with_what_set_it(
    checkout: Checkout, index: Index
) -> None:
    prepare(checkout, index, {**NO_FILE, "PIP_INDEX_URL": "INDEX", "PIP_CERT": "/no/such.pem"})
    errors = checkout.run("serve")[2]
    assert "and the certificates in /no/such.pem (PIP_CERT)." in errors

"""Where packages come from: what is set up for pip, by variable or file, in the words of uv.

People set up a mirror, a proxy or a certificate authority once, for pip. uv reads none of that,
so it is translated here. What is set for uv itself wins.
"""

import configparser
import os
import re
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import HTTPSHandler, OpenerDirector, ProxyHandler, build_opener

PYPI = "https://pypi.org/simple"
#: Where systems have the certificates they trust, for a Python that was built to look elsewhere.
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)
RETRIES = 2
#: An option of pip, and the variable in which uv wants the same.
PLAIN = {
    "client-cert": "SSL_CLIENT_CERT",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
    "keyring-provider": "UV_KEYRING_PROVIDER",
    "proxy": "ALL_PROXY",
}


def pip_files(environ: Mapping[str, str]) -> list[Path]:
    """List the files that pip reads here, the one that wins last."""
    chosen = environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return []
    home = Path(environ.get("HOME") or Path.home())
    shared = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    places = [Path(folder, "pip") for folder in shared.split(":")] + [Path("/etc")]
    if sys.platform == "darwin":
        places = [Path("/Library/Application Support/pip")]
    if not (chosen and Path(chosen).exists()):
        places += [home / ".pip", Path(environ.get("XDG_CONFIG_HOME") or home / ".config", "pip")]
        if sys.platform == "darwin":
            places.append(home / "Library" / "Application Support" / "pip")
    places.append(Path(environ.get("VIRTUAL_ENV") or sys.prefix))
    files = [place / "pip.conf" for place in places]
    return [*files, Path(chosen)] if chosen else files


class Sources:
    """Indexes, certificates and proxy, each with the name of what set it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._pip = dict(self._pip_options())
        self.index, self.index_by = self._first(
            ("UV_DEFAULT_INDEX", "UV_INDEX_URL"), "index-url", (), PYPI
        )
        certificates, self.certificates_by = self._first(
            (), "cert", ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
        )
        self.certificates = certificates and str(Path(certificates).expanduser())

    @property
    def indexes(self) -> list[str]:
        """The addresses of the indexes, the main one first."""
        extra = self._environ.get("UV_INDEX", "").split() or self._words("extra-index-url")
        return [self.index, *extra]

    @property
    def retries(self) -> int:
        """How often a request that failed is sent again."""
        given = self._environ.get("UV_HTTP_RETRIES") or self._option("retries")
        return int(given) if given.isdigit() else RETRIES

    @property
    def find_links(self) -> list[str]:
        """The folders and pages with wheels; as in pip, a folder that is missing is passed over."""
        links = self._words("find-links")
        folders = {link: Path(link).expanduser() for link in links if "://" not in link}
        found = [link for link in links if link not in folders or folders[link].exists()]
        return [str(folders.get(link, link)) for link in found]

    @property
    def no_index(self) -> bool:
        """Tell whether only the wheels of `find_links` are wanted."""
        return self._option("no-index").lower() in {"1", "true", "yes", "on"}

    def uv_environ(self) -> dict[str, str]:
        """Make the variables for uv: the caller's own, and what pip's settings add to them."""
        added = {"UV_DEFAULT_INDEX": self.index} if self.index != PYPI else {}
        if extra := self._words("extra-index-url"):
            # As pip does it: the best from all of them. Hashes say that it is the right one.
            added |= {"UV_INDEX": " ".join(extra), "UV_INDEX_STRATEGY": "unsafe-best-match"}
        if self.find_links:
            added["UV_FIND_LINKS"] = ",".join(self.find_links)
        if self.no_index:
            added["UV_NO_INDEX"] = "1"
        if hosts := self._words("trusted-host"):
            added["UV_INSECURE_HOST"] = " ".join(hosts)
        added |= {
            name: self._option(option) for option, name in PLAIN.items() if self._option(option)
        }
        environ = added | dict(self._environ)
        if not self.certificates:
            environ.setdefault("UV_SYSTEM_CERTS", "1")
            return environ
        # pip's setting also wins over a variable that uv would read: that may be the system's.
        folder = Path(self.certificates).is_dir()
        environ.pop("SSL_CERT_FILE", None)
        environ["SSL_CERT_DIR" if folder else "SSL_CERT_FILE"] = self.certificates
        return environ

    def opener(self, host: str | None) -> OpenerDirector:
        """Make what opens addresses of a host, by the same certificates and proxy."""
        context = ssl.create_default_context()
        if host in {name.rpartition(":")[0] or name for name in self._trusted()}:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.certificates:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            folder = Path(self.certificates).is_dir()
            context.load_verify_locations(
                capath=self.certificates if folder else None,
                cafile=None if folder else self.certificates,
            )
        elif not context.cert_store_stats()["x509_ca"]:
            for bundle in filter(os.path.exists, SYSTEM_BUNDLES):
                context.load_verify_locations(bundle)
        if client := self._option("client-cert"):
            context.load_cert_chain(Path(client).expanduser())
        proxy = self._option("proxy")
        proxies = ProxyHandler({"http": proxy, "https": proxy} if proxy else None)
        return build_opener(proxies, HTTPSHandler(context=context))

    def place(self) -> str:
        """Say where packages come from; passwords are left out."""
        if self.no_index:
            return (
                ", ".join(self.find_links) or "nowhere: find-links of pip is empty, without index"
            )
        return re.sub(r"//[^/@]*@", "//***@", self.index)

    def describe(self) -> str:
        """Say what is used, for a person whose installation failed."""
        by = "pip's no-index and find-links" if self.no_index else self.index_by
        text = f"{'' if self.no_index else 'the index '}{self.place()} ({by}) and "
        if self.certificates:
            text += f"the certificates in {self.certificates} ({self.certificates_by})"
        else:
            text += "the certificates that the system trusts"
        proxies = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
        named = ["pip's proxy"] if self._option("proxy") else []
        named += [name for name in proxies if self._environ.get(name)]
        return text + (f", through a proxy ({named[0]})" if named else "")

    def _trusted(self) -> list[str]:
        return self._words("trusted-host") + self._environ.get("UV_INSECURE_HOST", "").split()

    def _option(self, name: str) -> str:
        return self._pip.get(name, ("", ""))[0]

    def _words(self, name: str) -> list[str]:
        return self._option(name).split()

    def _first(
        self, before: tuple[str, ...], option: str, after: tuple[str, ...], default: str = ""
    ) -> tuple[str, str]:
        """Find what is set first, and by what: these variables, pip's option, those variables."""
        found = [(self._environ.get(name, ""), name) for name in before]
        found.append(self._pip.get(option, ("", "")))
        found += [(self._environ.get(name, ""), name) for name in after]
        return next(((value, by) for value, by in found if value), (default, "the default"))

    def _pip_options(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """Yield each option with its value and what set it; of the same name the last one wins."""
        for file in pip_files(self._environ):
            parser = configparser.RawConfigParser()
            try:
                parser.read(file, encoding="utf-8")
            except (OSError, UnicodeError, configparser.Error):
                continue  # pip says what is wrong with its file; the default may do for us.
            for section in ("global", "install"):
                if parser.has_section(section):
                    for name, value in parser.items(section):
                        yield name.replace("_", "-"), (value, f"{section}.{name} in {file}")
        for name, value in self._environ.items():
            if name.startswith("PIP_") and value:
                yield name[4:].lower().replace("_", "-"), (value, name)

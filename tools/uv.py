"""Gets uv, the installer, by the hash in the lock file, without pip.

pip would take longer to start and to read the index than all the rest of an installation takes.
"""

import base64
import hashlib
import html.parser
import http.client
import json
import netrc
import os
import platform
import re
import stat
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import Request

from tools.say import Failed, say
from tools.sources import Sources

ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
SECONDS_MAX = 60


class _Links(html.parser.HTMLParser):
    """Collects the addresses of a page's links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the address of a link."""
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


class Pin:
    """The version of uv in a lock file, and the hashes that its files may have."""

    def __init__(self, lock: str) -> None:
        found = re.search(r"^uv==(\S+).*(?:\n[ \t].*)*", lock, re.MULTILINE)
        if found is None:
            raise Failed("The lock file names no uv: it is damaged, or was written by other means.")
        self.version = found[1]
        self.hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", found[0]))

    def fits(self, name: str) -> bool:
        """Tell whether that is the name of this version's wheel for this machine."""
        if not (name.startswith(f"uv-{self.version}-") and name.endswith(".whl")):
            return False
        tags = name.removesuffix(".whl").rpartition("-")[2].split(".")
        system = sysconfig.get_platform().partition("-")[0]
        starts: tuple[str, ...] = (system,)
        if system == "linux":
            glibc = platform.libc_ver()[0] == "glibc"
            starts = ("manylinux", "linux") if glibc else ("musllinux",)
        ends = f"_{platform.machine()}"
        return any(tag == "any" or (tag.startswith(starts) and tag.endswith(ends)) for tag in tags)

    def holds(self, wheel: bytes) -> bool:
        """Tell whether that wheel has one of the hashes."""
        return hashlib.sha256(wheel).hexdigest() in self.hashes


def install_uv(pin: Pin, sources: Sources, cache: Path | None, folder: Path) -> None:
    """Put uv into the folder, from our cache if it is there; Failed or OSError if it cannot be."""
    cached = cache and cache / f"uv-{pin.version}-{platform.machine()}.whl"
    wheel = b""
    if cached:
        with suppress(OSError):
            wheel = cached.read_bytes()
    if not pin.holds(wheel):
        say(f"Fetching uv {pin.version}, the installer ...")
        wheel = _fetch(pin, sources)
        if cached:
            _write(cached, wheel)
    with zipfile.ZipFile(BytesIO(wheel)) as archive:
        for name in archive.namelist():
            if re.fullmatch(r"[^/]+\.data/scripts/\w+", name):
                program = folder / Path(name).name
                program.write_bytes(archive.read(name))
                program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def _write(file: Path, content: bytes) -> None:
    """Write the file for the next installation; without space or permission there is none."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.{os.getpid()}")
        new.write_bytes(content)
        new.replace(file)


def _fetch(pin: Pin, sources: Sources) -> bytes:
    """Read the first wheel that fits this machine and has the right hash."""
    for place in _wheels(pin, sources):
        wheel = _read(place, sources)[0] if "://" in place else Path(place).read_bytes()
        if pin.holds(wheel):
            return wheel
        say(f"{place} is not what the lock file says: it is passed over.")
    raise Failed(f"uv {pin.version} is not to be found for this machine ({platform.machine()}).")


def _wheels(pin: Pin, sources: Sources) -> Iterator[str]:
    """Yield the paths and addresses of wheels that fit, the nearest first."""
    pages = [] if sources.no_index else [f"{index.rstrip('/')}/uv/" for index in sources.indexes]
    for link in sources.find_links:
        if "://" in link:
            pages.append(link)
        else:
            yield from (str(file) for file in Path(link).glob("*.whl") if pin.fits(file.name))
    for page in pages:
        for address in _addresses(page, sources):
            if pin.fits(unquote(urlsplit(address).path.rpartition("/")[2])):
                yield address.partition("#")[0]


def _addresses(page: str, sources: Sources) -> list[str]:
    """List the files on a page of an index, in either of its two formats (PEP 503 and PEP 691)."""
    content, kind = _read(page, sources)
    if "json" in kind:
        found = [file["url"] for file in json.loads(content)["files"]]
    else:
        links = _Links()
        links.feed(content.decode("utf-8", "replace"))
        found = links.found
    return [urljoin(page, address) for address in found]


def _read(address: str, sources: Sources) -> tuple[bytes, str]:
    """Read what is at the address; its bytes and media type."""
    parts = urlsplit(address)
    headers = {"Accept": ACCEPT, "User-Agent": "orchestrator-dev"}
    host = parts.netloc.rpartition("@")[2]
    if login := _login(parts.username, parts.password, parts.hostname):
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    bare = urlunsplit(parts._replace(netloc=host))
    request = Request(bare, headers=headers)
    opener = sources.opener(parts.hostname)
    for left in reversed(range(sources.retries + 1)):
        try:
            with opener.open(request, timeout=SECONDS_MAX) as answer:
                return answer.read(), answer.headers.get("Content-Type", "")
        except (URLError, ConnectionError, TimeoutError, http.client.HTTPException) as error:
            if not left or not _may_pass(error):
                raise Failed(f"{bare}: {getattr(error, 'reason', error)}") from error
    raise AssertionError("the last try returns or raises")


def _may_pass(error: Exception) -> bool:
    """Tell whether the request may work a moment later: not if it was answered or not trusted."""
    return getattr(error, "code", 503) >= 500 and "CERTIFICATE" not in str(error)


def _login(user: str | None, password: str | None, host: str | None) -> str | None:
    """Find the name and password for a host: those in the address, else those in ~/.netrc."""
    if user:
        return f"{unquote(user)}:{unquote(password or '')}"
    with suppress(OSError, netrc.NetrcParseError):
        found = netrc.netrc(os.environ.get("NETRC")).authenticators(host or "")
        return f"{found[0]}:{found[2]}" if found else None
    return None

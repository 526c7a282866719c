"""A package index on this machine, behind a certificate authority that no system knows."""

import base64
import hashlib
import http.server
import ssl
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import trustme

UV = Path(sys.executable).with_name("uv")


def write_wheel(file: Path, files: dict[str, bytes]) -> str:
    """Write a wheel with these files; its hash."""
    name, version = file.name.split("-")[:2]
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},{_digest(content)},{len(content)}\n" for path, content in files.items()
    )
    with zipfile.ZipFile(file, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={digest.decode().rstrip('=')}"


class Index:
    """Where it is, the file with its authority's certificate, and what was asked of it."""

    def __init__(self, url: str, certificate: Path, wheels: Path) -> None:
        self.url = url
        self.certificate = certificate
        self.wheels = wheels
        self.requests: list[str] = []
        #: The lines for the lock files: the real uv, and a package of one file.
        self.uv = self._add("uv", "0.13.8", {"uv-0.13.8.data/scripts/uv": UV.read_bytes()})
        self.tiny = self._add("tiny", "1.0", {"tiny.py": b""})

    def _add(self, name: str, version: str, files: dict[str, bytes]) -> str:
        wheel = self.wheels / f"{name}-{version}-py3-none-any.whl"
        return f"{name}=={version} --hash=sha256:{write_wheel(wheel, files)}\n"

    def answer(self, path: str) -> bytes | None:
        """Make the page of a package, or read a wheel."""
        if path.endswith(".whl"):
            return (self.wheels / path.rpartition("/")[2]).read_bytes()
        found = list(self.wheels.glob(f"{path.strip('/').rpartition('/')[2]}-*.whl"))
        links = "".join(f'<a href="/files/{file.name}">{file.name}</a>' for file in found)
        return f"<!DOCTYPE html><html><body>{links}</body></html>".encode() if found else None


@contextmanager
def serve_index(folder: Path, *, tls: bool = True) -> Iterator[Index]:
    """Serve an index on a loopback address; over plain HTTP it can also be used as a proxy."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.requests.append(self.path)
            content = index.answer(urlsplit(self.path).path)
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content or b"")

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    authority = trustme.CA()
    certificate = folder / "authority.pem"
    authority.cert_pem.write_to_path(certificate)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    wheels = folder / "served"
    wheels.mkdir()
    scheme = "https" if tls else "http"
    index = Index(f"{scheme}://127.0.0.1:{server.server_port}/simple", certificate, wheels)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

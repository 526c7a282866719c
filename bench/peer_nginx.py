"""nginx with static files: the limit for blobs. It checks and logs nothing."""

import os
from collections.abc import Callable

from bench.material import blob, cas_id, large
from bench.ours_api import same
from bench.program import Answer, Program
from bench.stream import Downloads
from bench.task import Reads, Task
from bench.work import Work

BLOBS = 300
PLACES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Nginx(Program):
    """Sends files by the kernel's sendfile, with their descriptors kept open."""

    name = "nginx"
    executable = "nginx"
    package = "nginx-light"

    def command(self, port: int) -> list[str]:
        (self.folder / "files").mkdir()
        places = "".join(f"{it}_temp_path {self.folder / it};\n" for it in PLACES)
        user = "user root;\n" if os.geteuid() == 0 else ""  # The folder is ours alone.
        path = self.folder / "nginx.conf"
        path.write_text(
            f"daemon off;\n{user}worker_processes auto;\n"
            f"pid {self.folder / 'pid'};\nerror_log {self.folder / 'error.log'} error;\n"
            "events { worker_connections 1024; }\n"
            "http {\nsendfile on;\ntcp_nopush on;\naccess_log off;\n"
            "open_file_cache max=4000 inactive=60s;\nkeepalive_requests 1000000000;\n"
            f"{places}server {{ listen 127.0.0.1:{port}; root {self.folder / 'files'}; }}\n}}\n"
        )
        return [self.executable, "-p", str(self.folder), "-c", str(path)]

    def task(self, work: Work, contender: str) -> Task:
        del contender
        return TASKS[work.name](self, work)


def _blobs(size: int) -> Callable[[Nginx, Work], Reads]:
    def task(nginx: Nginx, work: Work) -> Reads:
        contents = [blob(f"blob-{number}", size) for number in range(BLOBS)]
        for number, content in enumerate(contents):
            (nginx.folder / "files" / f"{size}-{number}").write_bytes(content)

        def look(index: int) -> Answer:
            answer = nginx.wanted("GET", f"/{size}-{index}", 200)
            same(f"file {index}", answer.body, contents[index])
            return answer

        requests = [nginx.raw("GET", f"/{size}-{number}") for number in range(BLOBS)]
        return Reads(nginx, requests, look, work.connections)

    return task


def _download(nginx: Nginx, work: Work) -> Downloads:
    content = large("download")
    (nginx.folder / "files" / "large").write_bytes(content)
    return Downloads(nginx, "/large", cas_id(content), work.connections)


TASKS: dict[str, Callable[[Nginx, Work], Task]] = {
    "blob-1k": _blobs(1024),
    "blob-64k": _blobs(64 * 1024),
    "download-64m-1": _download,
    "download-64m-8": _download,
}

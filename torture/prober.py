"""A process that asks a server a small thing every few milliseconds and notes the worst delay.

`python -m torture.prober HOST:PORT PATH TOKEN`: each line on standard input begins a new count; the
worst delay since the line before, in milliseconds, is the answer. It is a process of its own so
that the program which sends large bodies does not delay it.
"""

import http.client
import select
import sys
import time

PAUSE_SECONDS = 0.005
#: Every so many requests one comes on a new connection.
NEW_CONNECTION_EACH = 10


def main(address: str, path: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    host, _, port = address.rpartition(":")
    kept = http.client.HTTPConnection(host, int(port), timeout=60)
    worst_seconds, count = 0.0, 0
    while True:
        began = time.perf_counter()
        if count % NEW_CONNECTION_EACH == 0:
            kept.close()
        kept.request("GET", path, headers=headers)
        response = kept.getresponse()
        response.read()
        assert response.status == 200, response.status
        count += 1
        worst_seconds = max(worst_seconds, time.perf_counter() - began)
        if select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
            if not sys.stdin.readline():
                return
            print(f"{worst_seconds * 1_000:.1f}", flush=True)
            worst_seconds = 0.0


if __name__ == "__main__":
    main(*sys.argv[1:])

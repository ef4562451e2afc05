"""The sandbox: API calls per second on one core, from a client in another process over kept connections.

Run it as ``python benchmarks/sandbox.py``. The peer in the same run is Python's own ``http.server`` giving a file of
the same size, so that the machine's speed cancels out.
"""

from __future__ import annotations

import functools
import http.client
import http.server
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

RUNS, CALLS = 7, 1000


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serve a file over kept connections, in silence."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes, and would wait for each other's acknowledgement

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def rate(url: str, headers: dict[str, str]) -> float:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    begun = time.perf_counter()
    for _ in range(CALLS):
        connection.request("GET", parts.path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{url} answered {answer.status}")
    connection.close()
    return CALLS / (time.perf_counter() - begun)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "onelight", "sandbox", "--json", "--data", folder, "--port", "0"]
        box = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert box.stdout is not None
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(box.pid, {0})
        said = json.loads(box.stdout.readline())
        headers = {"Authorization": f"token {said['token']}"}
        article = f"{said['api_url']}/account/articles/{said['article_id']}"
        Path(folder, "peer.json").write_text("x" * 3000)
        peer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        threading.Thread(target=peer.serve_forever, daemon=True).start()
        peer_url = f"http://127.0.0.1:{peer.server_address[1]}/peer.json"
        rates: dict[str, list[float]] = {"GET article": [], "GET files": [], "http.server, one file": []}
        for _ in range(RUNS):
            rates["GET article"].append(rate(article, headers))
            rates["GET files"].append(rate(f"{article}/files", headers))
            rates["http.server, one file"].append(rate(peer_url, {}))
        peer.shutdown()
        peer.server_close()
        box.terminate()
        box.wait()
    print(f"| calls | median of {RUNS} runs of {CALLS:,}, a second |\n|---|---|")
    for name, values in rates.items():
        print(f"| {name} | {statistics.median(values):,.0f} |")


if __name__ == "__main__":
    main()

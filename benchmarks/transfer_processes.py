"""The processes that ``benchmarks/transfer.py`` starts, each as ``python transfer_processes.py NAME ARGUMENT…``.

Standard library only at the top, and each import where it is used: one of them measures memory and must be small, and
the clients of others run in an environment of their own, where ONE light is not installed.

A manifest is a text file with a line per file: path, address, size and md5, separated by tabs.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

BLOCK = 256 * 1024


class File(NamedTuple):
    """A line of a manifest."""

    path: str
    url: str
    size: int
    md5: str


def read_manifest(manifest: str) -> list[File]:
    lines = (line.split("\t") for line in Path(manifest).read_text().splitlines())
    return [File(path, url, int(size), md5) for path, url, size, md5 in lines]


def measure(*command: str) -> None:
    """Run a command and print wall s, CPU s and peak MB: of all its processes, and of the largest of them."""
    begun = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - begun
    print(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
    sys.exit(os.waitstatus_to_exitcode(status) and 1)


def ours(manifest: str, destination: str, connections: str) -> None:
    """ONE light's own engine, by its public functions; 0 connections are its own defaults."""
    from onelight.client import Client
    from onelight.index import Entry, Index
    from onelight.repository import Repository
    from onelight.route import Route, Source
    from onelight.transfer import Ledger, download, plan_download

    index = Index(Entry(*file) for file in read_manifest(manifest))

    class Served(Repository):
        kind = "benchmark"

        @property
        def address(self) -> str:
            return "nginx on this computer"

        def refresh(self) -> Index:
            return index

        def source(self, entry: Entry) -> Source:
            return (Route(entry.url),)

    folder, number = Path(destination), int(connections)
    ledger = Ledger(folder)
    with Client(connections=number) if number else Client() as client:
        steps = plan_download(index, folder, ledger)
        more = {"parallel": number} if number else {}
        outcomes = download(steps, Served("benchmark"), client, folder, ledger, **more)
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if errors:
        sys.exit(f"{len(errors)} of {len(outcomes)} files failed; the first: {errors[0]}")


def in_threads(act: Callable[[File], object], files: Iterable[File], connections: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(int(connections)) as pool:
        for _ in pool.map(act, files):
            pass


def make_place(destination: str, file: File) -> Path:
    target = Path(destination, file.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def huggingface(manifest: str, destination: str, connections: str) -> None:
    from huggingface_hub.file_download import http_get

    def fetch(file: File) -> None:
        with make_place(destination, file).open("wb") as stream:
            http_get(file.url, stream, expected_size=file.size)

    in_threads(fetch, read_manifest(manifest), connections)


def pooch(manifest: str, destination: str, connections: str) -> None:
    import logging

    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    files = read_manifest(manifest)
    base = files[0].url.removesuffix(files[0].path)
    keeper = pooch.create(destination, base, registry={file.path: f"md5:{file.md5}" for file in files})
    for file in files:  # or its threads fail, each making the same folder
        make_place(destination, file)
    in_threads(lambda file: keeper.fetch(file.path), files, connections)


def requests_threads(manifest: str, destination: str, connections: str) -> None:
    """As well as requests can be used: a session for each thread, large blocks, md5 on the way."""
    import hashlib
    import threading

    import requests

    mine = threading.local()

    def fetch(file: File) -> None:
        if not hasattr(mine, "session"):
            mine.session = requests.Session()
        md5 = hashlib.md5()
        with mine.session.get(file.url, stream=True, timeout=60) as answer:
            answer.raise_for_status()
            with make_place(destination, file).open("wb") as stream:
                for block in answer.iter_content(BLOCK):
                    md5.update(block)
                    stream.write(block)
        if md5.hexdigest() != file.md5:
            raise ValueError(file.path)

    in_threads(fetch, read_manifest(manifest), connections)


def one_api(manifest: str, destination: str, connections: str) -> None:
    """ONE-api's own downloader, its four threads set to as many as the others have."""
    os.environ["ONE_HTTP_DL_THREADS"] = connections
    from one.webclient import http_download_file_list

    files = read_manifest(manifest)
    places = [make_place(destination, file).parent for file in files]
    _, md5s = http_download_file_list([f.url for f in files], target_dir=places, silent=True, return_md5=True)
    if list(md5s) != [file.md5 for file in files]:
        sys.exit("another md5 than stated")


def upload(library: str, root: str, api: str, article: str, token: str) -> None:
    """Send a folder the way of the original (ibllib 1.4): the five calls of figshare for one file after the other.

    With ``requests`` as the original did, each call on a connection of its own; with ``http.client``, which is a
    kindness, all on one that is kept.
    """
    import hashlib
    import json

    call = {"requests": _call_requests, "http.client": _call_kept}[library](token)
    for path in sorted(path for path in Path(root).rglob("*") if path.is_file()):
        content = path.read_bytes()
        name = path.relative_to(root).as_posix().replace("/", "~")
        about = {"name": name, "size": len(content), "md5": hashlib.md5(content).hexdigest()}
        answer = call("POST", f"{api}/account/articles/{article}/files", json.dumps(about).encode())
        location = json.loads(answer)["location"]
        upload_url = json.loads(call("GET", location))["upload_url"]
        for part in json.loads(call("GET", upload_url))["parts"]:
            call("PUT", f"{upload_url}/{part['partNo']}", content[part["startOffset"] : part["endOffset"] + 1])
        call("POST", location)


def _call_requests(token: str) -> Callable[..., bytes]:
    import requests

    def call(method: str, url: str, body: bytes | None = None) -> bytes:
        answer = requests.request(method, url, data=body, headers={"Authorization": f"token {token}"}, timeout=60)
        answer.raise_for_status()
        return bytes(answer.content)

    return call


def _call_kept(token: str) -> Callable[..., bytes]:
    import http.client
    from urllib.parse import urlsplit

    kept: dict[str, http.client.HTTPConnection] = {}

    def call(method: str, url: str, body: bytes | None = None) -> bytes:
        parts = urlsplit(url)
        connection = kept.setdefault(parts.netloc, http.client.HTTPConnection(parts.netloc, timeout=60))
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body, {"Authorization": f"token {token}"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise OSError(f"{method} {url} answered {answer.status}: {content[:200]!r}")
        return content

    return call


def put(manifest: str, source: str, connections: str) -> None:
    """ONE light's client alone, without a repository: PUT each file to its address, and compare what was read."""
    import hashlib

    from onelight.client import Client, FilePart

    with Client(connections=int(connections)) as client:

        def send(file: File) -> None:
            md5 = hashlib.md5()
            with Path(source, file.path).open("rb") as stream:
                client.request("PUT", file.url, body=FilePart(stream, 0, file.size, md5.update))
            if md5.hexdigest() != file.md5:
                raise ValueError(file.path)

        in_threads(send, read_manifest(manifest), connections)


def put_requests(manifest: str, source: str, _: str) -> None:
    """Send one file after the other with requests, on a connection that is kept."""
    import requests

    with requests.Session() as session:
        for file in read_manifest(manifest):
            with Path(source, file.path).open("rb") as stream:
                session.put(file.url, data=stream, timeout=60).raise_for_status()


def killed(times: str, *command: str) -> None:
    """Run a command, kill it after one, two, three … quarters of a second of its work, and run it to its end."""
    for turn in range(int(times)):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5 + 0.4 * (turn + 1))
        process.kill()
        process.wait()
    sys.exit(subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode)


def sandbox(folder: str, files: str, *ports: str) -> None:
    """Run a sandbox that clients find at these three ports; say at which it listens."""
    import json

    from onelight.sandbox import Origins, Sandbox, Settings

    seen_as = Origins(*(f"http://127.0.0.1:{port}" for port in ports))
    box = Sandbox(folder, settings=Settings(file_limit=int(files)), seen_as=seen_as)
    box.start()
    said = {"api_url": box.api_url, "article_id": box.article_id, "token": box.token, "ports": box.ports}
    print(json.dumps(said), flush=True)
    box.serve()


def delay(seconds: str, *pairs: str) -> None:
    """Pass connections on to other ports of this computer, each request that much later, answers at once.

    ``pairs`` are of a port and the one behind it, as 8000:8001.
    """
    import asyncio
    import contextlib

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: int) -> None:
        behind, before = await asyncio.open_connection("127.0.0.1", upstream, limit=BLOCK)
        answered = asyncio.Event()  # what comes then is a new request, and not more of a body
        answered.set()

        async def ask() -> None:
            with contextlib.suppress(OSError):
                while data := await reader.read(BLOCK):
                    if answered.is_set():
                        answered.clear()
                        await asyncio.sleep(float(seconds))
                    before.write(data)
                    await before.drain()
            before.close()

        async def answer() -> None:
            with contextlib.suppress(OSError):
                while data := await behind.read(BLOCK):
                    answered.set()
                    writer.write(data)
                    await writer.drain()
            writer.close()

        await asyncio.gather(ask(), answer())

    async def serve() -> None:
        servers = []
        for port, upstream in (pair.split(":") for pair in pairs):
            passing = functools.partial(accept, upstream=int(upstream))
            servers.append(await asyncio.start_server(passing, "127.0.0.1", int(port), limit=BLOCK, backlog=512))
        await asyncio.gather(*(server.serve_forever() for server in servers))

    asyncio.run(serve())


PROCESSES: dict[str, Callable[..., Any]] = {
    "measure": measure,
    "onelight": ours,
    "huggingface_hub": huggingface,
    "pooch": pooch,
    "requests": requests_threads,
    "one": one_api,
    "upload": upload,
    "killed": killed,
    "put": put,
    "put_requests": put_requests,
    "sandbox": sandbox,
    "delay": delay,
}

if __name__ == "__main__":
    PROCESSES[sys.argv[1]](*sys.argv[2:])

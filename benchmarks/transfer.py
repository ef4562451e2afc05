"""Speed and memory of transfers: whole processes on loopback, interleaved, medians, ratios to a named peer.

Run it as ``python benchmarks/transfer.py``; it takes some five minutes on two idle cores, two more with the clients in
Python, and 11 GB of disk for a moment (see ``--rows``, ``--runs`` and ``--big``). It needs nginx, curl and md5sum;
aria2c and rclone are compared where they are installed, and the clients in Python where ``--peers-python`` names an
interpreter that has them::

    python -m venv /tmp/peers && /tmp/peers/bin/pip install huggingface_hub pooch requests ONE-api
    python benchmarks/transfer.py --peers-python /tmp/peers/bin/python

Everything lies in one temporary folder (``--folder`` chooses its disk) and goes from disk to disk: nginx serves files
made for the purpose; before every run the destination is empty and everything else written out. Where many small files
make the disk unsteady, ``--folder /dev/shm`` measures the clients without it. A run counts only if every file is there
with its size, the first one only if every md5 is right as well.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import getpass
import grp
import hashlib
import json
import os
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from transfer_processes import File, read_manifest

PROCESSES = str(Path(__file__).with_name("transfer_processes.py"))
CORES = os.cpu_count() or 1
LATENCY = 0.05
PATIENCE = 600
MEMORY = 120
CURL = "curl, md5sum"
DAV = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")
NGINX = """
{dav_module}
daemon off;
{user}
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    default_type application/octet-stream;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/served;
        autoindex on;
        location /capped/ {{ limit_rate 40m; }}
        location /dav/ {{
            root {folder};
            client_max_body_size 0;
            dav_methods PUT DELETE MKCOL MOVE;
            create_full_put_path on;
            {dav_methods}
        }}
    }}
}}
"""


@dataclasses.dataclass
class Case:
    """A client at its work.

    Parameters
    ----------
    name : str
        For the table.
    command : list of str
        What is measured. ``{…}`` is filled in with what ``prepare`` of the row returns.
    verifies : str
        What the client itself compares before it says that all is well.
    against : str
        Name of the case it is compared with, by default the first of the row.
    goal : str
        What issue 3 asks of it.
    once : bool
        Only in the first of the interleaved runs, because it is slow.
    """

    name: str
    command: list[str]
    verifies: str = "md5"
    against: str = ""
    goal: str = ""
    once: bool = False
    results: list[tuple[float, float, float]] = dataclasses.field(default_factory=list)
    failed: str = ""


@dataclasses.dataclass
class Row:
    """A kind of work, and who does it; ``prepare`` is entered around every run, ``runs`` are the most there are."""

    title: str
    cases: list[Case]
    prepare: Callable[[Case], contextlib.AbstractContextManager[dict[str, str]]]
    runs: int = 0
    load: float = 0.0

    def __post_init__(self) -> None:
        """Compare with the first, whether it can be run or not."""
        for case in self.cases[1:]:
            case.against = case.against or self.cases[0].name


class Bench:
    """The folder, the servers and the choices that all rows share."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.served = folder / "served"
        self.served.mkdir()
        self.destination = folder / "destination"
        self.aside = folder / "aside"
        self.aside.mkdir()
        self.port, self.slow_port = free_port(), free_port()
        home = folder / "home"
        home.mkdir()
        ours = os.environ.get("PYTHONPATH", "")
        self.environment = {
            # Whoever forbids Python to keep what it compiled would measure the compiling of our own modules only.
            **{
                name: value
                for name, value in os.environ.items()
                if not name.lower().endswith("_proxy") and name != "PYTHONDONTWRITEBYTECODE"
            },
            "HOME": str(home),
            "ONELIGHT_CONFIG_DIR": str(home / "onelight"),
            "ONELIGHT_NO_PROGRESS": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            **({"PYTHONPATH": ours} if ours else {}),
        }
        self.skipped: set[str] = set()

    @contextlib.contextmanager
    def servers(self) -> Iterator[None]:
        """Run nginx, and before it the proxy that delays."""
        user = f"user {getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name};" if os.geteuid() == 0 else ""
        config = self.folder / "nginx.conf"
        words = {
            "dav_module": f"load_module {DAV};" if DAV.exists() else "",  # rclone needs PROPFIND, which nginx has not
            "dav_methods": "dav_ext_methods PROPFIND OPTIONS;" if DAV.exists() else "",
        }
        config.write_text(NGINX.format(folder=self.folder, port=self.port, user=user, **words))
        nginx = ["nginx", "-p", str(self.folder), "-c", str(config), "-e", str(self.folder / "nginx.log")]
        delay = [sys.executable, PROCESSES, "delay", str(LATENCY), f"{self.slow_port}:{self.port}"]
        running = [subprocess.Popen(command) for command in (nginx, delay)]
        try:
            for port in (self.port, self.slow_port):
                await_port(port)
            yield
        finally:
            for process in running:
                process.terminate()
                process.wait()

    # The work

    def make(self, name: str, count: int, size: int, *, sparse: bool = False) -> list[File]:
        """Make files to be served; a hundred are a session, in two collections."""
        say(f"making {count:,} × {size:,} bytes")
        noise = os.urandom(16 * 2**20)
        files = []
        for number in range(count):
            session = f"lab/Subjects/mouse/2024-05-06/{number // 100 + 1:03d}"
            path = f"{session}/alf/probe{number // 50 % 2:02d}/object{number % 50:02d}.times.npy"
            place = self.served / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as stream:
                if sparse:
                    stream.truncate(size)
                for offset in () if sparse else range(0, size, len(noise)):
                    stream.write(number.to_bytes(8, "big") + offset.to_bytes(8, "big"))
                    stream.write(noise[16 : size - offset])
            files.append(File(path, f"http://127.0.0.1:{self.port}/{name}/{path}", size, md5_of(place)))
        return files

    def write_lists(self, name: str, files: list[File]) -> Path:
        """Write what each client is told to fetch, in its own language, and return the folder of these lists."""
        lists = self.folder / "lists" / name
        lists.mkdir(parents=True)
        self_named = [(file, self.destination / file.path) for file in files]
        (lists / "manifest").write_text("".join("\t".join(map(str, file)) + "\n" for file in files))
        (lists / "curl").write_text("".join(f'url = "{file.url}"\noutput = "{at}"\n' for file, at in self_named))
        (lists / "aria2").write_text("".join(f"{file.url}\n  out={file.path}\n" for file in files))
        for core in range(CORES):
            lines = [f"{file.md5}  {at}\n" for file, at in self_named[core::CORES]]
            if lines:
                (lists / f"md5.{core}").write_text("".join(lines))
        return lists

    def slow(self, files: list[File]) -> list[File]:
        """Return the same files behind the proxy that delays every request."""
        return [file._replace(url=file.url.replace(f":{self.port}/", f":{self.slow_port}/")) for file in files]

    @contextlib.contextmanager
    def empty(self, lists: Path, case: Case) -> Iterator[dict[str, str]]:
        """Empty the destination before a run, and look at what is in it afterwards.

        What is small is only moved aside until the row ends: on ext4 mounted with ``discard``, 5,000 files deleted
        between runs made each run slower than the last, for every client, up to four times.
        """
        shutil.rmtree(self.destination, ignore_errors=True)
        self.destination.mkdir()
        os.sync()
        yield {}
        files = read_manifest(str(lists / "manifest"))
        for file in files:
            at = self.destination / file.path
            if not at.is_file() or at.stat().st_size != file.size:
                raise ValueError(f"{file.path} is missing or short")
            if not case.results and file.size < 4e9 and md5_of(at) != file.md5:
                raise ValueError(f"{file.path} is wrong")
        if sum(file.size for file in files) < 3e8:
            self.destination.rename(tempfile.mkdtemp(dir=self.aside))
        else:
            shutil.rmtree(self.destination)

    # The clients

    def ours(self, lists: Path, connections: int, name: str = "**ONE light**", **more: str) -> Case:
        """ONE light with so many connections and files at a time; 0 are its own defaults."""
        command = [sys.executable, PROCESSES, "onelight", f"{lists}/manifest", str(self.destination), str(connections)]
        return Case(name, command, **more)

    def curl(self, lists: Path, parallel: int = 16, name: str = CURL) -> Case:
        """Curl with so many connections (0: its default), and then md5sum with a list for every core."""
        fetch = ["curl", "--parallel", *(["--parallel-max", str(parallel)] if parallel else [])]
        fetch += ["--silent", "--show-error", "--fail", "--create-dirs", "--config", f"{lists}/curl"]
        return Case(name, self.then_md5sum(fetch, lists))

    def then_md5sum(self, fetch: list[str], lists: Path) -> list[str]:
        """Let md5sum compare, on every core, what another client has fetched."""
        check = f"ls {shlex.quote(str(lists))}/md5.* | xargs -P {CORES} -n 1 md5sum --check --quiet"
        return ["sh", "-c", f"{shlex.join(fetch)} && {check}"]

    def aria2(self, lists: Path, files: int = 16, pieces: int = 1, name: str = "aria2c, md5sum") -> Case:
        """aria2c with so many files at a time, each in so many pieces; its own md5 costs it more than md5sum does."""
        command = ["aria2c", "--no-conf", "--quiet", "--file-allocation=none", "--min-split-size=1M"]
        command += [f"-j{files}", f"-x{pieces}", f"-s{pieces}", f"--input-file={lists}/aria2"]
        return Case(name, self.then_md5sum([*command, f"--dir={self.destination}"], lists))

    def rclone(self, name: str) -> Case:
        """Rclone, which reads the listings of nginx and is told to ask for no file twice."""
        command = [
            "rclone",
            "copy",
            ":http:",
            str(self.destination),
            "--http-url",
            f"http://127.0.0.1:{self.port}/{name}/",
        ]
        command += ["--config", "/dev/null", "--transfers", "16", "--checkers", "16", "--http-no-head"]
        return Case("rclone", command, verifies="nothing")

    def python(self, module: str, title: str, lists: Path, verifies: str = "md5") -> Case:
        """Describe one of the clients in Python, with 16 threads."""
        command = [self.options.peers_python or "", PROCESSES, module, f"{lists}/manifest", str(self.destination), "16"]
        return Case(title, command, verifies, once=True)

    def missing(self, case: Case) -> str:
        """Say why a client cannot be run, if it cannot."""
        program, *rest = shlex.split(case.command[2]) if case.command[0] == "sh" else case.command
        if program == "":
            return "no --peers-python"
        if not shutil.which(program):
            return f"{program} is not installed"
        if program == self.options.peers_python:
            module = {"upload": rest[2], "put_requests": "requests"}.get(rest[1], rest[1])
            if subprocess.run([program, "-c", f"import {module}"], capture_output=True, check=False).returncode:
                return f"{program} has no {module}"
        return ""

    # The rows

    def small(self) -> Row:
        """5,000 files of 20 kB, 16 connections."""
        lists = self.write_lists("small", self.make("small", 5000, 20_000))
        cases = [
            self.curl(lists),
            self.ours(lists, 16, goal="≤ 1.00, and faster than all below"),
            self.aria2(lists),
            self.rclone("small"),
            self.python("huggingface_hub", "huggingface_hub http_get, threads", lists, "size"),
            self.python("pooch", "pooch, threads", lists),
            self.python("requests", "requests, threads", lists),
            self.python("one", "ONE-api http_download_file_list", lists),
        ]
        return Row("5,000 files of 20 kB, 16 connections", cases, lambda case: self.empty(lists, case))

    def latency(self) -> Row:
        """1,000 files of 20 kB, 50 ms a request."""
        lists = self.write_lists("latency", self.slow(self.make("latency", 1000, 20_000)))
        cases = [
            self.curl(lists, 16, "curl with 16, md5sum"),
            self.curl(lists, 0, "curl with its default (50), md5sum"),
            self.ours(lists, 16, "**ONE light** with 16", goal="≤ 1.05"),
            self.ours(lists, 50, "**ONE light** with 50", goal="≤ 1.05", against="curl with its default (50), md5sum"),
            self.ours(lists, 0, "**ONE light**, its own default", goal="≤ 0.50"),
        ]
        return Row("1,000 files of 20 kB, 50 ms a request", cases, lambda case: self.empty(lists, case))

    def capped(self) -> Row:
        """1 file of 400 MB, 50 ms, each answer at most 40 MiB/s."""
        lists = self.write_lists("capped", self.slow(self.make("capped", 1, 400_000_000)))
        cases = [
            self.aria2(lists, 1, 4, "aria2c -x4, md5sum"),
            self.ours(lists, 16, goal="≤ 1.15"),
            dataclasses.replace(self.curl(lists), once=True),
        ]
        return Row(
            "One file of 400 MB, 50 ms, each answer at most 40 MiB/s",
            cases,
            lambda case: self.empty(lists, case),
            runs=2,
        )

    def medium(self) -> Row:
        """200 files of 1 MB, 16 connections."""
        lists = self.write_lists("medium", self.make("medium", 200, 1_000_000))
        cases = [self.curl(lists), self.ours(lists, 16, goal="≤ 1.00"), self.aria2(lists), self.rclone("medium")]
        return Row("200 files of 1 MB, 16 connections", cases, lambda case: self.empty(lists, case))

    def large(self) -> Row:
        """One file of 2 GB."""
        lists = self.write_lists("large", self.make("large", 1, 2_000_000_000))
        cases = [self.curl(lists), self.ours(lists, 16, goal="≤ 0.80")]
        return Row("One file of 2 GB", cases, lambda case: self.empty(lists, case), runs=2)

    def upload(self) -> Row:
        """2,000 files of 50 kB to the sandbox."""
        return self.uploads("upload", 2000, "2,000 files of 50 kB to the sandbox", slow=False)

    def upload_latency(self) -> Row:
        """200 files of 50 kB to the sandbox, 50 ms a request."""
        return self.uploads("upload_latency", 200, "200 files of 50 kB to the sandbox, 50 ms a request", slow=True)

    def uploads(self, name: str, count: int, title: str, *, slow: bool) -> Row:
        """Describe an upload to the sandbox, and who else does it."""
        self.make(name, count, 50_000)
        root = str(self.served / name)
        told = ["{api_url}", "{article_id}", "{token}"]
        original = "one by one with requests, as the original"
        ours = [sys.executable, "-m", "onelight", "upload", root, "-R", "{name}", "--json"]
        cases = [
            Case(original, [self.options.peers_python or "", PROCESSES, "upload", "requests", root, *told], "nothing"),
            Case("**ONE light**: `onelight upload`", ours, goal="≤ 0.20"),
            *([Case("**ONE light**: `onelight upload -j 32`", [*ours, "-j", "32"], goal="≤ 0.20")] if slow else []),
            Case(
                "one by one with http.client on a kept connection",
                [sys.executable, PROCESSES, "upload", "http.client", root, *told],
                "nothing",
            ),
        ]
        return Row(title, cases, lambda _: self.box(name, count, slow=slow))

    def webdav(self) -> Row:
        """5,000 files of 20 kB to nginx by WebDAV, 16 at a time."""
        source = self.served / "webdav"
        files = [file._replace(url=file.url.replace("/webdav/", "/dav/")) for file in self.make("webdav", 5000, 20_000)]
        lists = self.write_lists("webdav", files)
        (lists / "curl").write_text(
            "next\n".join(f'upload-file = "{source / file.path}"\nurl = "{file.url}"\n' for file in files)
        )
        rclone = ["rclone", "copy", str(source), ":webdav:", "--webdav-url", f"http://127.0.0.1:{self.port}/dav/"]
        rclone += ["--webdav-vendor", "other", "--config", "/dev/null", "--transfers", "16", "--checkers", "16"]
        curl = ["curl", "--parallel", "--parallel-max", "16", "--silent", "--show-error", "--fail"]
        upload = [sys.executable, "-m", "onelight", "upload", str(source), "-R", "dav", "-j", "16", "--json"]
        cases = [
            Case("rclone", rclone, "size", once=True),  # it leaves 10 ms between any two of its requests
            Case("**ONE light**: `onelight upload`", upload, "size", goal="≤ 1.00"),
            Case("**ONE light**: `onelight upload --verify`", [*upload, "--verify"]),
            Case(
                "**ONE light**: `onelight upload`, killed four times with SIGKILL and run again",
                [sys.executable, PROCESSES, "killed", "4", *upload],
                "size",
            ),
            Case(
                "**ONE light**, its client alone",
                [sys.executable, PROCESSES, "put", f"{lists}/manifest", str(source), "16"],
            ),
            Case("curl", [*curl, "--config", f"{lists}/curl"], "nothing"),
            Case(
                "one by one with requests, on a kept connection",
                [self.options.peers_python or "", PROCESSES, "put_requests", f"{lists}/manifest", str(source), "1"],
                "nothing",
            ),
        ]
        if not DAV.exists():
            cases[0].failed = f"there is no {DAV}"
        return Row("5,000 files of 20 kB to nginx by WebDAV, 16 at a time", cases, lambda case: self.dav(files, case))

    @contextlib.contextmanager
    def dav(self, files: list[File], case: Case) -> Iterator[dict[str, str]]:
        """Empty what nginx writes to before a run, and look at what is in it afterwards."""
        shutil.rmtree(self.folder / "dav", ignore_errors=True)
        (self.folder / "dav").mkdir(mode=0o777)
        (self.served / "webdav" / ".one_root").unlink(missing_ok=True)  # ONE light writes it there as well
        shutil.rmtree(self.environment["ONELIGHT_CONFIG_DIR"], ignore_errors=True)
        add = ["add-repo", "dav", "--http", f"http://127.0.0.1:{self.port}/dav"]
        subprocess.run([sys.executable, "-m", "onelight", *add], env=self.environment, check=True, capture_output=True)
        os.sync()
        yield {}
        there = {path.name for path in (self.folder / "dav").rglob("*") if path.is_file()}
        if any(name.endswith((".part", ".lock")) for name in there):
            raise ValueError("something is left of an upload")
        for file in files:
            at = self.folder / "dav" / file.path
            if not at.is_file() or at.stat().st_size != file.size or (not case.results and md5_of(at) != file.md5):
                raise ValueError(f"{file.path} is not there as it was sent")
        shutil.rmtree(self.folder / "dav")

    def sparse(self) -> Row:
        """One sparse file of 10 GB, for the memory."""
        size = int(self.options.big * 1e9)
        if shutil.disk_usage(self.folder).free < size * 1.2:
            raise OSError(f"a file of {size:,} bytes has no room; --big N makes it smaller")
        lists = self.write_lists("sparse", self.make("sparse", 1, size, sparse=True))
        cases = [self.ours(lists, 16, goal=f"< {MEMORY} MB")]
        title = f"One sparse file of {self.options.big:g} GB, for the memory"
        return Row(title, cases, lambda case: self.empty(lists, case), runs=1)

    @contextlib.contextmanager
    def box(self, name: str, count: int, *, slow: bool) -> Iterator[dict[str, str]]:
        """Run a sandbox of its own for one upload, and look at what it holds afterwards."""
        data = self.folder / "box"
        seen_as = [free_port() for _ in range(3)]
        onelight = [sys.executable, "-m", "onelight"]
        command = [*onelight, "sandbox", "--json", "--data", str(data), "--port", "0", "--file-limit", str(count + 20)]
        if slow:
            command = [sys.executable, PROCESSES, "sandbox", str(data), str(count + 20), *map(str, seen_as)]
        (self.served / name / ".one_root").unlink(missing_ok=True)  # ONE light writes it there as well
        shutil.rmtree(self.environment["ONELIGHT_CONFIG_DIR"], ignore_errors=True)
        os.sync()
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment)]
        try:
            said = json.loads(running[0].stdout.readline() if running[0].stdout else "")
            if slow:
                pairs = [f"{port}:{behind}" for port, behind in zip(seen_as, said.pop("ports"), strict=True)]
                running.append(subprocess.Popen([sys.executable, PROCESSES, "delay", str(LATENCY), *pairs]))
                await_port(seen_as[-1])
            add = ["add-repo", "box", "--replace", "--figshare", str(said["article_id"]), "--files-per-article", "5000"]
            subprocess.run(
                [*onelight, *add, "--api-url", said["api_url"], "--token-stdin"],
                input=said["token"],
                env=self.environment,
                text=True,
                check=True,
                capture_output=True,
            )
            yield {"name": "box", **{word: str(value) for word, value in said.items()}}
            time.sleep(1)
            self.look_into(said, name, count)
        finally:
            for process in running:
                process.terminate()
                process.wait()
                if process.stdout:
                    process.stdout.close()
            shutil.rmtree(data, ignore_errors=True)

    def look_into(self, said: dict[str, str], name: str, count: int) -> None:
        """Compare what the sandbox holds with what was to be sent."""
        found: dict[str, str] = {}
        for page in range(1, count // 1000 + 2):
            url = f"{said['api_url']}/account/articles/{said['article_id']}/files?page_size=1000&page={page}"
            request = urllib.request.Request(url, headers={"Authorization": f"token {said['token']}"})
            with urllib.request.urlopen(request) as answer:
                found |= {file["name"]: file["computed_md5"] for file in json.load(answer)}
        for name_of in (".one_root", "datasets.pqt", "sessions.pqt"):
            found.pop(name_of, None)
        root = self.served / name
        made = {
            path.relative_to(root).as_posix().replace("/", "~"): md5_of(path)
            for path in root.rglob("*")
            if path.is_file() and path.name != ".one_root"
        }
        if found != made:
            raise ValueError(f"the sandbox does not hold the {count} files that were sent")

    # Running

    def run(self, name: str) -> Row:
        """Make the files of a row, run every client that is there, and take the files away."""
        row: Row = getattr(self, name)()
        for case in list(row.cases):
            reason = self.missing(case)
            if reason:
                say(f"{name}: {case.name} is left out: {reason}")
                row.cases.remove(case)
        row.load = os.getloadavg()[0]
        row.runs = min(row.runs or self.options.runs, self.options.runs)
        for number in range(row.runs):
            for case in row.cases:
                if case.failed or (number and case.once):
                    continue
                try:
                    with row.prepare(case) as words:
                        result = self.measure([part.format(**words) if words else part for part in case.command])
                    case.results.append(result)
                    say(f"{name} {number + 1}/{row.runs}: {case.name}: {result[0]:.2f} s")
                except (OSError, ValueError, subprocess.SubprocessError) as error:
                    case.failed = str(error)
                    say(f"{name}: {case.name} failed: {error}")
        for used in (self.served / name, self.destination, *self.aside.iterdir()):
            shutil.rmtree(used, ignore_errors=True)
        return row

    def measure(self, command: list[str]) -> tuple[float, float, float]:
        """Run a command under a small process of its own, so that the memory of this one is not counted with it."""
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", PROCESSES, "measure", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd=self.folder,
            text=True,
            start_new_session=True,
        )
        try:
            said, complaint = process.communicate(timeout=PATIENCE)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if process.returncode:
            raise OSError(" ".join(complaint.split())[-300:] or f"exit code {process.returncode}")
        wall, cpu, peak = map(float, said.splitlines()[-1].split())
        return wall, cpu, peak


def md5_of(path: Path) -> str:
    md5 = hashlib.md5()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            md5.update(block)
    return md5.hexdigest()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def await_port(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise OSError(f"nobody answers on port {port}")


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def ratio(case: Case, row: Row) -> str:
    """Compare with the peer run by run, so that what disturbs the machine for a while disturbs both."""
    peer = next((other for other in row.cases if other.name == case.against), None)
    pairs = list(zip(case.results, peer.results if peer else [], strict=False))
    if not pairs:
        return ""
    return f"{statistics.median(mine[0] / its[0] for mine, its in pairs):.2f} × {case.against}"


def show(row: Row) -> None:
    runs = f"Medians of {row.runs} interleaved runs" if row.runs > 1 else "One run"
    print(f"\n### {row.title}\n\n{runs}; the load average was {row.load:.1f} before.\n")
    print("| client | it compares | wall s | CPU s | peak MB | ratio | goal |\n|---|---|---|---|---|---|---|")
    for case in row.cases:
        name = f"{case.name} (1 run)" if case.once and row.runs > 1 else case.name
        if case.failed or not case.results:
            print(f"| {name} | {case.verifies} | failed: {case.failed.replace('|', '/')} | | | | {case.goal} |")
            continue
        wall, cpu, peak = (statistics.median(values) for values in zip(*case.results, strict=True))
        print(
            f"| {name} | {case.verifies} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {ratio(case, row)} | {case.goal} |",
            flush=True,
        )


def versions() -> str:
    said = []
    for command in (["nginx", "-v"], ["curl", "--version"], ["aria2c", "--version"], ["rclone", "version"]):
        if shutil.which(command[0]):
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            first = (answer.stdout or answer.stderr).splitlines()[0]
            said.append(" ".join(first.replace("nginx version: ", "").replace("version ", "").split()[:2]))
    return ", ".join([*said, f"Python {sys.version.split()[0]}", f"{CORES} cores"])


UPLOADS = ("upload", "upload_latency", "webdav")
ROWS = {name: getattr(Bench, name) for name in ("small", "latency", "capped", "medium", "large", *UPLOADS, "sparse")}


def main() -> None:
    listed = "; ".join(f"{name}: {method.__doc__.rstrip('.')}" for name, method in ROWS.items())
    parser = argparse.ArgumentParser(description="Measure transfers.", epilog=f"Rows: {listed}.")
    parser.add_argument("--rows", default=",".join(ROWS), help="which rows, separated by commas; by default all")
    parser.add_argument("--runs", type=int, default=3, help="interleaved runs; slow clients and rows have one")
    parser.add_argument("--big", type=float, default=10, metavar="GB", help="size of the sparse file; by default 10")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--peers-python", metavar="PATH", help="an interpreter that has the clients in Python")
    options = parser.parse_args()
    rows = options.rows.split(",")
    if unknown := set(rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    for program in ("nginx", "curl", "md5sum"):
        if not shutil.which(program):
            sys.exit(f"{program} is needed, and is not installed")

    with tempfile.TemporaryDirectory(prefix="onelight-transfer-", dir=options.folder) as name:
        bench = Bench(Path(name).resolve(), options)
        with bench.servers():
            print(f"    python benchmarks/transfer.py {shlex.join(sys.argv[1:])}\n\n{versions()}")
            done = []
            for chosen in rows:
                done.append(bench.run(chosen))
                show(done[-1])
    ours = [case for row in done for case in row.cases if "ONE light" in case.name]
    peaks = [result[2] for case in ours for result in case.results]
    if peaks:
        print(f"\nThe largest peak of ONE light in any run: {max(peaks):.0f} MB (goal: under {MEMORY} MB).")
    sys.exit(any(case.failed for row in done for case in row.cases))


if __name__ == "__main__":
    main()

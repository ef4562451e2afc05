"""Send 2,145 files to a sandbox, kill it half-way, run it again: each file must be there once, and right.

Run it as ``python benchmarks/killed_upload.py``. It writes 39 sessions of 55 files, starts ``onelight sandbox`` and
``onelight upload`` as processes of their own, kills the upload with SIGKILL when half of the files are stored, and
runs the same command twice more. What is stored is then read through the API, not through ONE light.
"""

from __future__ import annotations

import collections
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from onelight.synthetic import STEINMETZ, write_dataset

COMMAND = [sys.executable, "-m", "onelight"]


def stored(said: dict[str, Any]) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = []
    while True:
        page = len(files) // 1000 + 1
        url = f"{said['api_url']}/account/articles/{said['article_id']}/files?page_size=1000&page={page}"
        request = urllib.request.Request(url, headers={"Authorization": f"token {said['token']}"})
        with urllib.request.urlopen(request) as answer:
            rows = json.load(answer)
        files += rows
        if len(rows) < 1000:
            return files


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = folder / "dataroot"
        written = write_dataset(root, sessions=STEINMETZ, optional=False, scale=0.001)
        environment = {**os.environ, "ONELIGHT_CONFIG_DIR": str(folder / "config")}
        box = subprocess.Popen(
            [*COMMAND, "sandbox", "--json", "--data", str(folder / "box"), "--port", "0", "--file-limit", "5000"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        assert box.stdout is not None
        said = json.loads(box.stdout.readline())
        add = ["add-repo", "box", "--figshare", str(said["article_id"]), "--api-url", said["api_url"], "--token-stdin"]
        add += ["--files-per-article", "5000"]
        subprocess.run(
            [*COMMAND, *add], input=said["token"], env=environment, text=True, check=True, capture_output=True
        )
        upload = [*COMMAND, "upload", str(root), "-R", "box", "--json"]

        first = subprocess.Popen(upload, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while sum(file["status"] == "available" for file in stored(said)) < len(written) // 2:
            time.sleep(0.2)
        first.kill()
        first.wait()
        left = collections.Counter(file["status"] for file in stored(said))
        print(f"killed with {dict(left)} stored, no .one_root: {all(f['name'] != '.one_root' for f in stored(said))}")

        summaries = []
        for attempt in ("second", "third"):
            before = {file["id"] for file in stored(said)}
            done = subprocess.run(upload, env=environment, capture_output=True, text=True, check=True)
            summaries.append(json.loads(done.stdout.splitlines()[-1]))
            new = len({file["id"] for file in stored(said)} - before)
            print(f"{attempt} run: {summaries[-1]}, {new} new files on the server")

        files = stored(said)
        names = collections.Counter(file["name"] for file in files)
        wanted = {
            path.relative_to(root).as_posix().replace("/", "~"): hashlib.md5(path.read_bytes()).hexdigest()
            for path in written
        }
        found = {file["name"]: file["computed_md5"] for file in files if "~" in file["name"]}
        rows = (root / ".one_root").read_text().splitlines()
        print(
            f"files: {len(files)}, each name once: {max(names.values()) == 1}, all available: "
            f"{all(file['status'] == 'available' for file in files)}"
        )
        print(f"md5 of all {len(wanted)} equal: {found == wanted}; rows of .one_root: {len(rows)}")
        box.terminate()
        box.wait()
        if found != wanted or max(names.values()) != 1 or len(rows) != len(wanted) or summaries[1]["ok"]:
            sys.exit("something is wrong")


if __name__ == "__main__":
    main()

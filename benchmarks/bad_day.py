"""A bad day at figshare: 2,145 files through a server that fails in every way it is known to, and two SIGKILLs.

Run it as ``python benchmarks/bad_day.py``. Of all requests 5 % are answered with 5xx and 2 % with 429, 2 % are cut off
before they are handled and 1 % afterwards; the md5 of half of the files comes two seconds late, and 1 % of the files
end in ``ic_failure``. The upload is killed twice, and run until it ends. In the end ``onelight status`` must find
nothing that differs, and the server must hold each file once and nothing else. The requests are compared with the
least that can be: four for each file (announce, where to, content, done) and for the index, and what was played.
"""

from __future__ import annotations

import argparse
import collections
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
FAULTS = {"5xx": "0.05", "reset": "0.02", "reset_after": "0.01", "429": "0.02", "ic_failure": "0.01", "md5_late": "0.5"}
PER_FILE = 4


def ask(url: str, token: str = "") -> Any:
    headers = {"Authorization": f"token {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return json.load(answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=len(STEINMETZ), help="sessions of 55 files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = folder / "dataroot"
        written = write_dataset(root, sessions=STEINMETZ[: arguments.sessions], optional=False, scale=0.001)
        environment = {**os.environ, "ONELIGHT_CONFIG_DIR": str(folder / "config")}
        switches = [part for kind, chance in FAULTS.items() for part in ("--fault", f"{kind}={chance}")]
        box = subprocess.Popen(
            [
                *(*COMMAND, "sandbox", "--json", "--data", str(folder / "box"), "--port", "0"),
                *("--file-limit", "5000", *switches, "--set", "md5-late=2s"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        assert box.stdout is not None
        said = json.loads(box.stdout.readline())
        control = said["api_url"].removesuffix("/v2") + "/control"
        try:
            run(said, control, root, environment, [path.relative_to(root).as_posix() for path in written])
        finally:
            box.terminate()
            box.wait()


def run(said: dict[str, Any], control: str, root: Path, environment: dict[str, str], paths: list[str]) -> None:
    config = Path(environment["ONELIGHT_CONFIG_DIR"])
    config.mkdir()
    box = {"name": "box", "type": "figshare", "article_id": said["article_id"], "token": said["token"]}
    rows = [{**box, "api_url": said["api_url"], "files_per_article": 5000}]
    (config / "config.json").write_text(json.dumps({"current_repository": "box", "repositories": rows}))
    upload = [*COMMAND, "upload", str(root), "--json", "--clean"]
    begun = time.monotonic()
    for part in (3, 1.5):
        process = subprocess.Popen(upload, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and announced(control) < len(paths) / part:
            time.sleep(0.1)
        process.kill()
        process.wait()
        print(f"killed after {announced(control):,} files were announced")
    runs = 0
    code = 1
    while code and runs < 10:
        runs += 1
        done = subprocess.run(upload, env=environment, capture_output=True, text=True, check=False)
        code = done.returncode
        print(f"run {runs}: exit {code}, {done.stdout.splitlines()[-1] if done.stdout else done.stderr[-300:]}")
        failed = (json.loads(line) for line in done.stdout.splitlines() if '"error"' in line)
        for message, count in collections.Counter(row.get("message", "")[:160] for row in failed).most_common(5):
            print(f"  {count} x {message}")
    seconds = time.monotonic() - begun
    counted = ask(control)
    clear = urllib.request.Request(control, data=b'{"clear_faults": true}', method="POST")
    urllib.request.urlopen(clear, timeout=30).close()
    status = subprocess.run(
        [*COMMAND, "status", str(root)], env=environment, capture_output=True, text=True, check=False
    )
    print(f"status: exit {status.returncode}, {status.stderr.splitlines()[0]}")
    wrong = judge(said, paths) or status.returncode or code
    tell(counted, len(paths), seconds)
    if wrong:
        sys.exit("something is wrong")


def announced(control: str) -> int:
    return int(ask(control)["counts"].get("api POST /v2/account/articles/{article_id}/files", 0))


def judge(said: dict[str, Any], paths: list[str]) -> bool:
    """Look at the article through the API, not through ONE light: each file once, whole, and the index; no more."""
    files: list[dict[str, Any]] = []
    while len(files) % 1000 == 0:
        page = len(files) // 1000 + 1
        url = f"{said['api_url']}/account/articles/{said['article_id']}/files?page_size=1000&page={page}"
        files += (found := ask(url, said["token"]))
        if not found:
            break
    names = collections.Counter(file["name"] for file in files)
    wanted = {path.replace("/", "~") for path in paths} | {".one_root", "datasets.pqt", "sessions.pqt"}
    print(
        f"stored: {len(files):,} files, statuses {dict(collections.Counter(file['status'] for file in files))}, "
        f"{len(names.keys() - wanted)} leftovers, {sum(names.values()) - len(names)} twice, "
        f"{len(wanted - names.keys())} missing"
    )
    return names != collections.Counter(wanted) or any(file["status"] != "available" for file in files)


def tell(counted: dict[str, Any], files: int, seconds: float) -> None:
    played = counted["played"]
    spoiled = sum(played.get(name, 0) for name in ("5xx", "429", "reset"))
    requests = counted["requests"] + spoiled
    least = PER_FILE * (files + 1)
    # What is spoiled is asked again, what is lost after it was done is asked about, and a damaged file goes once more.
    again = spoiled + played.get("reset_after", 0) + (PER_FILE + 1) * played.get("ic_failure", 0)
    print(f"{seconds:.0f} s; faults played: {played}")
    for route, count in sorted(counted["counts"].items(), key=lambda item: -item[1]):
        print(f"  {count:6,} {route}")
    print(
        f"requests: {requests:,}; the least is {least:,}, and {again:,} for what went wrong: "
        f"{requests / (least + again):.2f} x"
    )


if __name__ == "__main__":
    main()

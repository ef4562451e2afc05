"""The first client of the protocol reads what we write, and we read what it writes.

``.ci/original-client FOLDER`` installs it; its command is then named by ``ONELIGHT_ORIGINAL_CLIENT``.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from onelight.api import One, write_index

ORIGINAL = os.environ.get("ONELIGHT_ORIGINAL_CLIENT", "")
pytestmark = pytest.mark.skipif(
    not ORIGINAL,
    reason="the original client is not installed: run .ci/original-client and set ONELIGHT_ORIGINAL_CLIENT",
)


@pytest.fixture
def url(data_root, serve):
    return serve(data_root).url + "/"


def original(home: Path, url: str, *arguments: str, **more: str) -> list[str]:
    """Run the original command in a home of its own, with one repository."""
    (home / ".one").mkdir(parents=True, exist_ok=True)
    config = {
        "download_dir": "~/.one/data/{repository}/{lab}/Subjects/{subject}/{date}/{number}/alf/",
        "session_pattern": "^{lab}/Subjects/{subject}/{date}/{number}/$",
        "file_pattern": "^{lab}/Subjects/{subject}/{date}/{number}/alf/{filename}$",
        "repositories": [{"name": "web", "type": "http", "base_url": url, **more}],
        "current_repository": "web",
    }
    (home / ".one" / "config.json").write_text(json.dumps(config))
    environment = {**os.environ, "HOME": str(home)}
    done = subprocess.run(
        [ORIGINAL, *arguments], env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("with_addresses", [True, False], ids=["two columns", "one column"])
def test_the_original_client_searches_and_downloads_a_folder_that_we_indexed(
    tmp_path, data_root, url, add_repository, with_addresses
):
    write_index(data_root, base_url=url if with_addresses else "")
    ours = One(add_repository("web", "http", base_url=url))
    home = tmp_path / "home"
    assert original(home, url, "search") == ours.search()
    assert original(home, url, "search", "spikes.times", "spikes.clusters") == ours.search(
        ["spikes.times", "spikes.clusters"]
    )
    session = ours.search()[0]
    assert sorted(set(original(home, url, "list", session))) == ours.list(session)
    original(home, url, "download", session)
    wanted = {path.name: path.read_bytes() for path in (data_root / session / "alf").iterdir()}
    folder = home / ".one" / "data" / "web" / session / "alf"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == wanted


def test_we_search_and_download_a_folder_that_the_original_client_indexed(tmp_path, data_root, url, add_repository):
    root = data_root
    script = (
        f"from oneibl.onelight import make_http_root_file as m; m({str(root)!r}, {url!r}, {str(root / '.one_root')!r})"
    )
    python = Path(ORIGINAL).with_name("python")
    subprocess.run([python, "-c", script], env={**os.environ, "HOME": str(tmp_path / "home")}, check=True)
    assert b"\r\n" in (root / ".one_root").read_bytes()
    one = One(add_repository("web", "http", base_url=url))
    local = one.scan(root)
    assert one.search() == local.sessions
    for session in local.sessions:
        for path in one.download(session):
            assert path.read_bytes() == (root / path.as_posix()[path.as_posix().index("nicklab") :]).read_bytes()

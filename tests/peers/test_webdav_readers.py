"""What was uploaded to a web server is read by whoever reads the protocol, or just HTTP: the first client, and curl."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "kinds"))

import dav_servers
from test_original_client import ORIGINAL, original

from onelight.api import One

LOGIN, PASSWORD = "lab", "correct horse"


@pytest.fixture
def url(data_root: Path, add_repository: Callable[..., str]) -> Iterator[str]:
    """A folder behind a password on nginx, with all of the data root uploaded to it."""
    with dav_servers.place() as root, dav_servers.nginx(root, login=LOGIN, password=PASSWORD) as server:
        url = f"{server.url}/data"
        One(add_repository("web", "http", base_url=url, login=LOGIN, password=PASSWORD)).upload(data_root)
        yield url


@pytest.mark.skipif(
    not ORIGINAL, reason="the original client is not installed: run .ci/original-client, set ONELIGHT_ORIGINAL_CLIENT"
)
def test_the_original_client_reads_what_we_wrote(url: str, data_root: Path, tmp_path: Path) -> None:
    ours = One("web")
    home = tmp_path / "home"
    login = {"login": LOGIN, "password": PASSWORD}
    assert original(home, f"{url}/", "search", **login) == ours.search()
    session = ours.search()[0]
    assert sorted(set(original(home, f"{url}/", "list", session, **login))) == ours.list(session)
    original(home, f"{url}/", "download", session, **login)
    wanted = {path.name: path.read_bytes() for path in (data_root / session / "alf").iterdir()}
    folder = home / ".one" / "data" / "web" / session / "alf"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == wanted


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_shows_the_same_bytes(url: str, data_root: Path) -> None:
    def curl(path: str, *options: str) -> bytes:
        command = ["curl", "--silent", "--show-error", "--fail", *options, f"{url}/{path}"]
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout

    with pytest.raises(subprocess.CalledProcessError):
        curl(".one_root")
    paths = curl(".one_root", "-u", f"{LOGIN}:{PASSWORD}").decode().splitlines()
    assert paths == [entry.path for entry in One("web").scan(data_root).index]
    for path in paths[:20]:
        assert curl(path, "-u", f"{LOGIN}:{PASSWORD}") == (data_root / path).read_bytes()

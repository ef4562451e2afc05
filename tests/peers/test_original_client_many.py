"""1,200 files in three articles under one index: we find and fetch all of them, and so does the first client.

The first client lists one page of an article's files and looks for the index in it. Figshare gave all files in 2021;
since November 2024 a page has ten, and that client finds no index at figshare any more. So it is tried in both ways
that are left: against a server that lists as figshare did then, and with the index on a web server.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from onelight.api import One
from onelight.config import Config, Settings
from onelight.sandbox import Sandbox
from onelight.sandbox import Settings as Behaviour

ORIGINAL = os.environ.get("ONELIGHT_ORIGINAL_CLIENT", "")
needs_original = pytest.mark.skipif(
    not ORIGINAL,
    reason="the original client is not installed: run .ci/original-client and set ONELIGHT_ORIGINAL_CLIENT",
)
SESSIONS = [f"lab/Subjects/mouse/2024-05-{day:02}/001" for day in range(1, 25)]
FILES = 50


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("many") / "dataroot"
    for number, session in enumerate(SESSIONS):
        (root / session / "alf").mkdir(parents=True)
        for file in range(FILES):
            np.save(root / session / "alf" / f"object{file:02}.values.npy", np.full(3, number * FILES + file))
    return root


@pytest.fixture(scope="module")
def shared(root: Path, tmp_path_factory: pytest.TempPathFactory):
    """Return a sandbox in which all of it is published, as figshare was when the first client was written."""
    folder = tmp_path_factory.mktemp("many-shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONELIGHT_CONFIG_DIR", str(folder / "config"))
        with Sandbox(folder / "box", settings=Behaviour(page_default=1000, status_delay_ms=0)) as box:
            options = {"article_id": box.article_id, "api_url": box.api_url, "token": box.token}
            Config.load().add(Settings("many", "figshare", options))
            one = One("many")
            outcomes = one.upload(root, spread=True)
            assert len(outcomes) == FILES * len(SESSIONS)
            assert one.publish(root).version == 1
            articles = Config.load().repository("many").options["articles"]
            yield box, articles, outcomes


def test_1200_files_are_three_articles_and_one_index(shared, root: Path, tmp_path: Path) -> None:
    box, articles, _ = shared
    assert len(articles) == 3
    Config.load().add(Settings("reader", "figshare", {"article_id": box.article_id, "api_url": box.api_url}))
    reader = One("reader")  # knows of the first article only
    assert reader.search() == SESSIONS
    assert reader.search(["object07.values"]) == SESSIONS
    for session in (SESSIONS[0], SESSIONS[11], SESSIONS[-1]):
        for path in reader.download(session):
            assert path.read_bytes() == (root / session / "alf" / path.name).read_bytes()
    rows = (root / ".one_root").read_text().splitlines()
    assert len(rows) == FILES * len(SESSIONS)
    by_session = Counter(row.split("\t")[0].split("/")[3] for row in rows)
    assert set(by_session.values()) == {FILES}


def original(home: Path, repository: dict[str, object], script: str) -> list[str]:
    """Run a script with the first client in a home of its own, with one repository."""
    (home / ".one").mkdir(parents=True, exist_ok=True)
    config = {
        "download_dir": "~/.one/data/{repository}/{lab}/Subjects/{subject}/{date}/{number}/alf/",
        "session_pattern": "^{lab}/Subjects/{subject}/{date}/{number}/$",
        "file_pattern": "^{lab}/Subjects/{subject}/{date}/{number}/alf/{filename}$",
        "repositories": [repository],
        "current_repository": repository["name"],
    }
    (home / ".one" / "config.json").write_text(json.dumps(config))
    done = subprocess.run(
        [Path(ORIGINAL).with_name("python"), "-W", "ignore", "-c", script],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout.splitlines()


SCRIPT = """
import json
from oneibl import onelight
{setting}
one = onelight.ONE()
sessions = one.search([])
some = one.search(['object07.values'])
found = [one.load_object(session, 'object07')['values'].tolist() for session in sessions]
print(json.dumps([sessions, some, found]))
"""


@needs_original
@pytest.mark.parametrize("way", ["figshare of its time", "index on a web server"])
def test_the_first_client_finds_and_fetches_all_of_them(shared, root: Path, tmp_path: Path, serve, way: str) -> None:
    box, _, _ = shared
    if way == "index on a web server":
        web = tmp_path / "web"
        web.mkdir()
        (web / ".one_root").write_bytes((root / ".one_root").read_bytes())
        repository = {"name": "many", "type": "http", "base_url": serve(web).url + "/"}
        setting = ""
    else:
        repository = {"name": "many", "type": "figshare", "article_id": box.article_id, "token": ""}
        setting = f"onelight._FIGSHARE_BASE_URL = {box.api_url + '/{endpoint}'!r}"  # it has no setting for it
    [answer] = original(tmp_path / "home", repository, SCRIPT.format(setting=setting))
    sessions, some, found = json.loads(answer)
    assert sessions == some == SESSIONS
    assert found == [[number * FILES + 7] * 3 for number in range(len(SESSIONS))]

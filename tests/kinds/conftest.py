"""A sandbox with a record of what came, its owner, and a client with short pauses."""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from boxes import ORIGINS, PART, Owner, Recorded, Recorder

from onelight.client import Client, Limits
from onelight.sandbox import Settings, server

pytest.register_assert_rewrite("contract")


@pytest.fixture
def make_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Recorded]]:
    running: list[Recorded] = []
    made = server._apps
    numbers = itertools.count()

    def start(**settings: Any) -> Recorded:
        recorder = Recorder()

        def apps(context: Any) -> list[Any]:
            return [recorder.wrap(origin, app) for origin, app in zip(ORIGINS, made(context), strict=True)]

        monkeypatch.setattr(server, "_apps", apps)
        chosen = {"part_size": PART, "status_delay_ms": 1, "short_put_hang_seconds": 2.0, **settings}
        box = Recorded(tmp_path / f"box{next(numbers)}", settings=Settings(**chosen))
        box.recorder = recorder
        box.start()
        running.append(box)
        return box

    yield start
    for box in running:
        box.stop()


@pytest.fixture
def box(make_box: Callable[..., Recorded]) -> Recorded:
    return make_box()


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=Limits(connect=5, idle=5, attempts=4, pause=0.01, longest_wait=5)) as running:
        yield running


@pytest.fixture
def owner(box: Recorded) -> Owner:
    return Owner(box)


#: Modules whose tests run on one of the servers (or of the kinds of list) each, in turn; the whole of them takes ten
#: minutes: ONELIGHT_EVERY_SERVER=1 python -m pytest tests/kinds
_IN_TURN = ("test_dav.py", "test_dav_faults.py", "test_http_hostile.py")
_SERVERS = frozenset({"nginx", "apache", "wsgidav", "rclone", "pages", "dav"})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out all but one variant of each such test; which one, its name decides."""
    if os.environ.get("ONELIGHT_EVERY_SERVER"):
        return
    variants: dict[str, list[pytest.Item]] = {}
    for item in items:
        name, _, words = item.name.partition("[")
        said = words.rstrip("]").split("-")
        if item.path.name in _IN_TURN and isinstance(item.parent, pytest.Module) and _SERVERS & set(said):
            others = "-".join(word for word in said if word not in _SERVERS)
            variants.setdefault(f"{item.path.name} {name} {others}", []).append(item)
    gone = set()
    for key, group in variants.items():
        gone.update(set(group) - {group[zlib.crc32(key.encode()) % len(group)]})
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=list(gone))

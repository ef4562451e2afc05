"""How long to wait, how often to try, how many connections: by the configuration, the environment and -j."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Good, WebServer, drip, silence, slowly, stall, status
from shared import SESSION, address, share

Run = Callable[..., Any]
FILES = {f"spikes.a{number}.npy": os.urandom(50_000) for number in range(12)}
ONE = "spikes.a0.npy"


@pytest.fixture
def web(add_repository: Callable[..., str]) -> Iterator[WebServer]:
    with WebServer() as server:
        share(server, FILES)
        add_repository("web", "http", base_url=f"{server.url}/data")
        yield server


@pytest.fixture
def configure(config_dir: Path, web: WebServer) -> Callable[..., None]:
    def change(**values: object) -> None:
        path = config_dir / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def test_a_server_that_says_nothing_is_waited_for_as_long_as_is_said(
    onelight: Run, web: WebServer, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    web.faults[address(ONE)] = [silence]
    configure(limits={"idle": 50, "attempts": 1})
    monkeypatch.setenv("ONELIGHT_IDLE_TIMEOUT", "1")  # wins
    begun = time.monotonic()
    failed = onelight("download", SESSION, "spikes.a0")
    assert failed.code == 5
    assert 0.5 < time.monotonic() - begun < 20
    assert len([seen for seen in web.requests if seen.path == address(ONE)]) == 1


def test_tries_are_as_many_as_are_said(onelight: Run, web: WebServer, configure: Callable[..., None]) -> None:
    web.faults[address(ONE)] = [status(500)]
    configure(limits={"attempts": 3, "pause": 0})
    assert onelight("download", SESSION, "spikes.a0").code == 5
    assert len([seen for seen in web.requests if seen.path == address(ONE)]) == 3


def test_a_wait_that_is_too_long_ends_with_when_to_come_back(
    onelight: Run, web: WebServer, configure: Callable[..., None]
) -> None:
    web.faults[address(ONE)] = [status(503, Retry_After=30)]
    configure(limits={"longest_wait": 5})
    begun = time.monotonic()
    failed = onelight("download", SESSION, "spikes.a0")
    assert failed.code == 5
    assert "Come back in" in failed.err
    assert time.monotonic() - begun < 20


def test_a_trickle_counts_as_nothing_below_the_speed_that_is_said(
    onelight: Run, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.faults[address(ONE)] = [drip(0.3, 1000)]  # about 3 kB a second
    monkeypatch.setenv("ONELIGHT_FLOOR_SPEED", "20000")
    monkeypatch.setenv("ONELIGHT_IDLE_TIMEOUT", "2")
    monkeypatch.setenv("ONELIGHT_ATTEMPTS", "1")
    failed = onelight("download", SESSION, "spikes.a0")
    assert failed.code == 5


def test_the_whole_of_a_file_may_be_limited(onelight: Run, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    web.faults[address(ONE)] = [drip(0.2, 1000)]
    monkeypatch.setenv("ONELIGHT_TOTAL_TIMEOUT", "1.5")
    monkeypatch.setenv("ONELIGHT_ATTEMPTS", "1")
    begun = time.monotonic()
    failed = onelight("download", SESSION, "spikes.a0")
    assert failed.code == 5
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize("how", ["environment", "file", "option"])
def test_connections_are_at_most_as_many_as_are_said(
    onelight: Run, web: WebServer, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    web.faults.update({address(name): [slowly(0.1)] for name in FILES})
    arguments = []
    if how == "environment":
        configure(connections=9)
        monkeypatch.setenv("ONELIGHT_CONNECTIONS", "2")
    elif how == "file":
        configure(connections=2)
    else:
        configure(connections=9)
        arguments = ["-j", "2"]
    done = onelight("download", SESSION, *arguments)
    assert (done.code, len(done.lines)) == (0, 12)
    assert web.busiest <= 2


@pytest.mark.parametrize("command", [["search"], ["download", SESSION], ["list", SESSION], ["cache", "verify"]])
def test_what_makes_no_sense_is_told_before_anything_is_asked(
    onelight: Run, web: WebServer, configure: Callable[..., None], command: list[str]
) -> None:
    configure(limits={"atempts": 3})
    refused = onelight(*command)
    assert (refused.code, refused.out, web.requests) == (2, "", [])
    assert "has 'atempts', which means nothing" in refused.err
    assert "Did you mean 'attempts'?" in refused.err


def test_help_names_the_variables(onelight: Run) -> None:
    shown = onelight("--help").out
    for name in ("CONNECT_TIMEOUT", "IDLE_TIMEOUT", "FLOOR_SPEED", "TOTAL_TIMEOUT", "ATTEMPTS", "CONNECTIONS"):
        assert f"ONELIGHT_{name}" in shown
    assert "ONELIGHT_CONNECTIONS" in onelight("download", "--help").out


def test_a_stalled_file_goes_on_within_the_limits(
    onelight: Run, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.faults[address(ONE)] = [stall(20_000), Good]
    monkeypatch.setenv("ONELIGHT_IDLE_TIMEOUT", "1")
    assert onelight("download", SESSION, "spikes.a0").code == 0

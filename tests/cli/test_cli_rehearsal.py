"""demo and sandbox."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onelight.cli.rehearsal import parsed_faults, parsed_settings
from onelight.sandbox import Settings, switches
from onelight.sandbox.faults import KINDS

CHECKOUT = Path(__file__).resolve().parents[2]
Run = Callable[..., Any]


# What spoils a demo, as a program that runs before it.
A_DISK_THAT_CHANGES_A_BYTE = """
import os
from pathlib import Path
replace = os.replace
def spoiled(source, target, *, src_dir_fd=None, dst_dir_fd=None):
    replace(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
    if Path(target).name == "spikes.depths.npy" and Path(source).suffix == ".part":
        handle = os.open(target, os.O_RDWR, dir_fd=dst_dir_fd)
        os.lseek(handle, -1, os.SEEK_END)
        os.write(handle, b"!")
        os.close(handle)
os.replace = spoiled
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path, float]:
    """Run the demo once, as on a fresh machine: an empty home, no settings."""
    home = tmp_path_factory.mktemp("home")
    hidden = ("ONELIGHT_", "FIGSHARE_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    env |= {"HOME": str(home), "ONELIGHT_REPO": "nowhere", "FIGSHARE_TOKEN": "canary-5d1f"}
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "onelight.py", "demo"],
        cwd=CHECKOUT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done, home, time.monotonic() - begun


class TestDemo:
    def test_it_succeeds_and_ends_with_a_table(self, shown: Any) -> None:
        done, _, seconds = shown
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        table = done.stdout.splitlines()[-5:]
        assert table[0].split() == ["files", "bytes", "verified", "seconds"]
        assert [row.split()[0] for row in table[1:]] == ["written", "uploaded", "downloaded", "loaded"]
        assert [row.split()[1] for row in table[1:4]] == ["168", "168", "168"]
        assert seconds < 60  # 20 on two idle cores; the machine that tests is not idle

    def test_it_shows_every_command_and_the_data(self, shown: Any) -> None:
        out = shown[0].stdout
        for line in (
            "$ onelight scan ",
            "$ onelight upload ",
            "$ onelight search\n",
            "$ onelight search spikes\n",
            "$ onelight search spikes.times spikes.clusters ",
            "$ onelight list ",
            "$ onelight describe ",
            "$ onelight download ",
            ">>> trials = one.load_object(session, 'trials')",
        ):
            assert line in out
        assert "goCue_times" in out
        assert any("\u2800" < char <= "\u28ff" for char in out)  # the raster

    def test_home_settings_and_the_real_figshare_are_left_alone(self, shown: Any) -> None:
        done, home, _ = shown
        assert list(home.iterdir()) == []
        assert "canary" not in done.stdout
        assert "api.figshare.com" not in done.stdout

    def test_what_it_kept_can_be_looked_at(self, program: Run, tmp_path: Path, monkeypatch: Any) -> None:
        shown = program("demo", "--keep", tmp_path / "kept")
        assert shown.code == 0
        assert {"dataroot", "sandbox", "config"} <= {path.name for path in (tmp_path / "kept").iterdir()}
        assert f"ONELIGHT_CONFIG_DIR={tmp_path / 'kept' / 'config'} onelight search" in shown.out
        monkeypatch.setenv("ONELIGHT_CONFIG_DIR", str(tmp_path / "kept" / "config"))
        session = "nicklab/Subjects/Cori/2016-12-14/001"
        assert len(program("download", session).lines) == 56  # from the cache: the sandbox has ended
        refused = program("demo", "--keep", tmp_path / "kept")
        assert refused.code == 2
        assert "is not empty" in refused.err

    def test_it_fails_if_anything_is_different_from_what_was_written(self, tmp_path: Path) -> None:
        (tmp_path / "tmp").mkdir()
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                f"{A_DISK_THAT_CHANGES_A_BYTE}\nimport sys\nfrom onelight.cli import run\nsys.exit(run(['demo']))",
            ],
            cwd=CHECKOUT,
            env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 1
        assert "spikes.depths.npy came back differently" in done.stderr
        assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
class TestSandbox:
    @pytest.fixture
    def begin(self, tmp_path: Path, config_dir: Path) -> Any:
        running: list[subprocess.Popen[str]] = []

        def start(*options: str) -> subprocess.Popen[str]:
            running.append(
                subprocess.Popen(
                    [sys.executable, "onelight.py", "sandbox", "--data", str(tmp_path / "box"), *options],
                    cwd=CHECKOUT,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            return running[-1]

        yield start
        for process in running:
            process.kill()
            process.communicate()

    def test_json_is_one_line_once_it_answers_and_a_signal_ends_it_cleanly(self, begin: Any) -> None:
        process = begin("--json")
        line = process.stdout.readline()
        told = json.loads(line)
        assert set(told) == {"api_url", "token", "article_id"}
        request = urllib.request.Request(
            f"{told['api_url']}/account/articles/{told['article_id']}",
            headers={"Authorization": f"token {told['token']}"},
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["id"] == told["article_id"]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert out == ""
        assert process.returncode == 0
        assert "Traceback" not in err

    def test_it_comes_back_with_the_same_address_token_and_content(self, begin: Any) -> None:
        told = []
        for number in (signal.SIGINT, signal.SIGTERM):
            process = begin("--json")
            told.append(json.loads(process.stdout.readline()))
            process.send_signal(number)
            process.communicate(timeout=20)
            assert process.returncode == 0
        assert told[0] == told[1]

    def test_the_lines_it_prints_make_it_a_repository(self, begin: Any, program: Run) -> None:
        process = begin()
        text = ""
        while "onelight repo sandbox" not in text:
            line = process.stdout.readline()
            assert line, "it ended"
            text += line
        add, choose = [line.strip() for line in text.splitlines() if "onelight" in line][-2:]
        for line in (add, choose):
            command = line.replace("onelight ", f"{sys.executable} onelight.py ", 1)
            assert subprocess.run(command, shell=True, cwd=CHECKOUT, check=False, timeout=30).returncode == 0
        assert program("search").code == 0

    def test_a_port_that_is_taken_is_said(self, begin: Any, program: Run, tmp_path: Path) -> None:
        told = json.loads(begin("--json").stdout.readline())
        port = told["api_url"].rpartition(":")[2].partition("/")[0]
        refused = program("sandbox", "--data", tmp_path / "other", "--port", port)
        assert (refused.code, refused.out) == (2, "")
        assert f"{port} cannot be used" in refused.err

    def test_behaviours_and_faults_are_switched(self, begin: Any) -> None:
        process = begin("--json", "--set", "parts=1kB", "--set", "files=2", "--fault", "error500=1x1", "--seed", "4")
        told = json.loads(process.stdout.readline())
        address = told["api_url"].removesuffix("/v2") + "/control"
        with urllib.request.urlopen(address) as answer:
            state = json.load(answer)
        assert (state["settings"]["part_size"], state["settings"]["file_limit"], state["seed"]) == (1000, 2, 4)
        assert state["faults"]["error500"]["times"] == 1
        with pytest.raises(urllib.error.HTTPError, match="500"):
            urllib.request.urlopen(f"{told['api_url']}/licenses")
        with urllib.request.urlopen(f"{told['api_url']}/licenses") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert "faults: error500=1x1" in process.communicate(timeout=20)[1]

    def test_what_goes_wrong_is_said_when_it_begins(self, begin: Any) -> None:
        process = begin("--fault", "ic-failure=5%", "--fault", "reset=0.02x3")
        assert process.stdout.readline().startswith("sandbox: http://127.0.0.1:")
        assert "faults: ic-failure=0.05, reset=0.02x3" in process.stderr.readline()

    def test_the_older_options_and_the_switches_are_the_same(self) -> None:
        by_option = parsed_settings([], Settings(part_size=7, file_limit=3))
        assert parsed_settings(["part-size=7", "file_limit=3"], Settings()) == by_option

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--set", "part-sise=1"], "is 'part-size' meant?"),
            (["--set", "parts"], "'parts' has no value; write NAME=VALUE"),
            (["--set", "parts=many"], "'many' is not a size such as 1000, 10MB or 1MiB"),
            (["--set", "latency=soon"], "'soon' is not a time such as 200ms, 2s or 1min"),
            (["--set", "check-md5=maybe"], "'maybe' is not on or off"),
            (["--fault", "waf200=1"], "is 'waf202' meant?"),
            (["--fault", "reset"], "write reset=0.1"),
            (["--fault", "reset=7"], "'7' is no probability"),
        ],
    )
    def test_what_is_not_understood_is_explained_before_anything_starts(
        self, program: Run, tmp_path: Path, arguments: list[str], message: str
    ) -> None:
        refused = program("sandbox", "--data", tmp_path / "box", *arguments)
        assert (refused.code, refused.out) == (2, "")
        assert message in " ".join(refused.err.split())
        assert not (tmp_path / "box").exists()

    def test_the_list_names_every_switch_and_fault_as_the_tables_do(self, program: Run) -> None:
        rows = [json.loads(line) for line in program("sandbox", "--list", "--json").lines]
        assert {row["field"]: row["means"] for row in rows if "switch" in row} == {
            item.name: item.metadata["means"] for item in dataclasses.fields(Settings)
        }
        assert {row["fault"].replace("-", "_"): row["means"] for row in rows if "fault" in row} == {
            name: kind.means for name, kind in KINDS.items()
        }
        text = " ".join(program("sandbox", "--list").out.split())
        for row in rows:
            name = f"{row['switch']}={row['default']}" if "switch" in row else row["fault"]
            assert name in text
            assert row["means"].replace(" ", "") in text.replace(" ", "")

    def test_the_examples_of_the_help_are_good(self, program: Run) -> None:
        text = program("sandbox", "--help").out.replace("\\\n", " ")
        examples = re.findall(r"^ +onelight sandbox(.*)$", text, re.MULTILINE)
        assert len(examples) >= 4
        for example in examples:
            words = shlex.split(example)
            assert set(words[::2]) <= {"--set", "--fault", "--list"}
            named = list(zip(words[::2], words[1::2], strict=False))
            parsed_settings([value for option, value in named if option == "--set"], Settings())
            parsed_faults([value for option, value in named if option == "--fault"])


def rows_of_the_guide() -> list[str]:
    """Return the rows that the tables of the guide must have; `python test_cli_rehearsal.py` prints them."""
    rows = [f"| `{item.name}` | {switches.shown(item, item.default)} | {item.means} |" for item in switches.switches()]
    return rows + [f"| `{name.replace('_', '-')}` | {kind.means} |" for name, kind in KINDS.items()]


def test_the_guide_explains_every_switch_and_fault_as_the_list_does() -> None:
    guide = (CHECKOUT / "docs" / "rehearsing.md").read_text(encoding="utf-8").splitlines()
    expected = rows_of_the_guide()
    assert [row for row in expected if row not in guide] == []
    assert [row for row in guide if row.startswith("| `") and row not in expected] == []


if __name__ == "__main__":
    sys.stdout.write("\n".join(rows_of_the_guide()) + "\n")

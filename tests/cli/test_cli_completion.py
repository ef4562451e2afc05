"""What a shell offers at TAB: from the index on the disk and from nothing else, and never an error."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared import CHECKOUT, wait_until

from onelight import One
from onelight.cli import cli, completion
from onelight.cli.completion import _SHELLS, _VARIABLE

SESSION = "nicklab/Subjects/Cori/2016-12-14/001"
FILES = [
    f"{SESSION}/alf/probe00/spikes.clusters.npy",
    f"{SESSION}/alf/probe00/spikes.times.npy",
    f"{SESSION}/alf/trials.choice.npy",
    "nicklab/Subjects/Cori/2016-12-17/001/alf/eye.film.mp4",
    "nicklab/Subjects/Forssmann/2017-11-01/001/alf/#2024#/spontaneous.intervals.npy",
    "otherlab/Subjects/Hench/2017-06-15/001/licks.times.npy",
]
SESSIONS = sorted({"/".join(path.split("/")[:5]) for path in FILES})
Run = Callable[..., Any]
#: Names of objects that a shell would take for more than names.
ODD = ["my $(touch mouse), it's", "your$(touch mouse)", "its`touch mouse`", "all*"]


def publish(folder: Path, paths: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / ".one_root").write_text("".join(f"{path}\n" for path in sorted(paths)))


@pytest.fixture
def web(tmp_path: Path, serve: Callable[[Path], Any], add_repository: Callable[..., str], onelight: Run) -> Any:
    """Put some sessions on a server, and ask for them once."""
    publish(tmp_path / "web", FILES)
    server = serve(tmp_path / "web")
    add_repository("web", "http", base_url=server.url)
    assert len(onelight("search").lines) == len(SESSIONS)
    return server


@pytest.fixture
def many(tmp_path: Path, serve: Callable[[Path], Any], add_repository: Callable[..., str], onelight: Run) -> list[str]:
    """Put 20,000 sessions of 1,000 subjects on a server, and ask for them once."""
    sessions = [
        f"lab{subject % 2}/Subjects/mouse_{subject:03}/2020-01-{day + 1:02}/001"
        for subject in range(1000)
        for day in range(20)
    ]
    publish(
        tmp_path / "many", [f"{session}/alf/spikes.{name}.npy" for session in sessions for name in ("amps", "times")]
    )
    add_repository("many", "http", base_url=serve(tmp_path / "many").url)
    assert onelight("search", "--count").lines == ["20000"]
    return sorted(sessions)


def offered(line: str, shell: str = "bash") -> list[str]:
    """Return what can follow on a line; a space at its end begins another word."""
    *before, word = line.split(" ")
    asked = _SHELLS[shell](cli, {}, "onelight", _VARIABLE)
    return [item.value for item in asked.get_completions(before, word)]


def pressed(line: str, shell: str = "bash", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Press TAB behind a line, in a process of its own."""
    return subprocess.run(
        [sys.executable, "onelight.py"],
        cwd=CHECKOUT,
        env={
            **os.environ,
            "_ONELIGHT_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": f"onelight {line}",
            "COMP_CWORD": str(line.count(" ") + 1),
            **environment,
        },
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_commands_and_options_are_offered(config_dir: Path) -> None:
    assert offered("se") == ["search", "serve"]
    assert offered("s") == ["search", "summary", "scan", "status", "serve", "sandbox"]
    assert "--version" in offered("--")
    assert offered("search --si") == ["--since"]
    assert offered("summary --by ") == ["subject", "object", "session"]
    assert offered("completion z") == ["zsh"]
    assert offered("cache v") == ["verify"]
    assert not config_dir.exists()


@pytest.mark.parametrize(
    "command", ["search", "summary", "list", "describe", "download", "upload", "status", "publish", "cite"]
)
def test_repositories_are_offered_to_every_command_that_asks_one(command: str, web: Any) -> None:
    assert offered(f"{command} -R w") == ["web"]
    assert offered(f"{command} --repository ") == ["local", "nick19", "web"]


def test_repositories_are_offered_to_be_chosen(web: Any) -> None:
    assert offered("repo ") == ["local", "nick19", "web"]
    assert offered("repo ni") == ["nick19"]
    assert "--json" in offered("repo --j")


def test_copy_is_offered_two_repositories_and_the_sessions_of_the_first(
    web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONELIGHT_REPO", "nick19")
    assert offered("copy ") == offered("copy web ") == ["local", "nick19", "web"]
    assert offered("copy web local ") == SESSIONS
    assert offered("copy web local nicklab/Subjects/Cori/2016-12-1") == SESSIONS[:2]


@pytest.mark.parametrize("command", ["list", "describe", "download"])
def test_sessions_and_what_is_in_them_are_offered(command: str, web: Any) -> None:
    assert offered(f"{command} ") == SESSIONS
    assert offered(f"{command} nicklab/Subjects/Cori/2016-12-1") == SESSIONS[:2]
    assert offered(f"{command} Cori") == []
    assert offered(f"{command} {SESSION} ") == ["spikes", "trials"]
    assert offered(f"{command} {SESSION} spi") == ["spikes"]
    assert offered(f"{command} {SESSION} spikes") == ["spikes", "spikes.clusters", "spikes.times"]
    assert offered(f"{command} {SESSION} spikes.t") == ["spikes.times"]
    assert offered(f"{command} {SESSION} eye") == []
    assert offered(f"{command} {SESSION} --collection ") == ["alf", "alf/probe00"]
    assert offered(f"{command} nicklab/Subjects/Cori/2016-12-15/001 ") == []
    assert offered(f"{command} a ") == []


@pytest.mark.parametrize("command", ["search", "summary"])
def test_what_a_question_can_name_is_offered_from_the_whole_index(command: str, web: Any) -> None:
    objects = ["eye", "licks", "spikes", "spontaneous", "trials"]
    assert offered(f"{command} ") == objects
    assert offered(f"{command} sp") == ["spikes", "spontaneous"]
    for option in ("--has", "--any", "--not"):
        assert offered(f"{command} trials {option} spikes.") == ["spikes.clusters", "spikes.times"]
    assert offered(f"{command} --lab ") == ["nicklab", "otherlab"]
    assert offered(f"{command} --subject ") == ["Cori", "Forssmann", "Hench"]
    assert offered(f"{command} --subject Cori --subject Fo") == ["Forssmann"]
    assert offered(f"{command} --collection ") == ["alf", "alf/probe00"]
    assert pressed(f"{command} -R local ").stdout.strip() == b""


def test_of_many_sessions_the_next_part_is_offered(many: list[str]) -> None:
    assert offered("list ") == ["lab0/Subjects/", "lab1/Subjects/"]
    assert offered("list lab1") == ["lab1/Subjects/"]
    # 500 subjects would be too much: they are told apart by their next character.
    assert offered("list lab0/Subjects/mou") == [f"lab0/Subjects/mouse_{digit}" for digit in range(10)]
    assert offered("list lab0/Subjects/mouse_1") == [
        f"lab0/Subjects/mouse_1{number:02}/" for number in range(0, 100, 2)
    ]
    assert offered("list lab0/Subjects/mouse_100") == [each for each in many if "mouse_100/" in each]
    assert offered("list lab0/Subjects/mouse_100/2020-01-0") == [each for each in many if "mouse_100/2020-01-0" in each]
    assert offered("list lab2") == []
    assert offered("search --subject ") == [f"mouse_{digit}" for digit in range(10)]
    assert len(offered("list lab0/Subjects/mouse_", "fish")) == 500  # fish shows any number, in pages
    for line in ("list ", "list lab0/Subjects/", "download lab", "search --subject "):
        done = pressed(line)
        assert (done.returncode, done.stderr) == (0, b"")
        assert all(row.startswith(b"part,") for row in done.stdout.splitlines())
        assert 0 < len(done.stdout.splitlines()) <= 100


def test_many_sessions_of_one_day_are_all_there_is_to_offer(
    tmp_path: Path, serve: Callable[[Path], Any], add_repository: Callable[..., str], onelight: Run
) -> None:
    publish(tmp_path / "day", [f"lab/Subjects/s/2020-01-01/{number:03}/alf/a.b.npy" for number in range(250)])
    add_repository("day", "http", base_url=serve(tmp_path / "day").url)
    onelight("search")
    day = "lab/Subjects/s/2020-01-01"
    assert offered("list ") == [f"{day}/"]
    assert offered(f"list {day}/") == [f"{day}/{digit}" for digit in range(3)]
    assert offered(f"list {day}/1") == [f"{day}/{number}" for number in range(100, 200)]
    assert offered(f"list {day}/", "fish") == [f"{day}/{number:03}" for number in range(250)]


def test_the_answer_to_20000_sessions_takes_little_longer_than_click(many: list[str]) -> None:
    """The number that is promised is measured by hand; here other tests run beside."""

    def fastest(call: Callable[[], Any]) -> float:
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            call()
            times.append(time.perf_counter() - begun)
        return min(times)

    click = fastest(lambda: subprocess.run([sys.executable, "-c", "import click"], check=True))
    assert fastest(lambda: pressed("list lab0/Subjects/")) < 5 * click


def test_neither_the_network_nor_a_folder_is_asked(
    web: Any, config_dir: Path, write_files: Callable[..., Path], tmp_path: Path, add_repository: Callable[..., str]
) -> None:
    os.utime(config_dir / "data" / "web" / ".one_index", (1, 1))
    before = len(web.requests)
    assert b"plain,spikes\n" in pressed("search ").stdout
    assert b"plain,spikes\n" in pressed("search ", ONELIGHT_INDEX_MAX_AGE="0").stdout
    assert len(web.requests) == before
    root = write_files(tmp_path / "root", *FILES)
    add_repository("disk", "local", root_dir=str(root))
    there = set(config_dir.rglob("*"))
    assert pressed("search ").stdout.strip() == b""  # it was never looked through
    assert set(config_dir.rglob("*")) == there


def test_a_local_folder_is_offered_as_it_was_last_time(
    onelight: Run, write_files: Callable[..., Path], tmp_path: Path, add_repository: Callable[..., str]
) -> None:
    root = write_files(tmp_path / "root", *FILES)
    add_repository("disk", "local", root_dir=str(root))
    onelight("search")
    write_files(root, "newlab/Subjects/s/2020-01-01/001/alf/a.b.npy")
    assert offered("search --lab ") == ["nicklab", "otherlab"]
    onelight("search")
    assert offered("search --lab ") == ["newlab", "nicklab", "otherlab"]


LINES = ["", "list ", f"list {SESSION} ", "search ", "search --lab ", "search --collection ", "search -R ", "repo "]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_without_a_configuration_nothing_is_offered_and_nothing_made(config_dir: Path, shell: str) -> None:
    for line in LINES[1:]:
        done = pressed(line, shell)
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"", b"")
    assert not config_dir.exists()


def breakages() -> dict[str, Callable[[Path], None]]:
    index = Path("data", "web", ".one_index")

    def cut(folder: Path) -> None:
        os.truncate(folder / index, 3000)

    def empty(folder: Path) -> None:
        (folder / index).write_bytes(b"")

    def text(folder: Path) -> None:
        (folder / index).write_text("no database\n" * 1000)

    def flip(folder: Path) -> None:
        content = bytearray((folder / index).read_bytes())
        content[4096:] = bytes(255 - byte for byte in content[4096:])
        (folder / index).write_bytes(content)

    def none(folder: Path) -> None:
        (folder / index).unlink()

    def directory(folder: Path) -> None:
        (folder / index).unlink()
        (folder / index).mkdir()

    def file(folder: Path) -> None:
        shutil.rmtree(folder / "data")
        (folder / "data").write_text("in the way")

    def locked(folder: Path) -> None:
        (folder / "data").chmod(0)

    def config(folder: Path) -> None:
        (folder / "config.json").write_text("{ no json")

    def unknown(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(path.read_text().replace('"current_repository": "web"', '"current_repository": "gone"'))

    def binary(folder: Path) -> None:
        (folder / "config.json").write_bytes(b"\xff\xfe\x00")

    return {
        each.__name__: each for each in (cut, empty, text, flip, none, directory, file, locked, config, unknown, binary)
    }


@pytest.mark.parametrize("broken", breakages())
def test_what_is_broken_offers_nothing_and_is_no_error(web: Any, config_dir: Path, broken: str) -> None:
    if broken == "locked" and (os.name != "posix" or os.geteuid() == 0):
        pytest.skip("no folder is closed to the administrator")
    breakages()[broken](config_dir)
    try:
        for line in LINES[1:6]:
            done = pressed(line)
            assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"", b""), line
    finally:
        if broken == "locked":
            (config_dir / "data").chmod(0o700)


@pytest.mark.parametrize(
    "environment",
    [
        {"COMP_CWORD": "x"},
        {"COMP_CWORD": "-7"},
        {"COMP_CWORD": "99"},
        {"COMP_WORDS": ""},
        {"COMP_WORDS": "onelight list 'unfinished \" quote"},
        {"COMP_WORDS": "onelight nothing "},
        {"COMP_WORDS": "onelight search --nothing "},
        {"COMP_WORDS": "onelight search --number abc "},
        {"_ONELIGHT_COMPLETE": "tcsh_complete"},
        {"_ONELIGHT_COMPLETE": "bash"},
        {"ONELIGHT_REPO": "nowhere"},
        {"ONELIGHT_CONNECTIONS": "many"},
    ],
)
def test_a_question_that_is_none_is_no_error(web: Any, environment: dict[str, str]) -> None:
    done = pressed("list ", **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Usage" not in done.stdout


def test_words_around_an_equals_sign_are_understood(web: Any) -> None:
    assert pressed("search --lab = ni").stdout == b"plain,nicklab\n"  # as bash splits it
    assert pressed("search --lab =").stdout == b"plain,nicklab\nplain,otherlab\n"
    assert pressed("search --lab=ni", "zsh").stdout.split() == [b"plain", b"nicklab", b"_"]


def test_files_and_folders_are_the_shells_to_offer(config_dir: Path) -> None:
    assert pressed("download --from-file ").stdout == b"file,\n"
    assert pressed("scan da").stdout == b"file,da\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed_and_the_help_says_what_to_do_with_it(
    onelight: Run, config_dir: Path, shell: str
) -> None:
    printed = onelight("completion", shell)
    assert (printed.code, printed.err) == (0, "")
    assert f"_ONELIGHT_COMPLETE={shell}_complete" in printed.out
    assert onelight("completion", shell, "--json").rows == [{"shell": shell, "script": printed.out.rstrip("\n")}]
    assert f"onelight completion {shell}" in onelight("completion", "--help").out
    assert not config_dir.exists()


@pytest.mark.parametrize("arguments", [[], ["tcsh"], ["bash", "zsh"]])
def test_another_shell_is_wrong_usage(onelight: Run, arguments: list[str]) -> None:
    refused = onelight("completion", *arguments)
    assert (refused.code, refused.out) == (2, "")


@pytest.mark.parametrize("shell", _SHELLS)
def test_of_no_kind_a_name_that_is_more_to_a_shell_is_offered(
    tmp_path: Path,
    serve: Callable[[Path], Any],
    add_repository: Callable[..., str],
    onelight: Run,
    monkeypatch: pytest.MonkeyPatch,
    shell: str,
) -> None:
    session, odd = "lab/Subjects/s/2016-12-14/001", "x$(touch mouse)"
    publish(
        tmp_path / "odd",
        [f"{session}/{name}" for name in ("alf/a.b.npy", f"{odd}/a.b.npy", f"alf/{odd}.b.npy", f"alf/a.{odd}.npy")],
    )
    add_repository("odd", "http", base_url=serve(tmp_path / "odd").url)
    assert onelight("list", session).out.count(odd) == 3
    assert offered(f"list {session} ", shell) == ["a"]
    assert offered(f"list {session} a.", shell) == ["a.b"]
    assert offered("search --collection ", shell) == ["alf"]
    # An index or a configuration with such a session or repository is refused; should it not be:
    sessions = [session, f"lab/Subjects/{odd}/2016-12-14/001", f"{odd}/Subjects/s/2016-12-14/001"]
    monkeypatch.setattr(completion, "_sessions", lambda *_: iter(sessions))
    monkeypatch.setattr(completion, "_repositories", lambda: ["web", odd])
    assert offered("list ", shell) == [session]
    assert offered("search --lab ", shell) == ["lab"]
    assert offered("search --subject ", shell) == ["s"]
    assert offered("search -R ", shell) == ["web"]
    assert offered("repo ", shell) == ["web"]


def test_bash_puts_no_names_of_files_in_the_place_of_an_answer(tmp_path: Path) -> None:
    program = tmp_path / "answers"
    program.write_text("#!/bin/sh\nprintf '%s\\n' 'plain,s*' 'plain,a,b'\n")
    program.chmod(0o755)
    (tmp_path / "plain,spikes").touch()
    script = _SHELLS["bash"](cli, {}, "onelight", _VARIABLE).source()
    name = _SHELLS["bash"](cli, {}, "onelight", _VARIABLE).func_name
    done = subprocess.run(
        ["bash", "-c", f'{script}\nCOMP_WORDS=(onelight s) COMP_CWORD=1; {name} {program}; echo "${{COMPREPLY[@]}}"'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "s\\* a\\,b\n"


class Typist:
    """A person at a shell in a terminal; ``onelight`` writes down the words it is called with."""

    def __init__(self, folder: Path, shell: str) -> None:
        import pty

        program = shutil.which(shell)
        if program is None:
            pytest.skip(f"{shell} is not installed: its script is not tried")
        self.called = folder / "called"
        (folder / "bin").mkdir()
        recorder = folder / "bin" / "onelight"
        recorder.write_text(
            f"""#!/bin/sh
if [ -n "$_ONELIGHT_COMPLETE" ] || [ "$1" = completion ]; then exec '{sys.executable}' '{CHECKOUT}/onelight.py' "$@"; fi
printf '%s\\n' "$@" > '{self.called}.new'; mv '{self.called}.new' '{self.called}'
"""
        )
        recorder.chmod(0o755)
        (folder / ".zshrc").write_text('autoload -U compinit; compinit -u; eval "$(onelight completion zsh)"\n')
        options = {"bash": ["--norc", "--noprofile"], "zsh": ["-d"], "fish": ["--no-config"]}[shell]
        environment = {
            **os.environ,
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "ZDOTDIR": str(folder),
            "TERM": "dumb" if shell == "bash" else "xterm",
            "LC_ALL": "C.UTF-8",
        }
        keyboard, terminal = pty.openpty()
        # Of a session of its own it is the leader, and the terminal is that of the session.
        lead = (
            "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", lead, program, *options, "-i"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        os.close(terminal)
        self._keyboard = keyboard
        os.set_blocking(keyboard, False)
        self.screen = bytearray()
        first = {
            "bash": 'eval "$(onelight completion bash)"',
            "zsh": "true",
            "fish": "onelight completion fish | source",
        }
        self.types(f"{first[shell]}\n")
        assert self.runs("onelight ready") == ["ready"]

    def types(self, text: str) -> None:
        os.write(self._keyboard, text.encode())

    def runs(self, line: str) -> list[str]:
        """Type a line, with TAB where it has one, and return the words that the command gets."""
        self.called.unlink(missing_ok=True)
        for part in line.partition("\t"):  # who types does not type ahead of a TAB
            self.types(part)
            self._look(0.15)
        self.types("\n")
        wait_until(lambda: self._look() or self.called.exists())
        return self.called.read_text().splitlines()

    def _look(self, seconds: float = 0) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                self.screen += os.read(self._keyboard, 1 << 16)
            except BlockingIOError:
                if time.monotonic() >= end:
                    return
                time.sleep(0.02)

    def leaves(self) -> None:
        os.close(self._keyboard)  # the shell gets SIGHUP
        self._process.kill()
        self._process.wait(timeout=30)


@pytest.mark.skipif(os.name != "posix", reason="a terminal of one's own is POSIX's")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_real_shell_completes(web: Any, tmp_path: Path, shell: str) -> None:
    (tmp_path / "home" / "dataroot").mkdir(parents=True)
    typist = Typist(tmp_path / "home", shell)
    try:
        assert typist.runs("onelight summ\tX") == ["summary", "X"]
        assert typist.runs("onelight list other\tX") == ["list", SESSIONS[-1], "X"]
        assert typist.runs("onelight list nicklab/Subjects/F\tX") == ["list", SESSIONS[2], "X"]
        assert typist.runs(f"onelight list {SESSION} tri\tX") == ["list", SESSION, "trials", "X"]
        assert typist.runs("onelight search spikes.t\tX") == ["search", "spikes.times", "X"]
        assert typist.runs("onelight search --lab o\tX") == ["search", "--lab", "otherlab", "X"]
        assert typist.runs("onelight search -R we\tX") == ["search", "-R", "web", "X"]
        assert typist.runs("onelight repo ni\tX") == ["repo", "nick19", "X"]
        assert typist.runs("onelight scan data\tX") == ["scan", "dataroot/X"]
    finally:
        typist.leaves()


@pytest.mark.skipif(os.name != "posix", reason="a terminal of one's own is POSIX's")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_real_shell_puts_no_space_behind_what_goes_on_and_gets_nothing_odd(
    many: list[str], tmp_path: Path, serve: Callable[[Path], Any], add_repository: Callable[..., str], shell: str
) -> None:
    (tmp_path / "home").mkdir()
    publish(tmp_path / "odd", [f"{SESSION}/alf/{name}.times.npy" for name in ODD])
    add_repository("odd", "http", base_url=serve(tmp_path / "odd").url)
    assert One("odd").search(ODD[:3]) == [SESSION]
    typist = Typist(tmp_path / "home", shell)
    try:
        assert typist.runs("onelight list -R many lab1\tX") == ["list", "-R", "many", "lab1/Subjects/X"]
        for quote in ("", '"'):
            for begin in ("my", "your", "its", "all"):
                assert typist.runs(f"onelight search {quote}{begin}\tX{quote}") == ["search", f"{begin}X"]
        assert not (tmp_path / "home" / "mouse").exists()
    finally:
        typist.leaves()

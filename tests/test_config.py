"""The configuration: what a first run writes, what people write, and where secrets come from and never go."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelight.config import FIGSHARE_API, Config, Settings, blank_comments, default_folder, hide_secrets
from onelight.errors import ConfigError, RepositoryNotFound

SECRET = "canary-5d1f"
TEMPLATE = {"article_id": 9598406, "name": "nick19", "token": "", "type": "figshare"}

# The file as the documentation of 2019 shows it, with comments and trailing commas.
DOCUMENTED = """
{
    "download_dir": "~/.one/data/{repository}/{lab}/Subjects/{subject}/{date}/{number}/alf",
    "current_repository": "nick19",  # where search and download look
    "repositories": [
        {
            "type": "figshare",
            "name": "nick19",
            "article_id": 9598406,
            "token": "",  # make one at https://figshare.com/account/applications
        },
        {
            # any "web" server, even one of your own
            "type": "http",
            "name": "web",
            "base_url": "https://example.org/#data"  # with, commas, ]}
        },
    ],
}
"""


def write(folder: Path, text: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


posix_only = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


class TestFirstRun:
    def test_it_writes_the_three_repositories_with_the_figshare_one_second(self, config_dir: Path) -> None:
        Config.load()
        written = json.loads((config_dir / "config.json").read_text(encoding="utf-8"))
        assert list(written) == ["current_repository", "repositories"]
        assert written["current_repository"] == "local"
        local, figshare, http = written["repositories"]
        assert (local["name"], local["type"]) == ("local", "local")
        assert figshare == TEMPLATE
        assert list(figshare) == list(TEMPLATE)
        assert http["type"] == "http"
        assert {"base_url", "login", "password"} < set(http)

    def test_the_block_stands_there_as_the_documentation_shows_it(self, config_dir: Path) -> None:
        Config.load()
        text = (config_dir / "config.json").read_text(encoding="utf-8")
        block = r'\{\s*"article_id": 9598406,\s*"name": "nick19",\s*"token": "",\s*"type": "figshare"\s*\}'
        assert re.search(block, text)

    def test_the_local_repository_works_at_once(self) -> None:
        assert Path(Config.load().repository("local").require("root_dir")).is_dir()

    @posix_only
    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
    def test_file_and_folder_are_for_their_owner_only(self, config_dir: Path, umask: int) -> None:
        """Row L15."""
        before = os.umask(umask)
        try:
            Config.load()
        finally:
            os.umask(before)
        assert mode(config_dir / "config.json") == 0o600
        assert mode(config_dir) == 0o700

    def test_nothing_half_written_is_left_beside_it(self, config_dir: Path) -> None:
        Config.load()
        assert sorted(path.name for path in config_dir.iterdir()) == ["config.json", "data"]

    def test_a_second_run_changes_nothing(self, config_dir: Path) -> None:
        Config.load()
        before = (config_dir / "config.json").read_bytes()
        Config.load()
        assert (config_dir / "config.json").read_bytes() == before

    @pytest.mark.skipif(not Path("/proc").is_dir(), reason="no folder that not even root can write")
    def test_a_home_that_cannot_be_written_is_said_and_does_not_stop_anyone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ONELIGHT_CONFIG_DIR", "/proc/one")
        config = Config.load()
        assert "could not be saved" in config.remark
        assert config.repository("nick19").kind == "figshare"

    def test_the_folder_is_dot_one_in_the_home_unless_the_environment_says_otherwise(
        self, config_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert default_folder() == config_dir
        monkeypatch.setenv("ONELIGHT_CONFIG_DIR", "~/elsewhere")
        assert default_folder() == Path.home() / "elsewhere"
        monkeypatch.delenv("ONELIGHT_CONFIG_DIR")
        assert default_folder() == Path.home() / ".one"


class TestReading:
    def test_comments_and_trailing_commas_of_the_documentation_are_read(self, config_dir: Path) -> None:
        write(config_dir, DOCUMENTED)
        config = Config.load()
        assert config.current == "nick19"
        assert [settings.name for settings in config.repositories] == ["nick19", "web"]
        assert config.repository("web").text("base_url") == "https://example.org/#data"

    def test_a_byte_order_mark_of_an_editor_is_passed_over(self, config_dir: Path) -> None:
        write(config_dir, b"\xef\xbb\xbf" + DOCUMENTED.encode())
        assert Config.load().current == "nick19"

    @given(
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.text('ab#,"\\ ]}[{:é\n', max_size=8)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3), st.dictionaries(st.text('a#,"]}', max_size=4), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        st.data(),
    )
    def test_any_json_with_comments_and_trailing_commas_is_what_it_is_without(self, value: Any, data: Any) -> None:
        lines = []
        for line in json.dumps(value, indent=1).split("\n"):
            closes = line.lstrip() in ("]", "}", "],", "},")
            if closes and data.draw(st.booleans()):
                lines[-1] = (
                    re.sub(r"(?<![,\[{])( *(?:#[^\n]*)?)$", r",\1", lines[-1]) if "#" not in lines[-1] else lines[-1]
                )
            comment = data.draw(st.sampled_from(["", "", " # a", '  # "quoted", ]}', "#,"]))
            lines.append(line + comment)
        text = "\n".join(lines)
        blanked = blank_comments(text)
        assert json.loads(blanked) == value
        assert len(blanked) == len(text)
        assert [place for place, char in enumerate(blanked) if char == "\n"] == [
            place for place, char in enumerate(text) if char == "\n"
        ]

    def test_unknown_keys_are_kept_when_the_file_is_changed(self, config_dir: Path) -> None:
        path = write(
            config_dir,
            '{"my_key": {"a": [1]}, "current_repository": "x", "repositories":'
            ' [{"name": "x", "type": "local", "root_dir": "/x", "colour": "red"}]}',
        )
        Config.load().add(Settings("y", "local", {"root_dir": "/y"}))
        data = json.loads(path.read_text(encoding="utf-8"))
        assert data["my_key"] == {"a": [1]}
        assert data["repositories"][0]["colour"] == "red"

    @pytest.mark.parametrize(
        ("text", "where"),
        [
            ("{", "line 1, column 2: expecting"),
            ('{\n  "current_repository": nick19\n}', "line 2, column 25: expecting value"),
            ('{\n  "a": 1 # comment\n  "b": 2\n}', "line 3, column 3: expecting ',' delimiter"),
            ('{\n  "a": "unfinished\n}', "line 2, column 19: invalid control character"),
            ('{\n  "a": "unfinished', "line 2, column 8: unterminated string"),
            ("{'a': 1}", "line 1, column 2: expecting property name"),
            ("", "line 1, column 1: expecting value"),
            ("# only a comment\n", "line 2, column 1: expecting value"),
            ('{"a": 1}\n{"b": 2}', "line 2, column 1: extra data"),
            ('{"a": [1,,]}', "line 1, column"),
        ],
    )
    def test_a_broken_file_is_told_by_line_and_column_and_left_as_it_is(
        self, config_dir: Path, text: str, where: str
    ) -> None:
        path = write(config_dir, text)
        with pytest.raises(ConfigError) as caught:
            Config.load()
        assert f"{path}, {where}" in caught.value.message
        assert "not changed" in caught.value.hint
        assert path.read_bytes() == text.encode()
        assert [item.name for item in config_dir.iterdir()] == ["config.json"]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("[]", "must hold one JSON object"),
            ('"text"', "must hold one JSON object"),
            ('{"repositories": {}}', "'repositories' in .* must be a list"),
            ('{"repositories": [1]}', "needs a 'name' and a 'type'"),
            ('{"repositories": [{"name": "x"}]}', "needs a 'name' and a 'type'"),
            ('{"repositories": [{"type": "local"}]}', "needs a 'name' and a 'type'"),
            ('{"current_repository": 3}', "'current_repository' in .* must be the name"),
            ('{"repositories": [{"name": "../x", "type": "local"}]}', "cannot be the name of a repository"),
            ('{"repositories": [{"name": "a/b", "type": "local"}]}', "cannot be the name of a repository"),
            ('{"repositories": [{"name": "..", "type": "local"}]}', "cannot be the name of a repository"),
            ("[" * 100_000, "nested too deeply|line 1"),
        ],
    )
    def test_what_is_not_a_configuration_is_told_and_left_as_it_is(
        self, config_dir: Path, text: str, expected: str
    ) -> None:
        path = write(config_dir, text)
        with pytest.raises(ConfigError, match=expected):
            Config.load()
        assert path.read_bytes() == text.encode()

    def test_a_file_that_is_no_text_is_told_and_left_as_it_is(self, config_dir: Path) -> None:
        path = write(config_dir, b"\xff\xfe{\x00}\x00")
        with pytest.raises(ConfigError, match="cannot be read"):
            Config.load()
        assert path.read_bytes() == b"\xff\xfe{\x00}\x00"

    def test_a_folder_in_its_place_is_told(self, config_dir: Path) -> None:
        (config_dir / "config.json").mkdir(parents=True)
        with pytest.raises(ConfigError, match="cannot be read"):
            Config.load()


class TestChoosing:
    def test_an_unknown_name_lists_the_names_and_changes_nothing(self, config_dir: Path) -> None:
        path = write(config_dir, DOCUMENTED)
        with pytest.raises(RepositoryNotFound, match="no repository is named 'nick91'.* has: nick19, web"):
            Config.load().choose("nick91")
        assert path.read_text(encoding="utf-8") == DOCUMENTED

    def test_choosing_keeps_every_comment_in_its_place(self, config_dir: Path) -> None:
        path = write(config_dir, DOCUMENTED)
        Config.load().choose("web")
        expected = DOCUMENTED.replace('"current_repository": "nick19",', '"current_repository": "web",')
        assert path.read_text(encoding="utf-8") == expected
        assert Config.load().current == "web"
        assert [item.name for item in config_dir.iterdir()] == ["config.json"]

    def test_a_comment_between_key_and_value_stays(self, config_dir: Path) -> None:
        rows = json.dumps([{"name": name, "type": "local"} for name in "xy"])
        text = f'{{"current_repository": # "current_repository": "z"\n "x", "repositories": {rows}}}'
        path = write(config_dir, text)
        Config.load().choose("y")
        assert path.read_text(encoding="utf-8") == text.replace(' "x",', ' "y",', 1)

    def test_choosing_the_current_one_writes_nothing(self, config_dir: Path) -> None:
        path = write(config_dir, DOCUMENTED)
        before = path.stat().st_mtime_ns
        Config.load().choose("nick19")
        assert path.stat().st_mtime_ns == before

    def test_a_file_that_says_no_current_one_begins_with_the_first(self, config_dir: Path) -> None:
        write(config_dir, '{"repositories": [{"name": "x", "type": "local"}, {"name": "y", "type": "local"}]}')
        assert Config.load().current == "x"
        Config.load().choose("y")
        assert Config.load().current == "y"

    def test_adding_to_a_file_with_comments_keeps_the_file_as_it_was_beside_it(self, config_dir: Path) -> None:
        write(config_dir, DOCUMENTED)
        config = Config.load()
        config.add(Settings("disk", "local", {"root_dir": "/x"}))
        assert (config_dir / "config.json.bak").read_text(encoding="utf-8") == DOCUMENTED
        assert "config.json.bak" in config.remark
        assert [settings.name for settings in Config.load().repositories] == ["nick19", "web", "disk"]

    def test_adding_a_name_again_replaces_it_in_its_place(self) -> None:
        config = Config.load()
        config.add(Settings("nick19", "figshare", {"article_id": 1, "token": ""}))
        assert [settings.name for settings in Config.load().repositories] == ["local", "nick19", "web"]
        assert Config.load().repository("nick19").require("article_id") == "1"

    @pytest.mark.parametrize("name", ["", "../x", "a/b", "a\\b", ".x", "x.", "x ", "C:", "x\0", "é", "x" * 101])
    def test_a_name_that_could_not_be_a_folder_is_refused(self, config_dir: Path, name: str) -> None:
        config = Config.load()
        before = (config_dir / "config.json").read_bytes()
        with pytest.raises(ConfigError):
            config.add(Settings(name, "local", {"root_dir": "/x"}))
        assert (config_dir / "config.json").read_bytes() == before

    @pytest.mark.parametrize("value", ["", "   "])
    def test_a_setting_that_is_missing_or_empty_is_told_when_it_is_needed(self, value: str) -> None:
        with pytest.raises(ConfigError, match="the repository 'x' has no 'base_url'"):
            Settings("x", "http", {"base_url": value}).require("base_url")


class TestDataFolder:
    def test_data_lands_beside_the_configuration_by_repository(self, config_dir: Path) -> None:
        assert Config.load().data_folder("nick19") == config_dir / "data" / "nick19"

    def test_the_layout_of_the_first_client_is_followed(self, config_dir: Path) -> None:
        write(config_dir, DOCUMENTED)
        assert Config.load().data_folder("nick19") == Path.home() / ".one" / "data" / "nick19"

    @pytest.mark.parametrize(
        "template",
        ["/data/{repository}/{subject}/{lab}", "/data/{lab}", "/data", "/data/{repository}/{lab}/{subject}/{date}"],
    )
    def test_a_layout_that_would_mix_up_files_is_refused(self, config_dir: Path, template: str) -> None:
        write(config_dir, json.dumps({"download_dir": template, "repositories": []}))
        with pytest.raises(ConfigError, match="would mix up files"):
            Config.load().data_folder("x")


class TestEnvironment:
    def test_the_environment_names_the_current_repository(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Config.load()
        monkeypatch.setenv("ONELIGHT_REPO", "nick19")
        assert Config.load().current == "nick19"
        assert Config.load().data["current_repository"] == "local"

    def test_an_unknown_name_in_the_environment_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ONELIGHT_REPO", "nick91")
        with pytest.raises(RepositoryNotFound, match="nick91"):
            Config.load().repository()

    def test_choosing_against_the_environment_is_done_and_said(
        self, config_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ONELIGHT_REPO", "web")
        config = Config.load()
        config.choose("nick19")
        assert "ONELIGHT_REPO says 'web' and wins" in config.remark
        assert json.loads((config_dir / "config.json").read_text())["current_repository"] == "nick19"

    def test_the_token_of_the_environment_wins_for_figshare_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        figshare = Settings("f", "figshare", {"article_id": 1, "token": "from-file"})
        http = Settings("h", "http", {"base_url": "https://a.org", "password": "from-file"})
        assert figshare.secret == "from-file"
        monkeypatch.setenv("FIGSHARE_TOKEN", "from-environment")
        assert figshare.secret == "from-environment"
        assert http.secret == "from-file"
        monkeypatch.setenv("FIGSHARE_TOKEN", "  ")
        assert figshare.secret == "from-file"

    def test_the_password_may_have_the_name_of_the_first_client(self) -> None:
        assert Settings("h", "http", {"pwd": "old"}).secret == "old"

    def test_figshare_is_the_real_one_by_default(self) -> None:
        assert FIGSHARE_API == "https://api.figshare.com/v2"


class TestLimits:
    def test_none_is_said_at_first(self) -> None:
        assert Config.load().limits == {}
        assert Config.load().connections is None

    def test_the_file_says_them_and_the_environment_wins(
        self, config_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(config_dir, '{"limits": {"connect": 3, "idle": 5.5, "attempts": 2}, "connections": 16}')
        assert Config.load().limits == {"connect": 3, "idle": 5.5, "attempts": 2}
        assert isinstance(Config.load().limits["attempts"], int)
        assert Config.load().connections == 16
        for name, value in (
            ("CONNECT_TIMEOUT", "0.5"),
            ("IDLE_TIMEOUT", " 7 "),
            ("FLOOR_SPEED", "1e6"),
            ("TOTAL_TIMEOUT", "3600"),
            ("ATTEMPTS", "9"),
            ("CONNECTIONS", "2"),
        ):
            monkeypatch.setenv(f"ONELIGHT_{name}", value)
        config = Config.load()
        assert config.limits == {"connect": 0.5, "idle": 7, "attempts": 9, "floor": 1e6, "total": 3600}
        assert config.connections == 2
        monkeypatch.setenv("ONELIGHT_CONNECTIONS", "")
        assert Config.load().connections == 16

    def test_they_are_those_of_the_client(self) -> None:
        from dataclasses import fields

        from onelight.client import Limits
        from onelight.config import LIMITS

        assert {field.name for field in fields(Limits)} >= set(LIMITS)
        for field in fields(Limits):
            if field.name in LIMITS:
                assert LIMITS[field.name].lowest <= field.default <= LIMITS[field.name].highest

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('"limits": 5', "'limits' in .* must be an object"),
            ('"limits": {"conect": 5}', "has 'conect', which means nothing. Did you mean 'connect'?"),
            ('"limits": {"x": 5}', "There are connect, idle, floor, total, attempts, pause, longest_wait"),
            ('"limits": {"connect": "5"}', "'connect' under 'limits' in .* must be a number from 0.1 to 86,400"),
            ('"limits": {"connect": true}', "and is true. It means: seconds to wait for a connection"),
            ('"limits": {"connect": 0}', "from 0.1 to"),
            ('"limits": {"idle": -1}', "from 1 to"),
            ('"limits": {"idle": NaN}', "and is NaN"),
            ('"limits": {"total": Infinity}', "and is Infinity"),
            ('"limits": {"attempts": 2.5}', "must be a whole number from 1 to 1,000, and is 2.5"),
            ('"limits": {"attempts": null}', "and is null"),
            ('"connections": 0', "'connections' in .* must be a whole number from 1 to 64, and is 0"),
            ('"connections": [1]', "and is \\[1\\]"),
        ],
    )
    def test_what_is_no_sensible_number_is_told_and_the_file_left_alone(
        self, config_dir: Path, text: str, words: str
    ) -> None:
        path = write(config_dir, f"{{{text}}}")
        with pytest.raises(ConfigError) as caught:
            Config.load()
        assert re.search(words.replace("?", r"\?"), str(caught.value)), caught.value
        assert path.read_text() == f"{{{text}}}"

    @pytest.mark.parametrize(
        ("name", "value"), [("CONNECT_TIMEOUT", "soon"), ("ATTEMPTS", "0"), ("IDLE_TIMEOUT", "inf")]
    )
    def test_an_environment_without_sense_is_told_by_its_name(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(f"ONELIGHT_{name}", value)
        with pytest.raises(ConfigError, match=f"ONELIGHT_{name} must be"):
            _ = Config.load().limits

    def test_they_survive_a_change_by_the_program(self, config_dir: Path) -> None:
        write(config_dir, '{"limits": {"connect": 3}, "connections": 16, "repositories": []}')
        Config.load().add(Settings("x", "local", {"root_dir": "/x"}))
        assert (Config.load().limits, Config.load().connections) == ({"connect": 3}, 16)


class TestSecrets:
    def test_the_copy_of_a_file_with_comments_has_no_secret(self, config_dir: Path) -> None:
        text = DOCUMENTED.replace('"token": ""', f'"token": "{SECRET}"').replace("# where", f"# {SECRET} where")
        write(config_dir, text)
        Config.load().add(Settings("x", "local", {"root_dir": "/x"}))
        assert SECRET in (config_dir / "config.json").read_text()
        assert (config_dir / "config.json.bak").read_text() == text.replace(SECRET, "")

    def test_nor_has_it_those_among_the_options_of_a_library(self, config_dir: Path) -> None:
        options = f'{{"key": "AKIA", "secret": "{SECRET}", "client_kwargs": {{"aws_session_token": "{SECRET}2"}}}}'
        row = f'{{"name": "s", "type": "remote", "url": "s3://b", "options": {options}}}'
        write(config_dir, f'{{"repositories": [{row}]}}  # mine')
        Config.load().add(Settings("x", "local", {"root_dir": "/x"}))
        kept = (config_dir / "config.json.bak").read_text()
        assert SECRET not in kept
        assert "AKIA" in kept
        assert stat.S_IMODE((config_dir / "config.json").stat().st_mode) & 0o077 == 0

    def test_a_secret_that_a_server_repeats_is_not_shown(self) -> None:
        password = "correct horse"
        assert Settings("h", "http", {"login": "me", "password": password}).secret == password
        basic = base64.b64encode(f"me:{password}".encode()).decode()
        assert hide_secrets(f"403: no {password}, no Basic {basic}, no") == "403: no …, no Basic …, no"

    @pytest.mark.parametrize(
        "shown", ["9f8e7d6c5b", "9f8e7d6c5b4a39281706X", "9f8e7d6c5b4a392817069f8e7d6c5b4a39281706"]
    )
    def test_a_part_of_a_random_one_is_not_shown_either(self, shown: str) -> None:
        assert Settings("f", "figshare", {"token": "9f8e7d6c5b4a39281706"}).secret
        assert "9f8e7d6c" not in hide_secrets(f"a {shown} and {shown}")
        assert hide_secrets("9f8e7d6") == "9f8e7d6"

    def test_a_part_of_a_word_is_a_word(self) -> None:
        assert Settings("h", "http", {"password": "repository2016"}).secret
        assert hide_secrets("the repository, not repository2016") == "the repository, not …"

    def test_a_short_one_would_be_found_in_any_word(self) -> None:
        assert Settings("h", "http", {"password": "a"}).secret == "a"
        assert hide_secrets("a banana") == "a banana"

    def test_a_secret_is_in_no_repr(self) -> None:
        from onelight.api import One
        from onelight.client import Client
        from onelight.kinds import open_repository

        config = Config.load()
        for kind, options in (
            ("figshare", {"article_id": 1, "token": SECRET}),
            ("http", {"base_url": "https://a.org/x", "login": "me", "password": SECRET}),
        ):
            settings = Settings(f"my-{kind}", kind, options)
            config.add(settings)
            repository = open_repository(settings, Client())
            for thing in (settings, config, repository, repository.address, One(settings.name), config.repositories):
                assert SECRET not in repr(thing)
                assert SECRET not in str(thing)

    @posix_only
    def test_a_file_that_others_can_read_is_closed_when_it_holds_a_secret(self, config_dir: Path) -> None:
        path = write(config_dir, json.dumps({"repositories": [{**TEMPLATE, "token": SECRET}]}))
        path.chmod(0o644)
        Config.load()
        assert mode(path) == 0o600

    @posix_only
    def test_every_later_write_is_for_its_owner_only(self, config_dir: Path) -> None:
        write(config_dir, DOCUMENTED.replace('"token": ""', f'"token": "{SECRET}"'))
        Config.load().choose("web")
        assert mode(config_dir / "config.json") == 0o600
        Config.load().add(Settings("x", "local", {"root_dir": "/x"}))
        assert {path.name: mode(path) for path in config_dir.iterdir()} == {
            "config.json": 0o600,
            "config.json.bak": 0o600,
        }

    def test_a_secret_that_would_travel_in_the_clear_is_refused(self) -> None:
        from onelight.client import Client
        from onelight.errors import UnsafeData
        from onelight.kinds import open_repository

        for settings in (
            Settings("h", "http", {"base_url": "http://a.org/x", "login": "me", "password": SECRET}),
            Settings("f", "figshare", {"article_id": 1, "token": SECRET, "api_url": "http://a.org/v2"}),
        ):
            with pytest.raises(UnsafeData, match="without encryption") as caught:
                open_repository(settings, Client())
            assert SECRET not in str(caught.value)

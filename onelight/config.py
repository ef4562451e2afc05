"""The configuration file: repositories by name, the current one, and where secrets come from.

``~/.one/config.json`` is written for people to edit: JSON in which ``#`` comments and trailing commas are read as
well, because the documentation that people follow shows them so. A file that cannot be understood is never
overwritten. Keys that this version does not know are kept.

==========================  ===========================================================================
``ONELIGHT_CONFIG_DIR``     folder of the configuration and the data, instead of ``~/.one``
``ONELIGHT_REPO``           current repository, instead of the one in the file
``FIGSHARE_TOKEN``          token of every figshare repository, instead of the one in the file; of no other kind
``ONELIGHT_FIGSHARE_API``   address of the API for new figshare repositories, such as a sandbox's
``ONELIGHT_CONNECTIONS``    most connections to one host at a time, instead of ``connections``
``ONELIGHT_INDEX_MAX_AGE``  seconds for which an index is not asked for again, instead of ``index_max_age``
``ONELIGHT_OFFLINE``        never use the network
``ONELIGHT_NO_PROGRESS``    neither bars nor lines of progress
==========================  ===========================================================================

``ONELIGHT_CONNECT_TIMEOUT``, ``ONELIGHT_IDLE_TIMEOUT``, ``ONELIGHT_FLOOR_SPEED``, ``ONELIGHT_TOTAL_TIMEOUT`` and
``ONELIGHT_ATTEMPTS`` are instead of what stands under ``limits`` in the file; ``ONELIGHT_PROGRESS_INTERVAL`` is the
seconds between two lines of progress where there is no terminal.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from onelight.errors import ConfigError, RepositoryNotFound

FIGSHARE_API = "https://api.figshare.com/v2"
_TOKENS = {"figshare": "FIGSHARE_TOKEN"}
_SECRET_KEYS = ("token", "password", "pwd")
#: What stands in the names of secrets among the options of libraries.
SECRET_WORD = re.compile(r"secret|password|passphrase|token|key|credential|connection_string|sas", re.IGNORECASE)
_LAYOUT = "Subjects/{subject}/{date}/{number}/alf"
_KEYS = {"local": "root_dir", "http": "base_url", "remote": "url", "figshare": "article_id"}
#: A shorter one may be a word that stands in a message anyway.
_SHORTEST_HIDDEN = 8
#: From this length on it is no word, and so much of its beginning is recognised.
_RANDOM, _TELLING = 20, 8
_hidden: set[str] = set()


class _Number(NamedTuple):
    """A number that may be set: what it means, where in the environment, and what is sensible."""

    meaning: str
    variable: str
    lowest: float
    highest: float
    whole: bool = False


#: What may stand under ``limits``. The names are those of :class:`onelight.client.Limits`, which has the defaults.
LIMITS = {
    "connect": _Number("seconds to wait for a connection", "ONELIGHT_CONNECT_TIMEOUT", 0.1, 86_400),
    "idle": _Number("seconds below `floor` after which a connection is lost", "ONELIGHT_IDLE_TIMEOUT", 1, 86_400),
    "floor": _Number("bytes a second", "ONELIGHT_FLOOR_SPEED", 1, 1e9),
    "total": _Number("seconds that one file may take in all, 0 for no limit", "ONELIGHT_TOTAL_TIMEOUT", 0, 2_000_000),
    "attempts": _Number("tries of a request without progress", "ONELIGHT_ATTEMPTS", 1, 1_000, whole=True),
    "pause": _Number("seconds before the first repetition", "", 0, 3_600),
    "longest_wait": _Number("seconds to wait at most where a server asks for it", "", 0, 604_800),
}
CONNECTIONS = _Number("most connections to one host at a time", "ONELIGHT_CONNECTIONS", 1, 64, whole=True)
INDEX_MAX_AGE = _Number(
    "seconds for which a repository is not asked again for its index", "ONELIGHT_INDEX_MAX_AGE", 0, 31_536_000
)
_INTERVAL = _Number("seconds between two lines of progress", "ONELIGHT_PROGRESS_INTERVAL", 0.01, 86_400)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration says of one repository.

    Parameters
    ----------
    name : str
        Its name.
    kind : str
        ``local``, ``http``, ``remote`` or ``figshare``.
    options : mapping
        Its other keys as they stand in the file; may hold secrets, and so is never shown.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def text(self, *keys: str, default: str = "") -> str:
        """Return the first of these keys that is given and not empty, as text."""
        for key in keys:
            value = self.options.get(key)
            if value is not None and str(value).strip():
                return str(value).strip()
        return default

    def require(self, key: str) -> str:
        """Return a key that must be there.

        Raises
        ------
        ConfigError
            If it is missing or empty.
        """
        value = self.text(key)
        if not value:
            raise ConfigError(
                f"the repository '{self.name}' has no '{key}'",
                hint=f"A repository of type {self.kind} needs it: add it to the configuration file",
            )
        return value

    def number(self, key: str, low: float, high: float) -> float | None:
        """Return a key that is a number, None if it is missing.

        Raises
        ------
        ConfigError
            If it is none, or out of these bounds.
        """
        value = self.options.get(key)
        if value is None or value == "":
            return None
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = math.nan
        if isinstance(value, bool) or not low <= found <= high:
            raise ConfigError(
                f"'{key}' of the repository '{self.name}' must be a number from {low:,g} to {high:,.0f}, and is"
                f" {json.dumps(value)[:80]}",
                hint="Put it right in the configuration file, or remove it for the default",
            )
        return found

    def whole(self, key: str, low: int, high: int) -> int | None:
        """Return a key that is a whole number, None if it is missing; errors are those of :meth:`number`."""
        found = self.number(key, low, high)
        if found is not None and found != int(found):
            raise ConfigError(
                f"'{key}' of the repository '{self.name}' must be a whole number",
                hint="Put it right in the configuration file, or remove it for the default",
            )
        return None if found is None else int(found)

    def wholes(self, key: str) -> list[int]:
        """Return a key that is a list of whole numbers, empty if it is missing."""
        value = self.options.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, int) and item > 0 for item in value):
            raise ConfigError(
                f"'{key}' of the repository '{self.name}' must be a list of numbers, such as [123, 456]",
                hint="Put it right in the configuration file, or remove it",
            )
        return value

    @property
    def secret(self) -> str:
        """The token or password: from the file, or, of figshare, from ``FIGSHARE_TOKEN`` if that is set.

        It is hidden from now on (:func:`hide_secrets`). No variable has a secret of another kind of repository.
        """
        from_environment = os.environ.get(_TOKENS.get(self.kind, ""), "").strip()
        secret = from_environment or self.text(*_SECRET_KEYS)
        if not (secret.isascii() and secret.isprintable()):
            raise ConfigError(
                f"the token or password of '{self.name}' has a character that cannot be in one",
                hint="Was it copied whole, and nothing beside it? Give it again: onelight add-repo --token-stdin",
            )
        if len(secret) >= _SHORTEST_HIDDEN:  # from now on no message shows it
            import base64  # takes a millisecond, and most repositories are public

            _hidden.update((secret, base64.b64encode(f"{self.text('login')}:{secret}".encode()).decode()))
        return secret


def hide_secrets(text: str) -> str:
    """Take out of a message every secret that this process has used, in case a server repeats it in its answer.

    Examples
    --------
    >>> token = Settings("mine", "figshare", {"token": "0123456789abcdef"}).secret
    >>> hide_secrets("403: the token 0123456789abcdef is not known")
    '403: the token … is not known'
    """
    for secret in sorted(_hidden, key=len, reverse=True):
        head = secret if len(secret) < _RANDOM else secret[:_TELLING]
        at = text.find(head)
        while at >= 0:
            # Somebody may have cut the message in the middle of it.
            differs = (n for n, (one, other) in enumerate(zip(text[at:], secret, strict=False)) if one != other)
            length = next(differs, min(len(text) - at, len(secret)))
            text = f"{text[:at]}…{text[at + length :]}"
            at = text.find(head, at + 1)
    return text


class Config:
    """The configuration as read from its file.

    Parameters
    ----------
    folder : Path
        Folder that holds ``config.json`` and the data.
    data : dict
        The content of the file.
    text : str
        The file as it stands, to keep its comments where it can be changed in place.
    """

    def __init__(self, folder: Path, data: dict[str, Any], text: str = "") -> None:
        self.folder = folder
        self.path = folder / "config.json"
        self.data = data
        self._text = text
        self.remark = ""
        _check(self.path, data)

    @classmethod
    def load(cls, folder: Path | None = None) -> Config:
        """Read the configuration; the first time, create it.

        Parameters
        ----------
        folder : Path, optional
            Folder of the configuration; by default ``ONELIGHT_CONFIG_DIR`` or ``~/.one``.

        Raises
        ------
        ConfigError
            If the file cannot be read or understood; the message has line and column.
        """
        folder = folder or default_folder()
        path = folder / "config.json"
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return cls._create(folder)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{path} cannot be read: {error}", hint="Put its owner, mode or encoding right"
            ) from error
        try:
            data = json.loads(blank_comments(text))
        except (json.JSONDecodeError, RecursionError) as error:
            raise ConfigError(_where(path, error), hint="Put it right in an editor; it was not changed") from error
        config = cls(folder, data, text)
        config._close_to_others()
        return config

    @classmethod
    def _create(cls, folder: Path) -> Config:
        config = cls(folder, _defaults(folder))
        try:
            config.save()
            with contextlib.suppress(OSError):  # said by whoever uses it
                (folder / "data" / "local").mkdir(parents=True, exist_ok=True)
        except ConfigError as error:
            # A home that cannot be written must not stop anyone from reading data.
            config.remark = f"the configuration could not be saved: {error.message}"
        return config

    @property
    def repositories(self) -> list[Settings]:
        """Every repository, in the order of the file."""
        return [_settings(row) for row in self.data["repositories"]]

    @property
    def current(self) -> str:
        """Name of the current repository; ``ONELIGHT_REPO`` wins over the file."""
        return os.environ.get("ONELIGHT_REPO", "").strip() or str(self.data["current_repository"])

    def repository(self, name: str | None = None) -> Settings:
        """Return a repository by name, by default the current one.

        Raises
        ------
        RepositoryNotFound
            If there is none of this name; the message lists those that are there.
        """
        name = name or self.current
        for settings in self.repositories:
            if settings.name == name:
                return settings
        names = ", ".join(settings.name for settings in self.repositories) or "none"
        raise RepositoryNotFound(
            f"no repository is named '{name}'; {self.path} has: {names}",
            hint="Choose one of these with `onelight repo NAME`, or add one with `onelight add-repo`",
        )

    def data_folder(self, name: str) -> Path:
        """Return the folder below which the data of a repository lands.

        By default ``data/NAME`` beside the configuration. A ``download_dir`` in the file, as the first client wrote
        it, is followed up to the lab; below that the path of a dataset is always kept whole.

        Raises
        ------
        ConfigError
            If ``download_dir`` would lay the files out in another way.
        """
        template = str(self.data.get("download_dir") or "")
        if not template:
            return self.folder / "data" / name
        base, mark, rest = template.replace("\\", "/").partition("{lab}")
        before, named, between = base.partition("{repository}")
        if (
            not (mark and named)
            or "{" in before + between
            or rest.strip("/")
            not in (
                "",
                _LAYOUT,
                _LAYOUT.removesuffix("/alf"),
            )
        ):
            raise ConfigError(
                f"'download_dir' in {self.path} is laid out in a way that would mix up files: {template}",
                hint=f"Remove it, or use FOLDER/{{repository}}/{{lab}}/{_LAYOUT}",
            )
        return Path(base.replace("{repository}", name)).expanduser().absolute()

    def index_folder(self, name: str) -> Path:
        """Return the folder in which the index of a repository is kept: that of its data, or one beside them.

        A local repository may be the very folder of the data, and to write there would change it.
        """
        if self.repository(name).kind == "local":
            return self.folder / "index" / name
        return self.data_folder(name)

    @property
    def limits(self) -> dict[str, float]:
        """What is said of time-outs and tries, by the names of :class:`onelight.client.Limits`.

        The environment wins over the file; what neither says is missing.

        Raises
        ------
        ConfigError
            If the environment says something that is no number, or none that is sensible.
        """
        said: dict[str, Any] = {**self.data.get("limits", {}), **_from_environment(LIMITS)}
        return {name: int(value) if LIMITS[name].whole else float(value) for name, value in said.items()}

    @property
    def connections(self) -> int | None:
        """The most connections to one host at a time, if it is said; ``ONELIGHT_CONNECTIONS`` wins over the file.

        Raises
        ------
        ConfigError
            If the environment says something that is no number, or none that is sensible.
        """
        said = _from_environment({"connections": CONNECTIONS}).get("connections", self.data.get("connections"))
        return None if said is None else int(said)

    @property
    def index_max_age(self) -> float:
        """Seconds for which a repository is not asked again for its index; ``ONELIGHT_INDEX_MAX_AGE`` wins.

        Raises
        ------
        ConfigError
            If the environment says something that is no number, or none that is sensible.
        """
        said = _from_environment({"age": INDEX_MAX_AGE}).get("age", self.data.get("index_max_age"))
        return 600.0 if said is None else float(said)

    @property
    def offline(self) -> bool:
        """Whether the network is not to be used: ``ONELIGHT_OFFLINE`` is set, and to something other than "0"."""
        return os.environ.get("ONELIGHT_OFFLINE", "").strip().lower() not in ("", "0", "no", "false", "off")

    def choose(self, name: str) -> Settings:
        """Make a repository the current one, in the file."""
        self.repository(name)
        with _locked(self.folder):
            self._read_again()
            return self._choose(name)

    def _choose(self, name: str) -> Settings:
        settings = self.repository(name)
        if os.environ.get("ONELIGHT_REPO", "").strip() not in ("", name):
            self.remark = f"chosen in {self.path}, but ONELIGHT_REPO says '{self.current}' and wins while it is set"
        if self.data["current_repository"] == name:
            return settings
        self.data["current_repository"] = name
        # Changing the one value in place keeps the comments of the person who wrote the file.
        pattern = re.compile(r'("current_repository"\s*:\s*)"(?:[^"\\]|\\.)*"')
        found = list(pattern.finditer(blank_comments(self._text)))
        if len(found) == 1:
            self._text = f"{self._text[: found[0].end(1)]}{json.dumps(name)}{self._text[found[0].end() :]}"
            _write_private(self.path, self._text)
        else:
            self.save()
        return settings

    def add(self, settings: Settings) -> None:
        """Add a repository at the end, or replace the one of the same name."""
        with _locked(self.folder):
            self._read_again()
            self._add(settings)

    def _read_again(self) -> None:
        """Take over what others have written since; what is changed must be the file as it is now."""
        if self.path.exists():
            now = Config.load(self.folder)
            self.data, self._text = now.data, now._text  # noqa: SLF001 - another of this class

    def _add(self, settings: Settings) -> None:
        row = {"name": settings.name, "type": settings.kind, **settings.options}
        _check_row(self.path, row)
        rows: list[dict[str, Any]] = self.data["repositories"]
        places = [place for place, other in enumerate(rows) if other.get("name") == settings.name]
        rows[places[0] if places else len(rows) : places[0] + 1 if places else len(rows)] = [row]
        self.save()

    def save(self) -> None:
        """Write the file, whole or not at all, readable by its owner only.

        Raises
        ------
        ConfigError
            If it cannot be written.
        """
        if self._text and blank_comments(self._text) != self._text:
            backup = self.path.with_name("config.json.bak")
            _write_private(backup, _without_secrets(self._text))
            self.remark = f"comments do not survive this change; the file as it was, without its secrets, is {backup}"
        self._text = json.dumps(self.data, indent=2, ensure_ascii=False) + "\n"
        _write_private(self.path, self._text)

    def _close_to_others(self) -> None:
        """Take the file from other readers if it holds a secret; earlier tools created it for all to read."""
        holds_secret = any(row.get(key) for row in self.data["repositories"] for key in (*_SECRET_KEYS, "options"))
        if os.name == "posix" and holds_secret:
            with contextlib.suppress(PermissionError):  # somebody else's file: theirs to close
                mode = stat.S_IMODE(self.path.stat().st_mode)
                if mode & 0o077:
                    self.path.chmod(mode & 0o700)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time change the file; the lock of one that died is broken after ten seconds."""
    lock = folder / ".config.lock"
    for attempt in range(100):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
            break
        except FileExistsError:
            if attempt == 99:
                lock.unlink(missing_ok=True)
            time.sleep(0.1)
        except OSError as error:
            raise ConfigError(
                f"{folder} cannot be written: {error.strerror}", hint="Set ONELIGHT_CONFIG_DIR to another folder"
            ) from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def default_folder() -> Path:
    """Return the folder of configuration and data: ``ONELIGHT_CONFIG_DIR``, or ``~/.one``."""
    named = os.environ.get("ONELIGHT_CONFIG_DIR", "").strip()
    try:
        return Path(named).expanduser().absolute() if named else Path.home() / ".one"
    except RuntimeError as error:
        raise ConfigError(
            "there is no home folder for the configuration", hint="Set ONELIGHT_CONFIG_DIR to a folder"
        ) from error


def progress_interval() -> float:
    """Return the seconds between two lines of progress where there is no terminal.

    Raises
    ------
    ConfigError
        If the environment says something that is no number, or none that is sensible.
    """
    return _from_environment({"interval": _INTERVAL}).get("interval", 30.0)


def blank_comments(text: str) -> str:
    """Replace ``#`` comments and trailing commas by spaces; every other character keeps its place.

    Examples
    --------
    >>> blank_comments('{"a": "#1",} # end')
    '{"a": "#1" }      '
    """

    def blank(match: re.Match[str]) -> str:
        return match[0] if match[0].startswith('"') else " " * len(match[0])

    without = re.sub(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*', blank, text)
    return re.sub(r'"(?:[^"\\\n]|\\.)*"|,(?=\s*[\]}])', blank, without)


def _defaults(folder: Path) -> dict[str, Any]:
    return {
        "current_repository": "local",
        "repositories": [
            {"name": "local", "type": "local", "root_dir": str(folder / "data" / "local")},
            # The documentation asks people to edit this very block in place (issue 2): second, in this form.
            {"article_id": 9598406, "name": "nick19", "token": "", "type": "figshare"},
            {"base_url": "https://example.org/data", "login": "", "name": "web", "password": "", "type": "http"},
        ],
    }


def _settings(row: Mapping[str, Any]) -> Settings:
    options = {key: value for key, value in row.items() if key not in ("name", "type")}
    return Settings(str(row["name"]), str(row["type"]), options)


def _check(path: Path, data: Any) -> None:
    hint = "Put it right in an editor; it was not changed"
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold one JSON object, {{…}}", hint=hint)
    rows = data.setdefault("repositories", [])
    if not isinstance(rows, list):
        raise ConfigError(f"'repositories' in {path} must be a list, [{{…}}, …]", hint=hint)
    for row in rows:
        _check_row(path, row)
    if data.get("current_repository") is None:  # the first client wrote null for "the only one"
        data["current_repository"] = str(rows[0]["name"]) if rows else ""
    if not isinstance(data["current_repository"], str):
        raise ConfigError(f"'current_repository' in {path} must be the name of a repository", hint=hint)
    _check_numbers(path, data)


def _check_numbers(path: Path, data: dict[str, Any]) -> None:
    limits = data.get("limits", {})
    if not isinstance(limits, dict):
        raise ConfigError(
            f"'limits' in {path} must be an object, {{…}}", hint='Such as "limits": {"connect": 10, "idle": 60}'
        )
    for name, value in limits.items():
        if name not in LIMITS:
            import difflib  # takes a millisecond, and is rarely needed

            near = difflib.get_close_matches(name, LIMITS, 1)
            raise ConfigError(
                f"'limits' in {path} has '{name}', which means nothing",
                hint=f"Did you mean '{near[0]}'?" if near else f"There are {', '.join(LIMITS)}",
            )
        _check_number(f"'{name}' under 'limits' in {path}", value, LIMITS[name])
    if data.get("connections") is not None:
        _check_number(f"'connections' in {path}", data["connections"], CONNECTIONS)
    if data.get("index_max_age") is not None:
        _check_number(f"'index_max_age' in {path}", data["index_max_age"], INDEX_MAX_AGE)


def _check_number(where: str, value: Any, number: _Number) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if is_number and number.lowest <= value <= number.highest and (not number.whole or value == int(value)):
        return
    kind = "a whole number" if number.whole else "a number"
    raise ConfigError(
        f"{where} must be {kind} from {number.lowest:,g} to {number.highest:,.0f}, and is {json.dumps(value)[:80]}",
        hint=f"It means: {number.meaning}. Put it right, or remove it for the default",
    )


def _from_environment(numbers: Mapping[str, _Number]) -> dict[str, float]:
    said = {}
    for name, number in numbers.items():
        text = os.environ.get(number.variable, "").strip() if number.variable else ""
        if text:
            try:
                value: Any = float(text)
            except ValueError:
                value = text
            _check_number(number.variable, value, number)
            said[name] = value
    return said


def _check_row(path: Path, row: Any) -> None:
    """Check name and type only: a repository that nobody uses may be unfinished."""
    if not isinstance(row, dict) or not row.get("name") or not row.get("type"):
        raise ConfigError(
            f"each repository in {path} needs a 'name' and a 'type' ({', '.join(_KEYS)})",
            hint="Put it right in an editor; it was not changed",
        )
    check_name(str(row["name"]), path)


def check_name(name: str, path: Path | None = None) -> None:
    """Refuse a name that no repository may have: it becomes a folder below the data folder.

    Raises
    ------
    ConfigError
        If it is one.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,99}", name) or name.endswith((" ", ".")):
        raise ConfigError(
            f"'{name}'{f' in {path}' if path else ''} cannot be the name of a repository",
            hint="Use letters, digits, '_', '-' and '.', at most 100",
        )


def _without_secrets(text: str) -> str:
    """Empty the tokens and passwords in the text of a configuration file, those in its comments, too."""
    pattern = re.compile(r'("(\w+)"\s*:\s*)"((?:[^"\\\n]|\\.)+)"')
    # "key" alone is the name of a file, or of a user.
    values = {found[3] for found in pattern.finditer(text) if SECRET_WORD.search(found[2]) and found[2] != "key"}
    text = pattern.sub(lambda found: f'{found[1]}""' if found[3] in values else found[0], text)
    for value in values:
        if len(value) >= _SHORTEST_HIDDEN:  # a shorter one may be a part of something else
            text = text.replace(value, "")
    return text


def _where(path: Path, error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        what = error.msg.removesuffix(" at").removesuffix(" starting")
        return f"{path}, line {error.lineno}, column {error.colno}: {what[:1].lower()}{what[1:]}"
    return f"{path} is nested too deeply"


def _write_private(path: Path, text: str) -> None:
    """Write a file beside its place and rename it, readable by its owner only from the first byte on."""
    # As `secrets.token_hex`, whose import takes seven milliseconds.
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ConfigError(
            f"{path} cannot be written: {error}", hint="Set ONELIGHT_CONFIG_DIR to another folder"
        ) from error

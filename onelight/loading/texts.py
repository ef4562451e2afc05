"""Values from text: JSON, lines of JSON, YAML, XML, the settings of SpikeGLX, and text as it is.

Nothing in a file is executed, and no file decides how much memory its refusal takes: what has a limit is looked at
piece by piece before any of it becomes a value. Every byte of text is UTF-8; only XML may name another encoding.
"""

from __future__ import annotations

import json
import math
import re
import sys
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from onelight.errors import OneError, UnsafeData
from onelight.loading.content import AGAIN, EMPTY, HTML, PIECE, UTF_16, XML, damaged, open_text, pieces, too_large
from onelight.loading.registry import extra

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

# Bytes, of the text within an archive where there is one.
MAX_JSON = 512 << 20
MAX_TEXT = 256 << 20
MAX_XML = 64 << 20
MAX_YAML = MAX_META = 16 << 20  # settings; real ones have kilobytes, and reading YAML takes a second per MB
MAX_TAG = 4 << 20  # a tag, or a comment, of XML; the parser takes twice as much to find its end
MAX_DEPTH = 200  # values within values; Python itself has no more than 1000 for all
MAX_NODES = 1_000_000  # that aliases may make of the tenth part of it
MAX_DIGITS = 1000  # of a number in YAML, where 1:1:1 is one, too, and the time for it grows with the square

_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_QUOTED = re.compile(rb'"[^"]*"')
_NO_MARKS = bytes(set(range(256)) - set(b'"[]{}'))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SMALL_JSON = 1 << 20  # bytes, whose values take less than 50 MB
# JSON, token by token. No byte of UTF-8 is 255 or 254: they mark a text, and any other value.
_TEXT, _VALUE = b"\xff", b"\xfe"
_CHARACTERS = rb'[^"\\\0-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\0-\x1f]*)*'
_STRING = re.compile(b'"' + _CHARACTERS + b'"|("' + _CHARACTERS + b")")  # the group: one without an end
_OPEN = re.compile(b'"' + _CHARACTERS + rb"((?:\\(?:u[0-9a-fA-F]{0,3})?)?)\Z")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null|NaN|-?Infinity")
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_ROUNDS = 20  # values within values that begin and end in one piece
_OF_NUMBERS = b"+-.0123456789EINaefilnrstuy"  # and of words
_COMPLETE = re.compile(rb"\[(?:[\xfe\xff](?:,[\xfe\xff])*)?\]|\{(?:\xff:[\xfe\xff](?:,\xff:[\xfe\xff])*)?\}")
_REPEATED = re.compile(rb"(\[[\xfe\xff])(?:,[\xfe\xff])+|(\{\xff:[\xfe\xff])(?:,\xff:[\xfe\xff])+")
_BEGUN = re.compile(
    rb"[\xfe\xff]?|(?:\[(?:[\xfe\xff],)?|\{(?:\xff:[\xfe\xff],)?\xff:)*"
    rb"(?:\[(?:[\xfe\xff],?)?|\{(?:\xff(?::(?:[\xfe\xff](?:,\xff?)?)?)?)?)?"
)
_DIGITS = re.compile(r"[-+0-9a-fA-FxX_.:]+")
_YAML = "tag:yaml.org,2002:"
_TAGS = {
    _YAML + name
    for name in "binary bool float int map merge null omap pairs seq set str timestamp value".split()  # noqa: SIM905
}
_SETTING = re.compile(r"~?([A-Za-z_][\w.-]*)[ \t]*=(.*)")
_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.[0-9]*|\.?[0-9]+)(?:[eE][+-]?[0-9]+)?")


def read_json(path: Path) -> Any:  # whatever the file says
    """Read the value that a JSON file holds.

    Parameters
    ----------
    path : pathlib.Path
        A ``.json`` file, or a ``.json.gz`` file; at most `MAX_JSON` bytes of UTF-8.

    Returns
    -------
    dict, list, str, float, int, bool or None
        What the file says; ``NaN`` and ``Infinity``, which Python writes, are numbers.

    Raises
    ------
    UnsafeData
        If the file is no JSON; the message names line and column.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "session.metadata.json"
    ...     _ = path.write_text('{"weight": 21.5}')
    ...     read_json(path)
    {'weight': 21.5}
    """
    with open_text(path, "JSON") as file:
        size = _check_depth(path, pieces(path, file, MAX_JSON))
    if size > _SMALL_JSON:
        with open_text(path, "JSON") as file:
            _check_json(path, pieces(path, file))
    with open_text(path, "JSON") as file:
        return _json(path, file.read().decode("utf-8-sig"))


def read_jsonable(path: Path) -> list[Any]:
    r"""Read the values of a file in which every line is JSON, as recording rigs write one line per trial.

    Parameters
    ----------
    path : pathlib.Path
        A ``.jsonable`` file, or a ``.jsonable.gz`` file; at most `MAX_JSON` bytes of UTF-8.

    Returns
    -------
    list
        One value per line, in the order of the file; blank lines are left out.

    Raises
    ------
    UnsafeData
        If a line is no JSON; the message names it.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "_iblrig_taskData.raw.jsonable"
    ...     _ = path.write_text('{"trial_num": 1}\n{"trial_num": 2}\n')
    ...     read_jsonable(path)
    [{'trial_num': 1}, {'trial_num': 2}]
    """
    with open_text(path, "lines of JSON") as file:
        _check_depth(path, pieces(path, file, MAX_JSON), by_line=True)
    with open_text(path, "lines of JSON") as file:
        for _ in _json_lines(path, file):  # of a file with a bad line no value is kept
            pass
    with open_text(path, "lines of JSON") as file:
        return list(_json_lines(path, file))


def read_yaml(path: Path) -> Any:  # whatever the file says
    r"""Read the value that a YAML file holds, as PyYAML's safe loader does.

    Parameters
    ----------
    path : pathlib.Path
        A ``.yaml`` or ``.yml`` file, or one of these with ``.gz``; at most `MAX_YAML` bytes of UTF-8.

    Returns
    -------
    dict, list, str, float, int, bool, datetime.date, datetime.datetime, bytes, set or None
        What the file says, in YAML 1.1: ``no`` is False and ``12:30`` is 750, unless in quotes.

    Raises
    ------
    UnsafeData
        If the file is no YAML, holds several documents, has a tag that asks for an object of a program, or aliases that
        make it contain itself or become very large.
    MissingExtra
        If PyYAML is not installed.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "_ibl_experiment.description.yaml"
    ...     _ = path.write_text("projects:\n- cortexlab\nversion: 1.0.0\n")
    ...     read_yaml(path)
    {'projects': ['cortexlab'], 'version': '1.0.0'}
    """
    yaml = extra("yaml", "yaml", path)
    kind = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with open_text(path, "YAML") as file:
        for _ in pieces(path, file, MAX_YAML):
            pass
    try:
        with open_text(path, "YAML") as file:
            _check_yaml(path, yaml, yaml.parse(file, Loader=kind))
        with open_text(path, "YAML") as file:
            loader = kind(file)
            try:
                return loader.get_single_data()
            finally:
                loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise damaged(path, f"it is no YAML{where}: {getattr(error, 'problem', None) or error}") from error
    except RecursionError as error:
        raise _too_deep(path) from error
    # PyYAML says so in many ways when a tag does not fit its value.
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        if isinstance(error, OneError):
            raise
        raise damaged(path, f"PyYAML cannot make a value of it: {error}") from error


def read_xml(path: Path) -> Element:
    """Read the root element of an XML file.

    Parameters
    ----------
    path : pathlib.Path
        A ``.xml`` file, or a ``.xml.gz`` file; at most `MAX_XML` bytes.

    Returns
    -------
    xml.etree.ElementTree.Element

    Raises
    ------
    UnsafeData
        If the file is no XML, or has a DOCTYPE: that may define entities which fetch files or grow without end.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "ephys.settings.xml"
    ...     _ = path.write_text('<SETTINGS><PROCESSOR name="Neuropix-PXI"/></SETTINGS>')
    ...     read_xml(path).find("PROCESSOR").get("name")
    'Neuropix-PXI'
    """
    from xml.etree.ElementTree import ParseError, parse
    from xml.parsers.expat import ExpatError

    try:
        _check_xml(path)
        with open_text(path, "XML", (XML, UTF_16)) as file:
            return parse(file).getroot()  # noqa: S314 - what makes it dangerous was refused
    except (ExpatError, ParseError, LookupError, ValueError) as error:  # the latter two for unknown encodings
        if isinstance(error, OneError):
            raise
        raise damaged(path, f"it is no XML: {error}") from error


def read_text(path: Path) -> str:
    r"""Read text as it is.

    Parameters
    ----------
    path : pathlib.Path
        A ``.txt`` or ``.log`` file, or one of these with ``.gz``; at most `MAX_TEXT` bytes of UTF-8. It may be empty.

    Returns
    -------
    str
        With the ends of lines that it has, and without a byte order mark.

    Raises
    ------
    UnsafeData
        If the file is not text, or larger.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "_ibl_notes.session.txt"
    ...     _ = path.write_bytes(b"the mouse was sleepy\n")
    ...     read_text(path)
    'the mouse was sleepy\n'
    """
    return _whole(path, "text", MAX_TEXT, (EMPTY, HTML, XML))


def read_meta(path: Path) -> dict[str, str | int | float | bool] | str:
    r"""Read the settings that SpikeGLX writes beside a recording: ``key=value`` in every line.

    Parameters
    ----------
    path : pathlib.Path
        A ``.meta`` file, or a ``.meta.gz`` file; at most `MAX_META` bytes of UTF-8.

    Returns
    -------
    dict or str
        Numbers, ``true`` and ``false`` as such, all else as text without blanks around it; the ``~`` before the name of
        a table is left out. A file that is anything else than such lines, each with another key, is given as text.

    Raises
    ------
    UnsafeData
        If the file is not text.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "_spikeglx_ephysData_g0_t0.imec0.ap.meta"
    ...     _ = path.write_text("imSampRate=30000.2\nnSavedChans=385\n~snsChanMap=(1,1,1)(AP0;0:0)\n")
    ...     read_meta(path)
    {'imSampRate': 30000.2, 'nSavedChans': 385, 'snsChanMap': '(1,1,1)(AP0;0:0)'}
    """
    text = _whole(path, "settings", MAX_META)
    settings: dict[str, str | int | float | bool] = {}
    for line in text.split("\n"):
        if not line.strip():
            continue
        match = _SETTING.fullmatch(line.rstrip())
        if not match or match[1] in settings:
            return text
        settings[match[1]] = _setting(match[2].strip())
    return settings or text


def _setting(text: str) -> str | int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    # More digits than that are a name, and so are those that begin with 0 or become infinite.
    if _DECIMAL.fullmatch(text) and not re.match(r"[+-]?0[0-9]", text) and not text.lstrip("+-").isdigit():
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _whole(path: Path, wanted: str, limit: int, but: tuple[str, ...] = ()) -> str:
    with open_text(path, wanted, but) as file:
        for _ in pieces(path, file, limit):
            pass
    with open_text(path, wanted, but) as file:
        return file.read().decode("utf-8-sig")


def _too_deep(path: Path) -> UnsafeData:
    return UnsafeData(f"{path} is nested too deeply: more than {MAX_DEPTH} values within values", hint=AGAIN)


# JSON


def _json(path: Path, text: str, line: int = 1, column: int = 0) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = error.colno + column if error.lineno == 1 else error.colno
        where = f"line {line + error.lineno - 1}, column {max(place, 1)}"
        raise damaged(path, f"it is no JSON at {where}: {error.msg}") from error
    except ValueError as error:  # a number of very many digits
        raise damaged(path, f"it is no JSON that Python reads, from line {line} on: {error}") from error
    except RecursionError as error:
        raise _too_deep(path) from error


def _json_lines(path: Path, file: Iterable[bytes]) -> Iterator[Any]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield _json(path, line.decode("utf-8-sig").rstrip(), number)


def _check_depth(path: Path, text: Iterable[bytes], *, by_line: bool = False) -> int:
    """Refuse JSON that is nested too deeply before a parser calls itself for every bracket; return its size."""
    depth, escape, quote, size = 0, b"", b"", 0
    for piece in text:
        size += len(piece)
        parts = piece.split(b"\n") if by_line else [piece]
        for i, part in enumerate(parts):
            if i:
                depth, escape, quote = 0, b"", b""
            if 0 < i < len(parts) - 1 and len(part) <= MAX_DEPTH:  # a whole line, too short to be deep
                continue
            unescaped = _ESCAPED.sub(b"", escape + part)
            escape = b"\\" if unescaped.endswith(b"\\") else b""
            marks = quote + unescaped.translate(None, _NO_MARKS)
            brackets, quote, _ = _QUOTED.sub(b"", marks).partition(b'"')
            levels = list(accumulate(map(_STEPS.__getitem__, brackets), initial=depth))
            if max(levels) > MAX_DEPTH:
                raise _too_deep(path)
            depth = levels[-1]
    return size


def _check_json(path: Path, text: Iterable[bytes]) -> None:
    """Refuse what is no JSON piece by piece, before any value takes many times the memory of its text.

    What is complete becomes one mark, `_TEXT` or `_VALUE`, as often as it can: ``[1, {"a": [2, 3]}, {"b": [4,`` becomes
    ``[v,{t:[v,``. That is never long, and stands for all that was before when Python is asked what is wrong.
    """
    digits = getattr(sys, "get_int_max_str_digits", int)()
    known = rest = b""  # marks; the beginning of a text, number or word
    line, column, begun = 1, 0, (1, 1)  # where the rest begins; where the text begins to which it belongs
    for piece in text:
        data = rest + piece
        marked = _STRING.sub(_TEXT + rb"\1", data)
        quote = marked.find(b'"')
        opened = _OPEN.match(marked, max(quote, 0))
        end = len(marked.rstrip(_OF_NUMBERS)) if quote < 0 else quote - 1
        reduced = _reduced(known + _NUMBER.sub(_VALUE, marked[:end]).translate(None, b" \t\r\n"))
        if reduced is None:  # too many values within values: Python may find out for itself
            return
        # A text that has begun will be one, or is not for Python to complain of here.
        is_right = _BEGUN.fullmatch(_REPEATED.sub(rb"\1\2", reduced + _TEXT) if opened else reduced)
        if (
            not is_right
            or (quote >= 0 and not opened)
            or (quote < 0 and len(marked) - end > PIECE)
            or _has_long_number(marked, digits)
        ):
            _tell_json(path, known, data, line, column)
        start = len(data) - len(marked) + max(end, quote)
        shift = data.count(b"\n", 0, start)
        line += shift
        column = (0 if shift else column) + len(data[data.rfind(b"\n", 0, start) + 1 : start].decode())
        if opened and (start or not rest):  # not the rest of a text that began before
            begun = line, column + 1
        known, rest = reduced, data[start:]
        if opened:
            column += len(rest.decode()) - 1 - len(opened[1])
            rest = b'"' + opened[1]
    if rest.startswith(b'"'):
        raise damaged(path, "it is no JSON at line {}, column {}: Unterminated string starting at".format(*begun))
    if _reduced(known + _NUMBER.sub(_VALUE, rest)) not in (_TEXT, _VALUE):
        _tell_json(path, known, rest, line, column)


def _reduced(marks: bytes) -> bytes | None:
    """Return None where that would take more than `_ROUNDS`, each of which looks at all of the marks."""
    for _ in range(_ROUNDS):
        marks, count = _COMPLETE.subn(_VALUE, marks)
        if not count:
            return _REPEATED.sub(rb"\1\2", marks)
    return None


def _has_long_number(marked: bytes, digits: int) -> bool:
    """Tell whether there is a whole number of more digits than Python reads."""
    if not digits or b"0" * (digits + 1) not in marked.translate(_ZEROS):
        return False
    return re.search(rb"(?<![0-9.eE+-])-?[1-9][0-9]{%d,}(?![0-9.eE])" % digits, marked) is not None


def _tell_json(path: Path, known: bytes, data: bytes, line: int, column: int) -> None:
    """Raise what Python says of a piece, behind a short text that ends as what was before it."""
    before = known.replace(_TEXT, b'""').replace(_VALUE, b"0 ").decode()
    _json(path, before + data.decode(), line, column - len(before))
    raise damaged(path, f"it is no JSON from line {line} on")


# YAML


def _check_yaml(path: Path, yaml: Any, events: Iterator[Any]) -> None:
    """Refuse what the safe loader would not, or too late: the events are what a file says, before it has any size."""
    nodes = values = documents = 0  # an alias is one node, and as many values as what it repeats
    open_: list[tuple[str | None, int]] = []  # collections: anchor, values before
    known: dict[str | None, int] = {}
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise UnsafeData(
                    f"{path} holds more than one YAML document: another begins at line {line}",
                    hint="Take its path with download_only=True, and read them one by one",
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            known[anchor] = values - before
        elif isinstance(event, yaml.NodeEvent):
            _check_yaml_node(path, yaml, event, line)
            if isinstance(event, yaml.AliasEvent) and event.anchor in (anchor for anchor, _ in open_):
                raise UnsafeData(f"{path} holds a value that contains itself, at line {line}", hint=AGAIN)
            if isinstance(event, yaml.CollectionStartEvent):
                open_.append((event.anchor, values))
                if len(open_) > MAX_DEPTH:
                    raise _too_deep(path)
            nodes += 1
            values += known.get(event.anchor, 1) if isinstance(event, yaml.AliasEvent) else 1
            if isinstance(event, yaml.ScalarEvent):
                known[event.anchor] = 1
            if values > max(MAX_NODES, 10 * nodes):
                raise UnsafeData(
                    f"{path} has {nodes} values up to line {line}, which its aliases repeat more than {values} times",
                    hint=AGAIN,
                )


def _check_yaml_node(path: Path, yaml: Any, event: Any, line: int) -> None:
    tag = getattr(event, "tag", None)
    if tag not in (None, "!") and tag not in _TAGS:
        raise UnsafeData(
            f"{path} has the tag {tag!r} at line {line}, which asks for an object of some program",
            hint="Ask the owner to share it as plain text, numbers, lists and mappings",
        )
    is_long = isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_DIGITS
    if is_long and (tag or event.implicit[0]) and _DIGITS.fullmatch(event.value):  # not a text in quotes
        raise damaged(path, f"line {line} holds a number of more than {MAX_DIGITS} digits")


# XML


def _check_xml(path: Path) -> None:
    """Refuse XML for its size, depth or DOCTYPE, or because it is none, without keeping any of it."""
    from xml.parsers import expat

    depth = read = 0

    def begin(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep(path)

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise UnsafeData(
            f"{path} has a DOCTYPE at line {parser.CurrentLineNumber}, which may fetch other files or grow without end",
            hint="Ask the owner to share it without, or read it yourself: download_only=True gives its path",
        )

    if path.stat().st_size > MAX_XML:
        raise too_large(path, MAX_XML)
    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    with open_text(path, "XML", (XML, UTF_16)) as file:
        for piece in iter(partial(file.read, PIECE), b""):
            read += len(piece)
            if read > MAX_XML:
                raise too_large(path, MAX_XML)
            parser.Parse(piece)
            if read - parser.CurrentByteIndex > MAX_TAG:
                what = f"a tag or comment of more than {MAX_TAG >> 20} MB at line {parser.CurrentLineNumber}"
                raise damaged(path, f"it holds {what}")
        parser.Parse(b"", True)

"""The switches of a sandbox as they are written: their names, their values as text, and what each one means.

Everything here is taken from the fields of :class:`onelight.sandbox.settings.Settings`.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from onelight.sandbox.settings import CATEGORIES, LICENSES, Settings

YES, NO = ("on", "yes", "true", "1"), ("off", "no", "false", "0")
ALL = "all"
PUBLICATION = ("title", "description", "authors", "categories", "keywords", "license", "files", "references")
# 2**63 is where SQLite ends.
LARGEST = 2**62

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgt])(i?))?b?", re.IGNORECASE)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|m|h)?", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class Switch(NamedTuple):
    """One field of the settings.

    Parameters
    ----------
    field : str
        Its name in Python.
    name : str
        Its name on the command line: shorter where there is a shorter one.
    default : object
        Its value when nothing is said.
    unit : str
        How its value is written: size, ms, seconds, count, status, switch, names, text, categories, licenses.
    least : int
        The least value.
    means : str
        What it does.
    """

    field: str
    name: str
    default: Any
    unit: str
    least: int
    means: str


def switches() -> list[Switch]:
    """Return all switches, in the order in which they are explained."""
    return [
        Switch(
            item.name,
            item.metadata["alias"] or item.name.replace("_", "-"),
            item.default,
            item.metadata["unit"],
            item.metadata["least"],
            item.metadata["means"],
        )
        for item in dataclasses.fields(Settings)
    ]


def plain(name: str) -> str:
    """Return a name as it is compared: hyphens and underscores are the same.

    >>> plain("Part-Size")
    'part_size'
    """
    return name.strip().lower().replace("-", "_")


def switch(name: str) -> Switch:
    """Return the switch of this name, short or long.

    Raises
    ------
    ValueError
        If there is none; the message names one that is like it.

    Examples
    --------
    >>> switch("parts").field
    'part_size'
    >>> switch("part-sise")
    Traceback (most recent call last):
        ...
    ValueError: there is no switch 'part-sise'; is 'part-size' meant?
    """
    known = {plain(form): item for item in switches() for form in (item.field, item.name)}
    found = known.get(plain(name))
    if found is None:
        raise ValueError(f"there is no switch {name!r}{nearest(name, known)}")
    return found


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about a name that is not known: the nearest one, or all."""
    names = sorted({form.replace("_", "-") for form in known})
    wanted = plain(name).replace("_", "-")
    like = difflib.get_close_matches(wanted, names, 1, 0.6)
    longer = [form for form in names if form.startswith(wanted)] if wanted else []
    if len(longer) > 1:
        return f"; is one of {', '.join(longer)} meant?"
    return f"; is {like[0]!r} meant?" if like else f"; there are {', '.join(names)}"


def changed(settings: Settings, values: Mapping[str, object]) -> Settings:
    """Return settings with some switches changed.

    Parameters
    ----------
    settings : Settings
        What holds for all others.
    values : Mapping
        The new value of each switch, by its short or long name: as text, or as what it is.

    Raises
    ------
    ValueError
        If a name is not known or a value does not fit.

    Examples
    --------
    >>> changed(Settings(), {"parts": "1MiB", "md5-late": "2s", "check_md5": False}).part_size
    1048576
    """
    found = {switch(name): value for name, value in values.items()}
    return dataclasses.replace(settings, **{item.field: value_of(item, value) for item, value in found.items()})


def value_of(item: Switch, value: object) -> Any:
    """Return the value of a switch from its text, or from JSON.

    Raises
    ------
    ValueError
        If it does not fit; the message says how such values are written.
    """
    if item.unit == "switch":
        return value if isinstance(value, bool) else _yes_or_no(item, _text(value))
    if item.unit == "text":
        return _doi(item, _text(value))
    if value == ALL and item.unit in ("categories", "licenses"):
        return item.default
    if item.unit in ("names", "categories", "licenses"):
        words = [str(word) for word in value] if isinstance(value, (list, tuple)) else _text(value).split(",")
        return _listed(item, [word.strip() for word in words if word.strip()])
    if isinstance(value, bool):
        raise _unfit(item, str(value), "a number")
    number = _number(item, _text(value))
    if not math.isfinite(number) or not item.least <= number <= LARGEST:
        raise _unfit(item, _text(value), f"at least {item.least}")
    return number


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _unfit(item: Switch, text: str, expected: str) -> ValueError:
    return ValueError(f"{item.name}: {text!r} is not {expected}")


def _yes_or_no(item: Switch, text: str) -> bool:
    if text.lower() in YES or text.lower() in NO:
        return text.lower() in YES
    raise _unfit(item, text, "on or off")


def _doi(item: Switch, text: str) -> str:
    if "{article_id}" in text and "{" not in text.replace("{article_id}", "").replace("{version}", ""):
        return text
    raise _unfit(item, text, "a text with {article_id}, such as 10.5072/lab.{article_id}.v{version}")


def _number(item: Switch, text: str) -> float:
    if item.unit == "size":
        return size(text, item)
    if item.unit in ("ms", "seconds"):
        seconds = duration(text, item)
        if item.unit == "ms":
            return round(seconds * 1000)
        return seconds if isinstance(item.default, float) else round(seconds)
    if not text.isascii() or not text.isdigit():
        raise _unfit(item, text, "a number")
    if item.unit == "status" and not 200 <= int(text) <= 599:
        raise _unfit(item, text, "a status of HTTP, from 200 to 599")
    return int(text)


def size(text: str, item: Switch | None = None) -> int:
    """Return a number of bytes from a text.

    >>> size("1MiB"), size("10MB"), size("500k"), size("2.5 GiB"), size("1000")
    (1048576, 10000000, 500000, 2684354560, 1000)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{item.name + ': ' if item else ''}{text!r} is not a size such as 1000, 10MB or 1MiB")
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** _POWERS[(match[2] or "").lower()])


def duration(text: str, item: Switch | None = None) -> float:
    """Return seconds from a text; a bare number is in the unit of the switch, which is seconds if none is given.

    >>> duration("200ms"), duration("2s"), duration("1min"), duration("3")
    (0.2, 2.0, 60.0, 3.0)
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{item.name + ': ' if item else ''}{text!r} is not a time such as 200ms, 2s or 1min")
    unit = (match[2] or ("ms" if item is not None and item.unit == "ms" else "s")).lower()
    return round(float(match[1]) * _SECONDS[unit], 6)


def _listed(item: Switch, words: list[str]) -> Any:
    if item.unit == "names":
        for word in words:
            if word not in PUBLICATION:
                raise ValueError(f"{item.name}: there is no field {word!r}{nearest(word, PUBLICATION)}")
        return tuple(words)
    known: dict[str, Any] = {str(entry[0]): entry for entry in (CATEGORIES if item.unit == "categories" else LICENSES)}
    for word in words:
        if word not in known:
            raise ValueError(f"{item.name}: there is none with the number {word!r}")
    return tuple(known[word] for word in words)


def shown(item: Switch, value: object) -> str:
    """Return a value as it is written.

    >>> shown(switch("parts"), 10485760), shown(switch("md5-late"), 2000), shown(switch("check-md5"), True)
    ('10MiB', '2s', 'on')
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    if value == item.default and item.unit in ("categories", "licenses"):
        return ALL
    if isinstance(value, tuple):
        words = [str(entry if isinstance(entry, str) else entry[0]) for entry in value]
        return ",".join(words)
    if isinstance(value, int | float) and item.unit == "size":
        return _shown_size(int(value))
    if isinstance(value, int | float) and item.unit in ("ms", "seconds"):
        seconds = value / 1000 if item.unit == "ms" else value
        return f"{round(seconds * 1000):g}ms" if 0 < seconds < 1 else f"{seconds:g}s"
    return str(value)


def _shown_size(number: int) -> str:
    for power, letter in ((3, "G"), (2, "M"), (1, "k")):
        for base, sign in ((1024, "iB"), (1000, "B")):
            if number and number % base**power == 0:
                return f"{number // base**power}{letter}{sign}"
    return f"{number}B"


def jsonable(settings: Settings) -> dict[str, Any]:
    """Return settings as JSON has them, by their long names; categories and licences by number."""
    stated: dict[str, Any] = {}
    for item in switches():
        value = getattr(settings, item.field)
        is_list = isinstance(value, tuple)
        stated[item.field] = [e if isinstance(e, str) else e[0] for e in value] if is_list else value
    return stated

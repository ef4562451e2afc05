"""What well-known dataset types mean, and in which units they are: a table in the package, looked up by name.

``vocabulary.tsv`` beside this file has one row per dataset type, ``object.attribute``, of the Steinmetz et al. (2019)
and International Brain Laboratory recordings, and at its end what ALF says of every object. Where the two disagree,
the row says so. A ``*`` stands for any text without a dot; among rows with one, the first that fits counts.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a dataset type is.

    Parameters
    ----------
    units : str
        Units of its numbers, such as ``"s"``; empty where they have none, or where it is not known.
    meaning : str
        One line of what it is, and of what is easily got wrong with it.
    """

    units: str
    meaning: str


def lookup(object: str, attribute: str) -> Meaning | None:  # noqa: A002 - the field's word
    """Return what is known of a dataset type, or None.

    Parameters
    ----------
    object : str
        Such as ``"trials"``, without the namespace: types mean the same in each.
    attribute : str
        Such as ``"intervals"``, with its timescale: ``"intervals_bpod"``. Extra parts may follow it behind dots. They
        are ignored, but for the few types that are told apart by nothing else (``imec0.ap``, ``imec0.timestamps``).

    Returns
    -------
    Meaning or None
        What the row of this very name says; else the first row with a ``*`` that fits.

    Examples
    --------
    >>> lookup("trials", "visualStim_times")
    Meaning(units='s', meaning='onset of the stimulus')
    >>> lookup("barcodes", "times.probe00").units
    's'
    >>> lookup("barcodes", "colour") is None
    True
    """
    fields = attribute.split(".")
    # From all extra parts to none: the more of the name a row has, the more it knows of the file.
    for count in range(len(fields), 0, -1):
        found = _find(".".join([object, *fields[:count]]))
        if found:
            return found
    return None


@lru_cache(maxsize=4096)  # a repository has few types, and many files of each
def _find(name: str) -> Meaning | None:
    exact, patterns = _vocabulary()
    return exact.get(name) or next((meaning for pattern, meaning in patterns if pattern.fullmatch(name)), None)


@lru_cache(maxsize=1)
def _vocabulary() -> tuple[dict[str, Meaning], list[tuple[re.Pattern[str], Meaning]]]:
    text = resources.files("onelight.loading").joinpath("vocabulary.tsv").read_text(encoding="utf-8")
    exact: dict[str, Meaning] = {}
    patterns: list[tuple[re.Pattern[str], Meaning]] = []
    for row in csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        meaning = Meaning(row["units"], row["meaning"])
        if "*" in row["type"]:
            patterns.append((re.compile("[^.]*".join(map(re.escape, row["type"].split("*")))), meaning))
        else:
            exact[row["type"]] = meaning
    return exact, patterns

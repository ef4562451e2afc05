"""Whether a name is strict ALF, why not, and what the nearest right name is.

Strict is what ONE-api 3 reads (``one.alf.spec``, FILE_SPEC and REL_PATH_SPEC), without what it reads by accident; the
differences stand in ``docs/alf.md``. Any dataset can be shared, searched and loaded here; a strict one by all others.
"""

from __future__ import annotations

import re
from dataclasses import replace

from onelight.alf.names import Dataset, Session
from onelight.alf.safe import printable
from onelight.errors import AlfError

_WORD = re.compile(r"\w+")
_OBJECT = re.compile(r"(?!_)\w+")
_ATTRIBUTE = re.compile(r"(?:_[a-z]+_)?[a-zA-Z0-9]+(?:_times|_intervals)?")
_FOLDER = re.compile(r"[\w.-]+")
_WORDS = "letters, digits and _"


def strict_problems(dataset: Dataset) -> tuple[str, ...]:
    """Say why a dataset is not strict ALF; empty if it is.

    Parameters
    ----------
    dataset : Dataset
        As :meth:`Dataset.parse` understands its path.

    Returns
    -------
    tuple of str
        A reason for each part that is wrong.

    Examples
    --------
    >>> strict_problems(Dataset.parse("alf/spikes.times.npy"))
    ()
    >>> strict_problems(Dataset.parse("alf/Cori_2016-12-14.imec.lf.bin"))
    ("object 'Cori_2016-12-14' has '-'; allowed are letters, digits and _",)
    """
    problems = [
        f"folder {printable(part)} has {_others(part, '.-')}; allowed are letters, digits, _ - ."
        for part in (*filter(None, dataset.collection.split("/")), *filter(None, [dataset.revision]))
        if not _FOLDER.fullmatch(part)
    ]
    if dataset.object.startswith("_"):
        problems.append(f"object {printable(dataset.object)} begins with _, which only a namespace does: _ibl_spikes")
    elif not _OBJECT.fullmatch(dataset.object):
        problems.append(f"object {printable(dataset.object)} has {_others(dataset.object)}; allowed are {_WORDS}")
    if not _ATTRIBUTE.fullmatch(dataset.attribute):
        problems.append(
            f"attribute {printable(dataset.field)} is not of letters and digits (A-Z a-z 0-9), "
            "with _times, _intervals or a timescale behind it if need be"
        )
    if dataset.extra and not _FOLDER.fullmatch(dataset.extra):
        problems.append(f"extra part {printable(dataset.extra)} has {_others(dataset.extra, '.-')}")
    if not _WORD.fullmatch(dataset.extension):
        problems.append(f"extension {printable(dataset.extension)} has {_others(dataset.extension)}")
    return tuple(problems)


def session_remarks(session: Session) -> tuple[str, ...]:
    """Say what of a session other clients would not read.

    Examples
    --------
    >>> session_remarks(Session("my-lab", "Cori", "2016-12-14", "001"))
    ("lab 'my-lab' has '-', which ONE-api does not read in the name of a lab",)
    """
    bad = _others(session.lab)
    return (f"lab '{session.lab}' has {bad}, which ONE-api does not read in the name of a lab",) if bad else ()


def nearest_name(name: str) -> str:
    """Return the strict file name that is nearest to one that is not; empty where nobody can guess it.

    Parameters
    ----------
    name : str
        A file name, ALF or not.

    Examples
    --------
    >>> nearest_name("Cori_2016-12-14_M2_g0_t0.imec.lf.bin"), nearest_name("spikes.times (1).npy")
    ('Cori_2016_12_14_M2_g0_t0.imec.lf.bin', 'spikes.times.npy')
    >>> nearest_name("trials_times.npy"), nearest_name("_spikes.times.npy"), nearest_name("eye.xy-pos.npy")
    ('trials.times.npy', 'spikes.times.npy', 'eye.xyPos.npy')
    """
    if _is_strict(name):
        return ""
    text = re.sub(r"\s*\(\d+\)|\s*- [Cc]opy|\?.*\Z", "", name).strip()  # as browsers and file managers name copies
    fields = [field for field in re.split(r"[.:]", text) if field.strip()]
    if len(fields) == 2 and "_" in fields[0].strip("_"):
        fields = [*fields[0].rsplit("_", 1), fields[1]]
    if len(fields) < 3:
        return ""
    object_, attribute, *extra, extension = fields
    namespace = re.fullmatch(r"_+([A-Za-z0-9]+)_+(?=[^_])(.+)", object_)
    spaces, object_ = (namespace[1], namespace[2]) if namespace else ("", object_)
    prefix = re.fullmatch(r"_([A-Za-z]+)_(.+)", attribute)
    start, attribute = (f"_{prefix[1].lower()}_", prefix[2]) if prefix else ("", attribute)
    right = ".".join(
        [
            (f"_{spaces}_" if spaces else "") + _words(object_),
            start + _words(re.sub(r"[-\s]+(?=(?:times|intervals)\Z)", "_", attribute), hyphen=" "),
            *(re.sub(r"[^\w-]+", "-", part).strip("-") for part in extra),
            re.sub(r"\W+", "", extension),
        ]
    )
    return right if _is_strict(right) else ""


def nearest(dataset: Dataset) -> Dataset | None:
    """Return the strict dataset that is nearest to one that is not, None where nobody can guess it.

    Examples
    --------
    >>> str(nearest(Dataset.parse("my probe/spike-s.times.npy")))
    'my-probe/spike_s.times.npy'
    """
    folder = re.sub(r"[^\w./-]+", "-", dataset.collection)
    right = replace(dataset, collection=folder, revision=re.sub(r"[^\w.-]+", "-", dataset.revision))
    if strict_problems(right):
        name = nearest_name(dataset.name)
        if not name:
            return None
        parsed = Dataset.parse(name)
        right = replace(parsed, collection=right.collection, revision=right.revision)
    return right if right != dataset and not strict_problems(right) else None


def _is_strict(name: str) -> bool:
    try:
        return not strict_problems(Dataset.parse(name))
    except AlfError:
        return False


def _words(text: str, hyphen: str = "_") -> str:
    """Join words to one: a space becomes a capital letter, as the convention writes them, a hyphen an underscore.

    In an attribute an underscore would begin a timescale, so a hyphen becomes a capital letter there, too.
    """
    first, *rest = re.split(r"\s+", text.replace("-", hyphen).strip("_ ")) or [""]
    joined = first + "".join(word[:1].upper() + word[1:] for word in rest)
    return re.sub(r"\W+", "_", joined).strip("_")


def _others(text: str, allowed: str = "") -> str:
    return " ".join(
        printable(char) for char in sorted({char for char in text if not re.match(r"\w", char)} - {*allowed})
    )

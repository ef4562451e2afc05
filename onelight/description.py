"""What a repository says of itself: title, authors, licence and so on, as people write it in ``one.toml``.

The file lies beside the data, and is TOML because that has comments and texts of several lines. What a service
makes of it (numbers for categories, HTML for the description) is the service's own business, and not done here.
"""

from __future__ import annotations

import difflib
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from onelight.errors import ConfigError

DESCRIPTION_NAME = "one.toml"

# figshare API, "ArticleCreate"; no other service asks for more.
SHORTEST_TITLE = 3
LONGEST_TITLE = 1000
LONGEST_DESCRIPTION = 20_000

_LONGEST_LINE = 1000
_LARGEST_FILE = 1 << 20
_ORCID = re.compile(r"(?:https?://(?:www\.)?orcid\.org/)?([0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9Xx])/?")
_WEB = re.compile(r"https?://[^\s/]+(?:/\S*)?", re.IGNORECASE)
_DOI = re.compile(r"(?:doi:\s*)?10\.[0-9]{4,9}(?:\.[0-9]+)?/\S+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Author:
    """One who made the data.

    Parameters
    ----------
    name : str
        As it is to be printed.
    orcid : str
        ``0000-0002-1825-0097``, or empty.
    id : int or None
        The number that figshare knows the author by, if it is to be this very one.
    """

    name: str
    orcid: str = ""
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What a repository says of itself. An empty field says nothing.

    Parameters
    ----------
    title, description : str
        The description is plain text whose paragraphs are parted by blank lines, or HTML if it begins with a tag.
    authors : tuple of Author
        In the order in which they are cited.
    categories, keywords : tuple of str
        Fields of research, by title or number; words of one's own.
    license : str
        Such as ``"CC BY 4.0"``.
    funding : tuple of str
        Grants, one text for each.
    references : tuple of str
        Web addresses or DOIs of papers, code and so on.
    item_type : str
        ``"dataset"``, ``"software"`` and so on.
    """

    title: str = ""
    description: str = ""
    authors: tuple[Author, ...] = ()
    categories: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    license: str = ""
    funding: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    item_type: str = ""


class Difference(NamedTuple):
    """One field that differs, in words for a terminal."""

    field: str
    here: str
    there: str


# ---------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------


def read_description(path: Path) -> Description:
    """Read ``one.toml``.

    Raises
    ------
    ConfigError
        If it cannot be read, is not TOML (the message has line and column), or says something that cannot be
        (the message has the key, and what is expected).
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        hint = "It is a text file beside the data that says what they are"
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}", hint=hint) from error
    if len(content) > _LARGEST_FILE:
        raise ConfigError(f"{path} has more than {_LARGEST_FILE >> 20} MiB, and so cannot be a description of data")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: this is not UTF-8", hint="Save the file as UTF-8") from error
    return _checked(_parsed(text, str(path)), str(path))


def _parsed(text: str, where: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, and 5,000 brackets, are of other types
        what, place = _what_and_where(str(error), isinstance(error, RecursionError))
        raise ConfigError(
            f"{where}{place}: {what}",
            hint='A line is KEY = "TEXT" or KEY = ["TEXT", "TEXT"]; a text of several lines stands between """',
        ) from error


def _what_and_where(message: str, too_deep: bool) -> tuple[str, str]:
    if too_deep:
        return "brackets within brackets, too many", ""
    found = re.fullmatch(r"(.*?) \(at (?:(line \d+), (column \d+)|(end of document))\)", message, re.DOTALL)
    if not found:
        return message.partition("\n")[0][:200], ""
    what = "a key that stands above already" if found[1] == "Cannot overwrite a value" else found[1]
    return what, f", {found[4] or f'{found[2]}, {found[3]}'}"


def _checked(data: dict[str, Any], where: str) -> Description:
    for key in data:
        if key not in _CHECKS:
            raise ConfigError(f"{where} has '{_shown(key)}', which means nothing", hint=_suggestion(key, _CHECKS))
    values: dict[str, Any] = {}
    for key, value in data.items():
        try:
            values[key] = _CHECKS[key](value)
        except _WrongError as wrong:
            at = f"{key}{wrong.below}"
            raise ConfigError(f"{where}: '{at}' {wrong.what}", hint=_example(key)) from None
    return Description(**values)


class _WrongError(Exception):
    """A value that cannot be: what is wrong with it, and where in it."""

    def __init__(self, what: str, below: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.below = below


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _WrongError(f"must be a text in quotes, and is {_kind(value)}")
    return value


def _line(value: Any) -> str:
    text = _text(value)
    if not text.strip():
        raise _WrongError("is empty")
    if len(text) > _LONGEST_LINE:
        raise _WrongError(f"has {len(text):,} characters; {_LONGEST_LINE:,} are allowed")
    return text


def _title(value: Any) -> str:
    text = _text(value)
    if text and len(text.strip()) < SHORTEST_TITLE:
        raise _WrongError(f"must have at least {SHORTEST_TITLE} characters")
    if len(text) > LONGEST_TITLE:
        raise _WrongError(f"has {len(text):,} characters; {LONGEST_TITLE:,} are allowed")
    return text


def _description(value: Any) -> str:
    text = _text(value)
    if len(text) > LONGEST_DESCRIPTION:
        raise _WrongError(f"has {len(text):,} characters; {LONGEST_DESCRIPTION:,} are allowed")
    return text


def _license(value: Any) -> str:
    text = _text(value)
    if text and not any(char.isalnum() for char in text):
        raise _WrongError(f"is '{_shown(text)}', which is not the name of a licence")
    return _line(text) if text else text


def _item_type(value: Any) -> str:
    return _line(value) if _text(value).strip() else ""


def _each(check: Callable[[Any], Any], *, unique: bool = False) -> Callable[[Any], tuple[Any, ...]]:
    def checked(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _WrongError(f"must be a list in brackets, and is {_kind(value)}")
        items: list[Any] = []
        for number, item in enumerate(value, 1):
            try:
                items.append(check(item))
            except _WrongError as wrong:
                raise _WrongError(wrong.what, f", entry {number}{wrong.below}") from None
            if unique and items[-1] in items[:-1]:
                raise _WrongError(f"has '{_shown(str(items[-1]))}' twice", f", entry {number}")
        return tuple(items)

    return checked


def _reference(value: Any) -> str:
    text = _line(value)
    if not (_WEB.fullmatch(text) or _DOI.fullmatch(text)):
        raise _WrongError(f"is '{_shown(text)}', which is neither a web address nor a DOI")
    return text


def _author(value: Any) -> Author:
    if isinstance(value, str):
        return Author(_line(value))
    if not isinstance(value, dict):
        raise _WrongError(f'must be a name in quotes, or {{name = "…", orcid = "…"}}, and is {_kind(value)}')
    for key in value:
        if key not in _AUTHOR_KEYS:
            raise _WrongError(f"has '{_shown(key)}', which means nothing. {_suggestion(key, _AUTHOR_KEYS)}")
    if "name" not in value:
        raise _WrongError("has no 'name'")
    checks: dict[str, Callable[[Any], Any]] = {"name": _line, "orcid": _orcid, "id": _number}
    found: dict[str, Any] = {}
    for key, item in value.items():
        try:
            found[key] = checks[key](item)
        except _WrongError as wrong:
            raise _WrongError(wrong.what, f", {key}") from None
    return Author(**found)


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**53:
        raise _WrongError("must be the number of an author, such as 1234567")
    return value


def _orcid(value: Any) -> str:
    text = _text(value)
    if not text:
        return text
    orcid = orcid_of(text)
    if not orcid:
        found = _ORCID.fullmatch(text.strip())
        why = "has a wrong digit: its check digit does not fit" if found else "is not an ORCID"
        raise _WrongError(f"is '{_shown(text)}', which {why}")
    return orcid


def orcid_of(text: str) -> str:
    """Return an ORCID in its short form, or an empty text if it is none.

    The last character is a check digit (ISO 7064, MOD 11-2), so that a mistyped one is found out.

    Examples
    --------
    >>> orcid_of("https://orcid.org/0000-0002-1825-0097")
    '0000-0002-1825-0097'
    >>> orcid_of("0000-0002-1825-0098")
    ''
    """
    found = _ORCID.fullmatch(text.strip())
    if not found:
        return ""
    orcid = found[1].upper()
    total = 0
    for digit in orcid[:-1].replace("-", ""):
        total = (total + int(digit)) * 2
    return orcid if orcid[-1] == "0123456789X"[(12 - total % 11) % 11] else ""


def _kind(value: Any) -> str:
    words = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table", str: "a text"}
    return words.get(type(value), "a date or time")


def _suggestion(key: str, known: Sequence[str] | dict[str, Any]) -> str:
    near = difflib.get_close_matches(key.casefold(), list(known), 1)
    return f"Did you mean '{near[0]}'?" if near else f"There are {', '.join(known)}"


def _shown(text: str, limit: int = 60) -> str:
    """Return a text that stays in its line and cannot move the cursor."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in cut)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "title": _title,
    "description": _description,
    "authors": _each(_author),
    "categories": _each(_line, unique=True),
    "keywords": _each(_line, unique=True),
    "license": _license,
    "funding": _each(_line),
    "references": _each(_reference),
    "item_type": _item_type,
}
_AUTHOR_KEYS = ("name", "orcid", "id")


# ---------------------------------------------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------------------------------------------

_HEADING = """\
# What these data are. Fill in what you know; what is empty says nothing.
# Whatever stands after a # is a remark for you.
"""

# Each key: what it is, what is allowed, and an example that may be copied.
_COMMENTS: dict[str, tuple[tuple[str, ...], str]] = {
    "title": (
        (f"The title under which the data are cited: {SHORTEST_TITLE} to {LONGEST_TITLE:,} characters.",),
        'title = "Neuropixels recordings from ten mice in a visual discrimination task"',
    ),
    "description": (
        (
            "What was recorded, how, and what the files hold: plain text, up to 20,000 characters.",
            'A blank line begins a new paragraph. Several lines stand between """ and """.',
        ),
        'description = """\nTen mice turned a wheel.\n\nSpikes are in seconds from the start of the session."""',
    ),
    "authors": (
        (
            "In the order in which they are cited. The orcid (https://orcid.org) may be left out;",
            "the id is figshare's own number of an author, and is rarely needed.",
        ),
        'authors = [\n    {name = "Ada Lovelace", orcid = "0000-0002-1825-0097"},\n    {name = "Alan Turing"},\n]',
    ),
    "categories": (
        (
            "Fields of research, by title or by number (ANZSRC 2020). figshare wants at least one.",
            "Where two have one title, write the field above before it.",
        ),
        'categories = ["Central nervous system", "Neurosciences/Sensory systems"]',
    ),
    "keywords": (
        ("Words by which the data are found. figshare wants at least one.",),
        'keywords = ["Neuropixels", "mouse", "decision making"]',
    ),
    "license": (
        ("What others may do with the data. figshare takes CC BY 4.0 where none is given.",),
        'license = "CC BY 4.0"',
    ),
    "funding": (("Grants, one text for each.",), 'funding = ["Wellcome Trust 205093/Z/16/Z"]'),
    "references": (
        ("Papers, code, other data: web addresses or DOIs.",),
        'references = ["https://doi.org/10.1038/s41586-019-1787-x"]',
    ),
    "item_type": (
        ("What it is: dataset, software, figure, media, poster, presentation, preprint and so on.",),
        'item_type = "dataset"',
    ),
}
_EXAMPLES = {key: example for key, (_, example) in _COMMENTS.items()}


def _example(key: str) -> str:
    first, *more = _EXAMPLES[key].split("\n")
    return f"Such as {first}" if not more else f"Such as {' '.join([first, *map(str.strip, more)])}"


def description_toml(d: Description, *, commented: bool) -> str:
    r"""Return the file as text. What is read back from it is equal.

    Parameters
    ----------
    d : Description
        What it says. Empty fields are written empty.
    commented : bool
        With a comment on each key that says what it is, what is allowed, and an example.

    Examples
    --------
    >>> text = description_toml(Description(title="Two mice"), commented=False)
    >>> text.partition("\n")[0]
    'title = "Two mice"'
    """
    blocks = [_HEADING] if commented else []
    for field in fields(Description):
        line = _assignment(field.name, getattr(d, field.name))
        blocks.append(f"{_comment(field.name)}{line}\n" if commented else f"{line}\n")
    return ("\n" if commented else "").join(blocks)


def _comment(key: str) -> str:
    said, example = _COMMENTS[key]
    lines = [*said, *f"Example: {example}".split("\n")]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _assignment(key: str, value: Any) -> str:
    if key == "description" and "\n" in value:
        return f"{key} = {_long_text(value)}"
    if isinstance(value, str):
        return f"{key} = {_quoted(value)}"
    items = [_quoted(item) if isinstance(item, str) else _author_toml(item) for item in value]
    line = f"{key} = [{', '.join(items)}]"
    if items and (key == "authors" or len(line) > 100):
        return f"{key} = [\n" + "".join(f"    {item},\n" for item in items) + "]"
    return line


def _author_toml(author: Author) -> str:
    parts = [f"name = {_quoted(author.name)}"]
    if author.orcid:
        parts.append(f"orcid = {_quoted(author.orcid)}")
    if author.id is not None:
        parts.append(f"id = {author.id}")
    return f"{{{', '.join(parts)}}}"


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _long_text(text: str) -> str:
    """Return a text on lines of its own; the newline after the first quotes is not part of it (TOML 1.0)."""
    lines = "\n".join("".join(c if c in '"\t' else _escaped(c) for c in line) for line in text.split("\n"))
    return '"""\n' + re.sub(r'"(?="")|"\Z', r"\"", lines) + '"""'


_SHORT_ESCAPES = {'"': r"\"", "\\": r"\\", "\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r"}


def _escaped(char: str) -> str:
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    # Control characters, the line ends of Unicode and the byte order mark: editors show nothing, or break the line.
    if unicodedata.category(char) in ("Cc", "Zl", "Zp") or char == "\ufeff":
        return f"\\u{ord(char):04x}"
    return "\ufffd" if unicodedata.category(char) == "Cs" else char  # half a character, which no file can hold


# ---------------------------------------------------------------------------------------------------------------
# Comparing
# ---------------------------------------------------------------------------------------------------------------


def differences(here: Description, there: Description) -> list[Difference]:
    """Return the fields in which two descriptions differ. Order counts for authors, and for nothing else.

    An author is the same if id, ORCID or name agree, in this order of trust.

    Examples
    --------
    >>> differences(Description(title="One mouse"), Description(title="Two mice"))
    [Difference(field='title', here='One mouse', there='Two mice')]
    """
    found: list[Difference] = []
    for field in fields(Description):
        one, other = getattr(here, field.name), getattr(there, field.name)
        if _same(field.name, one, other):
            continue
        if isinstance(one, str):
            found.append(Difference(field.name, *_around_first_difference(one, other)))
        else:
            found.append(Difference(field.name, _list_words(one), _list_words(other)))
    return found


def _same(field: str, one: Any, other: Any) -> bool:
    if field == "authors":
        return len(one) == len(other) and all(map(_same_author, one, other))
    if isinstance(one, tuple):
        return sorted(one) == sorted(other)
    return bool(one == other)


def _same_author(one: Author, other: Author) -> bool:
    if one.id is not None and other.id is not None:
        return one.id == other.id
    if one.orcid and other.orcid:
        return one.orcid == other.orcid
    if one.orcid and not other.orcid:  # it is missing there, and can be added
        return False
    return one.name.casefold().split() == other.name.casefold().split()


def _around_first_difference(one: str, other: str) -> tuple[str, str]:
    """Return two texts as far as a line holds them, beginning a little before the place where they part."""
    part = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = part - 20 if part > 60 else 0
    lead = "…" if start else ""
    return tuple(lead + _shown(text[start:], 120) if text else "(empty)" for text in (one, other))  # type: ignore[return-value]


def _list_words(items: Sequence[str | Author]) -> str:
    words = [item if isinstance(item, str) else f"{item.name}{f' ({item.orcid})' * bool(item.orcid)}" for item in items]
    return _shown("; ".join(words), 400) if words else "(none)"


# ---------------------------------------------------------------------------------------------------------------
# Changing a file that somebody wrote
# ---------------------------------------------------------------------------------------------------------------


def merged(old_text: str, d: Description) -> str:
    """Return the text of ``one.toml`` with these values in it; comments and unknown keys are kept.

    Only the values that differ are rewritten. Where that cannot be done (authors as ``[[authors]]``, for example)
    the file is made anew, and what stood in it is kept below as comments.

    Raises
    ------
    ConfigError
        If the old text is not TOML: then nothing should be written over it.

    Examples
    --------
    >>> print(merged('title = "One mouse"  # for now', Description(title="Two mice")), end="")
    title = "Two mice"  # for now
    """
    crlf = "\r\n" in old_text
    text = old_text.removeprefix("\ufeff").replace("\r\n", "\n")
    data = _parsed(text, DESCRIPTION_NAME)
    new = _with_values(text, data, d)
    if not _is_right(new, data, d):
        kept = "".join(f"# {line}".rstrip() + "\n" for line in text.rstrip("\n").split("\n"))
        new = f"{description_toml(d, commented=True)}\n# What stood here before:\n#\n{kept}"
    return new.replace("\n", "\r\n") if crlf else new


def _is_right(text: str, old: dict[str, Any], d: Description) -> bool:
    try:
        data = _parsed(text, DESCRIPTION_NAME)
    except ConfigError:
        return False
    others = {key: value for key, value in data.items() if key not in _CHECKS}
    before = {key: value for key, value in old.items() if key not in _CHECKS}
    # By their texts, because a NaN is not equal to itself.
    return repr(others) == repr(before) and _loose({k: v for k, v in data.items() if k in _CHECKS}) == _loose_of(d)


def _loose(data: dict[str, Any]) -> dict[str, Any]:
    """Return values as they compare: a service may hold what would not be accepted from a person."""
    found = _loose_of(Description())
    for key, value in data.items():
        items = [_loose_author(item) for item in value] if key == "authors" and isinstance(value, list) else value
        found[key] = tuple(items) if isinstance(items, list) else items
    return found


def _loose_author(item: Any) -> Any:
    if isinstance(item, str):
        return (item, "", None)
    return (item.get("name"), item.get("orcid", ""), item.get("id")) if isinstance(item, dict) else item


def _loose_of(d: Description) -> dict[str, Any]:
    found = {field.name: getattr(d, field.name) for field in fields(Description)}
    found["authors"] = tuple((author.name, author.orcid, author.id) for author in d.authors)
    return found


def _with_values(text: str, data: dict[str, Any], d: Description) -> str:
    wanted, there, empty = _loose_of(d), _loose({k: v for k, v in data.items() if k in _CHECKS}), Description()
    pieces, at, end = [], 0, None
    left = [field.name for field in fields(Description)]
    for key, start, stop in _assignments(text):
        end = stop
        if key in left:
            left.remove(key)
            if wanted[key] != there[key]:
                pieces += [text[at:start], _assignment(key, getattr(d, key))]
                at = stop
    new = [
        _assignment(key, getattr(d, key)) for key in left if key not in data and getattr(d, key) != getattr(empty, key)
    ]
    if new:
        place = _after_line(text, end) if end is not None else _before_header(text)
        pieces += [text[at:place], "" if not place or text[place - 1] == "\n" else "\n", *(f"{line}\n" for line in new)]
        at = place
    return "".join([*pieces, text[at:]])


def _after_line(text: str, place: int) -> int:
    newline = text.find("\n", place)
    return len(text) if newline < 0 else newline + 1


def _before_header(text: str) -> int:
    """Return where the first table begins, or the end of a text of comments."""
    header = re.search(r"^[ \t]*\[", text, re.MULTILINE)
    return header.start() if header else len(text)


_KEY = re.compile(r"[ \t]*(?:([A-Za-z0-9_-]+)|\"([^\"\\\n]*)\"|'([^'\n]*)')[ \t]*=")
_SKIPPED = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
# One token of a value. The alternatives of each repetition begin with different characters: no backtracking.
_TOKEN = re.compile(
    r"""
      (?P<text>\"{3}(?:[^\"\\]|\\.|\"{1,2}(?!\"))*\"{3,5}
             | '{3}(?:[^']|'{1,2}(?!'))*'{3,5}
             | \"(?:[^\"\\\n]|\\.)*\" | '[^'\n]*')
    | (?P<open>[\[{]) | (?P<close>[\]}]) | (?P<end>\n) | (?P<space>[ \t]+|\#[^\n]*) | (?P<other>[^\s\"'\[\]{}\#]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)


def _assignments(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield key, start and end of each ``key = value`` above the first table; text must be TOML."""
    at = 0
    while at < len(text):
        skipped = _SKIPPED.match(text, at)
        if skipped and skipped.end() > at:
            at = skipped.end()
            continue
        key = _KEY.match(text, at)
        if key is None and re.compile(r"[ \t]*\[").match(text, at):
            return
        # A dotted key belongs to a table of the user's own, and is passed by.
        equals = key.end() if key else text.index("=", at) + 1
        stop = _end_of_value(text, equals)
        yield (key[1] or key[2] or key[3] or "") if key else "", at, stop
        at = _after_line(text, stop)


def _end_of_value(text: str, at: int) -> int:
    depth, end = 0, at
    while token := _TOKEN.match(text, at):
        at = token.end()
        depth += (token.lastgroup == "open") - (token.lastgroup == "close")
        if token.lastgroup == "end" and depth == 0:
            break
        if token.lastgroup not in ("space", "end"):
            end = at
    return end

"""The command ``completion``, and what can come next on a command line that is being typed.

A shell runs ``onelight`` with ``_ONELIGHT_COMPLETE`` set each time that somebody presses TAB. The answer is read from
the index that is kept on the disk, from nothing else, and where that cannot be, there is none: no error, no network, no
scan, nothing written. It is a matter of a blink, so that what is imported here counts.
"""

from __future__ import annotations

import contextlib
import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, takewhile
from typing import TYPE_CHECKING, ClassVar

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from onelight.cli.output import shared_options

if TYPE_CHECKING:
    from onelight.config import Config
    from onelight.index.catalogue import Catalogue

_VARIABLE = "_ONELIGHT_COMPLETE"
#: More sessions than this are offered part by part, and more of anything by the characters that come next.
_MOST = 100
#: So many names of files are looked at in one answer.
_MOST_NAMES = 20_000
#: The type of what is not finished; the scripts put no space behind it.
_PART = "part"
#: What a shell takes as it stands, with quotes and without. Names come from an index that somebody else has written:
#: one with ``$(...)`` in it, put between quotes that are open already, would be a command.
_HARMLESS = re.compile(r"[A-Za-z0-9_./#@%+=,:-]*")

# As click's own, and what is not finished gets no space. The answer is taken line by line, for a loop over its words
# would put names of files in the place of a "*". What is special to the shell is quoted, unless the word that is being
# typed begins with a quote.
_BASH = r"""
%(complete_func)s() {
    local IFS=$'\n' response type value

    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete "$1" 2>/dev/null)

    while IFS=',' read -r type value; do
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain|part)
                [[ $type == part ]] && compopt -o nospace
                [[ ${COMP_WORDS[COMP_CWORD]} == [\"\']* ]] || printf -v value %%q "$value"
                COMPREPLY+=("$value") ;;
        esac
    done <<< "$response"

    return 0
}

%(complete_func)s_setup() {
    complete -o nosort -F %(complete_func)s %(prog_name)s
}

%(complete_func)s_setup;
"""
_ZSH = r"""
#compdef %(prog_name)s

%(complete_func)s() {
    local -a finished described unfinished response
    local type key descr
    (( ! $+commands[%(prog_name)s] )) && return 1

    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
%(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)}")

    for type key descr in ${response}; do
        case $type in
            plain) if [[ "$descr" == "_" ]]; then finished+=("$key"); else described+=("$key":"$descr"); fi ;;
            part) unfinished+=("$key") ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done

    [[ -n "$described" ]] && _describe -V unsorted described -U
    [[ -n "$finished" ]] && compadd -U -V unsorted -a finished
    [[ -n "$unfinished" ]] && compadd -U -S '' -V unsorted -a unfinished
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


@click.command(short_help="The script with which a shell completes commands.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@shared_options
def completion(shell: str, as_json: bool) -> None:
    """Print the script that lets a shell complete commands, repositories, sessions, objects, labs and subjects.

    TAB is answered from the index of the last command, and never from the network.

    \b
    bash: put this line at the end of ~/.bashrc
      eval "$(onelight completion bash)"
    zsh: put this line at the end of ~/.zshrc, after compinit
      eval "$(onelight completion zsh)"
    fish: run this once
      onelight completion fish > ~/.config/fish/completions/onelight.fish

    It is in force in shells that are started afterwards.
    """
    import json

    script = _SHELLS[shell](click.Command("onelight"), {}, "onelight", _VARIABLE).source().strip()
    click.echo(json.dumps({"shell": shell, "script": script}) if as_json else script)


def answer(commands: click.Command) -> int:
    """Print what can come next, as the shell asks for it; whatever goes wrong, nothing."""
    shell, _, instruction = os.environ.get(_VARIABLE, "").partition("_")
    with contextlib.suppress(Exception, KeyboardInterrupt):
        if shell in _SHELLS and instruction in ("source", "complete"):
            with contextlib.redirect_stderr(None):  # a remark would land in the middle of what is being typed
                asked = _SHELLS[shell](commands, {}, "onelight", _VARIABLE)
                text = asked.source() if instruction == "source" else asked.complete()
            # As click does it: bytes, for Windows would make two characters of each end of a line.
            click.echo(text.encode("utf-8", "surrogateescape"))
    return 0


class _InParts(ShellComplete):
    """A shell that can be told that a word goes on."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return what can come next; of too much, its beginnings."""
        return _shortened(_completions(super().get_completions, args, incomplete))


class _Bash(_InParts, BashComplete):
    source_template: ClassVar[str] = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before, and the one that is being typed; bash takes ``--lab=nick`` for three."""
        args, incomplete = super().get_completion_args()
        return [word for word in args if word != "="], "" if incomplete == "=" else incomplete


class _Zsh(_InParts, ZshComplete):
    source_template: ClassVar[str] = _ZSH


class _Fish(FishComplete):
    """Fish puts no space behind a word that ends with ``/``, whatever it is told; it shows any number, in pages."""

    # A name may have a comma.
    source_template: ClassVar[str] = FishComplete.source_template.replace('string split "', 'string split -m 1 "')

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        return _completions(super().get_completions, args, incomplete)

    def format_completion(self, item: CompletionItem) -> str:
        item.type = "plain" if item.type == _PART else item.type
        return super().format_completion(item)


_SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


def _completions(
    complete: Callable[[list[str], str], list[CompletionItem]], args: list[str], incomplete: str
) -> list[CompletionItem]:
    """Return what can come next and can be put on a command line as it stands."""
    if args == ["repo"] and not incomplete.startswith("-"):
        found = _plain(_repositories(), incomplete)
    else:
        found = complete(args, incomplete)
    return [item for item in found if item.type in ("file", "dir") or _HARMLESS.fullmatch(item.value)]


def candidates(what: str, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return what a parameter can be.

    Parameters
    ----------
    what : str
        ``repository``, ``session``, ``dataset``, ``collection``, ``lab``, ``subject`` or ``file``.
    ctx : click.Context
        What was typed before: the repository, and the session of a dataset.
    incomplete : str
        What the word begins with.
    """
    if what == "file":
        return [CompletionItem(incomplete, type="file")]
    if what == "repository":
        return _plain(_repositories(), incomplete)
    with _kept(ctx.params.get("repository") or ctx.params.get("source")) as kept:  # copy has two, and copies the first
        if what == "session":
            return _parts(kept, incomplete)
        if what in ("lab", "subject"):
            place = {"lab": 0, "subject": 2}[what]
            return _plain(sorted({session.split("/", 3)[place] for session in _sessions(kept)}), incomplete)
        names = _names(kept, ctx.params.get("session"))
    return _plain(_collections(names) if what == "collection" else _datasets(names, incomplete), incomplete)


def _config() -> Config | None:
    """Return the configuration, unless there is none yet: to press a key makes no folder."""
    from onelight.config import Config, default_folder

    return Config.load() if (default_folder() / "config.json").is_file() else None


def _repositories() -> list[str]:
    config = _config()
    return [settings.name for settings in config.repositories] if config is not None else []


def _kept(repository: str | None) -> contextlib.closing[Catalogue]:
    """Open the index that is kept of a repository."""
    from onelight.index.catalogue import KEPT_INDEX, Catalogue

    config = _config()
    if config is None:
        raise FileNotFoundError
    folder = config.index_folder(config.repository(repository).name)
    return contextlib.closing(Catalogue.open(folder / KEPT_INDEX))


def _sessions(kept: Catalogue, begin: str = "") -> Iterator[str]:
    """Yield the sessions from a text on, in order; no more of the index is read than is taken of them."""
    place = bisect_right(kept.firsts, begin, key=lambda first: first[0])
    for _, number in kept.firsts[max(place - 1, 0) :]:
        sessions = kept.segment(number).sessions
        yield from sessions[bisect_left(sessions, begin) :]


def _names(kept: Catalogue, session: str | None) -> list[str]:
    """Return the names of files that there are, in one session or in all."""
    if session is None:
        return list(dict.fromkeys(name for segment in kept.segments() for name in segment.names))
    place = bisect_right(kept.firsts, session, key=lambda first: first[0])
    segment = kept.segment(kept.firsts[place - 1][1])
    if session not in segment.sessions:
        return []
    bit = 1 << segment.sessions.index(session)
    return [name for place, name in enumerate(segment.names) if segment.having(place) & bit]


def _collections(names: Iterable[str]) -> list[str]:
    folders = {name.rpartition("/")[0].rpartition("/#")[0] or name.rpartition("/")[0] for name in names}
    return sorted(folder for folder in folders if folder and not folder.startswith("#"))


def _datasets(names: Iterable[str], incomplete: str) -> list[str]:
    """Return objects, or, behind the name of one, its dataset types."""
    from onelight.alf import Dataset
    from onelight.errors import AlfError

    object_, dot, _ = incomplete.partition(".")
    types = set()
    for name in islice((name for name in names if object_ in name), _MOST_NAMES):
        with contextlib.suppress(AlfError):
            types.add(Dataset.parse(name).type)
    objects = {type_.partition(".")[0] for type_ in types}
    if dot:
        return sorted(types)
    return sorted(objects) + (
        sorted(type_ for type_ in types if type_.startswith(f"{object_}.")) if object_ in objects else []
    )


def _plain(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _parts(kept: Catalogue, incomplete: str) -> list[CompletionItem]:
    """Return sessions; of many, only up to the first part of the path in which they differ."""
    begun = takewhile(lambda session: session.startswith(incomplete), _sessions(kept, incomplete))
    typed = incomplete.count("/")
    # Behind the date, the number is all that is left.
    sessions = list(begun if typed >= 4 else islice(begun, _MOST + 1))
    if len(sessions) <= _MOST or typed >= 4:
        return [CompletionItem(session) for session in sessions]
    parts: list[str] = list(_parts_of(kept, incomplete, typed + 1))
    for depth in range(typed + 2, 5):
        deeper = list(islice(_parts_of(kept, incomplete, depth), len(parts) + 1))
        if len(deeper) > len(parts):
            break
        parts = deeper
    return [CompletionItem(f"{part}/", type=_PART) for part in parts]


def _parts_of(kept: Catalogue, incomplete: str, depth: int) -> Iterator[str]:
    """Yield so many parts of sessions, each beginning once: from one to the next, past all that begin the same."""
    begin = incomplete
    while (session := next(_sessions(kept, begin), "")) and session.startswith(incomplete):
        part = "/".join(session.split("/", depth)[:depth])
        yield part
        begin = f"{part}0"  # the character that follows "/"


def _shortened(items: list[CompletionItem]) -> list[CompletionItem]:
    """Return items; of too many, only up to the first character in which they differ."""
    if len(items) <= _MOST:
        return items
    types = {item.value: item.type for item in items}
    length = len(os.path.commonprefix([min(types), max(types)])) + 1  # noqa: RUF071 - of characters
    beginnings = dict.fromkeys(value[:length] for value in types)
    return [CompletionItem(text, type=types.get(text, _PART)) for text in beginnings]

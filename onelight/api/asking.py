"""The first part of One: a repository of the configuration, and what it can be asked."""

from __future__ import annotations

import builtins
import contextlib
import difflib
import logging
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from onelight.alf import Pattern, Query, Session, newest
from onelight.client import Client, Limits
from onelight.config import Config
from onelight.errors import (
    AlfError,
    DatasetNotFound,
    NotFound,
    ObjectNotFound,
    RateLimited,
    RepositoryError,
    SessionNotFound,
    Unreachable,
)
from onelight.index import Entry, Index, Terms, read_table, write_table
from onelight.kinds import open_repository
from onelight.repository import Repository

CACHED_INDEX = ".one_index"
_log = logging.getLogger("onelight")


class Asking:
    """A repository of the configuration, its index, and the questions that the index answers.

    Parameters
    ----------
    repository, cache_dir : optional
        As for :class:`onelight.api.One`.
    """

    def __init__(self, repository: str | None = None, cache_dir: Path | str | None = None) -> None:
        self._cache_dir = Path(cache_dir).expanduser().absolute() if cache_dir is not None else None
        self._open(Config.load(), repository)

    def _open(self, config: Config, name: str | None) -> None:
        settings = config.repository(name)
        self._folder = self._cache_dir / settings.name if self._cache_dir else config.data_folder(settings.name)
        self._connections = config.connections
        limits = Limits(**config.limits)  # type: ignore[arg-type]  # attempts is an int there
        most = self._connections
        self._client = Client(limits=limits) if most is None else Client(connections=most, limits=limits)
        self._repository: Repository = open_repository(settings, self._client)
        self._index: Index | None = None
        if config.remark:
            _log.warning("%s", config.remark)

    def __repr__(self) -> str:
        return f"<One: {self._repository.kind} repository '{self._repository.name}' at {self._repository.address}>"

    @property
    def repository(self) -> Repository:
        """The repository in use."""
        return self._repository

    @property
    def folder(self) -> Path:
        """The folder below which the files of the repository land."""
        return self._folder

    def repositories(self) -> builtins.list[str]:
        """Return the names of the repositories in the configuration.

        Examples
        --------
        >>> from onelight import One
        >>> One("local").repositories()[1]
        'nick19'
        """
        return [settings.name for settings in Config.load().repositories]

    def set_repository(self, name: str) -> None:
        """Use another repository from now on; the configuration is not changed.

        Parameters
        ----------
        name : str
            Name of a repository of the configuration.

        Raises
        ------
        RepositoryNotFound
            If there is none of this name; the one in use stays in use.
        """
        self._open(Config.load(), Config.load().repository(name).name)

    # Asking

    def refresh(self) -> Index:
        """Bring the index up to date and return it.

        When the repository cannot be reached, the index of the last time answers, with a warning that says its age.

        Raises
        ------
        Unreachable, RateLimited
            If the repository cannot be reached and there is no index of an earlier time.
        """
        try:
            index = self._repository.refresh()
        except (Unreachable, RateLimited) as error:
            index = self._cached_index(error)
        else:
            self._cache_index(index)
            for remark in index.remarks[:5]:
                _log.warning("%s", remark)
            if len(index.remarks) > 5:
                _log.warning("and %d more remarks on the index of '%s'", len(index.remarks) - 5, self._repository.name)
        self._index = index
        return index

    def search(
        self,
        datasets: str | Iterable[str] | None = None,
        *,
        lab: object = None,
        subject: object = None,
        date: object = None,
        number: object = None,
        collection: str | None = None,
        revision: str | None = None,
        namespace: str | None = None,
        timescale: str | None = None,
        extension: str | None = None,
    ) -> builtins.list[str]:
        """Return the sessions that have all of the datasets asked for.

        Parameters
        ----------
        datasets : str or iterable of str, optional
            Objects (``"spikes"``), dataset types (``"spikes.times"``) or file names, each with ``*`` for any text;
            a session must have every one of them. By default every session is returned.
        lab, subject, date : str or sequence of str, optional
            Whole values, with ``*`` for any text; of a sequence, any.
        number : int, str or sequence, optional
            Number of the session on its day; 1 and ``"001"`` are the same.
        collection, revision, namespace, timescale, extension : str, optional
            What the names of these datasets must have, as for :meth:`entries`.

        Returns
        -------
        list of str
            Sessions, ``lab/Subjects/subject/date/number``, sorted.

        Raises
        ------
        AlfError
            If a pattern is empty or not a pattern.

        Examples
        --------
        >>> from onelight import One
        >>> One("local").search(["spikes.times", "trials"], subject="Cori", number=1)
        []
        """
        texts = [datasets] if isinstance(datasets, str) else list(datasets or ())
        query = Query(None, collection, revision, namespace, timescale, extension)
        queries = [replace(query, pattern=Pattern(text)) for text in texts]
        if not queries and query != Query():
            queries = [query]
        return self._the_index().search(queries, lab=lab, subject=subject, date=date, number=number)

    def search_terms(self) -> Terms:
        """Return what can be searched for.

        Returns
        -------
        Terms
            ``(lab, subject, date, number, dataset_types)``, each a sorted list of str.
        """
        return self._the_index().terms()

    def list(self, session: str) -> builtins.list[str]:
        """Return the dataset types of a session.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.

        Returns
        -------
        list of str
            ``object.attribute``, each once, sorted.

        Raises
        ------
        AlfError
            If the text is not a session.
        SessionNotFound
            If the repository has no such session.
        """
        return sorted({entry.dataset.type for entry in self.entries(session) if entry.dataset})

    def entries(
        self,
        session: str,
        dataset: str | None = None,
        collection: str | None = None,
        *,
        revision: str | None = None,
        namespace: str | None = None,
        timescale: str | None = None,
        extension: str | None = None,
    ) -> builtins.list[Entry]:
        """Return the files of a session as the index has them, sorted, in all revisions unless one is asked for.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.
        dataset : str, optional
            Only those of an object, dataset type or file name, as for :meth:`search`.
        collection, namespace, timescale, extension : str, optional
            Only those that have these parts, as wholes, with ``*`` for any text: ``collection="alf/probe00"``. An
            empty text asks for what has no such part.
        revision : str, optional
            Of each dataset the newest revision up to this one, compared as text; an empty text asks for what has
            none.

        Raises
        ------
        AlfError
            If the text is not a session or a pattern.
        SessionNotFound
            If the repository has no such session.
        ObjectNotFound, DatasetNotFound
            If the session has nothing of the kind; the message names what there is.
        """
        query = Query(None, collection, revision, namespace, timescale, extension)
        return self._entries(session, dataset, query, every=revision is None)

    def _entries(self, session: str, dataset: str | None, query: Query, *, every: bool) -> builtins.list[Entry]:
        """Return what is asked for, in every revision or in the newest of those that may answer."""
        if not isinstance(session, str):
            raise AlfError(f"{session!r} is not a session", hint="Give it as text, as search returns it")
        index = self._the_index()
        found = index.find_session(Session.parse(session))
        if found is None:
            raise SessionNotFound(
                f"the repository '{self._repository.name}' has no session {session}", hint=_suggest(session, index)
            )
        query = replace(query, pattern=Pattern(dataset)) if dataset is not None else query
        entries = index.select(found, query)
        if not entries and query != Query():
            raise _not_found(query, found, index.select(found))
        if every:
            return entries
        by_path = {entry.below: entry for entry in entries}
        return [by_path[path] for path in sorted(newest(by_path, query.revision))]

    def _the_index(self) -> Index:
        return self._index if self._index is not None else self.refresh()

    def _most(self, parallel: int | None) -> int | None:
        """Return the most connections to one host: what is asked for, else what the configuration says, if anything."""
        return parallel if parallel is not None else self._connections

    def _cache_index(self, index: Index) -> None:
        if self._repository.kind == "local":
            return
        temporary = self._folder / f"{CACHED_INDEX}.{secrets.token_hex(4)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as stream:
                write_table(index, stream)
            temporary.replace(self._folder / CACHED_INDEX)
        except OSError as error:
            # Reading works without it; only the next time without a network will not.
            _log.info("the index could not be kept for later: %s", error)
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _cached_index(self, error: RepositoryError) -> Index:
        index = last_index(self._folder)
        if index is None:
            raise error from None
        age = time.time() - (self._folder / CACHED_INDEX).stat().st_mtime
        _log.warning("%s; answering from the index of %s ago", error.message, _duration(age))
        return index


def last_index(folder: Path) -> Index | None:
    """Return the index of a repository as it was when it was last asked for, kept in its data folder; None if none."""
    try:
        with (folder / CACHED_INDEX).open("rb") as stream:
            return read_table(stream)
    except (OSError, ValueError):
        return None


def _suggest(session: str, index: Index) -> str:
    near = difflib.get_close_matches(session, index.sessions, 3)
    return f"Did you mean {' or '.join(near)}?" if near else "`onelight search` lists the sessions that are there"


def _not_found(query: Query, session: str, entries: Sequence[Entry]) -> NotFound:
    """Say that a session has nothing of the kind, and what it has that is nearest."""
    datasets = [entry.dataset for entry in entries if entry.dataset]
    parts = {name: getattr(query, name) for name in ("collection", "revision", "namespace", "timescale", "extension")}
    where = "".join(f" with {name}={value!r}" for name, value in parts.items() if value is not None)
    text = query.pattern.text if query.pattern is not None else ""
    fitting = [dataset for dataset in datasets if query.pattern is None or query.pattern.matches(str(dataset))]
    if fitting and where:  # the pattern is right, a part is not: say what that part can be
        has = {
            name: sorted({getattr(dataset, name) for dataset in fitting}) for name in parts if parts[name] is not None
        }
        hint = "; ".join(f"{name} is one of: {', '.join(map(repr, values))}" for name, values in has.items())
        if text and "." not in text.rpartition("/")[2]:
            return ObjectNotFound(f"{session} has no object '{text}'{where}", hint=f"Of it, {hint}")
        what = f" '{text}'" if text else ""
        return DatasetNotFound(f"{session} has no dataset{what}{where}", hint=f"Of it, {hint}")
    if "." not in text.rpartition("/")[2]:
        names = sorted({dataset.object for dataset in datasets})
        near = difflib.get_close_matches(text, names, 1)
        guess = f"Did you mean {near[0]}? " if near else ""
        return ObjectNotFound(f"{session} has no object '{text}'{where}", hint=f"{guess}It has: {', '.join(names)}")
    types = sorted({dataset.type for dataset in datasets})
    near = difflib.get_close_matches(text, types, 3) or types
    return DatasetNotFound(f"{session} has no dataset '{text}'{where}", hint=f"It has: {', '.join(near)}")


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} seconds"

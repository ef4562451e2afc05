"""The first part of One: a repository of the configuration, and what it can be asked."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from onelight.alf import Pattern, Query, Session, newest
from onelight.api.question import Asked, nearest_session, not_found
from onelight.config import Config
from onelight.current import CurrentIndex
from onelight.errors import AlfError, NotFound, SessionNotFound
from onelight.index import Entry, Index, Terms, Total
from onelight.kinds import open_repository
from onelight.notes import log
from onelight.repository import Repository

if TYPE_CHECKING:
    from onelight.client import Client


class Asking:
    """A repository of the configuration, its index, and the questions that the index answers.

    Parameters
    ----------
    repository, cache_dir, offline : optional
        As for :class:`onelight.api.One`.
    """

    def __init__(
        self, repository: str | None = None, cache_dir: Path | str | None = None, *, offline: bool | None = None
    ) -> None:
        self._offline = offline
        self._cache_dir = Path(cache_dir).expanduser().absolute() if cache_dir is not None else None
        self._open(Config.load(), repository)

    def _open(self, config: Config, name: str | None) -> None:
        settings = config.repository(name)
        self._folder = self._cache_dir / settings.name if self._cache_dir else config.data_folder(settings.name)
        self._connections = config.connections
        offline = config.offline if self._offline is None else self._offline
        self._client = cast("Client", _ClientLater(config.connections, config.limits, offline=offline))
        self._repository: Repository = open_repository(settings, self._client)
        is_own = self._cache_dir is not None and settings.kind != "local"
        kept = self._folder if is_own else config.index_folder(settings.name)
        self._current = CurrentIndex(self._repository, kept, max_age=config.index_max_age, offline=offline)
        if config.remark:
            log.warning("%s", config.remark)

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

    @property
    def version(self) -> int | None:
        """The version of the figshare article that answers; None for a draft, and where there are no versions.

        To answer the same again in ten years, write it down, or add the repository with it: ``add-repo NAME --figshare
        ID.v3``.
        """
        stamp = self._current.ask(lambda index: index.fact("stamp"))
        words = stamp.split(" ") if stamp.startswith("version ") and self._repository.kind == "figshare" else []
        return int(words[1]) if len(words) == 2 and words[1].isdecimal() else None

    def refresh(self) -> Index:
        """Ask the repository for its index, however new the one that is here, and return it.

        Without this the repository is asked where the last answer is older than ten minutes (``index_max_age`` in the
        configuration), and of a local folder each time. When it cannot be reached, the index of the last time answers,
        with a warning that says its age.

        Raises
        ------
        Unreachable, RateLimited
            If the repository cannot be reached and there is no index of an earlier time.
        """
        return self._current.get(refresh=True)

    def search(
        self,
        datasets: str | Iterable[str] | None = None,
        *,
        any_of: str | Iterable[str] | None = None,
        without: str | Iterable[str] | None = None,
        lab: object = None,
        subject: object = None,
        date: object = None,
        date_range: object = None,
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
        any_of : str or iterable of str, optional
            The same, and a session must have one of these at least.
        without : str or iterable of str, optional
            The same, and a session must have none of these.
        lab, subject : str or sequence of str, optional
            Whole values, with ``*`` for any text; of a sequence, any.
        date : str, datetime.date or sequence, optional
            ``"2016-12-14"``, or a text with ``*`` such as ``"2016-12-*"``; of a sequence, any.
        date_range : pair, optional
            First and last day, both included: ``("2016-12-14", "2016-12-20")``. A text may be a month or a year, all
            of which is meant; None is open: ``("2019-01", None)``.
        number : int, str or sequence, optional
            Number of the session on its day; 1 and ``"001"`` are the same.
        collection, revision, namespace, timescale, extension : str, optional
            What the names of these datasets must have, as for :meth:`entries`.

        Returns
        -------
        list of str
            Sessions, ``lab/Subjects/subject/date/number``, sorted. Where nothing is found because a name occurs
            nowhere, a warning says so, with the nearest names that do.

        Raises
        ------
        AlfError
            If a pattern is empty or not a pattern, or a date is none.

        Examples
        --------
        >>> from onelight import One
        >>> One("local").search(["spikes.times", "trials"], subject="Cori", date_range=("2016-12", None))
        []
        """
        asked = _asked(
            datasets,
            any_of=any_of,
            without=without,
            lab=lab,
            subject=subject,
            date=date,
            date_range=date_range,
            number=number,
            collection=collection,
            revision=revision,
            namespace=namespace,
            timescale=timescale,
            extension=extension,
        )
        return self._current.ask(asked.answer)

    def totals(
        self, by: str = "subject", datasets: str | Iterable[str] | None = None, **filters: Any
    ) -> builtins.list[Total]:
        """Return how many sessions, datasets and bytes there are, of the sessions that :meth:`search` would return.

        Parameters
        ----------
        by : str
            ``"subject"``, ``"object"`` or ``"session"``: a total of each.
        datasets, **filters : optional
            As for :meth:`search`. They choose sessions; all files of these are counted.

        Returns
        -------
        list of Total
            ``(name, sessions, datasets, size)``, sorted by name; a size of None where the repository does not state
            that of every file. ``pandas.DataFrame(one.totals("session"))`` makes a table of it.

        Raises
        ------
        AlfError
            If ``by`` is something else, and as for :meth:`search`.

        Examples
        --------
        >>> from onelight import One
        >>> One("local").totals("object")
        []
        """
        ways = {"subject": Index.by_subject, "object": Index.by_object, "session": Index.by_session}
        if by not in ways:
            raise AlfError(f"totals by {by!r} are not made", hint=f"Choose one of {', '.join(map(repr, ways))}")
        if datasets is None and not filters:
            return self._current.ask(ways[by])
        asked = _asked(datasets, **filters)
        return self._current.ask(lambda index: ways[by](index, asked.answer(index)))

    def search_terms(self) -> Terms:
        """Return what can be searched for.

        Returns
        -------
        Terms
            ``(lab, subject, date, number, dataset_types)``, each a sorted list of str.
        """
        return self._current.ask(Index.terms)

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
        parsed = Session.parse(session)
        query = replace(query, pattern=Pattern(dataset)) if dataset is not None else query

        def question(index: Index) -> builtins.list[Entry]:
            found = index.find_session(parsed)
            if found is None:
                raise SessionNotFound(
                    f"the repository '{self._repository.name}' has no session {session}",
                    hint=nearest_session(parsed, index),
                )
            entries = index.select(found, query)
            if not entries and query != Query():
                raise not_found(query, found, index.select(found))
            return entries

        try:
            entries = self._current.ask(question)
        except NotFound:
            if not self._current.may_be_old:
                raise
            self._current.get(refresh=True)
            entries = self._current.ask(question)
        entries = self._repository.look(entries)
        if every:
            return entries
        by_path = {entry.below: entry for entry in entries}
        return [by_path[path] for path in sorted(newest(by_path, query.revision))]

    def _most(self, parallel: int | None) -> int | None:
        """Return the most connections to one host: what is asked for, else what the configuration says, if anything."""
        return parallel if parallel is not None else self._connections


def _asked(
    datasets: str | Iterable[str] | None,
    *,
    any_of: str | Iterable[str] | None = None,
    without: str | Iterable[str] | None = None,
    collection: str | None = None,
    revision: str | None = None,
    namespace: str | None = None,
    timescale: str | None = None,
    extension: str | None = None,
    lab: object = None,
    subject: object = None,
    date: object = None,
    date_range: object = None,
    number: object = None,
) -> Asked:
    """Return what :meth:`Asking.search` was asked for."""
    query = Query(None, collection, revision, namespace, timescale, extension)
    filters = {"lab": lab, "subject": subject, "date": date, "date_range": date_range, "number": number}
    return Asked.of(query, datasets, any_of, without, filters)


class _ClientLater:
    """Makes the client when something is first wanted of it: that takes time, and an index on the disk needs none."""

    def __init__(self, connections: int | None, limits: dict[str, float], *, offline: bool) -> None:
        self._how = (connections, limits, offline)
        self._lock = threading.Lock()
        self._client: Client | None = None

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._client is None:
                from onelight.client import Client, Limits

                connections, limits, offline = self._how
                whole = Limits(**limits)  # type: ignore[arg-type]  # attempts is an int there
                self._client = Client(connections=connections, limits=whole, offline=offline)
        return getattr(self._client, name)

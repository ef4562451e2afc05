"""The third part of One: files become arrays, tables and objects, in whole, in slices, or as what their headers say."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from onelight.alf import Pattern, Query
from onelight.api.choosing import Call, ambiguous, no_attribute, one_place, only
from onelight.api.fetching import Fetching
from onelight.errors import (
    AlfError,
    AmbiguousQuery,
    DatasetNotFound,
    Interrupted,
    MissingExtra,
    ObjectNotFound,
    OneError,
    RateLimited,
    Unreachable,
    UnsafeData,
)
from onelight.index import Entry
from onelight.loading import Bunch, load_file
from onelight.loading.objects import (
    Check,
    Part,
    by_key,
    companions,
    is_metadata,
    load_part,
    load_parts,
    names_of,
    squeezed,
    without_explaining,
)
from onelight.loading.registry import translated
from onelight.notes import log
from onelight.route import Inline, Opened
from onelight.threads import pool
from onelight.transfer import Keep

if TYPE_CHECKING:
    from onelight.loading.description import Description
    from onelight.loading.lazy import LazyArray

#: Attributes that hold rows of another object, under another name than the convention has for it.
_POINTS_TO = {"peakChannel": "channels", "channel": "channels", "cluster": "clusters", "probe": "probes"}
#: Elements; an array that is larger is not looked through only to say something about it.
_MANY = 200_000


class Loading(Fetching):
    """What is loaded: files come by themselves, when they are needed."""

    def load_dataset(
        self,
        session: str,
        dataset: str,
        *,
        collection: str | None = None,
        revision: str | None = None,
        namespace: str | None = None,
        timescale: str | None = None,
        extension: str | None = None,
        squeeze: bool = True,
        mmap: bool | None = None,
        download_only: bool = False,
        execute_code_in_the_file: bool = False,
    ) -> Any:
        """Load one dataset, downloading it first where needed.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.
        dataset : str
            A dataset type (``"spikes.times"``) or a file name.
        collection, revision, namespace, timescale, extension : str, optional
            Which one is meant, where several fit; as for :meth:`entries`. Of several revisions the newest is loaded.
        squeeze : bool
            Make a vector of a column ``(N, 1)``, which is how MATLAB writes vectors.
        mmap : bool, optional
            Map arrays into memory, or do not; by default those of more than 100 MB are.
        download_only : bool
            Return the path instead of the content.
        execute_code_in_the_file : bool
            Read arrays of pickled Python objects. Whoever wrote the file can then do on this computer whatever you
            can; there is no way to look first.

        Returns
        -------
        object
            ``numpy.ndarray`` for ``.npy``, ``pandas.DataFrame`` for ``.tsv``, ``.csv`` and ``.pqt``, the value for
            ``.json``; ``docs/loading.md`` has them all. A Path for anything that no reader knows.

        Raises
        ------
        DatasetNotFound
            If the session has no such dataset; the message names those that are near.
        AmbiguousQuery
            If several datasets fit; the message shows how to choose one.
        UnsafeData
            If the file is damaged, or is not what its name says.

        Examples
        --------
        >>> from onelight import One
        >>> One("local").load_dataset("nicklab/Subjects/Cori/2016-12-14/001", "spikes.times")  # doctest: +SKIP
        array([3.36666667e-03, 4.73333333e-03, ..., 2.70255e+03])
        """
        query = Query(None, collection, revision, namespace, timescale, extension)
        entry = self._the_one(session, dataset, query, "load_dataset")
        options = {"mmap": mmap, "execute_code_in_the_file": execute_code_in_the_file}
        if entry.dataset is None:  # a file whose name is not ALF: nothing beside it can be its own
            (path,) = self._run(self._plan([entry]))
            value = path if download_only else load_file(path, **options)
            return squeezed(value) if squeeze else value
        parts = self._parts([entry], revision)
        if download_only:
            return parts[0].path
        return load_part(parts[0], parts, squeeze=squeeze, **options)

    def load_object(
        self,
        session: str,
        obj: str,
        *,
        attribute: str | Sequence[str] | None = None,
        collection: str | None = None,
        revision: str | None = None,
        namespace: str | None = None,
        timescale: str | None = None,
        extension: str | None = None,
        squeeze: bool = True,
        check: Check = "raise",
        mmap: bool | None = None,
        download_only: bool = False,
    ) -> Bunch:
        """Load an object: all its attributes, downloading them first where needed.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.
        obj : str
            Name of the object, such as ``"trials"``, with its namespace if that matters: ``"_ibl_trials"``.
        attribute : str or sequence of str, optional
            Only these, of files and of the columns of tables.
        collection, revision, namespace, timescale, extension : str, optional
            Which files are meant; as for :meth:`entries`. Of several revisions of a dataset, the newest.
        squeeze : bool
            Make vectors of columns ``(N, 1)``, which is how MATLAB writes vectors.
        check : {"raise", "warn", "ignore"}
            What to do if attributes differ in their number of rows.
        mmap : bool, optional
            Map arrays into memory, or do not; by default those of more than 100 MB are.
        download_only : bool
            Return paths instead of contents.

        Returns
        -------
        Bunch
            By ``attribute[_timescale][.extra]``, such as ``trials.intervals``: arrays, tables or what else the files
            are, as for :meth:`load_dataset`. Tables called ``table`` are spread into their columns, numbered pieces
            are joined.

        Raises
        ------
        ObjectNotFound, DatasetNotFound
            If the session has no such object or attribute; the message names those that are there.
        AmbiguousQuery
            If several collections have one; the message shows how to choose.
        RowsDiffer
            If attributes differ in their number of rows.

        Examples
        --------
        >>> from onelight import One
        >>> trials = One("local").load_object("nicklab/Subjects/Cori/2016-12-14/001", "trials")  # doctest: +SKIP
        >>> trials.intervals.shape  # doctest: +SKIP
        (214, 2)
        """
        if "." in obj.rpartition("/")[2]:
            raise AlfError(f"'{obj}' is not an object", hint=f"Load one dataset with load_dataset(session, '{obj}')")
        query = Query(None, collection, revision, namespace, timescale, extension)
        wanted = [attribute] if isinstance(attribute, str) else None if attribute is None else [*attribute]
        if wanted == []:
            raise AlfError("attribute=[] asks for nothing", hint="Leave it out to load all attributes")
        call = Call("load_object", session, obj, query, {} if attribute is None else {"attribute": attribute})
        chosen = [entry for entry in self._entries(session, obj, query, every=False) if entry.dataset]
        if not chosen:
            raise ObjectNotFound(
                f"{session} has no object '{obj}', only a file of this name", hint="Load it with load_dataset"
            )
        one_place(chosen, f"of {session} have '{obj}'", call)
        if wanted is not None and timescale is not None:  # then the attribute is asked for by itself
            fields = {entry.dataset.attribute: entry.dataset.field for entry in chosen if entry.dataset}
            wanted = [fields.get(name, name) for name in wanted]
        has = sorted({entry.dataset.key for entry in chosen if entry.dataset})
        if wanted is not None:
            chosen = only(chosen, wanted, session, obj)
        with call.shown():  # before anything is fetched
            by_key([Part(entry.dataset, self._place(entry)) for entry in chosen if entry.dataset], wanted)
        parts = self._parts(chosen, revision)
        explained, beside = parts[: len(chosen)], parts[len(chosen) :]
        if download_only:
            groups = by_key(explained, wanted)
            return Bunch(
                {
                    key if len(files) == 1 else file.dataset.key: file.path
                    for key, files in groups.items()
                    for file in files
                }
            )
        with call.shown():
            bunch = load_parts(explained, beside, attributes=wanted, squeeze=squeeze, check=check, mmap=mmap)
        self._tell_counting(chosen[0], bunch)
        if wanted is not None:
            there = {"table", *bunch}.union(*(names_of(part.dataset) for part in explained))
            if absent := [name for name in wanted if name not in there]:
                tables = [part for part in explained if part.dataset.field == "table"]
                columns = load_parts(tables, beside, check="ignore") if tables else Bunch()
                raise no_attribute(session, obj, absent, sorted({*has, *columns} - {"table"}))
        return bunch

    def load_collection(
        self,
        session: str,
        collection: str,
        *,
        revision: str | None = None,
        squeeze: bool = True,
        check: Check = "warn",
        mmap: bool | None = None,
    ) -> Bunch:
        """Load every object of a collection, downloading its files first where needed.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.
        collection : str
            Its name, such as ``"alf/probe00"``; an empty text is the folder of the session itself.
        revision, squeeze, mmap
            As for :meth:`load_object`.
        check : {"warn", "raise", "ignore"}
            As there, but by default one object does not keep back the others: that its attributes disagree is told,
            and what cannot be loaded (damaged, there in two forms, without its library) is told and left out.

        Returns
        -------
        Bunch
            Objects by name: ``probe.spikes.times``.

        Raises
        ------
        DatasetNotFound, AmbiguousQuery, RowsDiffer
            As for :meth:`load_object`.
        """
        chosen = self._entries(session, None, Query(None, collection, revision), every=False)
        call = Call("load_collection", session, None, Query(None, collection, revision))
        one_place(chosen, f"of {session} fit '{collection}'", call, objects=False)
        chosen = [entry for entry in chosen if entry.dataset]
        if check == "raise":
            self._check_objects(session, chosen, revision)
        parts = self._parts(chosen, revision)
        beside = parts[len(chosen) :]
        by_object: dict[str, builtins.list[Part]] = {}
        for part in parts[: len(chosen)]:
            by_object.setdefault(part.dataset.object, []).append(part)
        place = {entry.dataset.object: entry for entry in chosen if entry.dataset}
        bunch = Bunch()
        for name, found in sorted(by_object.items()):
            query = Query(None, found[0].dataset.collection, revision)
            try:
                with Call("load_object", session, name, query).shown():
                    bunch[name] = load_parts(found, beside, squeeze=squeeze, check=check, mmap=mmap)
            except (UnsafeData, AmbiguousQuery, MissingExtra) as error:
                if check == "raise":
                    raise
                log.warning("%s of %s is left out: %s", name, session, error)
                continue
            self._tell_counting(place[name], bunch[name])
        return bunch

    def load_session(
        self,
        session: str,
        *,
        revision: str | None = None,
        squeeze: bool = True,
        check: Check = "warn",
        mmap: bool | None = None,
    ) -> Bunch:
        """Load everything of a session, downloading it first where needed.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.
        revision, squeeze, mmap
            As for :meth:`load_object`.
        check : {"warn", "raise", "ignore"}
            As for :meth:`load_collection`.

        Returns
        -------
        Bunch
            Collections by name, and in each of them objects: ``data["alf/probe00"].spikes.times``.
        """
        chosen = self._entries(session, None, Query(revision=revision), every=False)
        found = [entry for entry in chosen if entry.dataset]
        collections = sorted({entry.dataset.collection for entry in found if entry.dataset})
        if check == "raise":
            self._check_objects(session, found, revision)
        self._run(self._plan(found))  # all at once: many small files come together faster
        return Bunch(
            {
                name: self.load_collection(session, name, revision=revision, squeeze=squeeze, check=check, mmap=mmap)
                for name in collections
            }
        )

    def open(
        self,
        session: str,
        dataset: str,
        *,
        collection: str | None = None,
        revision: str | None = None,
        namespace: str | None = None,
        timescale: str | None = None,
        extension: str | None = None,
        squeeze: bool = True,
    ) -> LazyArray:
        """Open an array to take slices of it, without fetching the file.

        Of a file that is here slices are read from the disk, of any other from the server, which sends only the
        bytes that are needed. Where a server cannot do that, the whole file is fetched, and a warning says so.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.
        dataset : str
            A dataset type (``"spikes.times"``) or a file name: ``.npy``, ``.cbin``, or ``.bin`` with metadata.
        collection, revision, namespace, timescale, extension : str, optional
            Which one is meant, as for :meth:`load_dataset`.
        squeeze : bool
            Make a vector of a column ``(N, 1)``, as :meth:`load_dataset` does.

        Returns
        -------
        LazyArray
            With ``shape``, ``dtype`` and the slices of an array; close it, or use it in a ``with`` statement.

        Raises
        ------
        DatasetNotFound, AmbiguousQuery
            As for :meth:`load_dataset`.
        AlfError
            If the form of the file has no slices.
        UnsafeData, TransferError
            If the file is damaged, or was replaced on the server meanwhile.

        Examples
        --------
        >>> from onelight import One
        >>> times = One("local").open("nicklab/Subjects/Cori/2016-12-14/001", "spikes.times")  # doctest: +SKIP
        >>> times[-3:]  # doctest: +SKIP
        array([2702.54, 2702.547, 2702.55])
        """
        from onelight.loading.lazy import open_array
        from onelight.transfer.remote import NoRanges

        query = Query(None, collection, revision, namespace, timescale, extension)
        entry = self._the_one(session, dataset, query, "open")
        # Never looked for beside the file: on a server nothing lies there, and here a stranger's might.
        explaining: dict[str, Any] = {"metadata": {}, "squeeze": squeeze}
        explaining |= self._explanations(self._explaining([entry], revision)[entry])
        if entry.below.lower().endswith(".cbin") and "companion" not in explaining:
            raise DatasetNotFound(
                f"{entry.path} cannot be read: there is no .ch beside it", hint="Ask whoever shares it for that file"
            )
        file = self._file(entry)
        try:
            return open_array(file, Path(entry.path), **explaining)
        except NoRanges as error:
            file.close()
            log.warning("%s; the whole file is fetched", error.message)
            (path,) = self._run(self._plan([entry]))
            file = path.open("rb", buffering=0)
        except BaseException:
            file.close()
            raise
        try:
            return open_array(file, path, **explaining)
        except BaseException:
            file.close()
            raise

    def describe(
        self,
        session: str,
        dataset: str | None = None,
        *,
        collection: str | None = None,
        revision: str | None = None,
        namespace: str | None = None,
        timescale: str | None = None,
        extension: str | None = None,
    ) -> dict[str, Description]:
        """Say what files hold, from their headers, without fetching them.

        Parameters
        ----------
        session : str
            ``lab/Subjects/subject/date/number``.
        dataset : str, optional
            An object, dataset type or file name; by default everything is described.
        collection, revision, namespace, timescale, extension : str, optional
            Which are meant, as for :meth:`load_dataset`.

        Returns
        -------
        dict of str to Description
            By path below the session. One request is made for each file that is not here.

        Raises
        ------
        NotFound
            If there is nothing of the kind.
        AmbiguousQuery
            If a dataset is asked for that several collections have; the message shows how to choose one.
        UnsafeData
            If the one file that is asked for is damaged; of several, its description says so.
        """
        query = Query(None, collection, revision, namespace, timescale, extension)
        chosen = self._entries(session, dataset, query, every=dataset is None and revision is None)
        if dataset is not None:
            call = Call("describe", session, dataset, query)
            one_place(chosen, f"of {session} have '{dataset}'", call, objects=False)
        beside = self._explaining(chosen, revision)
        if others := _each_once(beside):  # together; what fails is told with the file that needs it
            self.run_download(self._plan(others))
        alone = len(chosen) == 1
        with pool(min(8, len(chosen)), "onelight-describe") as workers:
            described = list(workers.map(lambda entry: self._described(entry, beside[entry], alone=alone), chosen))
        return Bunch({entry.below: description for entry, description in zip(chosen, described, strict=True)})

    def describe_here(self, entries: Iterable[Entry]) -> dict[str, Description]:
        """Say what those of some files hold that are on this computer; the repository is not asked.

        Returns
        -------
        dict of str to Description
            By path below the session.
        """
        here = [entry for entry in entries if self._place(entry).is_file()]
        beside = self._explaining(here, None)
        return {entry.below: self._described_here(entry, beside[entry]) for entry in here}

    def _described(self, entry: Entry, beside: Sequence[Entry], *, alone: bool) -> Description:
        from onelight.loading.describe import describe_file, reads_end
        from onelight.loading.description import Description

        try:
            said = self._explanations(beside)
            with self._file(entry, tail=reads_end(Path(entry.path)), beginning=True) as file:
                size = entry.size if entry.size is not None else file.seek(0, os.SEEK_END)
                where = self._place(entry)
                path = where if where.is_file() else Path(entry.path)
                return describe_file(cast("BinaryIO", file), path, size=size, **said)
        except OneError as error:
            if alone or isinstance(error, (Unreachable, RateLimited, Interrupted)):
                raise  # what is said of one file; that the server is away is said once
            kind = "refused" if isinstance(error, UnsafeData) else "unknown"
            return Description(entry.size, kind, note=(error.message,))

    def _described_here(self, entry: Entry, beside: Sequence[Entry]) -> Description:
        from onelight.loading.describe import describe_file
        from onelight.loading.description import Description

        path = self._place(entry)
        size = 0
        try:
            places = [(other, self._place(other)) for other in beside]
            said = _explained([(other, place) for other, place in places if place.is_file()])
            with translated(path), path.open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                return describe_file(file, path, size=size, **said)
        except OneError as error:
            kind = "refused" if isinstance(error, UnsafeData) else "unknown"
            return Description(size, kind, note=(error.message,))

    def _file(self, entry: Entry, *, tail: bool = False, beginning: bool = False) -> io.RawIOBase:
        """Open a file for reading pieces of it: here, if it is here and whole, else on the server."""
        from onelight.transfer.remote import OpenedFile, RemoteFile

        place = self._place(entry)
        if all(isinstance(step, Keep) for step in self._plan([entry]).steps):
            with translated(place):
                return place.open("rb", buffering=0)
        source = self.repository.source(entry)
        if isinstance(source, Path):
            return source.open("rb", buffering=0)
        if isinstance(source, Inline):
            raise UnsafeData(f"{entry.path} is empty (0 bytes)", hint="There is nothing in it to look at")
        if isinstance(source, Opened):
            return OpenedFile(source, self._client, name=entry.path, size=entry.size, tail=tail)
        more = {"tail": tail, "beginning": beginning}
        return RemoteFile(source, self._client, name=entry.path, size=entry.size, **more)

    def _explanations(self, beside: Sequence[Entry]) -> dict[str, Any]:
        """Return what explains a file, fetched: the content of its metadata and of its companion."""
        paths = self._run(self._plan(beside)) if beside else []
        return _explained(zip(beside, paths, strict=True))

    def _the_one(self, session: str, dataset: str, query: Query, verb: str) -> Entry:
        """Return the one file that a question means; what only explains another that fits is not meant."""
        chosen = self._entries(session, dataset, query, every=False)
        itself = set(without_explaining([entry.dataset for entry in chosen if entry.dataset]))
        chosen = [entry for entry in chosen if entry.dataset is None or entry.dataset in itself]
        if len(chosen) > 1:
            call = Call(verb, session, dataset, query)
            raise ambiguous(f"several datasets of {session} fit '{dataset}'", chosen, call)
        return chosen[0]

    def _check_objects(self, session: str, entries: Iterable[Entry], revision: str | None) -> None:
        """Refuse two files of one attribute of any object, before anything is fetched."""
        objects: dict[tuple[str, str], builtins.list[Part]] = {}
        for entry in entries:
            if dataset := entry.dataset:
                parts = objects.setdefault((dataset.collection, dataset.object), [])
                parts.append(Part(dataset, self._place(entry)))
        for (collection, name), parts in sorted(objects.items()):
            with Call("load_object", session, name, Query(None, collection, revision)).shown():
                by_key(parts)

    def _tell_counting(self, entry: Entry, bunch: Bunch) -> None:
        """Say of numbers that point to rows of another object that they count from 1, where they can only mean that.

        The rows are read from headers of files that are here already: nothing is fetched for it.

        Parameters
        ----------
        entry : Entry
            A file of the object.
        bunch : Bunch
            Its attributes.
        """
        from onelight.loading.clock import counts_from_one

        dataset = entry.dataset
        if dataset is None:
            return
        there = self._current.ask(lambda index: index.select(entry.session))
        names = {other.dataset.object for other in there if other.dataset}
        for key, value in dict.items(bunch):
            other = _POINTS_TO.get(key, key)
            if other == dataset.object or other not in names or getattr(value, "size", _MANY) >= _MANY:
                continue
            query = Query(Pattern(other), dataset.collection, extension="npy")
            files = [file for file in there if query.matches(file.below)]
            rows = next(filter(None, (_rows_here(self._place(file)) for file in files)), 0)
            if rows and counts_from_one(value, rows):
                log.warning(
                    "%s.%s counts from 1: it goes up to %d, and %s has %d rows; subtract 1 before using it as a row",
                    *(dataset.object, key, rows, other, rows),
                )

    def _place(self, entry: Entry) -> Path:
        """Return where a file is, or would be, on this computer."""
        if self.repository.kind == "local":
            source = self.repository.source(entry)
            if isinstance(source, Path):
                return source
        return self.folder / entry.path

    def _parts(self, entries: Sequence[Entry], revision: str | None) -> builtins.list[Part]:
        """Fetch files and what explains them; return first these files, then the others."""
        wanted = [entry for entry in entries if entry.dataset]
        beside = _each_once(self._explaining(wanted, revision))
        files = [*wanted, *(entry for entry in beside if entry not in wanted)]
        paths = self._run(self._plan(files))
        return [Part(entry.dataset, path) for entry, path in zip(files, paths, strict=True) if entry.dataset]

    def _explaining(self, entries: Iterable[Entry], revision: str | None) -> dict[Entry, builtins.list[Entry]]:
        """Return for each of some files those that are needed to read it, of no newer revision than this one."""
        wanted = list(entries)
        sessions = {entry.session for entry in wanted}
        selected = self._current.ask(lambda index: {session: index.select(session) for session in sessions})
        of_session = {
            session: {
                other.dataset: other
                for other in others
                if other.below.endswith((".json", ".ch"))
                and other.dataset
                and (revision is None or other.dataset.revision <= revision)
            }
            for session, others in selected.items()
        }
        found = {}
        for entry in wanted:
            there = of_session[entry.session]
            found[entry] = [there[other] for other in companions(entry.dataset, there)] if entry.dataset else []
        return found


def _each_once(beside: dict[Entry, builtins.list[Entry]]) -> builtins.list[Entry]:
    return list(dict.fromkeys(entry for others in beside.values() for entry in others))


def _explained(others: Iterable[tuple[Entry, Path]]) -> dict[str, Any]:
    """Return what files say that explain another: ``metadata`` and ``companion``, where there are any."""
    from onelight.loading.cbin import read_companion
    from onelight.loading.texts import read_json

    found: dict[str, Any] = {}
    for other, path in others:
        if other.dataset is None or not is_metadata(other.dataset):
            found.setdefault("companion", read_companion(path, path))
        elif "metadata" not in found:
            said = read_json(path)  # whatever is registered for a lab's own .json
            found["metadata"] = said if isinstance(said, dict) else None
    return found


def _rows_here(path: Path) -> int:
    """Return the rows of an array file, 0 if it is not here or tells none."""
    from onelight.loading.npy import read_header

    try:
        with path.open("rb") as file:
            shape = read_header(file, path).shape
    except (OSError, OneError):
        return 0
    return shape[0] if shape else 0

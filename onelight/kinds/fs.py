"""Any store that fsspec reaches, as a tree that can be written: S3, Google, Azure, SFTP, SMB, FTP.

The one place that calls fsspec. No path is handed to what expands ``*`` and ``[1]`` in a name, and no list is
remembered, so that what others write is seen.

===================  =============================================================================================
object stores        one connection object for all threads (a loop of asyncio in a thread of fsspec's); what is
                     written is there when it is whole; renamed by a copy on the server
file servers         a connection for each thread that works at the time: neither paramiko nor ftplib lets two
                     threads share one
===================  =============================================================================================
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime as dt
import functools
import hashlib
import io
import re
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from onelight import threads
from onelight.alf import check_safe
from onelight.checksum import BLOCK
from onelight.client import Client
from onelight.errors import (
    ChecksumMismatch,
    NotFound,
    OneError,
    RateLimited,
    RepositoryError,
    Unreachable,
    UnsafeData,
)
from onelight.index import Entry
from onelight.kinds.fsconnect import Connections, code_of, connect, translated
from onelight.kinds.place import Place
from onelight.kinds.tree import Held, NoMove, Taken, Tree, is_part, part_beside
from onelight.kinds.walking import leads_on
from onelight.route import path_url

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")

MAX_DEPTH = 12
# As many as an index holds with ease, and ten times that: this store is the user's own.
MAX_FILES = 20_000_000
_AT_A_TIME = 4
# Bytes; more is no index.
_MAX_READ = 2 << 30
# Bytes of a part of a large object; a store takes 10,000 of them.
_PART, _PARTS = 16 << 20, 9_000
_MD5 = re.compile(r"[0-9a-f]{32}")


class FsTree(Tree):
    """A folder of a store that fsspec reaches.

    Parameters
    ----------
    place : Place
        Where it is.
    client : Client
        Says how long to wait and how often to try, and ends what waits.
    base_url : str
        Where readers find the same files; empty where they use fsspec themselves.
    """

    def __init__(self, place: Place, client: Client, *, base_url: str = "") -> None:
        self._place = place
        self._client = client
        self._base_url = base_url
        self._is_objects = place.is_objects
        self._connections = Connections(functools.partial(connect, place, client.limits), shared=self._is_objects)
        self._end = weakref.finalize(self, self._connections.close)
        self._made: set[str] = set()
        self._etags_are_md5: bool | None = None if place.protocol == "s3" else False

    def __repr__(self) -> str:
        return f"<FsTree {self._place.shown}>"

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._connections.close()

    def url(self, path: str) -> str:
        """Return the address at which readers find a file; its quoted path where they use fsspec."""
        return path_url(self._base_url, path)

    # Looking

    def walk(self) -> Iterator[Held]:
        """Yield every file in a session and at the top; folders of one depth are listed several at a time."""
        count = 0
        level = [""]
        with threads.pool(_AT_A_TIME, "onelight-list") as pool:
            for _ in range(MAX_DEPTH):
                below: list[str] = []
                for files, folders in pool.map(self._listed, level):
                    yield from files
                    count += len(files)
                    below += [folder for folder in folders if leads_on(folder)]
                    if count + len(below) > MAX_FILES:
                        raise UnsafeData(
                            f"{self._place.shown} holds more than {MAX_FILES:,} files",
                            hint="Is this the folder of the repository? A repository of that size wants several",
                        )
                if not below:
                    return
                level = below
        raise UnsafeData(f"{self._place.shown} has folders deeper than {MAX_DEPTH}", hint="Remove them there")

    def _listed(self, folder: str) -> tuple[list[Held], list[str]]:
        """Return what is in a folder; of an object store, below a subject all that is below it."""
        whole = self._is_objects and folder.count("/") >= 2
        if whole:
            found = self._do(
                folder, lambda fs: _or_none(lambda: list(fs.find(self._full(folder), detail=True).values()))
            )
        else:
            found = self._do(folder, lambda fs: _or_none(lambda: fs.ls(self._full(folder), detail=True)))
        files, folders = [], []
        for info in found or ():
            path = self._path(info, folder, whole=whole)
            if path is None:
                continue
            kind = self._kind(path, info)
            if kind == "directory":
                folders.append(path)
            elif kind == "file":
                files.append(self._held(path, info))
        return files, folders

    def look(self, folder: str) -> dict[str, Held]:
        """Return the files directly in a folder, by path; none of one that is not there."""
        found = self._do(folder, lambda fs: _or_none(lambda: fs.ls(self._full(folder), detail=True)))
        held = {}
        for info in found or ():
            path = self._path(info, folder, whole=False)
            if path is not None and self._kind(path, info) == "file":
                held[path] = self._held(path, info)
        return held

    def find(self, path: str) -> Held | None:
        """Return one file; None if it is not there."""
        info = self._do(path, lambda fs: self._info(fs, path))
        return None if info is None or info["type"] == "directory" else self._held(path, info)

    def age(self, path: str) -> float | None:
        """Return for how long a file or folder has been unchanged, by the clock that dates what is written there."""
        info = self._do(path, lambda fs: self._info(fs, path))
        if info is None:
            return None
        moments = [_moment(info)]
        if info["type"] == "directory" and moments == [None]:
            moments = [held.moment for held in self.look(path).values()]
        known = [moment for moment in moments if moment is not None]
        return max(0.0, self._now() - max(known)) if known else 0.0

    def _now(self) -> float:
        """Return the time by the clock of the store: what is written now has it."""
        probe = part_beside("")
        try:
            self._do(probe, lambda fs: _put(fs, self._full(probe), b"?"))
            info = self._do(probe, lambda fs: self._info(fs, probe))
        finally:
            with contextlib.suppress(OneError):
                self.remove(probe)
        moment = _moment(info) if info is not None else None
        return time.time() if moment is None else moment

    def read(self, path: str) -> IO[bytes] | None:
        """Return the content of a file, at its beginning; None if it is not there."""
        return self.fetch(path)[0]

    def fetch(self, path: str) -> tuple[IO[bytes] | None, Held | None]:
        """Return the content of a file, at its beginning, and what the store tells of it; None if it is not there."""

        def spooled() -> tuple[IO[bytes] | None, Held | None]:
            try:
                file = self._open_once(path)
            except NotFound:
                return None, None
            with file, contextlib.ExitStack() as failed:
                if file.size > _MAX_READ:
                    raise UnsafeData(f"{self._shown(path)} is {file.size:,} bytes long, too many for an index")
                copy: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=8 << 20)  # noqa: SIM115 - given to the caller
                failed.enter_context(copy)
                while block := file.read(4 * BLOCK):
                    copy.write(block)
                self._check_length(path, copy.tell(), file.size)
                failed.pop_all()
            copy.seek(0)
            return copy, file.held

        return self._again(spooled)

    def open(self, path: str) -> FsFile:
        """Open a file for reading at any place; a lost connection is for the caller to repeat, from where he is.

        Raises
        ------
        NotFound
            If it is not there.
        """
        return self._open_once(path)

    def _open_once(self, path: str) -> FsFile:
        self._client.check_online()
        shown = self._shown(path)
        with translated(shown):
            fs = self._connections.take()
            try:
                info = self._info(fs, path)
                if info is None or info["type"] == "directory":
                    raise _gone(shown)  # noqa: TRY301 - the connection goes back in any case
                # Asked for piece by piece, and nothing beside it: who reads knows what he wants.
                stream = fs.open(self._full(path), "rb", **({"cache_type": "none"} if self._is_objects else {}))
                _hush(stream)
                held = self._held(path, info)
            except BaseException as error:
                self._connections.give_back(fs, good=isinstance(error, OneError))
                raise
        return FsFile(shown, stream, held, lambda good: self._connections.give_back(fs, good=good))

    def md5(self, path: str) -> str:
        """Read a file back and return the md5 of its content."""

        def digest() -> str:
            md5 = hashlib.md5()
            with self._open_once(path) as file:
                count = 0
                while block := file.read(4 * BLOCK):
                    md5.update(block)
                    count += len(block)
                    self._client.wait(0)  # until it is to end
                self._check_length(path, count, file.size)
            return md5.hexdigest()

        return self._again(digest)

    def _check_length(self, path: str, came: int, size: int) -> None:
        if came != size:
            raise Unreachable(f"{self._shown(path)} ended after {came:,} of {size:,} bytes", hint="Try again")

    # Writing

    def make(self, folder: str) -> None:
        """Make a folder and those above it; an object store has none."""
        if self._is_objects or folder in self._made:
            return
        self._do(folder, lambda fs: self._make(fs, self._full(folder)))
        self._made.add(folder)

    def _make(self, fs: Any, full: str) -> None:
        if not full.strip("/.") or _is_folder(fs, full):
            return
        self._make(fs, full.rpartition("/")[0])
        try:
            fs.mkdir(full, create_parents=False)
        except Exception:
            if not _is_folder(fs, full):  # another thread or another computer was faster
                raise

    def write(self, path: str, source: Path, entry: Entry, told: Callable[[int], None]) -> bool:
        """Store a local file; return whether the store has compared it by an md5 of its own."""
        return self._write(path, source, entry, told, {})

    def write_over(self, path: str, source: Path, entry: Entry, told: Callable[[int], None], old: Held | None) -> bool:
        """As :meth:`write`, if what is there is still what it was."""
        self._check_taken(path, old)
        return self._write(path, source, entry, told, self._conditions(old))

    def _conditions(self, old: Held | None) -> dict[str, Any]:
        """Return what lets the store itself see whether a file is still the one it was."""
        if self._place.protocol != "s3":
            return {}
        return {"IfNoneMatch": "*"} if old is None else {"IfMatch": f'"{old.version}"'}

    def _write(
        self, path: str, source: Path, entry: Entry, told: Callable[[int], None], conditions: dict[str, Any]
    ) -> bool:
        told_once, size, full = _Once(told), entry.size or 0, self._full(path)

        def store(fs: Any) -> Held:
            told_once.restart()
            reader.seek(0)
            if self._is_objects and size <= BLOCK:
                content = _block(reader, source, size + 1)
                if len(content) != size or hashlib.md5(content).hexdigest() != entry.md5:
                    raise _changed(source)
                told_once(size)  # before it is sent: afterwards it could not be stopped
                _put(fs, full, content, **conditions)
            else:
                self._send(fs, full, reader, source, entry, told_once, conditions)
            info = self._info(fs, path)
            if info is None or info.get("size") != size:
                raise Unreachable(f"{self._shown(path)} was not stored whole", hint="Run the command again")
            return self._held(path, info)

        with source.open("rb") as reader:
            try:
                held = self._do(path, store)
            except NotFound:  # somebody removed the folder
                self._made.clear()
                self.make(path.rpartition("/")[0])
                held = self._do(path, store)
        if held.md5 is not None and held.md5 != entry.md5:
            if self._do(path, lambda fs: _is_plain(fs, full)):
                if is_part(path):
                    self.remove(path)
                raise ChecksumMismatch(
                    f"{self._shown(path)} arrived with another md5", hint="The same command sends it again"
                )
            self._etags_are_md5 = False  # 32 digits, and no md5: the store encrypts what it holds
            return False
        return held.md5 is not None

    def _send(
        self,
        fs: Any,
        full: str,
        reader: IO[bytes],
        source: Path,
        entry: Entry,
        told: Callable[[int], None],
        conditions: dict[str, Any],
    ) -> None:
        """Send a file block by block; what was not sent to its end, or is another one, does not stay."""
        size, md5, count = entry.size or 0, hashlib.md5(), 0
        how: dict[str, Any] = {}
        if self._is_objects or self._place.protocol == "ftp":
            how["block_size"] = max(_PART, size // _PARTS)
        if conditions:
            how["s3_additional_kwargs"] = conditions
        stream = fs.open(full, "wb", **how)
        try:
            pipelined = getattr(stream, "set_pipelined", None)  # of paramiko: do not wait for each 32 kB
            if pipelined is not None:
                pipelined(True)
            while block := _block(reader, source, BLOCK):
                md5.update(block)
                count += len(block)
                if count > size:
                    break
                if pipelined is not None and count == size:  # with the last byte it is heard what became of the others
                    stream.write(block[:-1])
                    pipelined(False)
                    stream.write(block[-1:])
                else:
                    stream.write(block)
                told(len(block))
            if count != size or md5.hexdigest() != entry.md5:
                raise _changed(source)  # noqa: TRY301 - what was sent is thrown away in any case
            stream.close()
        except BaseException:
            self._throw_away(fs, full, stream)
            raise

    def _throw_away(self, fs: Any, full: str, stream: Any) -> None:
        """End a file without making it one."""
        with contextlib.suppress(Exception):
            if hasattr(stream, "autocommit"):  # of fsspec: to close it would be to store it
                stream.closed = True
                if self._is_objects:
                    stream.discard()
            else:
                stream.close()
        if not self._is_objects:
            with contextlib.suppress(Exception):
                fs.rm_file(full)

    def move(self, path: str, target: str, old: Held | None) -> None:
        """Rename a file: at once on a file server; an object is copied by its store, and the first one removed."""
        tried: Held | None = None

        def rename(fs: Any) -> None:
            nonlocal tried
            info, there = self._info(fs, path), self._info(fs, target)
            now = self._held(target, there) if there is not None else None
            if info is None and tried is not None and now is not None and now.size == tried.size:
                return  # it was done, and the answer lost
            if info is None:
                raise _gone(self._shown(path))
            if not (self._is_objects and tried is not None and _is_same(now, tried)):
                self._compare(target, old, now)
                tried = self._held(path, info)
                self._rename(fs, path, target, old)
            if self._is_objects:
                fs.rm_file(self._full(path))

        self._do(path, rename)

    def _rename(self, fs: Any, path: str, target: str, old: Held | None) -> None:
        first, second = self._full(path), self._full(target)
        protocol = self._place.protocol
        try:
            if protocol == "s3":
                _copy(fs, first, second, self._conditions(old))
            elif self._is_objects:
                fs.cp_file(first, second)
            elif protocol in ("sftp", "ssh") and old is None:
                fs.ftp.rename(first, second)  # of the protocol itself, which replaces nothing
            elif protocol == "smb" and old is not None:
                unc = [f"\\\\{fs.host}" + name.replace("/", "\\") for name in (first, second)]
                import_module("smbclient").replace(*unc, port=fs.port or 445)
            else:
                fs.mv(first, second)
        except FileExistsError as error:
            raise self._taken(target) from error
        except OSError as error:
            if old is None and not self._is_objects and self._info(fs, target) is not None:
                raise self._taken(target) from error
            if "unsupported" in str(error).lower():
                raise NoMove(f"{self._place.shown} does not replace files by renaming") from error
            raise

    def _check_taken(self, path: str, old: Held | None) -> None:
        self._compare(path, old, self.find(path))

    def _compare(self, path: str, old: Held | None, now: Held | None) -> None:
        if not _is_same(now, old):
            raise self._taken(path)

    def _taken(self, path: str) -> Taken:
        return Taken(
            f"{self._shown(path)} was written by somebody else meanwhile",
            hint="Run the command again, which looks anew",
        )

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all in it; what is not there is no error."""
        self._made.clear()
        self._do(path, lambda fs: self._remove(fs, self._full(path)))

    def _remove(self, fs: Any, full: str) -> None:
        info = _or_none(lambda: fs.info(full))
        if info is None:
            return
        if info["type"] != "directory":
            _or_none(lambda: fs.rm_file(full))
            return
        if self._is_objects:
            for name in fs.find(full):
                fs.rm_file(name)
            return
        for inner in fs.ls(full, detail=True):
            self._remove(fs, f"{full}/{_last(inner)}")
        _or_none(lambda: fs.rmdir(full))

    def claim(self, mark: str, token: str) -> str | None:
        """Make a mark: an object that is written only where none is, or a folder, which can be made once."""
        if self._is_objects:
            return self._do(mark, lambda fs: self._claim_object(fs, self._full(mark), token))
        return self._do(mark, lambda fs: self._claim_folder(fs, self._full(mark), token))

    def _claim_object(self, fs: Any, full: str, token: str) -> str | None:
        if _or_none(lambda: fs.info(full)) is not None:  # for stores that do not know the condition
            return self._holder(fs, full)
        try:
            # Said of AWS, Google and Azure alone; a store that does not know it may refuse, or do it all the same.
            fs.pipe_file(full, token.encode(), mode="create")
        except FileExistsError:
            pass
        except (OSError, NotImplementedError) as error:
            if not _is_refused_condition(error):
                raise
            if _or_none(lambda: fs.info(full)) is None:
                _put(fs, full, token.encode())
        return self._holder(fs, full)

    def _claim_folder(self, fs: Any, full: str, token: str) -> str | None:
        made = True
        try:
            fs.mkdir(full, create_parents=False)
        except Exception:
            if not _is_folder(fs, full):
                raise
            made = False
        if made:
            _put(fs, f"{full}/{token}", b"")
        there = sorted(_last(info) for info in _or_none(lambda: fs.ls(full, detail=True)) or ())
        if made and there != [token]:  # this process slept, and somebody did not wait any longer
            fs.rm_file(f"{full}/{token}")
            return next((name for name in there if name != token), None)
        return there[0] if there else None

    def holder(self, mark: str) -> str | None:
        """Read the mark, or look into it."""
        return self._do(mark, lambda fs: self._holder(fs, self._full(mark)))

    def _holder(self, fs: Any, full: str) -> str | None:
        if self._is_objects:
            content = _or_none(lambda: fs.cat_file(full))
            return content.decode("ascii", "replace") if content else None
        names = sorted(_last(info) for info in _or_none(lambda: fs.ls(full, detail=True)) or ())
        return names[0] if names else None

    def release(self, mark: str, token: str) -> None:
        """Remove the object, or the file with the token and the folder if nothing else is in it."""
        self._client.check_online()
        with self._connections.lease(self._shown(mark)) as fs:
            full = self._full(mark)
            if not self._is_objects and token:
                _or_none(lambda: fs.rm_file(f"{full}/{token}"))
            now = self._holder(fs, full)
            if self._is_objects and now == (token or None):
                _or_none(lambda: fs.rm_file(full))
            elif not self._is_objects and now is None:
                _or_none(lambda: fs.rmdir(full))

    def room(self) -> int | None:
        """Return None: no store of these says."""
        return None

    # What all of them do

    def _do(self, path: str, act: Callable[[Any], T]) -> T:
        """Do something with a connection, again where that may help."""

        def once() -> T:
            self._client.check_online()
            with self._connections.lease(self._shown(path)) as fs:
                return act(fs)

        return self._again(once)

    def _again(self, act: Callable[[], T]) -> T:
        until = self._client.deadline()
        attempt = 1
        while True:
            self._client.wait(0)  # not at all, once a run was stopped
            try:
                return act()
            except (Unreachable, RateLimited) as error:
                if self._client.gives_up(error, attempt, until):
                    raise
                self._client.pause(error, attempt)
                attempt += 1

    def _full(self, path: str) -> str:
        """Return a path as fsspec has it."""
        if not path:
            return self._place.root or "/"
        return f"{self._place.root}/{path}"

    def _shown(self, path: str) -> str:
        return f"{self._place.shown}/{path}" if path else self._place.shown

    def _path(self, info: Mapping[str, Any], folder: str, *, whole: bool) -> str | None:
        """Return where something lies that was listed; None for what has no name, or none that is safe."""
        full = self._full(folder)
        name = str(info["name"])
        if whole:
            below = name.removeprefix(full.rstrip("/") + "/")
            # An empty object stands for a folder in some tools; what is no session is nobody's business.
            if name == below or name.endswith("/") or not leads_on(f"{folder}/{below}".rpartition("/")[0]):
                return None
        else:
            below = _last(info)
            if name.strip("/") == full.strip("/") or (name.endswith("/") and info["type"] != "directory"):
                return None
        path = f"{folder}/{below}" if folder else below
        try:
            check_safe(path)
        except UnsafeData:
            return None
        return path

    def _kind(self, path: str, info: Mapping[str, Any]) -> str:
        """Return what something is; of a link, what it leads to."""
        kind = str(info.get("type", ""))
        if kind not in ("link", "other"):
            return kind
        found = self._do(path, lambda fs: self._info(fs, path))
        return str(found["type"]) if found is not None else ""

    def _info(self, fs: Any, path: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = _or_none(lambda: fs.info(self._full(path)))
        return found

    def _held(self, path: str, info: Mapping[str, Any]) -> Held:
        size, moment = info.get("size"), _moment(info)
        etag = str(info.get("ETag") or info.get("etag") or "").strip('"')
        version = etag or (f"{moment:.6f} {size}" if moment is not None else "")
        return Held(path, size if isinstance(size, int) else None, version, self._md5_of(path, info, etag), moment)

    def _md5_of(self, path: str, info: Mapping[str, Any], etag: str) -> str | None:
        """Return the md5 that the store has made, where what it tells is one."""
        if self._place.protocol in ("gcs", "gs"):
            try:
                return base64.b64decode(str(info.get("md5Hash") or ""), validate=True).hex() or None
            except binascii.Error:
                return None
        # That of an object that was sent in parts has a dash; what a key of the owner's own encrypts has another one.
        if self._place.protocol != "s3" or not _MD5.fullmatch(etag) or self._etags_are_md5 is False:
            return None
        if self._etags_are_md5 is None:
            self._etags_are_md5 = self._do(path, lambda fs: _is_plain(fs, self._full(path)))
        return etag if self._etags_are_md5 else None


class FsFile(io.RawIOBase):
    """A file of a store, open for reading at any place.

    Parameters
    ----------
    shown : str
        Its address, for messages.
    stream : binary file
        As fsspec opened it.
    held : Held
        What the store told of it.
    give_back : callable
        Takes the connection back, and whether it is still good.

    Attributes
    ----------
    version : str
        Its entity tag, as HTTP has them: a weak one where it is only a date.
    """

    def __init__(self, shown: str, stream: Any, held: Held, give_back: Callable[[bool], None]) -> None:
        super().__init__()
        self.name = shown
        self.held = held
        self.size = held.size or 0
        self.version = f'{"W/" * (" " in held.version)}"{held.version}"' if held.version else ""
        self._stream = stream
        self._give_back = give_back
        self._good = True
        self._position = 0
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close it and give the connection back."""
        if not self.closed:
            with contextlib.suppress(Exception):
                self._stream.close()
            self._give_back(self._good)
        super().close()

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Say where the next read begins; asks nobody."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"{self.name} has no byte {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read the next bytes; fewer only at the end, or where the store sends fewer.

        Raises
        ------
        Unreachable
            If the connection is lost; the file is of no use then, and to be opened again.
        """
        view = memoryview(buffer).cast("B")
        with self._lock:
            if self.closed:
                raise ValueError(f"{self.name} is closed")
            length = min(len(view), self.size - self._position)
            if length <= 0:
                return 0
            try:
                with translated(self.name):
                    data = self._read_at(self._position, length)
            except BaseException:
                self._good = False
                raise
            view[: len(data)] = data
            self._position += len(data)
            return len(data)

    def _read_at(self, offset: int, length: int) -> bytes:
        if hasattr(self._stream, "readv"):  # paramiko: all of it is asked for at once, and not 32 kB after another
            return b"".join(self._stream.readv([(offset, length)]))
        self._stream.seek(offset)
        return bytes(self._stream.read(length))


@dataclass(frozen=True)
class Opener:
    """What opens one file of a store, for :class:`onelight.route.Opened`; two of one file are equal."""

    tree: FsTree
    path: str

    def __call__(self) -> IO[bytes]:
        """Open it."""
        return self.tree.open(self.path)  # type: ignore[return-value]  # a raw file has all that is asked of it


class _Once:
    """Tells of bytes, of each one once, though they may be sent again."""

    def __init__(self, told: Callable[[int], None]) -> None:
        self._told = told
        self._most = self._now = 0

    def restart(self) -> None:
        self._now = 0

    def __call__(self, count: int) -> None:
        self._now += count
        if self._now > self._most:
            more, self._most = self._now - self._most, self._now
            self._told(more)


# What fsspec and its libraries do


def _put(fs: Any, full: str, content: bytes, **conditions: Any) -> None:
    """Store a few bytes."""
    if conditions or fs.async_impl:
        fs.pipe_file(full, content, **conditions)
        return
    with fs.open(full, "wb") as stream:
        stream.write(content)


def _hush(stream: Any) -> None:
    """Let a thread of paramiko's, which asks ahead, end without a traceback: whoever reads is told of the loss."""
    ask: Any = getattr(stream, "_prefetch_thread", None)

    def quiet(*arguments: Any) -> None:
        with contextlib.suppress(Exception):
            ask(*arguments)

    if ask is not None:
        stream._prefetch_thread = quiet  # noqa: SLF001 - there is no other way to tell it


def _copy(fs: Any, first: str, second: str, conditions: dict[str, Any]) -> None:
    """Copy an object within S3, under a condition if the store knows that."""
    try:
        fs.cp_file(first, second, **conditions)
    except (OSError, NotImplementedError) as error:
        if not _is_refused_condition(error):
            raise
        fs.cp_file(first, second)


def _is_refused_condition(error: Exception) -> bool:
    """Tell whether a store does not know the condition, rather than that it does not hold."""
    return isinstance(error, NotImplementedError) or code_of(error) in ("NotImplemented", "501")


def _is_plain(fs: Any, full: str) -> bool:
    """Tell whether an object of S3 is stored as it came, or with a key of S3's own: only then its tag is an md5."""
    bucket, key, _ = fs.split_path(full)
    said = fs.call_s3("head_object", Bucket=bucket, Key=key)
    return said.get("ServerSideEncryption") in (None, "AES256") and not said.get("SSECustomerAlgorithm")


def _is_folder(fs: Any, full: str) -> bool:
    info = _or_none(lambda: fs.info(full))
    return info is not None and info["type"] == "directory"


def _or_none(ask: Callable[[], T]) -> T | None:
    """Return what something gives; None if it is not there."""
    try:
        return ask()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:
        if _is_missing(error):
            return None
        raise


def _is_missing(error: BaseException) -> bool:
    return isinstance(error, (FileNotFoundError, NotADirectoryError)) or code_of(error) in ("404", "550")


def _last(info: Mapping[str, Any]) -> str:
    return str(info["name"]).rstrip("/").rpartition("/")[2]


def _moment(info: Mapping[str, Any]) -> float | None:
    """Return when something was changed last, in whatever form it is told."""
    for key in ("LastModified", "last_modified", "updated", "mtime", "modify"):
        value = info.get(key)
        if isinstance(value, (int, float)):
            return float(value)
        if isinstance(value, str) and re.fullmatch(r"\d{14}(\.\d+)?", value):  # of FTP
            value = dt.datetime.strptime(f"{value[:14]}+0000", "%Y%m%d%H%M%S%z")
        elif isinstance(value, str):
            with contextlib.suppress(ValueError):
                value = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
        if isinstance(value, dt.datetime):
            return (value if value.tzinfo else value.replace(tzinfo=dt.timezone.utc)).timestamp()
    return None


def _is_same(one: Held | None, other: Held | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.size, one.version) == (other.size, other.version)


def _gone(shown: str) -> NotFound:
    return NotFound(f"{shown} is not there", hint="The same command looks anew, with --refresh also at the index")


def _changed(source: Path) -> ChecksumMismatch:
    return ChecksumMismatch(
        f"{source} changed since it was looked at", hint="Run the command again once nothing writes to it any more"
    )


def _block(reader: IO[bytes], source: Path, size: int) -> bytes:
    """Read from a local file, whose errors are not those of the store."""
    try:
        return reader.read(size)
    except OSError as error:
        raise RepositoryError(f"{source} cannot be read: {error.strerror}", hint="Is the disk still there?") from error

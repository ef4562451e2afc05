"""How a file gets to figshare: begun, sent in parts, completed, checked by figshare.

Nothing is done twice. Where an answer is lost, figshare is asked whether what was sent has arrived before it is sent
again; what an earlier run left half-way is continued from what figshare says it has.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from onelight import threads
from onelight.alf import printable
from onelight.client import NoConnection
from onelight.errors import (
    AccessDenied,
    ChecksumMismatch,
    Interrupted,
    NotFound,
    OneError,
    QuotaExceeded,
    RateLimited,
    RepositoryError,
    TransferError,
    Unreachable,
    UnsafeData,
)
from onelight.index import Entry
from onelight.kinds.figshare.api import as_documented, is_conflict
from onelight.kinds.figshare.article import Article, File
from onelight.kinds.localfile import LocalFile
from onelight.pack import Pack
from onelight.route import check_url, redact

T = TypeVar("T")

_PARTS_AT_A_TIME = 4
_OCTETS = {"Content-Type": "application/octet-stream"}


class Damaged(ChecksumMismatch):
    """figshare made another md5 of what it was sent: the file here is right, and can be sent again."""


class Sender:
    """Sends files to one article; safe to use from several threads.

    Parameters
    ----------
    article : Article
        Where they go.
    patience : float
        Seconds to wait for figshare's own checksum of a file that was sent.
    """

    def __init__(self, article: Article, patience: float) -> None:
        self._article = article
        self._api = article.api
        self._client = article.api.client
        self._patience = patience
        self._checks = Checks(article)
        self._one_part = 0

    def send(
        self,
        name: str,
        path: Path | Pack,
        entry: Entry,
        begun: int | None,
        progress: Callable[[int], None],
        *,
        folder: str = "",
    ) -> Callable[[], File]:
        """Send a file, continuing one that was begun if figshare still knows it.

        Returns
        -------
        callable
            Waits until figshare has checked the file, and returns how it then states it.
        """
        source = LocalFile(path, entry, progress)
        location = self._begin(name, folder, entry) if begun is None else self._article.file_url(begun)
        row = self._await_row(location)
        if row.get("status") == "created" and not self._send_content(row, location, source, is_new=begun is None):
            # The session of an old upload has ended on figshare's side: what it holds cannot be completed.
            self._article.delete_file(int(row["id"]))
            if begun is None:
                raise Unreachable(f"figshare ended the upload of {name}", hint="The same command sends it again")
            return self.send(name, path, entry, None, progress, folder=folder)
        self._checks.add(int(row["id"]))
        end = time.monotonic() + self._patience
        return lambda: self._await_checksum(int(row["id"]), path, entry, end)

    def _send_content(self, row: dict[str, Any], location: str, source: LocalFile, *, is_new: bool) -> bool:
        """Send what figshare does not have and say that this is all; False if it no longer takes any."""
        try:
            if not row.get("upload_url") or not self._send_parts(str(row["upload_url"]), source, is_new=is_new):
                return False
            source.check()
        except NotFound:
            return False
        except Interrupted:
            raise
        except TransferError:  # it changed: nobody has the rest of what was begun
            with contextlib.suppress(OneError):
                self._article.delete_file(int(row["id"]))
            raise

        def complete() -> bool:
            self._api.call("POST", location)
            return True

        return self._once(complete, lambda: self._article.file(location).status != "created" or None)

    def _once(self, act: Callable[[], T], ask: Callable[[], T | None], *, locks: bool = False) -> T:
        """Do what must not be done twice: where the answer is lost, ask what has become of it before doing it again.

        ``locks`` says that 409 means that somebody else, perhaps a lost request of our own, still holds it.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return act()
            except NoConnection:  # it never arrived, and was repeated by the client
                raise
            except Unreachable as error:
                if (is_conflict(error) and not locks) or self._client.gives_up(error, attempt):
                    raise
                self._client.pause(error, attempt)
            done = ask()
            if done is not None:
                return done

    # Beginning

    def _begin(self, name: str, folder: str, entry: Entry) -> str:
        """Announce a file; return its address."""
        body = {"name": name, "size": entry.size, "md5": entry.md5, **({"folder_path": folder} if folder else {})}

        def announce() -> str:
            answer = self._api.call("POST", self._article.files_url, body)
            with as_documented(answer.url):
                location = answer.json().get("location") or answer.headers.get("location")
            # The number is all that is wanted of it: whom to ask is known, and is not for an answer to say.
            number = re.search(r"/files/([0-9]{1,18})/?$", str(location))
            if number is None:
                raise RepositoryError(f"figshare did not say where to send {printable(name)}", hint="Try again later")
            return self._article.file_url(int(number[1]))

        def find() -> str | None:
            found = [
                file.id
                for file in self._article.glance(time.monotonic())[0].values()
                if (file.name, file.size, file.supplied_md5, file.status) == (name, entry.size, entry.md5, "created")
            ]
            if found and folder:  # in another one may be a file like it
                folders = self._api.record(self._article.own).get("folder_structure") or {}
                found = [number for number in found if str(folders.get(str(number), "")).strip("/") == folder]
            return self._article.file_url(max(found)) if found else None

        try:
            return self._once(announce, find)
        except Unreachable as error:
            if is_conflict(error):
                raise RepositoryError(error.message, hint="Is a file of this name there already?") from error
            raise
        except RepositoryError as error:
            raise _refused(error) from error

    def _await_row(self, location: str) -> dict[str, Any]:
        """Return a file just made; figshare may not know it for a moment."""
        end = time.monotonic() + 10
        while True:
            try:
                return dict(self._api.call("GET", location).json())
            except NotFound:
                if time.monotonic() > end:
                    raise
                self._client.wait(0.2)

    # Content

    def _send_parts(self, upload_url: str, source: LocalFile, *, is_new: bool) -> bool:
        """Send the parts that the upload service does not have; False if it no longer takes any."""
        check_url(upload_url, trusted=self._api.url)
        if self._api.url.startswith("https:") and not upload_url.startswith("https:"):
            raise UnsafeData(
                f"figshare wants the file at {redact(upload_url)}, without encryption", hint="Nothing of it was sent"
            )
        upload_url = upload_url.rstrip("/")
        if is_new and source.size <= self._one_part and self._send_at_once(upload_url, source):
            return True
        session = self._client.request("GET", upload_url).json()
        with as_documented(upload_url):
            if session.get("status") == "ABORTED":
                return False
            parts = [(int(part["partNo"]), *_extent(part), part["status"]) for part in session["parts"]]
        if any(start < 0 or start + length > source.size for _, start, length, _ in parts):
            raise UnsafeData("the upload service asks for bytes outside the file")
        self._one_part = max([self._one_part, *(length for _, _, length, _ in parts)])
        missing = [part for part in parts if part[3] != "COMPLETE"]
        for _, start, length, status in parts:
            if status == "COMPLETE":
                source.tell(start, length)

        def send(part: tuple[int, int, int, str]) -> None:
            self._send_part(f"{upload_url}/{part[0]}", source, part[1], part[2])

        if len(missing) <= 1:
            for part in missing:
                send(part)
        else:
            with threads.pool(_PARTS_AT_A_TIME, "onelight-part") as pool:
                list(pool.map(send, missing))
        return True

    def _send_at_once(self, upload_url: str, source: LocalFile) -> bool:
        """Send a file just begun as the one part that it must be, as a larger one was: that saves a request.

        Should the upload service refuse, it is asked what it wants, as always.
        """
        try:
            self._send_part(f"{upload_url}/1", source, 0, source.size)
        except (AccessDenied, RateLimited, Unreachable):
            raise
        except (NotFound, RepositoryError):
            return False
        return True

    def _send_part(self, url: str, source: LocalFile, start: int, length: int) -> None:
        def put() -> bool:
            with source.part(start, length) as body:
                self._client.request("PUT", url, headers=_OCTETS, body=body, repeat=False)
            return True

        def ask() -> bool | None:
            with as_documented(url):
                return dict(self._client.request("GET", url).json())["status"] == "COMPLETE" or None

        self._once(put, ask, locks=True)
        source.tell(start, length)

    # Figshare's checksum

    def _await_checksum(self, number: int, path: Path | Pack, entry: Entry, end: float) -> File:
        """Wait until figshare has checked a file: 202 meant only that it will."""
        wait = 0.02
        while True:
            late = time.monotonic() > end
            # Of a file that is in no list any more nothing comes: asked for by its number, it is not found.
            file = self._article.file(self._article.file_url(number)) if late else self._checks.look(number)
            if file is not None:
                if file.status == "ic_failure" or (file.computed_md5 and file.computed_md5 != entry.md5):
                    self._checks.remove(number)
                    self._article.delete_file(number)
                    raise Damaged(
                        f"figshare received {path} with another md5",
                        hint="Did it change while it was sent? The same command sends it again",
                    )
                if late or (file.whole and file.computed_md5 == entry.md5):
                    self._checks.remove(number)
                    if late and file.status == "created":
                        raise Unreachable(
                            f"figshare has not taken {path}: it still waits for parts of it",
                            hint="The same command sends what is missing",
                        )
                    return file
            self._client.wait(wait)
            wait = min(wait * 1.6, self._checks.longest_wait)


class Checks:
    """The files that figshare is checking; where they are many, one list is asked for instead of each of them.

    Parameters
    ----------
    article : Article
        Where they are.
    """

    FEW = 4  # so many are asked for one by one, but of a server that wants to be asked seldom: then one list is less
    BUSY = 1.0  # seconds between lists while more files are still being sent: then there is no hurry

    def __init__(self, article: Article) -> None:
        self._article = article
        self._interval = article.api.interval
        self._lock = threading.Lock()
        self._open: set[int] = set()
        self._known: dict[int, File] = {}
        self._added = self._listed = -1e9
        self._cost = 0.0
        self._pages = 1
        self._in_vain = 0

    @property
    def longest_wait(self) -> float:
        """Seconds to wait at the most before looking again."""
        return 0.1 if self._is_busy() and not self._interval else 5.0

    def add(self, number: int) -> None:
        """Take note of a file that was completed."""
        with self._lock:
            self._open.add(number)
            self._added = time.monotonic()

    def remove(self, number: int) -> None:
        """Forget a file."""
        with self._lock:
            self._open.discard(number)
            self._known.pop(number, None)

    def look(self, number: int) -> File | None:
        """Return a file as figshare last stated it; None if nobody has asked since it was completed, nor should now."""
        with self._lock:
            known = self._known.get(number)
            if known is not None and known.whole and known.computed_md5:
                return known
            few, now = len(self._open) <= (1 if self._interval else self.FEW), time.monotonic()
            due = not few and now - self._listed >= self._pause()
            if due:
                self._listed = now  # nobody else asks meanwhile
        if few:  # asked without the lock, which those who send want
            return self._article.file(self._article.file_url(number))
        files, pages = self._article.glance() if due else ({}, 1)
        with self._lock:
            if due:
                before = sum(map(_is_settled, self._known.values()))
                self._known = {open_: files[open_] for open_ in self._open if open_ in files}
                self._in_vain = 0 if sum(map(_is_settled, self._known.values())) > before else self._in_vain + 1
                self._listed = time.monotonic()
                self._cost, self._pages = self._listed - now, pages
            return self._known.get(number)

    def _pause(self) -> float:
        """Return the seconds between two lists: more of long ones, and of those that tell nothing new."""
        if self._is_busy():
            return max(self.BUSY * self._pages, 10 * self._cost, 10 * self._interval)
        return max(self._cost * float(min(2**self._in_vain, 64)), 2 * self._interval * self._pages)

    def _is_busy(self) -> bool:
        return time.monotonic() - self._added < 0.1 + 5 * self._interval


def _is_settled(file: File) -> bool:
    return bool(file.computed_md5) or file.status == "ic_failure"


def _extent(part: dict[str, Any]) -> tuple[int, int]:
    start, last = int(part["startOffset"]), int(part["endOffset"])
    return start, last - start + 1  # both ends count


def _refused(error: RepositoryError) -> RepositoryError:
    """Say what a refusal to begin a file is about, whatever its status: figshare documents none for want of room."""
    if re.search(r"files?\b.*\blimit|limit\b.*\bfiles?\b|at most \d+ files", error.message, re.IGNORECASE):
        return QuotaExceeded(
            error.message,
            hint="Say what figshare allows you, files_per_article in the entry of the repository in the configuration,"
            " and let further articles be made (--spread), or send each session as one file (--pack session)",
        )
    if re.search(r"\bquota\b|\blarger than\b", error.message, re.IGNORECASE):
        return QuotaExceeded(
            error.message.removeprefix("figshare refuses access: "),
            hint="Make room at figshare, or share fewer or smaller files",
        )
    return error

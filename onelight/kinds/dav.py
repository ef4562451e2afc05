"""WebDAV (RFC 4918): a web server that takes files, as a :class:`~onelight.kinds.tree.Tree`.

What servers do differently, each tried with the real one (tests/kinds/test_dav.py):

===========  ==========================================================================================
nginx        a folder has to be named with a slash at its end; knows no entity tags in a list
Apache       replaces by removing and renaming: for an instant a reader finds nothing
WsgiDAV      the same
rclone       answers 412 to a condition on an entity tag, whatever it is: then it is looked at instead
Nextcloud    large files go in pieces to an address of their own (its manual, "Chunked file upload")
===========  ==========================================================================================
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from onelight import threads
from onelight.client import Client, NoConnection, Response
from onelight.client.digest import md5_of_route
from onelight.errors import (
    ChecksumMismatch,
    NotFound,
    OneError,
    RateLimited,
    ReadOnlyRepository,
    RepositoryError,
    SizeMismatch,
    TransferError,
    Unreachable,
)
from onelight.index import Entry
from onelight.kinds.listing import Item, read_multistatus
from onelight.kinds.localfile import LocalFile
from onelight.kinds.tree import Held, NoMove, Taken, Tree
from onelight.kinds.walking import PROPFIND, Lists
from onelight.route import Credential, Route, path_url, redact

if TYPE_CHECKING:
    from onelight.client.job import FilePart

#: Nextcloud and ownCloud: a file of more bytes goes in pieces of so many, of which there may be 10,000 (their manual).
CHUNKED_ABOVE = 100 << 20
CHUNK = 50 << 20
_MOST_CHUNKS = 10_000
_CHUNKS_AT_A_TIME = 3
#: Multiples of the limits of a reader, who may come upon anybody's server: this one is the user's own.
_MOST = 50
_MAX_READ = 2 << 30

_OCTETS = {"Content-Type": "application/octet-stream"}
_XML = {"Content-Type": "application/xml"}
_REFUSED = frozenset({405, 501})
_QUOTA = re.compile(rb"<[^<>]*quota-available-bytes[^<>]*>\s*([0-9]{1,18})\s*<")
_ASK_QUOTA = b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><quota-available-bytes/></prop></propfind>'
_MD5 = re.compile(r"\bMD5:([0-9a-fA-F]{32})\b")
_CLOUD = re.compile(r"(.*/remote\.php/dav)/files/([^/]+)(?:/|$)")


class DavTree(Tree):
    """A folder on a WebDAV server.

    Parameters
    ----------
    client : Client
        The HTTP client.
    base_url : str
        Address of the folder.
    credential : Credential or None
        For the origin of that address.
    """

    def __init__(self, client: Client, base_url: str, credential: Credential | None) -> None:
        self._client = client
        self._base_url = base_url
        self._credential = credential
        self._has_if = True
        self._has_written = False
        self._lock = threading.Lock()
        self._made: set[str] = set()
        self._making: dict[str, threading.Lock] = {}
        self._cloud = _CLOUD.match(base_url)

    def url(self, path: str) -> str:
        """Return the address of a file."""
        return path_url(self._base_url, path)

    # What is there

    def walk(self) -> Iterator[Held]:
        """Yield every file that the server lists."""
        lists = Lists(self._client, self._base_url, self._credential, needs_dav=True, most=_MOST)
        try:
            top = lists.items("")
        except NotFound:
            return
        self._made.add("")
        for path, item in lists.walk(top):
            if item.is_folder:
                self._made.add(path)
            else:
                yield _held(path, item)
        if lists.remarks:  # what is not seen would be lost from the index
            raise RepositoryError(f"{redact(self._base_url)} has folders that are too deep: {lists.remarks[0]}")

    def look(self, folder: str) -> dict[str, Held]:
        """List one folder."""
        lists = Lists(self._client, self._base_url, self._credential, needs_dav=True)
        try:
            items = lists.items(folder)
        except NotFound:
            return {}
        paths = {f"{folder}/{item.name}" if folder else item.name: item for item in items if not item.is_folder}
        return {path: _held(path, item) for path, item in paths.items()}

    def age(self, path: str) -> float | None:
        """Compare the date of the last change with that of the answer."""
        found = self._find(path)
        if found is None:
            return None
        item, answer = found
        now, then = _moment(answer.headers.get("date", "")), _moment(item.modified)
        return None if now is None or then is None else max(0.0, now - then)

    def read(self, path: str) -> IO[bytes] | None:
        """Get a file into a temporary one."""
        try:
            stream, _ = self._client.spool(Route(self.url(path), self._credential), _MAX_READ)
        except NotFound:
            return None
        return stream

    def md5(self, path: str) -> str:
        """Get a file, and keep nothing of it but its md5."""
        return md5_of_route(self._client, Route(self.url(path), self._credential))

    def room(self) -> int | None:
        """Ask for the quota (RFC 4331)."""
        answer = self._ask("PROPFIND", f"{self._base_url}/", {"Depth": "0", **_XML}, _ASK_QUOTA, answers={404})
        found = _QUOTA.search(answer.body)
        return int(found[1]) if found is not None else None

    def _find(self, path: str) -> tuple[Item, Response] | None:
        """Ask for one file or folder."""
        folder, _, name = path.rpartition("/")
        answer = self._ask("PROPFIND", self.url(path), {"Depth": "0", **_XML}, PROPFIND, answers={301, 404, 410})
        if answer.status == 301:  # a folder, to some
            answer = self._ask("PROPFIND", f"{self.url(path)}/", {"Depth": "0", **_XML}, PROPFIND, answers={404, 410})
        if answer.status in (404, 410):
            return None
        if answer.status != 207:  # Caddy shows the file
            raise _read_only(self.url(path), answer)
        above = f"{self.url(folder)}/" if folder else f"{self._base_url}/"
        items = [item for item in read_multistatus(answer.body, above) if item.name == name]
        return (items[0], answer) if items else None

    def find(self, path: str) -> Held | None:
        """Ask for one file."""
        found = self._find(path)
        return None if found is None or found[0].is_folder else _held(path, found[0])

    # Changing it

    def make(self, folder: str) -> None:
        """Make a folder; several threads may want the same one."""
        if folder in self._made:
            return
        with self._lock:
            lock = self._making.setdefault(folder, threading.Lock())
        with lock:
            if folder in self._made:
                return
            if folder:
                self.make(folder.rpartition("/")[0])
                self._make(f"{self.url(folder)}/")
            else:
                self._make_top(f"{self._base_url}/")
            self._made.add(folder)

    def _make_top(self, url: str) -> None:
        """Make the folder of the repository, and those above it that are not there."""
        try:
            self._make(url)
        except NotFound:
            above = url.rstrip("/").rpartition("/")[0]
            if not urlsplit(above).path.strip("/"):
                raise
            self._make_top(f"{above}/")
            self._make(url)

    def _make(self, url: str) -> None:
        answer = self._ask("MKCOL", url, {}, None, answers={301, 404, 405, 409, 501})
        self._has_written = self._has_written or answer.status == 201
        if answer.status in (301, 405):  # there already, or nothing of the kind can be made
            if self._ask("PROPFIND", url, {"Depth": "0", **_XML}, PROPFIND, answers={404, *_REFUSED}).status != 207:
                raise _read_only(url, answer)
        elif answer.status == 501:
            raise _read_only(url, answer)
        elif answer.status in (404, 409):
            raise NotFound(
                f"{redact(url)} cannot be made: the folder above it is not there", hint="Was it removed just now?"
            )

    def write(self, path: str, source: Path, entry: Entry, told: Callable[[int], None]) -> bool:
        """Send a file under a name of its own; a large one to Nextcloud in pieces."""
        local = LocalFile(source, entry, told)
        if self._cloud is not None and local.size > CHUNKED_ABOVE:
            self._write_chunks(self._cloud, path, local, entry)
            return False
        return self._put(path, local, entry, {})

    def write_over(self, path: str, source: Path, entry: Entry, told: Callable[[int], None], old: Held | None) -> bool:
        """Send a file to its place; the condition is the server's, and looked at as well, for not all know it."""
        self._compare(path, old)
        etag = _etag(old)
        condition = {"If-None-Match": "*"} if old is None else {"If-Match": etag} if etag else {}
        return self._put(path, LocalFile(source, entry, told), entry, condition, is_final=True)

    def _put(
        self, path: str, local: LocalFile, entry: Entry, condition: Mapping[str, str], *, is_final: bool = False
    ) -> bool:
        """Send a file whole, with its exact length.

        Row N31: where the answer is lost, the server is asked whether the file arrived, and it is sent again only if
        it did not.
        """
        headers = {**_OCTETS, **condition}
        if self._cloud is not None:  # it keeps the one, and answers with its own to the other
            headers |= {"OC-Checksum": f"MD5:{entry.md5}", "X-Hash": "md5"}
        folder, lost = path.rpartition("/")[0], False
        for attempt in range(1, self._client.limits.attempts + 1):
            try:
                with local.part(0, local.size) as body:
                    answer = self._ask("PUT", self.url(path), headers, body, repeat=False, answers={404, 409, 412})
            except (Unreachable, RateLimited) as error:
                lost = lost or not isinstance(error, NoConnection)
                if lost and not is_final and self._has(path, local.size):
                    local.tell(0, local.size)
                    local.check()
                    return False
                if self._client.gives_up(error, attempt):
                    raise
                self._client.pause(error, attempt)
                continue
            except RepositoryError:
                raise
            except TransferError:  # the local file is another one by now
                self._discard(path, is_final=is_final)
                raise
            if answer.status == 412:
                if lost and self.md5(path) == entry.md5:  # by ourselves
                    return False
                raise _taken(path)
            if answer.status in (404, 409):  # somebody removed the folder
                self._made.discard(folder)
                self.make(folder)
                continue
            try:
                return self._check_sent(answer, local, entry)
            except TransferError:
                self._discard(path, is_final=is_final)
                raise
        raise Unreachable(f"{path} could not be sent: its folder is not there", hint="Is somebody removing it?")

    def _check_sent(self, answer: Response, local: LocalFile, entry: Entry) -> bool:
        """Compare what was sent with what was to be sent, and with what Nextcloud says that it received."""
        local.check()
        self._has_written = True
        computed = answer.headers.get("x-hash-md5", "").lower()
        if computed and computed != entry.md5:
            raise ChecksumMismatch(
                f"the server received {entry.path} with another md5", hint="The same command sends it again"
            )
        return bool(computed)

    def _has(self, path: str, size: int) -> bool:
        """Tell whether the server has a file of this size; a server that cannot be asked has none."""
        try:
            found = self.find(path)
        except OneError:
            return False
        return found is not None and found.size == size

    def _discard(self, path: str, *, is_final: bool) -> None:
        if not is_final:  # where files are written in place, something has to stay there
            self.remove(path)

    def move(self, path: str, target: str, old: Held | None) -> None:
        """Rename a file; whether it is still the one to be replaced is looked at, and asked of those who know it."""
        if old is not None:
            self._compare(target, old)
        headers = {"Destination": self.url(target), "Overwrite": "F" if old is None else "T"}
        etag = _etag(old)
        was_refused = False
        if etag and self._has_if:
            headers["If"] = f"<{self.url(target)}> ([{etag}])"
        for attempt in range(1, self._client.limits.attempts + 1):
            try:
                answer = self._ask(
                    "MOVE", self.url(path), headers, None, repeat=False, answers={403, 404, 405, 409, 412, 501, 502}
                )
            except (Unreachable, RateLimited) as error:
                if self._client.gives_up(error, attempt):
                    raise
                self._client.pause(error, attempt)
                # Looked at before it is asked for again: rclone removes the target first, and then finds no source.
                if not isinstance(error, NoConnection) and self.find(path) is None and self.find(target) is not None:
                    return  # it was done, and the answer lost
                continue
            if answer.status < 300:
                return
            if answer.status == 502:
                bad = Unreachable(f"{path} could not be renamed: the server answered 502", hint="Try again later")
                if self._client.gives_up(bad, attempt):
                    raise bad
                # Apache behind a proxy that speaks TLS for it knows itself by another scheme (RFC 4918, 10.3).
                was_refused = not was_refused
                headers["Destination"] = urlsplit(self.url(target)).path if was_refused else self.url(target)
                self._client.pause(bad, attempt)
                continue
            if self.find(path) is None:  # for which rclone has 403
                raise NotFound(f"{path} is not there any more", hint="The same command sends it again")
            if answer.status == 412 and "If" in headers:
                self._compare(target, old)
                self._has_if = False  # it is what it was: this server does not understand
                del headers["If"]
                continue
            _raise_for_move(answer, path, target)
        raise Unreachable(f"{path} could not be renamed", hint="The same command tries again")

    def _compare(self, path: str, old: Held | None) -> None:
        """Refuse to replace another file than this one."""
        now = self.find(path)
        if old is None and now is not None:
            raise _taken(path)
        if old is not None and (now is None or (now.size, now.version) != (old.size, old.version)):
            raise _taken(path)

    def remove(self, path: str) -> None:
        """Remove a file, or a folder, of which some want to have a slash at its end."""
        answer = self._ask("DELETE", self.url(path), {}, None, answers={301, 400, 403, 404, 405, 409, 410})
        if answer.status >= 300 and answer.status not in (404, 410):
            again = self._ask("DELETE", f"{self.url(path)}/", {}, None, answers={403, 404, 405, 409, 410, 501})
            if again.status >= 300 and (answer.status in (403, 405) or again.status not in (404, 410)):
                raise _read_only(self.url(path), answer)

    def claim(self, mark: str, token: str) -> str | None:
        """Make a folder, which only one can, and a file in it that says who."""
        url = f"{self.url(mark)}/"
        try:
            made = self._ask("MKCOL", url, {}, None, repeat=False, answers={301, 405, 409}).status == 201
        except (Unreachable, RateLimited) as error:
            if isinstance(error, (NoConnection, RateLimited)):
                raise
            made = False  # perhaps: whoever has not said who he is after a while, is nobody
        if made:
            self._ask("PUT", f"{url}{token}", _OCTETS, b"")
        there = self._tokens(mark)
        if made and there != [token]:  # this process slept, and somebody did not wait any longer
            self.remove(f"{mark}/{token}")
            return next((name for name in there if name != token), None)
        return there[0] if there else None

    def holder(self, mark: str) -> str | None:
        """Look into the folder."""
        there = self._tokens(mark)
        return there[0] if there else None

    def _tokens(self, mark: str) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.look(mark))

    def release(self, mark: str, token: str) -> None:
        """Remove the file with the token, and the folder if nothing else is in it."""
        if token:
            self.remove(f"{mark}/{token}")
        attempt, answers = 1, {400, 403, 404, 405, 409, 410}
        while not self._tokens(mark):  # asked each time: after a lost answer it may be the next one's
            try:
                self._ask("DELETE", f"{self.url(mark)}/", {}, None, repeat=False, answers=answers)
            except (Unreachable, RateLimited) as error:
                if self._client.gives_up(error, attempt):
                    raise
                self._client.pause(error, attempt)
                attempt += 1
            else:
                return

    # Nextcloud

    def _write_chunks(self, cloud: re.Match[str], path: str, local: LocalFile, entry: Entry) -> None:
        """Send a file in pieces, which an interrupted upload finds again, and let the server put them together.

        Its manual, "Chunked file upload", version 2: every request names the destination, and always the same one. So
        both names are made from what the file is, and the file is renamed afterwards.
        """
        size = max(CHUNK, -(-local.size // _MOST_CHUNKS))
        mark = hashlib.md5(
            f"{path.rpartition('/')[0]} {entry.path} {entry.md5} {local.size} {size}".encode()
        ).hexdigest()
        folder = path.rpartition("/")[0]
        whole = f"{folder}/{mark[:16]}.onelight"
        upload = f"{cloud[1]}/uploads/{quote(unquote(cloud[2]))}/onelight-{mark}/"
        headers = {"Destination": self.url(whole), "OC-Total-Length": str(local.size)}
        self._ask("MKCOL", upload, headers, None, answers={405})
        answer = self._ask("PROPFIND", upload, {"Depth": "1", **_XML}, PROPFIND)
        there = {item.name: item.size for item in read_multistatus(answer.body, upload)}

        def send(number: int) -> None:
            start = (number - 1) * size
            length = min(size, local.size - start)
            if there.get(f"{number:05}") == length:
                local.tell(start, length)
                return
            for attempt in range(1, self._client.limits.attempts + 1):
                try:
                    with local.part(start, length) as body:
                        self._ask("PUT", f"{upload}{number:05}", {**_OCTETS, **headers}, body, repeat=False)
                except (Unreachable, RateLimited) as error:
                    if self._client.gives_up(error, attempt):
                        raise
                    self._client.pause(error, attempt)
                else:
                    return

        count = -(-local.size // size)
        try:
            with threads.pool(_CHUNKS_AT_A_TIME, "onelight-chunk") as pool:
                list(pool.map(send, range(1, count + 1)))
            local.check()
        except (ChecksumMismatch, SizeMismatch):  # another file's pieces must not be gone on with
            self._ask("DELETE", upload, {}, None, answers={404, 410})
            raise
        self._assemble(upload, whole, headers | {"OC-Checksum": f"MD5:{entry.md5}"}, local.size)
        self.move(whole, path, None)

    def _assemble(self, upload: str, whole: str, headers: Mapping[str, str], size: int) -> None:
        """Let the server put the pieces together, which may take it minutes."""
        for attempt in range(1, self._client.limits.attempts + 1):
            try:
                self._ask("MOVE", f"{upload}.file", dict(headers), None, repeat=False)
            except (Unreachable, RateLimited, NotFound) as error:
                if self._has(whole, size):  # it was done, and the answer lost
                    return
                if isinstance(error, NotFound) or self._client.gives_up(error, attempt):
                    raise
                self._client.pause(error, attempt)
            else:
                return

    def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | FilePart | None,
        *,
        repeat: bool = True,
        answers: Collection[int] = (),
    ) -> Response:
        answer = self._client.request(
            method,
            url,
            credential=self._credential,
            headers=headers,
            body=body,
            repeat=repeat,
            answers=frozenset(answers) | _REFUSED,
        )
        if answer.status in _REFUSED and answer.status not in answers:
            if self._has_written:  # rclone's answer when the disk is full
                raise RepositoryError(
                    f"{redact(url)} refuses {method} (it answered {answer.status}), though it took others",
                    hint="Is its disk full? The same command sends what is missing",
                )
            raise _read_only(url, answer)
        return answer


def _held(path: str, item: Item) -> Held:
    md5 = _MD5.search(item.checksums)
    # Apache calls the tag of a file weak in the second in which it was written, and strong afterwards.
    version = item.etag.removeprefix("W/") or f"{item.modified} {item.size}"
    return Held(path, item.size, version, md5[1].lower() if md5 is not None else None, _moment(item.modified))


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _etag(held: Held | None) -> str:
    return held.version if held is not None and held.version.startswith('"') else ""


def _taken(path: str) -> Taken:
    return Taken(
        f"somebody else has changed {path} meanwhile",
        hint="Nothing of theirs was touched. Run the command again: it compares with what is there now",
    )


def _read_only(url: str, answer: Response) -> ReadOnlyRepository:
    return ReadOnlyRepository(
        f"{redact(url)} takes no files (it answered {answer.status}): it can be read only",
        hint="Let the server speak WebDAV (docs/hosting.md), or run `onelight index FOLDER` and copy the folder to it",
    )


def _raise_for_move(answer: Response, path: str, target: str) -> None:
    if answer.status in (403, 405, 501):
        raise NoMove(f"the server renames no files (it answered {answer.status})")
    if answer.status == 412:
        raise _taken(target)
    raise RepositoryError(
        f"{path} cannot be renamed to {target}: the server answered {answer.status}",
        hint="Was its folder removed just now? The same command tries again",
    )

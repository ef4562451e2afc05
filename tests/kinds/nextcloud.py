"""A small server that plays what Nextcloud and ownCloud do beyond plain WebDAV.

::

    with Nextcloud(folder) as cloud:
        cloud.url                  # …/remote.php/dav/files/USER
        cloud.content("lab/…")     # what it holds, behind the back of the product
        cloud.chunks()             # what lies in its folder of uploads

What is played, and from where it is known:

* The files of a user at ``/remote.php/dav/files/USER/``, always with basic authentication; ``OC-ETag`` and
  ``OC-FileId`` in answers; ``X-Hash: md5``, after which the answer has ``X-Hash-MD5``: "Basic APIs" in Nextcloud's
  developer manual (client_apis/WebDAV/basic).
* Uploads in chunks, version 2: ``MKCOL /remote.php/dav/uploads/USER/ID``, ``PUT …/ID/NUMBER``, ``MOVE …/ID/.file``;
  each request with ``Destination``; names from 1 to 10000; chunks of 5 MB to 5 GB but for the last; put together in
  the order of their names; what is in the folder is listed and cannot be downloaded; ``OC-Total-Length`` is
  compared with the room there is, and with what has come: "Chunked file upload" there (client_apis/WebDAV/chunking).
* ``OC-Checksum`` is stored with the file as it is and returned as the property ``checksums``: Nextcloud. ownCloud
  compares it (``verifies=True``), answers 400 "The computed checksum does not match the one received from the client."
  and states checksums of its own making: "Document the checksums addition in 10.0" (owncloud/client, pull request
  5741). A file that is written anew without the header has none.
* Names that end in ``.part`` or ``.filepart`` are refused: ``FilenameValidator.php`` (nextcloud/server, issue 49916),
  "Prevent .part upload via dav" (owncloud/core, pull request 29011).
* ``quota-available-bytes`` of folders (RFC 4331), -3 for "without limit", and 507 where the room does not do.
* ``Depth: infinity`` is treated as 1, and errors are XML with an exception and a message: sabre/dav, on which both
  are built. So is ``If-Match``, ``If-None-Match``; a folder that is missing is 409, one that is there is 405.
* ``/status.php``: JSON with ``installed``, ``productname`` and ``versionstring``.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import json
import shutil
import threading
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

USER, PASSWORD = "cori", "app-canary-3b9d"
CHUNKED_LIMITS = (5 * 1000 * 1000, 5 * 1000**3)
DAV, OWNCLOUD = "DAV:", "http://owncloud.org/ns"
PIECE = 1 << 16


@dataclass
class Upload:
    """A folder of uploads: where the file goes in the end, and its chunks by the names that they were given."""

    destination: str
    chunks: dict[str, Path] = field(default_factory=dict)


@dataclass
class Asked:
    """A request, with its answer; names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    destination: str = ""


class Refused(Exception):
    """An answer that is none of the good ones."""

    def __init__(self, status: int, exception: str, message: str) -> None:
        super().__init__(message)
        self.status, self.exception = status, exception


class Nextcloud:
    """The server.

    Parameters
    ----------
    folder : Path
        Where it keeps everything.
    verifies : bool
        Whether it compares ``OC-Checksum`` and states checksums of its own, as ownCloud does.
    quota : int, optional
        Bytes in all; None for no limit.
    smallest : int
        Bytes of the smallest chunk that need not be the last.
    chunks : bool
        Whether there is a folder of uploads.
    """

    def __init__(
        self,
        folder: Path,
        *,
        verifies: bool = False,
        quota: int | None = None,
        smallest: int = CHUNKED_LIMITS[0],
        chunked: bool = True,
    ) -> None:
        self.root, self._parts = folder / "files", folder / "uploads"
        self.root.mkdir(parents=True)
        self._parts.mkdir()
        self.verifies, self.quota, self.smallest, self.chunked = verifies, quota, smallest, chunked
        self.seen: list[Asked] = []
        self.uploads: dict[str, Upload] = {}
        self.checksums: dict[str, str] = {}
        self.etags: dict[str, str] = {}
        #: Damages what is stored: a function of the content that was sent.
        self.spoil: Any = None
        self.lock = threading.RLock()
        cloud = self

        class Handler(_Handler):
            server_cloud = cloud

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Nextcloud:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/remote.php/dav/files/{USER}"

    # Behind the back of the product

    def put(self, path: str, content: bytes, checksum: str = "") -> None:
        """Put a file there, as its owner does at the browser."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        self.stored(path, checksum)

    def content(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def files(self) -> dict[str, bytes]:
        found = sorted(path for path in self.root.rglob("*") if path.is_file())
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in found}

    def asked(self, method: str, part: str = "", ends: str = "") -> list[Asked]:
        return [one for one in list(self.seen) if one.method == method and part in one.path and one.path.endswith(ends)]

    def chunks(self) -> list[str]:
        """Return the chunks that wait: ID/NUMBER."""
        with self.lock:
            return sorted(f"{name}/{number}" for name, one in self.uploads.items() for number in one.chunks)

    # What the requests have in common

    def stored(self, path: str, checksum: str) -> None:
        """Note that a file is new."""
        with self.lock:
            self.etags[path] = uuid.uuid4().hex
            if self.verifies:
                data = (self.root / path).read_bytes()
                sums = (("SHA1", hashlib.sha1(data)), ("MD5", hashlib.md5(data)))
                checksum = " ".join(f"{name}:{made.hexdigest()}" for name, made in sums)
            self.checksums.pop(path, None)
            if checksum:
                self.checksums[path] = checksum

    def etag(self, path: str) -> str:
        with self.lock:
            return self.etags.setdefault(path, uuid.uuid4().hex)

    def left(self) -> int | None:
        if self.quota is None:
            return None
        return self.quota - sum(path.stat().st_size for path in self.root.rglob("*") if path.is_file())


class _Handler(BaseHTTPRequestHandler):
    server_cloud: Nextcloud
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None: ...

    # The way of every request

    def _answer_to(self) -> None:
        self.cloud = self.server_cloud
        path = unquote(urlsplit(self.path).path)
        named = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Asked(self.command, path, named, destination=self._path_of(named.get("destination", "")))
        with self.cloud.lock:
            self.cloud.seen.append(self.asked)
        self.left = int(named.get("content-length", 0))
        try:
            self._route(path)
        except Refused as refused:
            self._refuse(refused)
        except (ConnectionError, ValueError):
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_DELETE = do_MKCOL = do_MOVE = do_PROPFIND = do_OPTIONS = _answer_to  # noqa: N815

    def _route(self, path: str) -> None:
        if path == "/status.php":
            said = {"installed": True, "maintenance": False, "needsDbUpgrade": False, "version": "29.0.4.1"}
            product = "ownCloud" if self.cloud.verifies else "Nextcloud"
            said |= {"versionstring": "29.0.4", "edition": "", "productname": product, "extendedSupport": False}
            self._answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})
            return
        known = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.asked.headers.get("authorization") != known:
            raise Refused(401, "Sabre\\DAV\\Exception\\NotAuthenticated", "Cannot authenticate over ajax calls")
        for kind in ("files", "uploads"):
            top = f"/remote.php/dav/{kind}/{USER}"
            if path == top or path.startswith(f"{top}/"):
                inside = path.removeprefix(top).strip("/")
                if kind == "uploads" and not self.cloud.chunked:
                    break
                action = getattr(self, f"_{kind}_{self.command}".lower(), None)
                if action is None:
                    raise Refused(405, "Sabre\\DAV\\Exception\\MethodNotAllowed", "Not allowed")
                action(inside)
                return
        raise Refused(404, "Sabre\\DAV\\Exception\\NotFound", f"File not found: {path}")

    def _body(self) -> list[bytes]:
        """Read the body, all of it; a connection that is cut stores nothing."""
        pieces = []
        while self.left > 0:
            data = self.rfile.read(min(PIECE, self.left))
            if not data:
                raise ConnectionAbortedError
            self.left -= len(data)
            pieces.append(data)
        return pieces

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self._body()
        self.asked.status = status
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", (headers or {}).get("Content-Length") or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, refused: Refused) -> None:
        text = (
            '<?xml version="1.0" encoding="utf-8"?>\n<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">'
            f"<s:exception>{refused.exception}</s:exception><s:message>{refused}</s:message></d:error>"
        )
        headers = {"Content-Type": "application/xml; charset=utf-8"}
        if refused.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="Nextcloud", charset="UTF-8"'
        self._answer(refused.status, text.encode(), headers)

    def _path_of(self, address: str) -> str:
        """Return the path below the files of the user that an address has; empty if it is another."""
        path = unquote(urlsplit(address).path)
        top = f"/remote.php/dav/files/{USER}/"
        return path.removeprefix(top).strip("/") if path.startswith(top) else ""

    def _check_name(self, path: str) -> None:
        if path.endswith((".part", ".filepart")) or path.rpartition("/")[2] == ".htaccess":
            name = path.rpartition("/")[2]
            raise Refused(400, "OCA\\DAV\\Connector\\Sabre\\Exception\\InvalidPath", f"'{name}' is a forbidden name")

    def _check_conditions(self, path: str) -> None:
        there = (self.cloud.root / path).exists()
        etag = f'"{self.cloud.etag(path)}"' if there else ""
        wanted, unwanted = self.asked.headers.get("if-match"), self.asked.headers.get("if-none-match")
        failed = bool(wanted and (not there or wanted not in ("*", etag)))
        failed = failed or bool(unwanted and there and unwanted in ("*", etag))
        if failed:
            raise Refused(412, "Sabre\\DAV\\Exception\\PreconditionFailed", "A condition was not met")

    def _check_parent(self, path: str) -> None:
        if not (self.cloud.root / path).parent.is_dir():
            raise Refused(409, "Sabre\\DAV\\Exception\\Conflict", "Files cannot be created in non-existent collections")

    def _check_room(self, wanted: int) -> None:
        left = self.cloud.left()
        if left is not None and wanted > left:
            message = f"Insufficient space in cannot upload {wanted} bytes, {left} bytes available"
            raise Refused(507, "Sabre\\DAV\\Exception\\InsufficientStorage", message)

    def _store(self, path: str, pieces: list[bytes]) -> bool:
        """Give a file its new content; return whether it was not there."""
        target = self.cloud.root / path
        content = b"".join(pieces)
        if self.cloud.spoil is not None:
            content = self.cloud.spoil(content)
        stated = self.asked.headers.get("oc-checksum", "")
        if self.cloud.verifies and stated:
            kind, _, value = stated.partition(":")
            if hashlib.new(kind.lower(), content).hexdigest() != value.lower():
                message = "The computed checksum does not match the one received from the client."
                raise Refused(400, "Sabre\\DAV\\Exception\\BadRequest", message)
        is_new = not target.exists()
        temporary = self.cloud.root.parent / uuid.uuid4().hex
        temporary.write_bytes(content)
        temporary.replace(target)
        self.cloud.stored(path, stated)
        return is_new

    def _told(self, path: str) -> dict[str, str]:
        etag = f'"{self.cloud.etag(path)}"'
        told = {"ETag": etag, "OC-ETag": etag, "OC-FileId": "00000028oczv5x"}
        if self.asked.headers.get("x-hash") == "md5":
            told["X-Hash-MD5"] = hashlib.md5((self.cloud.root / path).read_bytes()).hexdigest()
        return told

    # The files of the user

    def _files_options(self, path: str) -> None:
        allowed = "OPTIONS, GET, HEAD, DELETE, PROPFIND, PUT, PROPPATCH, COPY, MOVE, REPORT, MKCOL"
        self._answer(200, b"", {"DAV": "1, 3, extended-mkcol, oc-resource-sharing", "Allow": allowed})

    def _files_get(self, path: str) -> None:
        target = self.cloud.root / path
        if target.is_dir():
            raise Refused(405, "Sabre\\DAV\\Exception\\NotImplemented", "This is a folder")
        if not target.is_file():
            raise Refused(404, "Sabre\\DAV\\Exception\\NotFound", f"File with name {path} could not be located")
        content = target.read_bytes()
        headers = self._told(path)
        if path in self.cloud.checksums:
            headers["OC-Checksum"] = self.cloud.checksums[path].split()[0]
        if self.asked.headers.get("if-none-match") == headers["ETag"]:
            self._answer(304, b"", {"ETag": headers["ETag"], "Content-Length": str(len(content))})
            return
        headers["Last-Modified"] = email.utils.formatdate(target.stat().st_mtime, usegmt=True)
        headers["Accept-Ranges"] = "bytes"
        asked = self.asked.headers.get("range", "")
        if asked.startswith("bytes=") and "," not in asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            end = min(int(last) + 1 if last else len(content), len(content))
            part = content[int(first) : end]
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(content)}"
            self._answer(206, part, headers)
            return
        headers["Content-Length"] = str(len(content))
        self._answer(200, content, headers)

    _files_head = _files_get

    def _files_put(self, path: str) -> None:
        self._check_name(path)
        self._check_conditions(path)
        self._check_parent(path)
        self._check_room(self.left)
        if (self.cloud.root / path).is_dir():
            raise Refused(409, "Sabre\\DAV\\Exception\\Conflict", "PUT is not allowed on non-files.")
        pieces = self._body()
        with self.cloud.lock:
            self._check_conditions(path)
            is_new = self._store(path, pieces)
        self._answer(201 if is_new else 204, b"", self._told(path))

    def _files_mkcol(self, path: str) -> None:
        self._check_name(path)
        with self.cloud.lock:
            if (self.cloud.root / path).exists():
                raise Refused(
                    405, "Sabre\\DAV\\Exception\\MethodNotAllowed", "The resource you tried to create already exists"
                )
            self._check_parent(path)
            (self.cloud.root / path).mkdir()
        self._answer(201, b"", {"OC-FileId": "00000029oczv5x"})

    def _files_delete(self, path: str) -> None:
        target = self.cloud.root / path
        with self.cloud.lock:
            if not path or not target.exists():
                raise Refused(404, "Sabre\\DAV\\Exception\\NotFound", f"File with name {path} could not be located")
            self._check_conditions(path)
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink()
                self.cloud.etags.pop(path, None)
                self.cloud.checksums.pop(path, None)
        self._answer(204)

    def _files_move(self, path: str) -> None:
        source, to = self.cloud.root / path, self.asked.destination
        if not to:
            raise Refused(400, "Sabre\\DAV\\Exception\\BadRequest", "The destination header was not supplied")
        with self.cloud.lock:
            if not source.exists():
                raise Refused(404, "Sabre\\DAV\\Exception\\NotFound", f"File with name {path} could not be located")
            self._check_name(to)
            self._check_conditions(path)
            self._check_parent(to)
            is_new = self._free(to)
            source.replace(self.cloud.root / to)
            self.cloud.etags[to] = self.cloud.etags.pop(path, uuid.uuid4().hex)
            self.cloud.checksums.pop(to, None)
            if path in self.cloud.checksums:
                self.cloud.checksums[to] = self.cloud.checksums.pop(path)
        self._answer(201 if is_new else 204, b"", self._told(to) if (self.cloud.root / to).is_file() else {})

    def _free(self, to: str) -> bool:
        """Make the place of a destination free, or refuse; return whether nothing was there."""
        if not (self.cloud.root / to).exists():
            return True
        if self.asked.headers.get("overwrite", "T").upper() == "F":
            message = "The destination node already exists, and the overwrite header is set to false"
            raise Refused(412, "Sabre\\DAV\\Exception\\PreconditionFailed", message)
        return False

    def _files_propfind(self, path: str) -> None:
        target = self.cloud.root / path
        if not target.exists():
            raise Refused(404, "Sabre\\DAV\\Exception\\NotFound", f"File with name {path} could not be located")
        found = [target]
        if self.asked.headers.get("depth", "infinity") != "0" and target.is_dir():
            found += sorted(target.iterdir())
        rows = []
        for one in found:
            inside = "" if one == self.cloud.root else one.relative_to(self.cloud.root).as_posix()
            rows.append((f"files/{USER}/{inside}", inside, one, False))
        self._multistatus(rows)

    def _multistatus(self, rows: list[tuple[str, str, Path, bool]]) -> None:
        body = b"".join(self._body())
        wanted = None
        if body.strip():
            asked = ET.fromstring(body).find(f"{{{DAV}}}prop")
            wanted = None if asked is None else [child.tag for child in asked]
        ET.register_namespace("d", DAV)
        ET.register_namespace("oc", OWNCLOUD)
        answer = ET.Element(f"{{{DAV}}}multistatus")
        for address, inside, found, is_upload in rows:
            response = ET.SubElement(answer, f"{{{DAV}}}response")
            slash = "/" if found.is_dir() and not address.endswith("/") else ""
            ET.SubElement(response, f"{{{DAV}}}href").text = quote(f"/remote.php/dav/{address}{slash}")
            known = self._properties(inside, found, is_upload)
            names = [name for name in known if name.startswith(f"{{{DAV}}}")] if wanted is None else wanted
            for status, chosen in (
                ("200 OK", [name for name in names if name in known]),
                ("404 Not Found", [name for name in names if name not in known]),
            ):
                if chosen:
                    propstat = ET.SubElement(response, f"{{{DAV}}}propstat")
                    prop = ET.SubElement(propstat, f"{{{DAV}}}prop")
                    for name in chosen:
                        prop.append(known.get(name, ET.Element(name)))
                    ET.SubElement(propstat, f"{{{DAV}}}status").text = f"HTTP/1.1 {status}"
        text = ET.tostring(answer, encoding="utf-8", xml_declaration=True)
        self._answer(207, text, {"Content-Type": "application/xml; charset=utf-8"})

    def _properties(self, inside: str, found: Path, is_upload: bool) -> dict[str, ET.Element]:
        def element(name: str, text: str = "") -> ET.Element:
            made = ET.Element(name)
            made.text = text or None
            return made

        modified = email.utils.formatdate(found.stat().st_mtime, usegmt=True)
        known = {f"{{{DAV}}}getlastmodified": element(f"{{{DAV}}}getlastmodified", modified)}
        kind = element(f"{{{DAV}}}resourcetype")
        known[kind.tag] = kind
        if found.is_dir():
            ET.SubElement(kind, f"{{{DAV}}}collection")
            if not is_upload:
                left = self.cloud.left()
                quota = element(f"{{{DAV}}}quota-available-bytes", str(-3 if left is None else left))
                known[quota.tag] = quota
                known[f"{{{DAV}}}getetag"] = element(f"{{{DAV}}}getetag", f'"{self.cloud.etag(inside)}"')
            return known
        length = element(f"{{{DAV}}}getcontentlength", str(found.stat().st_size))
        known[length.tag] = length
        if not is_upload:
            known[f"{{{DAV}}}getetag"] = element(f"{{{DAV}}}getetag", f'"{self.cloud.etag(inside)}"')
            if inside in self.cloud.checksums:
                sums = element(f"{{{OWNCLOUD}}}checksums")
                ET.SubElement(sums, f"{{{OWNCLOUD}}}checksum").text = self.cloud.checksums[inside]
                known[sums.tag] = sums
        return known

    # Uploads in chunks

    def _upload_of(self, name: str) -> Upload:
        with self.cloud.lock:
            if name not in self.cloud.uploads:
                raise Refused(404, "Sabre\\DAV\\Exception\\NotFound", f"File not found: {name} in 'uploads'")
            upload = self.cloud.uploads[name]
        if not self.asked.destination:
            raise Refused(400, "Sabre\\DAV\\Exception\\BadRequest", "Missing Destination header")
        return upload

    def _uploads_mkcol(self, path: str) -> None:
        if "/" in path or not self.asked.destination:
            raise Refused(400, "Sabre\\DAV\\Exception\\BadRequest", "Missing Destination header")
        with self.cloud.lock:
            if path in self.cloud.uploads:
                raise Refused(
                    405, "Sabre\\DAV\\Exception\\MethodNotAllowed", "The resource you tried to create already exists"
                )
            self.cloud.uploads[path] = Upload(self.asked.destination)
            (self.cloud._parts / path).mkdir()
        self._answer(201)

    def _uploads_put(self, path: str) -> None:
        name, _, number = path.partition("/")
        upload = self._upload_of(name)
        if not number.isdigit() or not 1 <= int(number) <= 10000:
            raise Refused(400, "Sabre\\DAV\\Exception\\BadRequest", "Invalid chunk name, must be numeric, 1 to 10000")
        if self.left > CHUNKED_LIMITS[1]:
            raise Refused(413, "Sabre\\DAV\\Exception\\BadRequest", "A chunk of more than 5 GB")
        self._check_room(int(self.asked.headers.get("oc-total-length", 0)))
        pieces = self._body()
        stored = self.cloud._parts / name / number
        with self.cloud.lock:
            is_new = number not in upload.chunks
            stored.write_bytes(b"".join(pieces))
            upload.chunks[number] = stored
        self._answer(201 if is_new else 204)

    def _uploads_propfind(self, path: str) -> None:
        with self.cloud.lock:
            if path not in self.cloud.uploads:
                raise Refused(404, "Sabre\\DAV\\Exception\\NotFound", f"File not found: {path} in 'uploads'")
            rows = [(f"uploads/{USER}/{path}/", "", self.cloud._parts / path, True)]
            if self.asked.headers.get("depth", "infinity") != "0":
                for number, stored in sorted(self.cloud.uploads[path].chunks.items()):
                    rows.append((f"uploads/{USER}/{path}/{number}", "", stored, True))
        self._multistatus(rows)

    def _uploads_delete(self, path: str) -> None:
        with self.cloud.lock:
            if self.cloud.uploads.pop(path, None) is None:
                raise Refused(404, "Sabre\\DAV\\Exception\\NotFound", f"File not found: {path} in 'uploads'")
            shutil.rmtree(self.cloud._parts / path)
        self._answer(204)

    def _uploads_move(self, path: str) -> None:
        name, _, what = path.partition("/")
        upload, to = self._upload_of(name), self.asked.destination
        if what != ".file":
            raise Refused(403, "Sabre\\DAV\\Exception\\Forbidden", "Chunks cannot be moved")
        self._check_name(to)
        self._check_parent(to)
        with self.cloud.lock:
            self._check_conditions(to)
            pieces = [upload.chunks[number].read_bytes() for number in sorted(upload.chunks, key=int)]
            if any(len(piece) < self.cloud.smallest for piece in pieces[:-1]):
                raise Refused(
                    400, "Sabre\\DAV\\Exception\\BadRequest", "A chunk of less than 5 MB that is not the last"
                )
            total = self.asked.headers.get("oc-total-length")
            if total is not None and int(total) != sum(map(len, pieces)):
                message = f"Chunks on server do not sum up to {total} but to {sum(map(len, pieces))} bytes"
                raise Refused(400, "Sabre\\DAV\\Exception\\BadRequest", message)
            self._check_room(sum(map(len, pieces)))
            self._free(to)
            is_new = self._store(to, pieces)
            del self.cloud.uploads[name]
            shutil.rmtree(self.cloud._parts / name)
        self._answer(201 if is_new else 204, b"", self._told(to))

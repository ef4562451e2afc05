"""The file that lies beside its target until it is whole.

Its name, ``.NAME.FINGERPRINT.part``, is hidden and not ALF, so that no scan takes it for a dataset. The fingerprint
is of what is expected, so that a file that was replaced on the server does not continue the old one. Whoever works on
a partial file owns it by renaming it first (``.NAME.FINGERPRINT.HOST-PID-RANDOM.part``): a rename has one winner on
every file system, also where locks lie (huggingface_hub, pull request 4306), and two processes never write to one
file. A partial file whose process died is taken over by the next that comes. What is known of the server's copy (its
ETag) lies in a ``.json`` file that moves along.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import socket
import time
from pathlib import Path
from typing import IO

# Where it cannot be seen whether the owner lives (another host, Windows), a file untouched for so long is an orphan.
_ORPHAN_AFTER = 600.0


class Partial:
    """One partial file, owned by this process from :meth:`claim` to :meth:`release` or :meth:`commit`.

    Parameters
    ----------
    target : Path
        Where the whole file will be.
    expected : str
        What is known of its content, as text.
    """

    def __init__(self, target: Path, expected: str) -> None:
        self._target = target
        fingerprint = hashlib.md5(expected.encode()).hexdigest()[:8]
        # 255 bytes are the most a name may have; the long ones are cut, and told apart by a checksum of their own.
        stem = target.name if len(target.name.encode()) < 160 else hashlib.md5(target.name.encode()).hexdigest()
        self._stem = f".{stem}.{fingerprint}"
        owner = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.path = target.with_name(f"{self._stem}.{owner}.part")
        self.stream: IO[bytes] | None = None

    def claim(self) -> dict[str, str]:
        """Take over what is left of an earlier try, or begin; return what is known of the server's copy."""
        self._target.parent.mkdir(parents=True, exist_ok=True)
        for left in self._left_behind():
            try:
                left.rename(self.path)
            except OSError:
                continue  # somebody else was faster
            with contextlib.suppress(OSError):
                left.with_suffix(".json").rename(self.path.with_suffix(".json"))
            break
        self.stream = self.path.open("r+b" if self.path.exists() else "x+b")
        try:
            known = json.loads(self.path.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in known.items()} if isinstance(known, dict) else {}

    def remember(self, known: dict[str, str]) -> None:
        """Keep what is known of the server's copy, for whoever continues."""
        self.path.with_suffix(".json").write_text(json.dumps(known), encoding="utf-8")

    def release(self) -> None:
        """Close it and leave it for the next try; one without a byte is removed."""
        if self.stream is None:
            return
        self._close()
        if self.path.stat().st_size == 0:
            self.discard()
            return
        free = self._target.with_name(f"{self._stem}.part")
        self.path.replace(free)
        with contextlib.suppress(FileNotFoundError):
            self.path.with_suffix(".json").replace(free.with_suffix(".json"))

    def discard(self) -> None:
        """Close and remove it."""
        self._close()
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".json").unlink(missing_ok=True)

    def commit(self) -> None:
        """Make it durable and give it its name: the bytes first, then the name, then the folder."""
        if self.stream is not None:
            self.stream.flush()
            os.fsync(self.stream.fileno())
        self._close()
        os.replace(self.path, self._target)  # noqa: PTH105 - the one call whose atomicity everything rests on
        self.path.with_suffix(".json").unlink(missing_ok=True)
        if os.name == "posix":
            folder = os.open(self._target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _close(self) -> None:
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    def _left_behind(self) -> list[Path]:
        """Return partial files of the same content that nobody works on, the longest first."""
        found = []
        with os.scandir(self._target.parent) as items:
            for item in items:
                if item.name.startswith(self._stem) and item.name.endswith(".part"):
                    with contextlib.suppress(OSError):
                        owner = item.name[len(self._stem) : -len(".part")].lstrip(".")
                        if not owner or _is_orphan(owner, item.stat().st_mtime):
                            found.append((item.stat().st_size, Path(item.path)))
        return [path for _, path in sorted(found, reverse=True)]


def _is_orphan(owner: str, modified: float) -> bool:
    host, _, rest = owner.rpartition("-")[0].rpartition("-")
    if host == _host() and rest.isdecimal() and os.name == "posix":
        if int(rest) == os.getpid():
            return False
        try:
            os.kill(int(rest), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False
    return time.time() - modified > _ORPHAN_AFTER


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", socket.gethostname())[:24] or "host"

"""Every error of ONE light, in one tree.

::

    OneError
    ├── AlfError (ValueError)              a name or path that is not ALF
    ├── NotFound (LookupError)
    │   ├── SessionNotFound
    │   ├── ObjectNotFound
    │   ├── DatasetNotFound
    │   └── RepositoryNotFound
    ├── AmbiguousQuery (LookupError)       several collections, revisions or files fit
    ├── RepositoryError (OSError)          a repository did not do what was asked
    │   ├── ReadOnlyRepository
    │   ├── AccessDenied                   no token, or one that is not accepted
    │   ├── RateLimited                    the server asks to come back later
    │   ├── Unreachable                    no answer, or a passing failure of the server
    │   ├── QuotaExceeded
    │   └── DamagedIndex                   what was kept of a repository's index is not as it was written
    ├── TransferError (OSError)            bytes that did not arrive, or not as they should
    │   ├── SizeMismatch
    │   ├── ChecksumMismatch
    │   ├── Interrupted
    │   └── NoSpace                        the local disk is full or cannot be written
    ├── UnsafeData (ValueError)            a name, address or file that is refused
    ├── RowsDiffer (ValueError)            attributes of one object that disagree in their number of rows
    ├── MissingExtra (ImportError)         an optional library that a format needs is not installed
    └── ConfigError (ValueError)           the configuration cannot be used as it is

A message says what happened, where, and what to do next, in that order. What to do next may also be given
as ``hint``, which the command line shows on a line of its own.
"""

from __future__ import annotations

from collections.abc import Sequence


class OneError(Exception):
    """Base of every error that ONE light raises on purpose.

    Parameters
    ----------
    message : str
        What happened, and where.
    hint : str, optional
        What to do next.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        return f"{self.message}{self.hint}" if self.message.endswith("\n") else f"{self.message}. {self.hint}"


class AlfError(OneError, ValueError):
    """A name or path that is not ALF."""


class NotFound(OneError, LookupError):
    """Something asked for by name is not there."""


class SessionNotFound(NotFound):
    """The repository has no such session."""


class ObjectNotFound(NotFound):
    """The session has no such object."""


class DatasetNotFound(NotFound):
    """The session has no such dataset."""


class RepositoryNotFound(NotFound):
    """The configuration has no repository of this name, or the place it points to is not there."""


class AmbiguousQuery(OneError, LookupError):
    """Several things fit, and one is needed.

    Parameters
    ----------
    message, hint : str
        As for every error.
    keyword : str
        The keyword that picks one, ``"collection"`` for example; empty where none does.
    values : sequence of str
        Its values, one for each thing that fits.
    """

    def __init__(self, message: str, *, hint: str = "", keyword: str = "", values: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.keyword = keyword
        self.values = tuple(values)


class RepositoryError(OneError, OSError):
    """A repository did not do what was asked."""


class ReadOnlyRepository(RepositoryError):
    """The repository can be read, not written."""


class AccessDenied(RepositoryError):
    """The server refuses: no token or password, or one that it does not accept."""


class RateLimited(RepositoryError):
    """The server asks to come back later.

    Parameters
    ----------
    retry_after : float
        Seconds after which the server will answer again.
    """

    def __init__(self, message: str, *, hint: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Unreachable(RepositoryError):
    """No answer, or a passing failure of the server: worth trying again later."""


class QuotaExceeded(RepositoryError):
    """The server has no room, or allows no more or no larger files."""


class DamagedIndex(RepositoryError):
    """An index file is no index of this version, or not as it was written; it is made again from the repository."""


class TransferError(OneError, OSError):
    """Bytes did not arrive, or not as they should have."""


class SizeMismatch(TransferError):
    """A file has another size than the index or the server states."""


class ChecksumMismatch(TransferError):
    """A file has another md5 than the index or the server states."""


class Interrupted(TransferError):
    """A transfer was stopped before its end; running the same command again continues it."""


class NoSpace(TransferError):
    """The local disk is full, or the folder cannot be written."""


class UnsafeData(OneError, ValueError):
    """A name, address or file that is refused because it could do harm."""


class RowsDiffer(OneError, ValueError):
    """Attributes of one object do not have the same number of rows."""


class MissingExtra(OneError, ImportError):
    """An optional library that a format needs is not installed; the hint names the extra."""


class ConfigError(OneError, ValueError):
    """The configuration cannot be used as it is."""

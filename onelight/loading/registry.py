"""Which reader reads which file: the one table extension → reader, and the one border for foreign errors."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from onelight.errors import AccessDenied, DatasetNotFound, OneError, RepositoryError, UnsafeData
from onelight.loading.content import AGAIN, damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Reader = Callable[[Path], Any]

# By name, so that a reader and its library are imported with the first file that needs them. A new format is one
# function from a path to a value, and one line here.
READERS: Mapping[str, str] = MappingProxyType(
    {
        ".csv": "onelight.loading.tables:read_csv",
        ".json": "onelight.loading.tables:read_json",
        ".npy": "onelight.loading.npy:read_npy",
        ".pqt": "onelight.loading.tables:read_pqt",
        ".tsv": "onelight.loading.tables:read_tsv",
    }
)


def load_file(path: Path) -> Any:  # an array, a table, a value or a path
    """Read one file into memory by its extension; nothing in it is ever executed.

    Parameters
    ----------
    path : pathlib.Path
        ``.npy`` gives an array, ``.tsv``, ``.csv`` and ``.pqt`` a table, ``.json`` what it says. Any other extension
        gives the path itself, for the caller's own reader.

    Returns
    -------
    numpy.ndarray, pandas.DataFrame, pathlib.Path or a JSON value

    Raises
    ------
    DatasetNotFound
        If there is no such file.
    UnsafeData
        If the file is damaged, is something else than its name says, or contains Python objects.
    AccessDenied
        If the operating system does not let the file be read.
    RepositoryError
        If the disk fails while it is read.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "session.metadata.json"
    ...     _ = path.write_text('{"mouse": "Cori"}')
    ...     load_file(path)
    {'mouse': 'Cori'}
    """
    path = Path(path)
    with _translated(path):
        mode = path.stat().st_mode
        reader = READERS.get(path.suffix.lower())
        if reader is None:
            return path
        if not stat.S_ISREG(mode):  # a pipe would block for ever, a device has no end
            raise UnsafeData(f"{path} is not a file", hint="Give the path of one dataset")
        return _imported(reader)(path)


def _imported(name: str) -> Reader:
    module, function = name.split(":")
    found: Reader = getattr(import_module(module), function)
    return found


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what Python, NumPy, pandas and pyarrow raise about a file into errors that say what to do."""
    try:
        yield
    except OneError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DatasetNotFound(f"{path} is not there", hint="Download it, or check the path") from error
    except PermissionError as error:
        raise AccessDenied(f"{path} may not be read", hint="Ask for the right to read it, or own a copy") from error
    except OSError as error:
        raise RepositoryError(f"{path} cannot be read: {error.strerror or error}", hint="Check the disk") from error
    except MemoryError as error:
        raise UnsafeData(f"{path} is larger than the memory of this computer", hint=AGAIN) from error
    except ValueError as error:  # of Python, NumPy, pandas and pyarrow; other kinds are bugs, and shown as such
        raise damaged(path, str(error) or type(error).__name__) from error

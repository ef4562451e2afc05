"""Which reader reads which file: the one table extension → reader, and the one border for foreign errors."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from onelight.errors import AccessDenied, AlfError, DatasetNotFound, MissingExtra, OneError, RepositoryError, UnsafeData
from onelight.loading.content import AGAIN, damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Reader = Callable[..., Any]

# By name, so that a reader and its library are imported with the first file that needs them. A new format is one
# function from a path to a value, and one line here.
READERS: Mapping[str, str] = MappingProxyType(
    {
        ".bin": "onelight.loading.flat:read_flat",
        ".cbin": "onelight.loading.cbin:read_cbin",
        ".csv": "onelight.loading.tables:read_csv",
        ".dat": "onelight.loading.flat:read_flat",
        ".h5": "onelight.loading.foreign:open_hdf5",
        ".hdf5": "onelight.loading.foreign:open_hdf5",
        ".htsv": "onelight.loading.tables:read_htsv",
        ".json": "onelight.loading.texts:read_json",
        ".jsonable": "onelight.loading.texts:read_jsonable",
        ".log": "onelight.loading.texts:read_text",
        ".mat": "onelight.loading.foreign:read_mat",
        ".meta": "onelight.loading.texts:read_meta",
        ".npy": "onelight.loading.npy:read_npy",
        ".npz": "onelight.loading.npz:read_npz",
        ".nwb": "onelight.loading.foreign:open_hdf5",
        ".parquet": "onelight.loading.tables:read_pqt",
        ".pqt": "onelight.loading.tables:read_pqt",
        ".sparse_npz": "onelight.loading.foreign:read_sparse",
        ".ssv": "onelight.loading.tables:read_ssv",
        ".tif": "onelight.loading.foreign:read_tif",
        ".tiff": "onelight.loading.foreign:read_tif",
        ".tsv": "onelight.loading.tables:read_tsv",
        ".txt": "onelight.loading.texts:read_text",
        ".xml": "onelight.loading.texts:read_xml",
        ".yaml": "onelight.loading.texts:read_yaml",
        ".yml": "onelight.loading.texts:read_yaml",
    }
)

#: Forms of text, which are read through gzip as well: ``table.csv.gz``.
TEXTS = frozenset(
    {".csv", ".htsv", ".json", ".jsonable", ".log", ".meta", ".ssv", ".tsv", ".txt", ".xml", ".yaml", ".yml"}
)

_own: dict[str, Reader] = {}


def register_reader(extension: str, function: Callable[[Path], Any]) -> None:
    """Let files of an extension be read by a function of your own, from now on in this process.

    Parameters
    ----------
    extension : str
        With or without its dot: ``"tdms"``. One that ONE light reads itself is replaced.
    function : callable
        Takes a :class:`pathlib.Path` and returns the value.

    Raises
    ------
    AlfError
        If the text is no extension.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> register_reader("count", lambda path: int(path.read_text()))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "licks.total.count"
    ...     _ = path.write_text("12")
    ...     load_file(path)
    12
    """
    name = extension.removeprefix(".").lower() if isinstance(extension, str) else ""
    if not name or "." in name or "/" in name or not callable(function):
        raise AlfError(f"{extension!r} is not the extension of a file", hint='Give it as register_reader("tdms", read)')
    _own["." + name] = function


def kind_of(path: Path) -> str:
    """Return the extension that says how a file is read, with its dot, gzip looked through.

    Examples
    --------
    >>> from pathlib import Path
    >>> kind_of(Path("a.b.NPY")), kind_of(Path("a.b.csv.gz")), kind_of(Path("a.b.npy.gz"))
    ('.npy', '.csv', '.gz')
    """
    kind = path.suffix.lower()
    inner = Path(path.stem).suffix.lower() if kind == ".gz" else ""
    return inner if inner in TEXTS else kind


def load_file(path: Path, **options: Any) -> Any:  # an array, a table, a value or a path
    """Read one file into memory by its extension; nothing in it is ever executed.

    Parameters
    ----------
    path : pathlib.Path
        ``.npy`` gives an array, ``.tsv``, ``.csv`` and ``.pqt`` a table, ``.json`` what it says; ``docs/loading.md``
        has the list. Any other extension gives the path itself, for the caller's own reader.
    **options
        What readers take as keywords, each of them only what it knows: ``mmap`` (None, True or False),
        ``metadata`` (what the ``.metadata.json`` beside a flat file or a table says), ``companion`` (the ``.ch`` of a
        ``.cbin``).

    Returns
    -------
    numpy.ndarray, pandas.DataFrame, pathlib.Path or a JSON value

    Raises
    ------
    DatasetNotFound
        If there is no such file.
    UnsafeData
        If the file is damaged, is something else than its name says, or contains Python objects.
    MissingExtra
        If the library that reads this format is not installed.
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
    with translated(path):
        mode = path.stat().st_mode
        kind = kind_of(path)
        reader = _own.get(kind) or imported(READERS.get(kind))
        if reader is None:
            return path
        if not stat.S_ISREG(mode):  # a pipe would block for ever, a device has no end
            raise UnsafeData(f"{path} is not a file", hint="Give the path of one dataset")
        known = getattr(reader, "__kwdefaults__", None) or {}
        return reader(path, **{name: value for name, value in options.items() if name in known})


def extra(module: str, name: str, path: Path) -> Any:  # the module
    """Import an optional library, or say which extra has it.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtra(
            f"{path} is read by {module}, which is not installed",
            hint=f"python -m pip install 'onelight[{name}]', or take the path with download_only=True",
        ) from error


def imported(name: str | None) -> Reader | None:
    """Return what ``module:function`` means, imported now; None for None."""
    if name is None:
        return None
    module, function = name.split(":")
    found: Reader = getattr(import_module(module), function)
    return found


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what Python and the libraries that read files raise into errors that say what to do."""
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
    except (
        ValueError,
        ArithmeticError,
    ) as error:  # of Python, NumPy, pandas and pyarrow; other kinds are bugs, and shown as such
        raise damaged(path, str(error) or type(error).__name__) from error

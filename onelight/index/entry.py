"""One file of a repository: its path, its address, and what is stated of its bytes."""

from __future__ import annotations

from dataclasses import dataclass

from onelight.alf import Dataset
from onelight.errors import AlfError

#: The name of the file in which a repository says what it holds.
INDEX_NAME = ".one_root"
#: Beside it, the tables of :mod:`onelight.tables`.
SESSIONS_NAME = "sessions.pqt"
DATASETS_NAME = "datasets.pqt"
#: The address of an empty file (RFC 2397): figshare stores none, so the index itself says that there is one.
EMPTY_URL = "data:,"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a repository.

    Parameters
    ----------
    path : str
        Path relative to the data folder: ``lab/Subjects/subject/date/number/alf/object.attribute.ext``.
    url : str
        Address to download it from; empty in a local repository.
    size : int or None
        Bytes, where the repository states them.
    md5 : str or None
        Hexadecimal md5 of the content, where the repository states it.
    """

    path: str
    url: str = ""
    size: int | None = None
    md5: str | None = None

    @property
    def session(self) -> str:
        """The session as text: ``lab/Subjects/subject/date/number``."""
        return "/".join(self.path.split("/", 5)[:5])

    @property
    def below(self) -> str:
        """The path below the session, such as ``alf/spikes.times.npy``."""
        return self.path.split("/", 5)[5]

    @property
    def dataset(self) -> Dataset | None:
        """The parsed dataset, or None for a file whose name is not ALF."""
        try:
            return Dataset.parse(self.below)
        except AlfError:
            return None

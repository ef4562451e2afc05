"""gzip as a content coding (RFC 9110, section 8.4.1.3): an index is text, and ten times smaller so."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from onelight.errors import TransferError

_PIECE = 1 << 20


class Unpacking:
    """Unpacks bytes as they come, a piece at a time: what claims to be small may become gigabytes.

    Examples
    --------
    >>> import gzip
    >>> unpacking = Unpacking()
    >>> b"".join(unpacking.take(gzip.compress(b"one ") + gzip.compress(b"light"))), unpacking.is_whole
    (b'one light', True)
    """

    def __init__(self) -> None:
        self._member = zlib.decompressobj(31)
        self._has_begun = False

    @property
    def is_whole(self) -> bool:
        """Whether all that was begun has ended."""
        return self._member.eof or not self._has_begun

    def take(self, data: bytes) -> Iterator[bytes]:
        """Yield what bytes are unpacked to.

        Raises
        ------
        TransferError
            If they are not packed with gzip, or damaged.
        """
        while data:
            if self._member.eof:  # several parts one after the other are one content (RFC 1952, section 2.2)
                self._member = zlib.decompressobj(31)
            self._has_begun = True
            try:
                piece = self._member.decompress(data, _PIECE)
            except zlib.error as error:
                raise TransferError(f"what was packed cannot be unpacked: {error}", hint="Try again") from error
            if piece:
                yield piece
            data = self._member.unconsumed_tail or self._member.unused_data

"""What is read piecewise, and how much memory a file's header may ask for."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from spikewise.errors import DataError
from spikewise.memory import memory_limit

__all__ = ["ByteSource", "check_memory"]

_GIB = 2**30
_ABSURD = 2**60
"""Bytes that no machine has: such a figure is not worth printing."""


@runtime_checkable
class ByteSource(Protocol):
    """A file, a gzip stream or a member of a zip archive."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, or all; none at the end."""

    def tell(self) -> int:
        """Bytes read so far."""


def check_memory(size: int, path: Path) -> None:
    """Refuse a file whose header promises more bytes than there is memory.

    Raises:
        DataError: it does.
    """
    available = memory_limit()
    if size > available:
        promised = f"{size / _GIB:,.1f} GiB" if size < _ABSURD else "over a billion GiB"
        raise DataError(
            f"{path} promises {promised} of data, and there are {available / _GIB:,.1f} GiB of "
            "memory. Either its header is damaged, or the set needs a larger machine (folders are read piecewise)."
        )

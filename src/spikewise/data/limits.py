"""What is read piecewise, and how much memory a file's header may ask for."""

import os
from pathlib import Path
from typing import Protocol, runtime_checkable

from spikewise.errors import DataError

__all__ = ["ByteSource", "check_memory"]


@runtime_checkable
class ByteSource(Protocol):
    """A file, a gzip stream or a member of a zip archive."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, or all; none at the end."""

    def tell(self) -> int:
        """Bytes read so far."""


def check_memory(size: int, path: Path) -> None:
    """Refuse a file whose header promises more bytes than this machine's memory.

    Raises:
        DataError: it does.
    """
    available = _physical_memory()
    if size > available:
        raise DataError(
            f"{path} promises {size / 2**30:,.1f} GiB of data, and this machine has {available / 2**30:,.1f} GiB of "
            "memory. Either its header is damaged, or the set needs a larger machine (folders are read piecewise)."
        )


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 16 * 2**30

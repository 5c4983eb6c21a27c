"""How much memory this machine has."""

import os

__all__ = ["physical_memory"]


def physical_memory() -> int:
    """Bytes of memory; 16 GiB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 16 * 2**30

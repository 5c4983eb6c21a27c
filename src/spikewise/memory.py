"""How much memory this process may have, and has."""

import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["memory_limit", "objects_set_aside", "resident_bytes", "without_collection"]

_GROUPS = Path("/sys/fs/cgroup")


def memory_limit() -> int:
    """Bytes: the machine's memory, or less where a container or `ulimit -v` allows less.

    16 GiB where the system does not say.
    """
    return min(_machine(), *_limits())


def _machine() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 16 * 2**30


def _limits() -> Iterator[int]:
    """Of the process, and of the control groups that hold it (both versions; no limit is a huge number, or a word)."""
    yield 2**62
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415  # not on Windows

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            yield soft
    for file in (_GROUPS / "memory.max", _GROUPS / "memory" / "memory.limit_in_bytes", *_own_groups()):
        with contextlib.suppress(OSError, ValueError):
            yield int(file.read_text())


def _own_groups() -> Iterator[Path]:
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            if not controllers:
                yield _GROUPS / place.lstrip("/") / "memory.max"
            elif "memory" in controllers.split(","):
                yield _GROUPS / "memory" / place.lstrip("/") / "memory.limit_in_bytes"


def resident_bytes() -> int:
    """Bytes of memory that this process holds now; the most that it ever held where the system does not say; or 0."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(ImportError):
        import resource  # noqa: PLC0415  # not on Windows

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, which is where this is reached
    return 0


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Within, nobody looks for reference cycles: each look would pass over all of the many objects made, which stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextlib.contextmanager
def objects_set_aside() -> Iterator[None]:
    """Within, the search for reference cycles passes over what there is already."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()

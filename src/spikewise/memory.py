"""How much memory this process may have, and has."""

import contextlib
import ctypes
import errno
import gc
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "freed_memory_kept",
    "memory_limit",
    "objects_set_aside",
    "ran_out_of_memory",
    "resident_bytes",
    "return_freed_memory",
    "stop_keeping_if_short",
    "without_collection",
]

_GROUPS = Path("/sys/fs/cgroup")
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""Options of glibc's `mallopt`, by their numbers in malloc.h."""
_KEEPING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1}
_USUAL = {_MMAP_MAX: 1 << 16, _TRIM_THRESHOLD: 64 << 20, _MMAP_THRESHOLD: 32 << 20}
"""Where the thresholds rise by themselves when large blocks are freed."""
_MOST_HELD = 2 / 3
"""Of the memory that a process may have, as long as it keeps what is freed: holes between blocks take more, too."""
_TOLD_OTHERWISE = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
"""Variables by which a user sets the same: that stands."""
_REFUSED = re.compile(r"can(no|')t allocate|not enough memory|out of memory|bad_alloc", re.IGNORECASE)


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
    if (limit := _addresses()) is not None:
        yield limit
    for file in (_GROUPS / "memory.max", _GROUPS / "memory" / "memory.limit_in_bytes", *_own_groups()):
        with contextlib.suppress(OSError, ValueError):
            yield int(file.read_text())


def _addresses() -> int | None:
    """Bytes of addresses that this process may have, where that is limited (`ulimit -v`)."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415  # not on Windows

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        return None if soft == resource.RLIM_INFINITY else soft
    return None


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


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether this says that a device, the system or a limit refused memory: each library has words of its own."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_REFUSED.search(str(error))))


def return_freed_memory() -> None:
    """Give back to the system what is freed and still held: by the native engine for its next batch, by `malloc`."""
    if (module := sys.modules.get("spikewise._native")) is not None:
        module.release_memory()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class _Holders:
    """How many parts of the program want freed memory kept."""

    guard = threading.Lock()
    count = 0
    most = 2**62
    """Bytes that the process may hold before nothing is kept any more."""


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Within, memory that is freed stays with this process, for the next tensor; at the end it is given back.

    By itself glibc hands every block over 32 MiB back when it is freed, and asks for a new one: the system then fills
    each of its pages with zeros, which for networks of large images takes as long as the work in them. Within another
    such context, without glibc, where the environment sets these options of `malloc`, or where addresses are limited
    (`ulimit -v`; what is kept has some), it does nothing.
    """
    with _Holders.guard:
        _Holders.count += 1
        if _Holders.count == 1:
            _Holders.most = int(_MOST_HELD * memory_limit())
            _mallopt(_KEEPING)
    try:
        yield
    finally:
        with _Holders.guard:
            _Holders.count -= 1
            if _Holders.count == 0:
                _Holders.most = 2**62
                _mallopt(_USUAL)
                return_freed_memory()


def stop_keeping_if_short() -> None:
    """Give freed memory back, and keep none from here on, where this process holds much of what it may have."""
    if _Holders.count and resident_bytes() > _Holders.most:
        with _Holders.guard:
            _Holders.most = 2**62
            _mallopt(_USUAL)
            return_freed_memory()


def _mallopt(options: dict[int, int]) -> None:
    told = any(name in os.environ for name in _TOLD_OTHERWISE)
    if sys.platform != "linux" or told or _addresses() is not None:
        return
    with contextlib.suppress(OSError, AttributeError):  # a C library that has no such options
        libc = ctypes.CDLL(None)
        for option, value in options.items():
            libc.mallopt(option, value)


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

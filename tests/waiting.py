"""Tests wait for what they need, however busy the machine is."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["LONG", "in_time", "wait_until"]

LONG: Final = 300.0
"""Seconds that mean that something will never come."""


def wait_until(met: Callable[[], object], told: Callable[[], object] = lambda: "", pause: float = 0.02) -> None:
    """Until something holds.

    Args:
        met: whether it does.
        told: what is said where it never does.
        pause: seconds between two looks.
    """
    end = time.monotonic() + LONG
    while not met():
        assert time.monotonic() < end, told()
        time.sleep(pause)


def in_time(work: Callable[[], Any]) -> Any:
    """What some work gives that must not wait for what never comes."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(LONG)
    assert not thread.is_alive(), "it goes on"
    (result,) = found
    return result

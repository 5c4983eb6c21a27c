"""Tests wait for what they need, however busy the machine is."""

import time
from collections.abc import Callable
from typing import Final

__all__ = ["LONG", "wait_until"]

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

"""Finding the value of a setting that gives a wanted figure."""

from collections.abc import Callable
from typing import Final

__all__ = ["value_that_gives"]

_REACH: Final = 24
"""The value is sought within a factor of 2^24 either way."""
_HALVINGS: Final = 14


def value_that_gives(wanted: float, measure: Callable[[float], float], *, around: float) -> tuple[float, float] | None:
    """A value, to two figures, at which `measure` is as wanted, and what it is there.

    Bisection over the logarithm; `measure` must rise or fall all the way.

    Args:
        around: a positive value; the search starts there.
    Returns:
        None where what is wanted lies out of reach, or the figure jumps over it by more than a factor of two.
    """
    low, high = around * 2.0**-_REACH, around * 2.0**_REACH
    at_low, at_high = measure(low), measure(high)
    if not min(at_low, at_high) <= wanted <= max(at_low, at_high):
        return None
    rises = at_high > at_low
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        if (measure(middle) < wanted) == rises:
            low = middle
        else:
            high = middle
    value = float(f"{(low * high) ** 0.5:.2g}")
    reached = measure(value)
    return (value, reached) if wanted / 2 <= reached <= wanted * 2 else None

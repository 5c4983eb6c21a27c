"""`Budget`: how long the sections of a run may take together, and how much of each is made within that."""

import time
from collections.abc import Callable
from typing import Final

__all__ = ["LEAST", "SHARE", "Budget"]

SHARE: Final = 0.25
"""Of the training's time, for all sections together."""
LEAST: Final = 10.0
"""Seconds that sections may take however short the training was: nobody waits long for them."""
_PART: Final = 0.5
"""Of what is left, for one section while others wait."""
_SHARES: Final = (1.0, 0.5, 0.25, 0.125)
"""Of a section's usual work; below the last it is left out."""


class Budget:
    """Seconds for all sections of a run together.

    Args:
        trained: seconds that all trainings took together.
        spent: seconds of the sections that are made already after the test.
        unlimited: every section is made whole.
    """

    def __init__(
        self,
        trained: float,
        spent: float = 0.0,
        *,
        unlimited: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.unlimited, self.clock = unlimited, clock
        self.whole = max(SHARE * trained, LEAST)
        self._spent, self._begun = spent, clock()

    @property
    def left(self) -> float:
        """Seconds that are left now."""
        return max(0.0, self.whole - self._spent - (self.clock() - self._begun))

    def share(self, seconds: float, *, last: bool) -> float | None:
        """Which share of a section of so many seconds can be made now; None where not even the least.

        Args:
            last: no other section waits.
        """
        if self.unlimited:
            return 1.0
        allowed = self.left * (1.0 if last else _PART)
        return next((share for share in _SHARES if share * seconds <= allowed), None)

    def pause(self, seconds: float) -> None:
        """Seconds that just passed were no section's, such as those of renewing the report."""
        self._spent -= seconds

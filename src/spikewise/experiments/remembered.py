"""`Remembered`: what was made of objects that never change, so that thousands of cells of a sweep have it made once."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Remembered"]

Made = TypeVar("Made")

_MOST = 20_000


class Remembered(Generic[Made]):
    """What was made of an object, told by the object itself: an equal one is another, for to compare takes as long.

    Not for objects that change.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._made: dict[tuple[int, Hashable], tuple[object, Made]] = {}

    def of(self, one: object, how: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` gives, or gave for the same object and the same `how`."""
        known = self._made.get((id(one), how))
        return self.keep(one, how, make()) if known is None else known[1]

    def known(self, one: object, how: Hashable) -> Made | None:
        """What was made of the same object; None where nothing was."""
        known = self._made.get((id(one), how))
        return None if known is None else known[1]

    def keep(self, one: object, how: Hashable, made: Made) -> Made:
        """Remember what was made, and give it back."""
        if len(self._made) >= self._most:
            self._made.clear()
        self._made[id(one), how] = (one, made)  # the object stays, so that no other has its id
        return made

"""`Record`: the base of everything that `results.json` holds, and the kinds of its fields."""

import math
from collections.abc import Iterator
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, Strict

from spikewise.config import Config

__all__ = ["Count", "Estimate", "Figures", "Many", "Number", "Record", "Share"]


_FEW = 6
"""Items that are shown one by one."""


def _finite_or_none(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


T = TypeVar("T")
Many = Annotated[tuple[T, ...], Strict(False)]  # JSON has lists only; a tuple keeps a frozen record frozen
Number = Annotated[float | None, BeforeValidator(_finite_or_none)]
"""JSON knows neither nan nor infinity: they become null."""
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Figures = dict[str, float]


class _Shown(str):
    """Shown without quotation marks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _outline(value: object) -> str:
    if isinstance(value, Record):
        return f"{type(value).__name__}(...)"
    nested = isinstance(value, tuple | list) and any(isinstance(one, Record) for one in value)
    if isinstance(value, tuple | list | dict) and (nested or len(value) > _FEW):
        return f"<{len(value)} {type(value[0]).__name__ if nested and not isinstance(value, dict) else 'items'}>"
    return repr(value)


class Record(Config):
    """A part of the results: frozen, and strict about types (no text where a number belongs)."""

    model_config = ConfigDict(strict=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        """Of what a field holds its kind or its number, so that a prompt shows a screen and not a file."""
        for name, value in super().__repr_args__():
            yield name, _Shown(_outline(value))


class Estimate(Record):
    """A figure with its uncertainty; `method` says how the interval was made and what it covers."""

    mean: float
    sd: float | None = None
    """Standard deviation over seeds (n - 1); null for a single seed."""
    low: float | None = None
    high: float | None = None
    """Ends of the interval; null where the data cannot give one."""
    level: Share = 0.95
    method: str

"""`Record`: the base of everything that `results.json` holds, and the kinds of its fields."""

import math
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, Strict

from spikewise.config import Config

__all__ = ["Count", "Estimate", "Figures", "Many", "Number", "Record", "Share"]


def _finite_or_none(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


T = TypeVar("T")
Many = Annotated[tuple[T, ...], Strict(False)]  # JSON has lists only; a tuple keeps a frozen record frozen
Number = Annotated[float | None, BeforeValidator(_finite_or_none)]
"""JSON knows neither nan nor infinity: they become null."""
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Figures = dict[str, float]


class Record(Config):
    """A part of the results: frozen, and strict about types (no text where a number belongs)."""

    model_config = ConfigDict(strict=True)


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

"""Quantities with the SI prefix that leaves a readable number: 53.8 mJ, 307 nJ, 149 µs; for console and page alike."""

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from spikewise.errors import ConfigError, quoted

__all__ = ["Unit", "bytes_of", "energy", "energy_unit", "latency", "latency_unit", "parse_bytes", "quantity", "unit_of"]

_BYTES: Final = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_PREFIXES: Final = {
    -15: "f", -12: "p", -9: "n", -6: "\u00b5", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T",
}  # fmt: skip
_WIDEST: Final = 10_000.0
"""A figure from here on is not written in a unit that it shares with others: a larger unit is taken for all."""


class Unit(NamedTuple):
    """A unit with its prefix, such as µJ."""

    symbol: str
    size: float
    """In the unit without a prefix."""

    def bare(self, value: float | None) -> str:
        """A value (in the unit without a prefix) with three figures, thousands grouped, without the symbol.

        Zeros at the end are figures, too, in a column: 5.40 beside 5.37.
        """
        return "–" if value is None else _three_figures(value / self.size)

    def text(self, value: float | None) -> str:
        """A value with the symbol."""
        return "–" if value is None else f"{self.bare(value)} {self.symbol}"

    def alone(self, value: float | None) -> str:
        """The same in a sentence, where zeros behind the point are left out: 1.2 ms."""
        number, space, symbol = self.text(value).partition(" ")
        return (number.rstrip("0").rstrip(".") if "." in number else number) + space + symbol


def unit_of(values: Iterable[float | None], symbol: str) -> Unit:
    """The unit that all values can be read in: that of the smallest, or a larger one where the largest would be long.

    Args:
        values: In the unit without a prefix; zero, None and what is not finite have no say.
    """
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes:
        return Unit(symbol, 1.0)
    power = _power(min(sizes))
    while power < max(_PREFIXES) and _rounded(max(sizes) / 10.0**power) >= _WIDEST:
        power += 3
    return Unit(_PREFIXES[power] + symbol, 10.0**power)


def quantity(value: float | None, symbol: str) -> str:
    """A value (in the unit without a prefix) with its own prefix: `quantity(3.07e-7, "J")` is "307 nJ"."""
    return unit_of([value], symbol).alone(value)


def parse_bytes(text: str | int) -> int:
    """A number of bytes: 2000000, "2MB", "1.5 MB", "800kB", "2MiB".

    Raises:
        ConfigError: it is none, or no byte.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?i?b?)\s*", str(text).lower())
    unit = None if found is None else found[2] if found[2].endswith("b") or not found[2] else f"{found[2]}b"
    if found is None or (unit and unit not in _BYTES):
        raise ConfigError(f"{quoted(str(text))} is no size: give bytes, or a number with a unit, such as 2MB or 800kB.")
    size = math.floor(float(found[1]) * _BYTES[unit or "b"])
    if size < 1:
        raise ConfigError(f"A size must be at least 1 byte; got {quoted(str(text))}.")
    return size


def energy(nanojoule: float | None) -> str:
    """An energy, given in nanojoules: 307 nJ, 1.87 µJ, 53.8 mJ."""
    return quantity(None if nanojoule is None else nanojoule * 1e-9, "J")


def energy_unit(nanojoules: Iterable[float | None]) -> Unit:
    """The unit that several energies can be read in; its `size` is in nanojoules, as they are."""
    return _given_in(1e-9, nanojoules, "J")


def latency_unit(milliseconds: Iterable[float | None]) -> Unit:
    """The unit that several times can be read in; its `size` is in milliseconds, as they are."""
    return _given_in(1e-3, milliseconds, "s")


def latency(milliseconds: float | None) -> str:
    """A time between question and answer, given in milliseconds: 51 µs, 1.2 ms."""
    return quantity(None if milliseconds is None else milliseconds * 1e-3, "s")


def bytes_of(number: float | None) -> str:
    """Memory, given in bytes: 1.63 MB."""
    return quantity(number, "B")


def _given_in(scale: float, values: Iterable[float | None], symbol: str) -> Unit:
    unit = unit_of([None if one is None else one * scale for one in values], symbol)
    return unit._replace(size=unit.size / scale)


def _power(size: float) -> int:
    """The power of ten of the prefix for a size: the largest that leaves 1 or more once it is rounded."""
    power = 3 * math.floor(math.log10(size) / 3)
    power = min(max(power, min(_PREFIXES)), max(_PREFIXES))
    return power + 3 if _rounded(size / 10.0**power) >= 1000 and power < max(_PREFIXES) else power


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _three_figures(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    text = f"{value:,.0f}" if abs(value) >= 99.95 else format(Decimal(f"{value:#.3g}"), "f")
    return text.replace("-", "\u2212")

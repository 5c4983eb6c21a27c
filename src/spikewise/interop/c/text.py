"""Numbers and arrays as C writes them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewise.interop.c.memory import ConstantArray

__all__ = ["array", "literal"]

_PER_LINE = 12
_LARGE = 4096


def literal(value: Any) -> str:
    """A number: a float that reads back as the same bits, or an integer."""
    if np.asarray(value).dtype.kind != "f":
        return str(int(value))
    text = f"{np.float32(value):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def array(table: ConstantArray, *, sized: bool = False) -> str:
    """Definition of a constant array.

    Args:
        sized: of a large one the size alone is right: compilers take half a minute to read a million numbers.
    """
    flat = table.values.reshape(-1)
    words = ["1"] if sized and len(flat) > _LARGE else _words(flat)
    lines = [", ".join(words[start : start + _PER_LINE]) for start in range(0, len(words), _PER_LINE)]
    return f"static const {table.c_type} {table.name}[{len(flat)}] = {{\n" + ",\n".join(lines) + "\n};\n"


def _words(flat: NDArray[Any]) -> list[str]:
    if flat.dtype.kind != "f":
        return list(map(str, flat.tolist()))
    if len(flat) > _LARGE:
        return [_hexadecimal(value) for value in flat.tolist()]
    return [literal(value) for value in flat]


def _hexadecimal(value: float) -> str:
    """A number of 32 bits by its bits: compilers read it a quarter sooner than decimals, which they have to round."""
    return f"{value.hex().replace('0000000p', 'p')}f"  # of the 52 bits that Python writes, the last 29 are 0

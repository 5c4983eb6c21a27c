"""Tables in a narrow terminal: columns are folded between words; those that still have no room go below, as a part."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

__all__ = ["GAP", "TablePart", "parts", "wrapped"]

GAP: Final = 2
"""Letters between two columns."""
_FOLDED: Final = 20
"""A word longer than this, such as a path, may be broken; shorter ones never are."""
_HEAD: Final = 12
"""The same for words of a head above figures."""
_UNITS: Final = re.compile(r"(?<!\S)'[^']*/[^']*'\S*|\S+")
"""Words, and paths with spaces in quotation marks."""


class TablePart(NamedTuple):
    """Columns that stand side by side."""

    columns: tuple[int, ...]
    widths: tuple[int, ...]


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a paragraph; a word, or a text in quotation marks, that is longer than one is a line by itself."""
    from rich.cells import cell_len  # some letters take two places

    lines: list[str] = []
    for paragraph in text.split("\n"):
        if cell_len(paragraph) <= width:
            lines.append(paragraph)
            continue
        line = ""
        for unit in _UNITS.findall(paragraph):
            for word in [unit] if cell_len(unit) > width else unit.split():
                if line and cell_len(f"{line} {word}") > width:
                    lines.append(line)
                    line = word
                else:
                    line = f"{line} {word}".lstrip()
        lines.append(line)
    return lines


def parts(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, whole: Sequence[int] = ()
) -> list[TablePart]:
    """How a table stands in a terminal; every part begins with the columns that tell the rows apart.

    Args:
        width: Of the terminal, in letters.
        whole: Columns whose cells are never folded, such as figures; their heads may be.
    """
    full = [max(1, *(_length(cell) for cell in column)) for column in zip(header, *rows, strict=True)]
    least = [
        min(full[at], max(1, _word(head, _HEAD), *(_need(row[at], at in whole) for row in rows)))
        for at, head in enumerate(header)
    ]
    names = _names(rows, least, width)
    out, taken = [], list(range(names))
    for at in range(names, len(header)):
        if len(taken) > names and _taken(least[one] for one in [*taken, at]) > width:
            out.append(taken)
            taken = list(range(names))
        taken.append(at)
    text = [sum(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [_part(columns, full, least, text, width) for columns in [*out, taken]]


def _names(rows: Sequence[Sequence[str]], least: list[int], width: int) -> int:
    """How many columns at the left tell the rows apart: one where none do, or where they leave no room for others."""
    for count in range(1, len(least)):
        if _taken(least[:count]) > width // 2:
            break
        if len({tuple(row[:count]) for row in rows}) == len(rows):
            return count
    return 1


def _part(columns: list[int], full: list[int], least: list[int], text: list[int], width: int) -> TablePart:
    """Room is taken, letter by letter, from the column whose text, folded, is the shortest."""
    widths = {at: full[at] for at in columns}
    while _taken(widths.values()) > width:
        loose = [at for at in columns if widths[at] > least[at]]
        if loose:
            widths[min(loose, key=lambda at: text[at] / widths[at])] -= 1
        elif max(widths.values()) > 1:
            widths[max(columns, key=widths.__getitem__)] -= 1
        else:
            break
    return TablePart(tuple(columns), tuple(widths[at] for at in columns))


def _taken(widths: Iterable[int]) -> int:
    each = list(widths)
    return sum(each) + GAP * (len(each) - 1)


def _need(cell: str, whole: bool) -> int:
    return _length(cell) if whole else _word(cell, _FOLDED)


def _length(cell: str) -> int:
    return max(map(len, cell.split("\n")))


def _word(cell: str, longest: int) -> int:
    return min(max(map(len, cell.split()), default=0), longest)

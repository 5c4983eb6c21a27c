"""Tables of labels as JSON lines: an object for each image, as `metadata.jsonl` of an image folder has them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from spikewise.data.names import shown
from spikewise.errors import DataError, MissingDataError, quoted
from spikewise.parsing import ParseError, parse_json

__all__ = ["JsonLines", "open_json_lines", "value_text"]

_LOOK: Final = 100
"""Lines from which the names of the columns are told: one that lacks a value may leave out its name."""
_LONGEST: Final = 2**20
"""Letters of a line."""


class JsonLines(NamedTuple):
    """A table whose first lines have been read."""

    path: Path
    header: tuple[str, ...]
    encoding: str = "utf-8-sig"

    def rows(self, wanted: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
        """The line of each row, counted from 1, and its values in some columns as text; empty lines aside.

        What is null, or not there, is an empty text.

        Raises:
            DataError: a line that is no object, or a value that is several.
        """
        names = [self.header[place] for place in wanted]
        for number, found in _objects(self.path):
            yield number, [value_text(found.get(name), self.path, number, name) for name in names]


def open_json_lines(path: Path) -> JsonLines:
    """Read the names that the first lines give.

    Raises:
        DataError: no text, a line that is no object, or names for nothing but one value.
    """
    names: dict[str, None] = {}
    for count, (_, found) in enumerate(_objects(path)):
        names.update(dict.fromkeys(found))
        if count == _LOOK:
            break
    if not names:
        raise DataError(f"{path} is empty. A table of labels as JSON has a line for each image.")
    if len(names) == 1:
        raise DataError(
            f"{path} gives each image a single value, '{shown(next(iter(names)))[:80]}'. A table of labels has one for "
            "the file and one for the class."
        )
    return JsonLines(path, tuple(names))


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line that is not empty, with its number."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST), ""), 1):
                if not line.strip():
                    continue
                if len(line) == _LONGEST:
                    raise DataError(f"{path}, line {number}: more than {_LONGEST:,} letters are no row of labels.")
                yield number, _object(line, path, number)
    except DataError:
        raise
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8 ({error.reason}).") from None
    except FileNotFoundError:
        raise MissingDataError(f"The table {path} does not exist.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"The table {shown(path)} cannot be read: {reason}. Check its path.") from None


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        found = parse_json(line)
    except ParseError as error:
        raise DataError(f"{path}, line {number}: no JSON ({error}). Correct the line.") from None
    if not isinstance(found, dict):
        raise DataError(
            f"{path}, line {number}: {quoted(line.strip(), 60)} is no JSON object. Each line is one, such as "
            '{"file_name": "1.png", "label": "cat"}.'
        )
    return found


def value_text(value: object, path: Path, number: int, name: str) -> str:
    """A value of a column as text; what is null is empty.

    Raises:
        DataError: it is several.
    """
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, list | dict):
        raise DataError(
            f"{path}, line {number}: '{shown(name)}' holds several values ({quoted(value, 60)}), where one is read."
        )
    return str(value).casefold() if isinstance(value, bool) else str(value)

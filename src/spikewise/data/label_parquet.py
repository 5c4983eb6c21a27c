"""Tables of labels in Parquet, as `metadata.parquet` of an image folder of Hugging Face; pyarrow reads them."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from spikewise.data.label_lines import value_text
from spikewise.data.names import listed, shown
from spikewise.errors import DataError, DependencyError, MissingDataError
from spikewise.parsing import ParseError, parse_json

__all__ = ["PARQUET", "ParquetTable", "lacks_reader", "open_parquet"]

PARQUET: Final = ".parquet"
_ROWS: Final = 10_000
"""Read at a time."""
_MOST: Final = 20_000_000
"""Rows: more are a mistake, and would fill the memory."""
_ABOUT: Final = b"huggingface"
"""Where a file says what its numbers mean."""


class ParquetTable(NamedTuple):
    """A table whose columns are known."""

    path: Path
    header: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]
    """What each number stands for in columns of numbered classes."""
    encoding: str = "utf-8-sig"

    def rows(self, wanted: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
        """The number of each row, counted from 1, and its values in some columns as text; what is null is empty.

        Raises:
            DataError: a value that is several, a number that stands for no class, or a damaged file.
        """
        columns = [self.header[place] for place in wanted]
        number = 0
        with _reading(self.path):
            for batch in _opened(self.path).iter_batches(_ROWS, columns=list(dict.fromkeys(columns))):
                values = {name: batch.column(at).to_pylist() for at, name in enumerate(batch.schema.names)}
                for at in range(batch.num_rows):
                    number += 1
                    yield number, [self._text(values[name][at], number, name) for name in columns]

    def _text(self, value: object, number: int, name: str) -> str:
        known = self.names.get(name)
        if known is None or not isinstance(value, int) or isinstance(value, bool):
            return value_text(value, self.path, number, name)
        if not 0 <= value < len(known):
            raise DataError(
                f"{self.path}, row {number}: '{shown(name)}' is {value}, and the file names {len(known)} "
                "classes from 0."
            )
        return known[value]


def lacks_reader(path: Path) -> bool:
    """Whether a file is a table that could only be read with a package that is not installed."""
    return path.suffix.lower() == PARQUET and find_spec("pyarrow") is None


def open_parquet(path: Path) -> ParquetTable:
    """Read the names of the columns.

    Raises:
        DependencyError: pyarrow is not installed.
        MissingDataError: no such file.
        DataError: no Parquet, columns of one name, or a single one.
    """
    if not path.is_file():
        raise MissingDataError(f"The table {path} does not exist.")
    if lacks_reader(path):
        raise DependencyError(
            f"The table {path} is Parquet, which needs the package pyarrow: pip install 'spikewise[parquet]'. Or write "
            "it as CSV."
        )
    with _reading(path):
        file = _opened(path)
        header, about = tuple(file.schema_arrow.names), file.schema_arrow.metadata or {}
        rows = file.metadata.num_rows
    twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    if twice or len(header) < 2:
        said = f"several columns called {listed(twice, 8)}" if twice else "less than two columns"
        raise DataError(f"{path} has {said}. A table of labels has one for the files and one for the classes.")
    if not 0 < rows <= _MOST:
        raise DataError(f"{path} has {rows:,} rows; a table of labels has one for each image, {_MOST:,} at most.")
    return ParquetTable(path, header, _class_names(about.get(_ABOUT, b""), header))


def _opened(path: Path) -> Any:  # a ParquetFile of a package that may not be there
    from pyarrow import parquet  # noqa: PLC0415  # an extra

    return parquet.ParquetFile(path)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What goes wrong in a file, in words."""
    try:
        yield
    except DataError:
        raise
    # Arrow's errors are these classes; NotImplementedError is its word for a type, a compression or an encryption that
    # this pyarrow cannot read, and names it.
    except (OSError, ValueError, ArithmeticError, NotImplementedError, KeyError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        raise DataError(f"The table {path} cannot be read as Parquet: {reason}.") from None


def _class_names(about: bytes, header: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The classes that columns number, as the package datasets writes them beside a table; none where it says none."""
    try:
        found = parse_json(about.decode())
    except (ParseError, UnicodeDecodeError):
        return {}
    for key in ("info", "features"):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return {}
    said = {name: found[name].get("names") for name in header if isinstance(found.get(name), dict)}
    return {
        name: tuple(names)
        for name, names in said.items()
        if isinstance(names, list) and all(isinstance(one, str) and one.strip() for one in names)
    }

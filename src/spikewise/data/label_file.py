"""Tables of labels as files, read row by row: CSV and its relatives in every dialect that programs write, JSON lines,
Parquet."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from spikewise.data.label_lines import JsonLines, open_json_lines
from spikewise.data.label_parquet import PARQUET, ParquetTable, open_parquet
from spikewise.data.names import shown
from spikewise.errors import DataError, MissingDataError

__all__ = ["SUFFIXES", "LabelFile", "TextTable", "open_label_file"]

_LINES: Final = ".jsonl"
SUFFIXES: Final = (".csv", ".tsv", _LINES, PARQUET)
"""Of files that may be tables of labels, by themselves."""
_HEAD: Final = 2**20
"""Bytes in which the names of the columns must stand."""
_LOOK: Final = 20
"""Rows from which the separator is told."""
_DELIMITERS: Final = (",", ";", "\t", "|")
_MOST: Final = 20_000_000
"""Rows: more are a mistake, and would fill the memory."""


class TextTable(NamedTuple):
    """A table in a text whose header has been read."""

    path: Path
    header: tuple[str, ...]
    encoding: str
    delimiter: str
    skipped: int
    """Lines before the header: Excel writes which separator it uses."""

    def rows(self, wanted: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
        """The line of each row, counted from 1, and its values in some columns, without outer spaces; empty rows aside.

        Raises:
            DataError: a row of more or fewer values than there are columns, open quotes, or too many rows.
        """
        with self.path.open(encoding=self._whole_encoding(), newline="") as file:
            for _ in range(self.skipped):
                file.readline()
            reader = csv.reader(file, delimiter=self.delimiter, strict=True)
            try:
                next(reader)
                for count, row in enumerate(reader):
                    if not any(map(str.strip, row)):
                        continue
                    if len(row) != len(self.header):
                        raise DataError(
                            f"{self.path}, line {reader.line_num + self.skipped}: {_values(len(row))}, and there are "
                            f"{len(self.header)} columns. Correct the line; quote a value that holds the separator "
                            f"{self.delimiter!r}."
                        )
                    if count >= _MOST:
                        raise DataError(f"{self.path} has more than {_MOST:,} rows, and no more are read.")
                    yield reader.line_num + self.skipped, [row[place].strip() for place in wanted]
            except csv.Error as error:
                raise DataError(f"{self.path}, line {reader.line_num + self.skipped}: {error}. Correct it.") from None
            except UnicodeDecodeError as error:  # UTF-16 that is cut
                raise DataError(f"{self.path} is no text in {error.encoding} ({error.reason}).") from None

    def _whole_encoding(self) -> str:
        """The encoding, looked at to the end of the file: the first letter that is no UTF-8 may stand anywhere."""
        if self.encoding != "utf-8-sig":
            return self.encoding
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            with self.path.open("rb") as file:
                while chunk := file.read(_HEAD):
                    decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
        return self.encoding


LabelFile = TextTable | JsonLines | ParquetTable
"""A table, opened: its `path`, the names of its columns (`header`), its `encoding`, and `rows`."""


def _values(count: int) -> str:
    return f"{count} value{'' if count == 1 else 's'}"


def open_label_file(path: Path) -> LabelFile:
    """Read the names of the columns of a table, and in which dialect it is written.

    UTF-8 with or without a mark, UTF-16 with one, else Latin-1; separated by commas, semicolons, tabs or bars; or an
    object in JSON for each line; or Parquet.

    Raises:
        DependencyError: Parquet, and what reads it is not installed.
        MissingDataError: no such file.
        DataError: it cannot be read, is no text, is empty, or has a single column.
    """
    if path.suffix.lower() == _LINES:
        return open_json_lines(path)
    if path.suffix.lower() == PARQUET:
        return open_parquet(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        raise MissingDataError(f"The table {path} does not exist.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"The table {shown(path)} cannot be read: {reason}. Check its path.") from None
    encoding = "utf-16" if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    text, encoding = _decoded(head, encoding)
    if "\0" in text:
        raise DataError(f"{path} is no table of text (CSV, TSV): it holds bytes that no text has.")
    first = text.partition("\n")[0].strip("\r\ufeff ").casefold()
    said = first[4:5] if first.startswith("sep=") and len(first) == 5 else ""
    skipped = int(bool(said))
    text = text.partition("\n")[2] if skipped else text
    delimiter = said or _delimiter(text, path, whole=len(head) < _HEAD)
    try:
        header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise DataError(f"{path}, line 1: {error}. The first line names the columns.") from None
    names = tuple(name.strip() for name in header)
    if not any(names):
        raise DataError(f"{path} is empty. A table of labels has a line that names its columns, and one an image.")
    if len(names) == 1:
        raise DataError(
            f"{path} has a single column, '{shown(names[0][:80])}'. A table of labels has one for files and one for "
            "classes, separated by commas, semicolons or tabs."
        )
    return TextTable(path, names, encoding, delimiter, skipped)


def _decoded(head: bytes, encoding: str) -> tuple[str, str]:
    """The start of a file as text; a letter that is cut at its end is left out."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head), encoding
    except UnicodeDecodeError:
        return head.decode("latin-1"), "latin-1"


def _delimiter(text: str, path: Path, *, whole: bool) -> str:
    """The separator by which the first rows have the same number of values, and most of them."""
    best, found = (False, 1), ","
    for delimiter in sorted(_DELIMITERS, key=lambda one: one != "\t") if path.suffix.lower() == ".tsv" else _DELIMITERS:
        rows: list[int] = []
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            for row in reader:
                rows += [len(row)] if row else []
                if len(rows) > _LOOK:
                    break
        except csv.Error:  # of another separator, most likely
            pass
        rows = rows if whole or len(rows) > _LOOK else rows[:-1] or rows  # the last may be cut
        if rows and rows[0] > 1 and (len(set(rows)) == 1, rows[0]) > best:
            best, found = (len(set(rows)) == 1, rows[0]), delimiter
    return found

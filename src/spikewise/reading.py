"""Reading back what runs left on disk: a damaged, half-written or foreign file is named, with what to do about it.

Whatever stands in a run folder may have been cut, edited or replaced; nothing in it is trusted before it is checked.
"""

import stat
from pathlib import Path
from typing import Any, Final, TypeVar

from spikewise.config import Config, parse
from spikewise.errors import ConfigError, RunError
from spikewise.memory import ran_out_of_memory
from spikewise.parsing import ParseError, parse_json

__all__ = ["REMEDY", "check_regular", "damaged", "read_json", "read_record"]

REMEDY: Final = "Remove it and run again."
_MOST_BYTES: Final = 2**28
"""Of a JSON file; that of a hundred networks with long histories has a tenth."""
RecordT = TypeVar("RecordT", bound=Config)


def damaged(path: Path, reason: object, remedy: str = REMEDY) -> RunError:
    """The error for a file that does not hold what it should, or for which no memory is left if that is the reason."""
    if isinstance(reason, BaseException) and ran_out_of_memory(reason):
        return RunError(
            f"There is no memory left to read {path}, which stays as it is. Give this process more, and try again."
        )
    return RunError(f"{path} is damaged ({str(reason).rstrip('.')}). {remedy}")


def check_regular(path: Path, remedy: str = REMEDY) -> int:
    """Size of a file in bytes, if it is one: opening a pipe or a device would wait for ever.

    Raises:
        RunError: it is missing, or something else than a file.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise RunError(f"{path} is missing. Is this a finished run folder?") from None
    except (OSError, ValueError) as error:
        raise RunError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}. Check the path.") from error
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise RunError(f"{path} is {what}, where a file of the run belongs. {remedy}")
    return found.st_size


def read_json(path: Path, remedy: str = REMEDY, *, finite: bool = True) -> Any:  # whatever JSON holds
    """The content of a JSON file.

    Args:
        finite: False leaves it to the record to say which number is none.

    Raises:
        RunError: it is missing, no file, or damaged.
    """
    size = check_regular(path, remedy)
    if size > _MOST_BYTES:
        raise damaged(path, f"{size:,} bytes", remedy)
    try:
        return parse_json(path.read_text(encoding="utf-8"), finite=finite)
    except UnicodeDecodeError:
        raise damaged(path, "it is no text", remedy) from None
    except ParseError as error:
        raise damaged(path, f"no JSON: {error}", remedy) from None
    except OSError as error:
        raise RunError(f"Cannot read {path}: {error.strerror or error}. Check the path.") from error


def read_record(path: Path, record_type: type[RecordT], remedy: str = REMEDY) -> RecordT:
    """The record that a JSON file holds.

    Raises:
        RunError: it is missing, no file, damaged, or holds something else.
    """
    content = read_json(path, remedy)
    try:
        return parse(record_type, content)
    except ConfigError as error:
        raise damaged(path, error, remedy) from None

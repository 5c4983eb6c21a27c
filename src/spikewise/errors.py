"""Every error the package raises on purpose.

    SpikewiseError                 one clear message, exit code 2 on the command line
    ├── ConfigError                a config, option or argument is wrong
    │   └── ShapeError             sizes that cannot fit together
    ├── DataError                  a file, folder or set of images is wrong
    │   ├── MissingDataError       it is not there (the message says how to get it)
    │   └── ChecksumError          it is there, and it is not what was published
    ├── EngineError                an engine was asked for something it cannot run
    ├── TrainingError              training diverged or cannot go on
    ├── ProcessesError             processes that work together lost one of them, or do not fit together
    ├── RunError                   a run folder is missing, damaged or of another version
    │   └── BusyError              another process is at work in it
    ├── ExecutorError              what is to run the work cannot be reached, or has no room for it
    ├── StorageError               the disk is full or not writable
    ├── TrackingError              a tracker cannot be reached, or refuses what it is told
    └── DependencyError            an optional package is missing

Each message says what was asked, what was found, and what to do.
"""

import difflib
import re
from collections.abc import Iterable

from spikewise.shell import for_caller

_LONGEST, _LONGEST_WORD, _HEAD = 2000, 1000, 120
_MANY = 60
"""Characters of a message, of a word in it (a path may have a few hundred), and of what is left of a longer word."""


class SpikewiseError(Exception):
    """Base of every error raised on purpose; the command line turns it into exit code 2.

    Whatever a message quotes, it can be printed: see `readable`. It names the options of a command, or the arguments
    of a call in Python: see `for_caller`.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(readable(for_caller(str(message))))


class ConfigError(SpikewiseError, ValueError):
    """A config, option or argument is wrong."""

    problems: tuple[object, ...] = ()
    """Each mistake of a config by itself, for a config around it that knows more of its key."""


class ShapeError(ConfigError):
    """Sizes that cannot fit together."""


class DataError(SpikewiseError, ValueError):
    """A file, folder or set of images is wrong."""


class MissingDataError(DataError):
    """Data that is not there; the message says how to get it."""


class ChecksumError(DataError):
    """A file that is not what its publisher published."""


class EngineError(SpikewiseError):
    """An engine was asked for something it cannot run."""


class TrainingError(SpikewiseError):
    """Training diverged or cannot go on."""


class ProcessesError(SpikewiseError):
    """Processes that work together lost one of them, or do not fit together."""


class RunError(SpikewiseError):
    """A run folder is missing, damaged or of another version."""


class BusyError(RunError):
    """Another process or thread is at work in a run folder."""


class ExecutorError(SpikewiseError):
    """What is to run the work cannot be reached, or has no room for it."""


class StorageError(SpikewiseError, OSError):
    """The disk is full or not writable."""


class TrackingError(SpikewiseError):
    """A tracker cannot be reached, or refuses what it is told."""


class DependencyError(SpikewiseError, ImportError):
    """An optional package is missing."""


def readable(text: str) -> str:
    """Text that any stream can show: what cannot be printed is escaped, what is endless is cut, and says so."""
    text = re.sub(rf"(?<!\S)\S{{{_LONGEST_WORD + 1},}}", lambda word: f"{word[0][:_HEAD]}...", text)
    text = "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST * 3 // 4]} ... {text[-_LONGEST // 4 :]}"


def quoted(value: object, longest: int = _HEAD) -> str:
    """A value as a message quotes it, cut where it is long; nothing in it can end the message early."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1024:
        return f"a number of about {int(value.bit_length() * 0.30103):,} digits"
    try:
        text = repr(value)
    except Exception:  # of a value that holds such a number, or nests too deep for its own words
        return f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= longest else f"{text[:longest]}..."


def nearest(name: str, choices: Iterable[str], *, cutoff: float = 0.5) -> str | None:
    """The choice that `name` was probably meant to be, in whatever case, or None."""
    known = {choice.casefold(): choice for choice in choices}
    close = difflib.get_close_matches(name[:_HEAD].casefold(), list(known), n=1, cutoff=cutoff)
    return known[close[0]] if close else None


def unknown_choice(what: str, name: str, choices: Iterable[str], *, last: str | None = None) -> ConfigError:
    """The error for a name that is not among the choices, with the nearest right one.

    Args:
        last: the part of a dotted `name` that the choices are about.
    """
    known = sorted(choices)
    close = nearest(last or name, known)
    hint = f" Did you mean '{close}'?" if close else ""
    shown = name if len(name) <= _LONGEST_WORD else f"{name[:_HEAD]}..."
    told = known if len(known) <= _MANY else [*known[:_MANY], f"and {len(known) - _MANY:,} more"]
    return ConfigError(f"Unknown {what} '{shown}'.{hint} Available: {', '.join(told)}.")

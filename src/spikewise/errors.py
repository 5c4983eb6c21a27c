"""Every error the package raises on purpose.

    SpikewiseError                 one clear message, exit code 2 on the command line
    ├── ConfigError                a config, option or argument is wrong
    │   └── ShapeError             sizes that cannot fit together
    ├── DataError                  a file, folder or set of images is wrong
    │   ├── MissingDataError       it is not there (the message says how to get it)
    │   └── ChecksumError          it is there, and it is not what was published
    ├── EngineError                an engine was asked for something it cannot run
    ├── TrainingError              training diverged or cannot go on
    ├── RunError                   a run folder is missing, damaged or of another version
    ├── StorageError               the disk is full or not writable
    └── DependencyError            an optional package is missing

Each message says what was asked, what was found, and what to do.
"""

import difflib
from collections.abc import Iterable


class SpikewiseError(Exception):
    """Base of every error raised on purpose; the command line turns it into exit code 2."""


class ConfigError(SpikewiseError, ValueError):
    """A config, option or argument is wrong."""


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


class RunError(SpikewiseError):
    """A run folder is missing, damaged or of another version."""


class StorageError(SpikewiseError, OSError):
    """The disk is full or not writable."""


class DependencyError(SpikewiseError, ImportError):
    """An optional package is missing."""


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that `name` was probably meant to be, or None."""
    close = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return close[0] if close else None


def unknown_choice(what: str, name: str, choices: Iterable[str], *, last: str | None = None) -> ConfigError:
    """The error for a name that is not among the choices, with the nearest right one.

    Args:
        last: the part of a dotted `name` that the choices are about.
    """
    known = sorted(choices)
    close = nearest(last or name, known)
    hint = f" Did you mean '{close}'?" if close else ""
    return ConfigError(f"Unknown {what} '{name}'.{hint} Available: {', '.join(known)}.")

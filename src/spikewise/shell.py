"""Commands that people copy from a message or a page, and the settings that messages name."""

import shlex
from collections.abc import Callable
from pathlib import Path

__all__ = ["name_settings_by", "named", "setting_for", "word"]


def word(value: object) -> str:
    """A value as one word of a command: a name with spaces, brackets or quotation marks stays whole when pasted."""
    return shlex.quote(str(value))


def named(folder: Path) -> str:
    """A run folder as a command names it where this one was given, if that is above it; else its name alone."""
    whole, here = folder.resolve(), Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else whole.name


def name_settings_by(naming: Callable[[Path], str | None]) -> None:
    """Let a user interface say which of its settings decides where a path lies; it answers None where none does."""
    global _naming  # noqa: PLW0603  # there is one interface to a process
    _naming = naming


def setting_for(path: Path) -> str | None:
    """The setting that decides where a path lies, such as "--out"; None where there is none."""
    return _naming(path)


def _nothing(path: Path) -> None:
    del path


_naming: Callable[[Path], str | None] = _nothing

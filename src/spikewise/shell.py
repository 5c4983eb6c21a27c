"""Commands that people copy from a message or a page."""

import shlex
from pathlib import Path

__all__ = ["named", "word"]


def word(value: object) -> str:
    """A value as one word of a command: a name with spaces, brackets or quotation marks stays whole when pasted."""
    return shlex.quote(str(value))


def named(folder: Path) -> str:
    """A run folder as a command names it where this one was given, if that is above it; else its name alone."""
    whole, here = folder.resolve(), Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else whole.name

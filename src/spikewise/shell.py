"""Commands that people copy from a message or a page, and the settings that messages name.

Messages are written in the words of the command line; `for_caller` puts them into those of Python where no command
runs, so that each is written once and whoever reads it can do what it says.
"""

import contextlib
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from spikewise.parsing import ParseError, parse_toml

__all__ = ["command_runs", "for_caller", "in_command", "name_settings_by", "named", "setting_for", "word"]


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


@contextlib.contextmanager
def in_command() -> Iterator[None]:
    """While a command runs, in whatever thread, messages name its options."""
    global _commands  # noqa: PLW0603  # threads of a command are of it, which a context variable would not tell
    _commands += 1
    try:
        yield
    finally:
        _commands -= 1


def command_runs() -> bool:
    """Whether the one who reads the messages of this process gave a command."""
    return _commands > 0


_commands = 0


def for_caller(text: str) -> str:
    """A message in the words of whoever reads it: in Python, `--out` is `out=`, and `--set key=value` is
    `**{"key": value}`.

    Commands in backticks stay as they are: they are given to a terminal in any case.
    """
    return text if command_runs() or "--" not in text else _OPTION.sub(_keyword, text)


_VALUES: Final = r"\d[\w.]*|cpu|subtract|zero|noise|qcfs|nir|snntorch|spikingjelly|norse|sinabs|spyx|rockpool"
_CHANGE: Final = r"""'(?:[^']|'"'"')*'|[\w.]+=(?:\[[^]]*\]|[\w.,=:@/%+*-]*[\w/%+*]|\.\.\.)?"""
_OPTION: Final = re.compile(
    r"`(?!--)[^`]*`"
    r"|(?<![^\s(`])--(?:"
    rf"(?P<table>(?:executor-)?set) (?P<change>{_CHANGE})"
    r"|(?P<both>executor and --executor-set)"
    rf"|(?P<name>[a-z][a-z0-9-]*)(?: (?P<value>{_VALUES})\b)?(?![\w=/.-]*[\w=/])"
    r")"
)
"""A command, which stays, or an option with what is said of its value. A file that is called so is none: behind its
name comes more of it, or it stands in quotation marks."""
_CALLED: Final = {"for": "tool", "max-size": "max_size", "without": "sections"}
"""Options that are other words in Python."""
_SWITCHES: Final = {
    **{name: f"{name}=True" for name in ("again", "quick", "thorough", "trust")},
    "int8": 'numbers="int8"',
    "no-reset-delay": "reset_delay=False",
    "skip-bad": '**{"data.skip_bad": True}',
    "unchecked": "checked=False",
    "wait": "waits=True",
}
"""Options without a value."""


def _keyword(found: re.Match[str]) -> str:
    """An option as a call in Python has it."""
    name, value = found["name"], found["value"]
    if found["table"]:
        change = found["change"]
        key, _, value = (shlex.split(change)[0] if change.startswith("'") else change).partition("=")
        asked = f'"{key}": {_in_python(value)}'
        return f"**{{{asked}}}" if found["table"] == "set" else f'executor={{"kind": ..., {asked}}}'
    if found["both"]:
        return "executor="
    if name is None:
        return found[0]
    if name == "with":
        return f'sides=(..., "twin-{value}")'
    said = _SWITCHES.get(name) or f"{_CALLED.get(name, name)}="
    if name in _SWITCHES:
        return said + (f" {value}" if value else "")
    return said + (_in_python(value) if value else "")


def _in_python(value: str) -> str:
    """A value of an option as Python writes it; what leaves it open stays."""
    if value == "...":
        return value
    try:
        read = parse_toml(f"value = {value}")["value"]
    except ParseError:
        read = value
    return repr(read) if isinstance(read, bool | int | float | list) else json.dumps(str(value), ensure_ascii=False)

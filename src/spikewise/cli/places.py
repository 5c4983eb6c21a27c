"""Which option of a command decides where a file lies, for messages that ask for another place."""

import importlib
from pathlib import Path
from typing import Any

import typer

__all__ = ["deciding_option"]


def deciding_option(path: Path) -> str | None:
    """The option of the running command that was given this path, or one above it; else its `--out`, if it has one."""
    context = _context()
    if context is None:
        return None
    options = [one for one in context.command.params if one.param_type_name == "option"]
    for one in options:
        given = context.params.get(one.name)
        if isinstance(given, str | Path) and str(given) and path.absolute().is_relative_to(Path(given).absolute()):
            return str(max(one.opts, key=len))
    return "--out" if any("--out" in one.opts for one in options) else None


def _context() -> Any:  # the context class of click, or of the copy that newer typers carry
    """What the running command was given; None where none runs, as in a thread of its own."""
    package = typer.Context.__mro__[1].__module__.rpartition(".")[0]
    return importlib.import_module(f"{package}.globals").get_current_context(silent=True)

"""Which option of a command decides where a file lies, for messages that ask for another place."""

import importlib
from pathlib import Path
from typing import Any

import typer

__all__ = ["deciding_option"]


def deciding_option(path: Path) -> str | None:
    """The option of the running command that was given this path, or one above it; else its `--out`, if it has one.

    None where the path lies in a folder that the command is about, as a sweep that is gone on with, and its `--out`, if
    it has one, is another. What is written below a run where no `--out` was given can go elsewhere by one.
    """
    context = _context()
    if context is None:
        return None
    options = [one for one in context.command.params if one.param_type_name == "option"]
    depths = {one: _depth(context.params.get(one.name), path) for one in options}
    about = (_depth(context.params.get(one.name), path, there=True) for one in context.command.params)
    nearest = max(about, default=0)
    decides = max(options, key=depths.__getitem__, default=None)
    if decides is not None and depths[decides] >= max(nearest, 1):
        return str(max(decides.opts, key=len))
    out = next((one for one in options if "--out" in one.opts), None)
    elsewhere = nearest and out is not None and context.params.get(out.name) is not None
    return None if out is None or elsewhere else "--out"


def _depth(given: object, path: Path, *, there: bool = False) -> int:
    """How deep the folder lies that was given and that holds the path; 0 where none does, or it is not `there`."""
    several = given if isinstance(given, list | tuple) else [given]
    folders = [Path(one).absolute() for one in several if isinstance(one, str | Path) and str(one)]
    held = [folder for folder in folders if path.absolute().is_relative_to(folder)]
    return max((len(folder.parts) for folder in held if folder.is_dir() or not there), default=0)


def _context() -> Any:  # the context class of click, or of the copy that newer typers carry
    """What the running command was given; None where none runs, as in a thread of its own."""
    package = typer.Context.__mro__[1].__module__.rpartition(".")[0]
    return importlib.import_module(f"{package}.globals").get_current_context(silent=True)

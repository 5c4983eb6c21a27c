"""The export formats by name; each is imported when it is asked for, with the packages that it needs."""

from importlib import import_module
from typing import Final, cast

from spikewise.errors import unknown_choice
from spikewise.interop.runtime import Format

__all__ = ["FORMATS", "format_named"]

FORMATS: Final[dict[str, str]] = {
    "c": "spikewise.interop.c",
    "html": "spikewise.interop.html",
    "nir": "spikewise.interop.nir",
    "onnx": "spikewise.interop.onnx",
    "snntorch": "spikewise.interop.snntorch",
}
"""Module of each format, in which `FORMAT` is the format."""


def format_named(name: str) -> Format:
    """The format that `--to` names.

    Raises:
        ConfigError: there is none of that name.
        DependencyError: a package that it needs is not installed.
    """
    if name not in FORMATS:
        raise unknown_choice("export format", name, list(FORMATS))
    return cast("Format", import_module(FORMATS[name]).FORMAT)

"""Exports that are imported when they are first used, so that what is not needed costs no time."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_exports"]


def lazy_exports(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names live in other modules.

    Args:
        places: module of each name.
    """

    def get(name: str) -> Any:  # whatever the package exports
        if name not in places:
            raise AttributeError(
                f"module '{package}' has no attribute '{name}'. It exports: {', '.join(sorted(places))}."
            )
        return getattr(import_module(places[name]), name)

    return get

"""The kinds of input, one module each; `python -m benchmarks.fuzz` finds them by their file names."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast


class Case(Protocol):
    """An input; `name` says which mutation made it."""

    @property
    def name(self) -> str: ...


class Kind(Protocol):
    """What a module of this folder offers."""

    def cases(self, seed: int, count: int) -> Iterator[Case]: ...

    def run(self, case: Any) -> object: ...


def names() -> list[str]:
    """All kinds."""
    return sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if not m.name.startswith("_"))


def kind(name: str) -> Kind:
    """The kind of that name."""
    return cast(Kind, import_module(f"{__name__}.{name}"))

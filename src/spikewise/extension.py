"""The compiled extension, where there is one: the native engine, and random numbers for it and the reference."""

import os
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

from spikewise.errors import EngineError

__all__ = ["extension", "isa", "status", "versions"]


@lru_cache(maxsize=1)
def _find() -> Any:  # the extension has no type stubs
    # Not before it is asked for: a process that was forked in between then works with threads of its own PyTorch.
    try:
        module: Any = import_module("spikewise._native")
    except ImportError:  # built without a compiler
        return None
    return module if module.versions() else None  # compiled for other processors alone


def extension() -> ModuleType | None:
    """The compiled module; None where the package was installed without a compiler."""
    module: ModuleType | None = _find()
    return module


@lru_cache(maxsize=1)
def versions() -> tuple[str, ...]:
    """Versions of the kernels that this processor can run, the best first."""
    module = extension()
    return tuple(module.versions()) if module is not None else ()


def isa() -> str:
    """Version of the kernels that runs: the best this processor has, or the one SPIKEWISE_ISA names.

    Raises:
        EngineError: the processor cannot run the named one, or nothing was compiled.
    """
    there = versions()
    if not there:
        raise EngineError("The native engine was not compiled. Install a C++ compiler and reinstall spikewise.")
    named = os.environ.get("SPIKEWISE_ISA")
    if named and named not in there:
        raise EngineError(f"SPIKEWISE_ISA is '{named}', and this processor runs {', '.join(there)}.")
    return named or there[0]


def status() -> str:
    """One line about the native engine."""
    if extension() is None:
        return "not compiled: no C++ compiler was found at installation, everything runs on the reference engine"
    return f"compiled, {isa()} kernels (this processor runs {', '.join(versions())})"

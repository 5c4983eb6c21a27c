"""Where networks come in: a NIR file or graph, or a module of a library, in memory or pickled."""

import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import nn

from spikewise.dynamics import Reset
from spikewise.encoders import Encoder
from spikewise.errors import ConfigError, DataError, MissingDataError, quoted
from spikewise.interop.converting import from_snntorch_module, from_spikingjelly_module, library_of
from spikewise.interop.nir.reading import Imported, from_nir_graph
from spikewise.readouts import Readout

__all__ = ["Meaning", "imported"]

_MODULES: Final = {"snntorch": from_snntorch_module, "spikingjelly": from_spikingjelly_module}


class Meaning(NamedTuple):
    """What a source leaves open; None is what the source, or its tool, says."""

    dialect: str | None = None
    dt: float | None = None
    reset: Reset | None = None
    reset_delay: bool | None = None
    image_shape: tuple[int, int, int] | None = None
    encoder: Encoder | None = None
    readout: Readout | None = None


def imported(source: Any, meaning: Meaning = Meaning(), *, trust: bool = False) -> Imported:  # noqa: B008  # immutable
    """The network of a source.

    Args:
        source: path of a NIR file; "snntorch:PATH" or "spikingjelly:PATH" of a pickled module; a NIR graph; a module.
        trust: whether a pickled module may be opened, which runs whatever it holds.
    Raises:
        ConfigError: it is not clear what it means, or a layer has no counterpart here; the message names it.
        DataError: a file is missing or damaged.
        DependencyError: a package is not installed.
    """
    library, colon, place = str(source).partition(":") if isinstance(source, str) else ("", "", "")
    if colon and library in _MODULES:
        return _of_module(_unpickled(Path(place), library, trust=trust), meaning, library)
    if isinstance(source, nn.Module):
        return _of_module(source, meaning, library_of(source))
    return from_nir_graph(source, **meaning._asdict())


def _of_module(module: nn.Module, meaning: Meaning, library: str | None) -> Imported:
    if library is None:
        raise ConfigError(
            "The module has no neurons of snnTorch or SpikingJelly, whose layers are known here. spikewise.judge takes "
            "any module as it is."
        )
    named = {key: value for key, value in meaning._asdict().items() if key in ("dialect", "dt", "reset", "reset_delay")}
    if any(value is not None for value in named.values()):
        raise ConfigError(
            "A module says itself how its neurons step and reset; dialect, dt and reset are for NIR files."
        )
    return _MODULES[library](module, image_shape=meaning.image_shape, encoder=meaning.encoder, readout=meaning.readout)


def _unpickled(path: Path, library: str, *, trust: bool) -> nn.Module:
    if not path.is_file():
        raise MissingDataError(f"There is no file {path}; give the path of a module that torch.save wrote.")
    if not trust:
        raise ConfigError(
            f"{path} is a pickled module, and opening one runs whatever program it holds. Give --trust if you know "
            "where it comes from, or export the network to NIR."
        )
    try:
        with _importable(path.resolve().parent, Path.cwd()):
            module = torch.load(path, map_location="cpu", weights_only=False)
    except (AttributeError, ImportError) as error:
        raise DataError(
            f"{path} needs code that is not found here ({error}). Put the program that defines the module beside it, "
            "give the command in its folder, or hand the module over in Python: spikewise.import_network(module, ...)."
        ) from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError, KeyError, OSError) as error:
        raise DataError(
            f"{path} cannot be opened ({quoted(str(error)[:200])[1:-1]}). Is it a file that torch.save wrote?"
        ) from error
    if not isinstance(module, nn.Module):
        raise DataError(
            f"{path} holds a {type(module).__name__}, not a module: weights alone do not say whose they are. "
            f"Save the whole module of {library} (torch.save(module, ...)), or export it to NIR."
        )
    return module


@contextmanager
def _importable(*folders: Path) -> Iterator[None]:
    """Let a pickle import what lies in folders; last, so that they hide no installed package."""
    before = list(sys.path)
    sys.path += [str(folder) for folder in folders]
    try:
        yield
    finally:
        sys.path[:] = before

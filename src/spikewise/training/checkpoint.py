"""Checkpoints: everything a killed training needs to go on as if nothing had happened, in one safetensors file."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from spikewise.errors import StorageError
from spikewise.files import write_bytes
from spikewise.network import Network
from spikewise.parsing import ParseError, parse_json
from spikewise.reading import check_regular, damaged

__all__ = ["Checkpoint", "damage_told", "load_into", "load_weights", "save_weights"]

_WEIGHTS, _AVERAGE, _OPTIMIZER = "weights/", "average/", "optimizer/"


class Checkpoint(NamedTuple):
    """Tensors by name, and the bookkeeping beside them."""

    tensors: dict[str, Tensor]
    notes: dict[str, Any]
    """Epoch, history and whatever else is JSON."""

    @classmethod
    def of(
        cls, network: Network, average: Network | None, optimizer: torch.optim.Optimizer, notes: dict[str, Any]
    ) -> "Checkpoint":
        """What stands in memory now."""
        tensors = {_WEIGHTS + name: value.detach() for name, value in network.state_dict().items()}
        if average is not None:
            tensors |= {_AVERAGE + name: value for name, value in average.state_dict().items()}
        for position, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{_OPTIMIZER}{position}/{key}": value for key, value in state.items() if value is not None}
        return cls(tensors, notes)

    def restore(self, network: Network, average: Network | None, optimizer: torch.optim.Optimizer) -> None:
        """Put everything back where it was."""
        network.load_state_dict(self._below(_WEIGHTS))
        if average is not None:
            average.load_state_dict(self._below(_AVERAGE))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in self._below(_OPTIMIZER).items():
            position, key = name.split("/")
            state.setdefault(int(position), {})[key] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})

    def save(self, path: Path) -> None:
        """Write the whole file or none."""
        _write(path, self.tensors, self.notes)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint.

        Raises:
            RunError: the file is damaged.
        """
        return cls(*_read(path))

    def _below(self, prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}


def save_weights(path: Path, network: Network, notes: dict[str, Any]) -> None:
    """Write a network's weights, with its graph and `notes`, whole or not at all."""
    notes = {**notes, "graph": network.graph.model_dump(mode="json")}
    _write(path, {name: value.detach() for name, value in network.state_dict().items()}, notes)


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and notes as `save_weights` wrote them.

    Raises:
        RunError: the file is missing or damaged.
    """
    return _read(path)


def load_into(network: Network, path: Path) -> dict[str, Any]:
    """Put the weights of a file into a network; the notes that stood beside them.

    Raises:
        RunError: the file is missing or damaged, or holds the weights of another network.
    """
    weights, notes = load_weights(path)
    with damage_told(path):
        network.load_state_dict(weights)
    return notes


@contextlib.contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Say which file it is whose content does not fit."""
    try:
        yield
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise damaged(path, "it holds the weights of another network, or what another optimizer remembers") from error


def _write(path: Path, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    size = sum(value.nbytes for value in whole.values())
    try:
        bytearray(size)  # asked for here first: Rust would print its stack before it says that there is no room
        content = to_bytes(whole, metadata={"notes": json.dumps(notes)})
    except BaseException as error:
        if not _is_short_of_memory(error):
            raise
        raise StorageError(
            f"There is no memory left to write {path} ({size / 2**20:,.0f} MiB). Choose a smaller network, such as "
            "model.width=0.5, or a machine with more memory; finished epochs are kept."
        ) from error
    write_bytes(path, content)


def _is_short_of_memory(error: BaseException) -> bool:
    """Rust ends with a panic, which is no Exception, where Python has a MemoryError."""
    return isinstance(error, MemoryError) or type(error).__name__ == "PanicException"


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    check_regular(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
            notes = (file.metadata() or {})["notes"]
    except (safetensors.SafetensorError, KeyError, ValueError, OSError, RuntimeError, OverflowError) as error:
        raise damaged(path, error) from error
    except BaseException as error:
        if not _is_short_of_memory(error):
            raise
        raise damaged(path, "it cannot be read, or there is no memory left for it") from error
    try:
        found = parse_json(notes, finite=False)
    except ParseError as error:
        raise damaged(path, f"its notes are no JSON: {error}") from None
    if not isinstance(found, dict):
        raise damaged(path, "its notes are no JSON object")
    return tensors, found

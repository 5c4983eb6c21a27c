"""Checkpoints: everything a killed training needs to go on as if nothing had happened, in one safetensors file."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from spikewise.errors import RunError
from spikewise.files import write_bytes
from spikewise.network import Network

__all__ = ["Checkpoint", "load_weights", "save_weights"]

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


def _write(path: Path, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_bytes(path, to_bytes(whole, metadata={"notes": json.dumps(notes)}))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
            return tensors, json.loads((file.metadata() or {})["notes"])
    except FileNotFoundError:
        raise RunError(f"{path} is missing. Is this a run folder whose training has finished?") from None
    except (safetensors.SafetensorError, KeyError, ValueError, OSError) as error:
        raise RunError(f"{path} is damaged ({error}). Remove it and run again.") from error

"""Images of a set where a device reads them fastest: on it if they fit, else copied there ahead of their use."""

import weakref
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

__all__ = ["Pixels", "Resident", "Streamed", "pixels_on"]

_PIECE = 1 << 28
"""Bytes that are copied at once: the images may be a file that does not fit the memory."""
_SHARE = 0.5
"""Of the free memory of a device that images may take; the network needs the rest."""
_AHEAD = 3
"""Batches that are on their way to a device at once."""

_there: dict[tuple[int, torch.device], Tensor] = {}


@runtime_checkable
class Pixels(Protocol):
    """Images that a device is going to read, batch by batch."""

    resident: bool
    """Whether they lie on the device."""

    def load(self, index: Int64[np.ndarray, " B"]) -> None:
        """The next batch that is taken will be this one; needless where all images lie on the device."""

    def take(self, index: Int64[Tensor, " B"]) -> UInt8[Tensor, "B C H W"]:
        """The images at `index`, on the device; never waits for it."""


def pixels_on(images: UInt8[np.ndarray, "N C H W"], device: torch.device, batch_size: int) -> Pixels:
    """The images of a set for a device: all of them at once if they fit into half of its free memory."""
    if (id(images), device) not in _there and images.nbytes > _SHARE * free_memory(device):
        return Streamed(images, device, batch_size)
    return Resident(_copied_once(images, device))


def free_memory(device: torch.device) -> float:
    """Bytes that are free on a GPU, what PyTorch holds in reserve included; without bound on anything else."""
    if device.type != "cuda":
        return float("inf")
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


class Resident:
    """All images on the device; a batch is a selection there."""

    resident = True

    def __init__(self, images: UInt8[Tensor, "N C H W"]) -> None:
        self._images = images

    def load(self, index: Int64[np.ndarray, " B"]) -> None:
        """Nothing: all are there."""

    def take(self, index: Int64[Tensor, " B"]) -> UInt8[Tensor, "B C H W"]:
        """The images at `index`."""
        return self._images.index_select(0, index)


class Streamed:
    """Images that do not fit: gathered in page-locked memory and copied while the device works on earlier ones.

    The batch to be taken always lies at the same place, so that a recorded step finds it there.
    """

    resident = False

    def __init__(self, images: UInt8[np.ndarray, "N C H W"], device: torch.device, batch_size: int) -> None:
        self._images, self._device = images, device
        shape = (batch_size, *images.shape[1:])
        locked = device.type == "cuda"
        self._here = [torch.empty(shape, dtype=torch.uint8, pin_memory=locked) for _ in range(_AHEAD)]
        self._there = torch.empty(shape, dtype=torch.uint8, device=device)
        self._copied = [torch.cuda.Event() if locked else None for _ in range(_AHEAD)]  # type: ignore[no-untyped-call]
        self._next = 0

    def load(self, index: Int64[np.ndarray, " B"]) -> None:
        """Copy these images to the device, behind all work that was given to it before."""
        slot, self._next = self._next, (self._next + 1) % _AHEAD
        event, here = self._copied[slot], self._here[slot][: len(index)]
        if event is not None:
            event.synchronize()  # the copy that went out from here some batches ago
        np.take(self._images, index, axis=0, out=here.numpy(), mode="clip")  # "raise" would copy twice
        self._there[: len(index)].copy_(here, non_blocking=True)
        if event is not None:
            event.record()

    def take(self, index: Int64[Tensor, " B"]) -> UInt8[Tensor, "B C H W"]:
        """The images that were loaded last."""
        return self._there[: len(index)]


def _copied_once(images: UInt8[np.ndarray, "N C H W"], device: torch.device) -> UInt8[Tensor, "N C H W"]:
    """The images on the device; trainings of the same set share one copy, which goes when the set does."""
    if device.type == "cpu":
        return torch.from_numpy(np.array(images))
    key = (id(images), device)
    if key not in _there:
        there = torch.empty(images.shape, dtype=torch.uint8, device=device)
        rows = max(1, _PIECE // max(images[:1].nbytes, 1))
        for start in range(0, len(images), rows):
            there[start : start + rows] = torch.from_numpy(np.array(images[start : start + rows]))
        _there[key] = there
        weakref.finalize(images, _there.pop, key, None)
    return _there[key]

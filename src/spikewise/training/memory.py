"""A batch that the memory of a device does not hold: said in words, with one that it does."""

import math
from typing import NamedTuple

import numpy as np
import torch

from spikewise.data import ImageSet
from spikewise.errors import ShapeError, TrainingError
from spikewise.graph import QCFS, Activation, Graph, SpikingActivation
from spikewise.memory import memory_limit, ran_out_of_memory, return_freed_memory
from spikewise.training.config import Adam, AdamW, TrainConfig
from spikewise.training.update import Learner, TrainingBatch
from spikewise.types import Draw

__all__ = ["Loaded", "MemoryTooSmallError", "check_update", "out_of_memory"]

_GIB = 2**30


class MemoryTooSmallError(TrainingError):
    """A device's memory does not hold an update."""


class Loaded(NamedTuple):
    """The images of a training, as far as they take memory."""

    train: int
    """Images of the training part; a batch has no more."""
    size: int
    """Bytes that the whole set takes; 0 of one that is read from a file piece by piece."""

    @classmethod
    def of(cls, images: ImageSet, train: int) -> "Loaded":
        """Those of a set."""
        return cls(train, 0 if _is_mapped(images.images) else images.images.nbytes)


def check_update(name: str, graph: Graph, train: TrainConfig, images: Loaded, device: torch.device) -> None:
    """Refuse a network of which an update cannot fit into memory beside the images.

    Less is counted than is needed: the images, learned weights with gradients and moments, and the states that
    backward goes through; no weighted sums, spikes or copies.

    Args:
        name: of the network, for the message.
        device: where it trains; of a GPU nothing is foretold, `out_of_memory` tries what fits.
    Raises:
        ShapeError: it cannot; the message names a batch that might.
    """
    if device.type != "cpu":
        return
    batch, available = min(train.batch_size, images.train), memory_limit()
    weights, each = _weights(graph, train), _states(graph, train)
    needed = weights + batch * each + images.size
    if needed <= available:
        return
    fitting = (available - weights - images.size) // each if each else 0
    shape = " x ".join(f"{size:,}" for size in graph.image_shape)
    remedy = f"--set train.batch_size={fitting} or less, " if fitting > 0 else ""
    raise ShapeError(
        f"An update of '{name}' takes at least {needed / _GIB:,.1f} GiB: {weights / _GIB:,.1f} for weights, gradients "
        f"and moments, {batch * each / _GIB:,.1f} for the states of a batch of {batch:,} images of {shape} over "
        f"{graph.steps:,} time steps, {images.size / _GIB:,.1f} for the image set. There are "
        f"{available / _GIB:,.1f} GiB of memory. Use {remedy}"
        "smaller images (data.size), a smaller network (model.width, model.hidden) or fewer steps (encoder.steps)."
    )


def _is_mapped(images: object) -> bool:
    """Whether an array is a view of a file, which the system reads as it needs it."""
    while isinstance(images, np.ndarray) and not isinstance(images, np.memmap):
        images = images.base
    return isinstance(images, np.memmap)


def _weights(graph: Graph, train: TrainConfig) -> int:
    """Bytes of weights, their gradients, and what the optimizer keeps of them."""
    copies = 2 + 2 * isinstance(train.optimizer, Adam | AdamW)
    return 4 * copies * sum(math.prod(shape) for at in graph.named for shape in at.parameters().values())


def _states(graph: Graph, train: TrainConfig) -> int:
    """Bytes that backward needs of one image: each neuron's membrane in every step, each activation once."""
    size = 2 if train.precision == "bfloat16" else 4
    stepped = sum(math.prod(at.output) for at in graph.named if at.layer.state_variables)
    pointwise = Activation | QCFS | SpikingActivation
    once = sum(math.prod(at.output) for at in graph.named if isinstance(at.layer, pointwise))
    return size * (graph.steps * stepped + once)


def out_of_memory(learner: Learner, batch: int) -> MemoryTooSmallError:
    """The error for a batch of `batch` images, after halving it until an update fits: tried, not estimated."""
    device = learner.network.device
    learner.optimizer.zero_grad(set_to_none=True)
    fitting = batch // 2
    while fitting and not _fits(learner, fitting):
        fitting //= 2
    elsewhere = ", or --device cpu" if device.type != "cpu" else ""
    where = f"The memory of {device}{_size(device)} does not hold an update with a batch of {batch} images"
    if not fitting:
        return MemoryTooSmallError(
            f"{where}, nor with one image. Use smaller images (data.size), a smaller network or fewer steps{elsewhere}."
        )
    return MemoryTooSmallError(f"{where}; {fitting} fit. Use --set train.batch_size={fitting}{elsewhere}.")


def _fits(learner: Learner, batch: int) -> bool:
    """Whether loss, gradient, and the state that an optimizer will keep have room; nothing is learned."""
    task, device = learner.task, learner.network.device
    return_freed_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    try:
        copies = 0 if learner.optimizer.state else 2
        state = [torch.empty_like(weight) for weight in learner.network.parameters() for _ in range(copies)]
        images = torch.full((batch, *task.images.image_shape), 128, dtype=torch.uint8, device=device)
        labels = torch.zeros(batch, dtype=torch.int64, device=device)
        draw = Draw(task.seed, 0, torch.arange(batch, device=device))
        torch.autograd.backward(learner.answer(TrainingBatch(images, labels, None, draw)).loss)
        del state
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
        return False
    finally:
        learner.optimizer.zero_grad(set_to_none=True)
    return True


def _size(device: torch.device) -> str:
    if device.type == "cpu":
        return f" ({memory_limit() / _GIB:,.1f} GiB for this process)"
    if device.type != "cuda":
        return ""
    total = torch.cuda.get_device_properties(device).total_memory
    return f" ({torch.cuda.get_device_name(device)}, {total / 2**30:.0f} GiB)"

"""A batch that the memory of a device does not hold: said in words, with one that it does."""

import torch

from spikewise.errors import TrainingError
from spikewise.training.update import Batch, Learner
from spikewise.types import Draw

__all__ = ["MemoryTooSmallError", "out_of_memory"]


class MemoryTooSmallError(TrainingError):
    """A device's memory does not hold an update."""


def out_of_memory(learner: Learner, batch: int) -> MemoryTooSmallError:
    """The error for a batch of `batch` images, after halving it until an update fits: tried, not estimated."""
    device = learner.network.device
    learner.optimizer.zero_grad(set_to_none=True)
    fitting = batch // 2
    while fitting and not _fits(learner, fitting):
        fitting //= 2
    where = f"The memory of {device}{_size(device)} does not hold an update with a batch of {batch} images"
    if not fitting:
        return MemoryTooSmallError(
            f"{where}, nor with one image. Use a smaller network or fewer steps, or --device cpu."
        )
    return MemoryTooSmallError(f"{where}; {fitting} fit. Use --set train.batch_size={fitting}, or --device cpu.")


def _fits(learner: Learner, batch: int) -> bool:
    """Whether loss, gradient, and the state that an optimizer will keep have room; nothing is learned."""
    task, device = learner.task, learner.network.device
    if device.type == "cuda":
        torch.cuda.empty_cache()
    try:
        copies = 0 if learner.optimizer.state else 2
        state = [torch.empty_like(weight) for weight in learner.network.parameters() for _ in range(copies)]
        images = torch.full((batch, *task.images.image_shape), 128, dtype=torch.uint8, device=device)
        labels = torch.zeros(batch, dtype=torch.int64, device=device)
        draw = Draw(task.seed, 0, torch.arange(batch, device=device))
        torch.autograd.backward(learner.answer(Batch(images, labels, None, draw)).loss)
        del state
    except torch.OutOfMemoryError:
        return False
    finally:
        learner.optimizer.zero_grad(set_to_none=True)
    return True


def _size(device: torch.device) -> str:
    if device.type != "cuda":
        return ""
    total = torch.cuda.get_device_properties(device).total_memory
    return f" ({torch.cuda.get_device_name(device)}, {total / 2**30:.0f} GiB)"

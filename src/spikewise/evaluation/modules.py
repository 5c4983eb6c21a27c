"""Any PyTorch module that maps images to scores, as far as it can be judged from outside: its answers, and its work.

What its layers do is read off while it runs: hooks see what arrives at each linear and convolutional layer. Where all
of it is 0 or 1 it is spikes, and every 1 causes an addition at each synapse that it reaches; all else is multiplied.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from spikewise.errors import ConfigError, ShapeError, quoted
from spikewise.evaluation.cost import LayerWork

__all__ = ["Caller", "Seen", "repeatable", "scores_of", "work_of"]

_BATCH, _WATCHED = 256, 256
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_DENSE = {nn.Conv1d: torch.conv1d, nn.Conv2d: torch.conv2d, nn.Conv3d: torch.conv3d}
_COUNTED = (nn.Linear, *_CONVOLUTIONS)
_FREE = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)  # it has no public base
"""Folded into the weights, as for every other network here."""


class Caller(NamedTuple):
    """How a module is asked."""

    prepare: Callable[[UInt8[Tensor, "B C H W"]], Any] | None = None
    """Makes its input of uint8 images; None: float32, 0 (black) to 1 (white)."""
    scores: Callable[[Any], Float[Tensor, "B K"]] | None = None
    """Makes scores of its output; None: a tensor [B, K], or [T, B, K], which is summed; of a tuple the first."""
    reset: Callable[[nn.Module], object] | None = None
    """Clears its state before each batch; None does what snnTorch and SpikingJelly ask for."""


class Seen(NamedTuple):
    """The work of a module for one image."""

    layers: tuple[LayerWork, ...]
    steps: int
    """How often the busiest layer ran for one image."""
    spiking: bool
    """Whether spikes arrived anywhere."""
    unknown: tuple[str, ...]
    """Layers with weights whose work is not counted: then nothing can be said of the whole."""


def scores_of(
    module: nn.Module, pixels: UInt8[np.ndarray, "N C H W"], caller: Caller, *, classes: int, seed: int
) -> Float[np.ndarray, "N K"]:
    """What a module answers, in evaluation mode; it is left in the mode it was in.

    Args:
        seed: of PyTorch's random numbers, which a module may use for its spikes; they are left as they were.
    Raises:
        ShapeError: no scores [B, K] come out.
        ConfigError: the module fails on these images.
    """
    was_training = module.training
    module.eval()
    found = []
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for start in range(0, len(pixels), _BATCH):
                found.append(_ask(module, pixels[start : start + _BATCH], caller, classes).float().cpu().numpy())
    finally:
        module.train(was_training)
    scores = np.concatenate(found)
    if not np.isfinite(scores).all():
        raise ConfigError(f"{_named(module)} answers with scores that are no finite numbers. Look at its training.")
    return np.asarray(scores)


def work_of(module: nn.Module, pixels: UInt8[np.ndarray, "N C H W"], caller: Caller, *, classes: int) -> Seen:
    """The operations of one image, the mean over some of the images."""
    some = pixels[:_WATCHED]
    with _watched(module) as watched:
        scores_of(module, some, caller, classes=classes, seed=0)
    known = [name for name, one in module.named_modules() if isinstance(one, (*_COUNTED, *_FREE))]
    unknown = {
        name.rpartition(".")[0]
        for name, one in module.named_parameters()
        if one.dim() > 1 and name.rpartition(".")[0] not in known
    }
    layers = tuple(one.work(len(some)) for one in _told_once(watched) if one.calls)
    return Seen(
        layers=layers,
        steps=max((one.steps(len(some)) for one in watched if isinstance(one, _Watched)), default=1) or 1,
        spiking=any(layer.synaptic_operations for layer in layers),
        unknown=tuple(sorted(unknown)),
    )


def _ask(module: nn.Module, pixels: UInt8[np.ndarray, "B C H W"], caller: Caller, classes: int) -> Tensor:
    device = next((one.device for one in module.parameters()), torch.device("cpu"))
    images = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    (caller.reset or _reset)(module)
    try:
        said = module(images.float() / 255 if caller.prepare is None else caller.prepare(images))
    except (RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{_named(module)} cannot read images of the shape {tuple(images.shape)} ({str(error)[:200]}). Give "
            "prepare=..., which makes its input of uint8 images, such as lambda x: x.float().flatten(1) / 255."
        ) from error
    scores = _scores(said, len(images)) if caller.scores is None else caller.scores(said)
    if not isinstance(scores, Tensor) or scores.shape != (len(images), classes):
        shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ShapeError(
            f"{_named(module)} answers {len(images)} images of {classes} classes with {shape}; scores are "
            f"[{len(images)}, {classes}]. Give scores=..., which makes them of its output."
        )
    return scores


def _scores(said: Any, images: int) -> Any:
    if isinstance(said, tuple | list) and said:
        said = said[0]
    if isinstance(said, Tensor) and said.dim() == 3 and said.shape[1] == images:
        said = said.float().sum(0)
    return said


def _reset(module: nn.Module) -> None:
    """What a network keeps between two batches is cleared, where its library is known."""
    for one in module.modules():
        library = type(one).__module__.partition(".")[0]
        if library == "spikingjelly" and callable(clear := getattr(one, "reset", None)):
            clear()
        if library == "snntorch" and getattr(one, "init_hidden", False):
            for name in ("reset_hidden", "reset_mem"):
                if callable(clear := getattr(one, name, None)):
                    clear()


class _Watched:
    """One layer, while it runs."""

    def __init__(self, name: str, *, first: bool) -> None:
        self.name, self.first = name, first
        self.calls, self.dense, self.used, self.outputs, self.per_image = 0, 0.0, 0.0, 0, 1
        self.binary = True

    def see(self, layer: nn.Module, given: tuple[Any, ...], said: Any) -> None:
        x, out = given[0].detach(), said.detach()
        self.calls += 1
        self.outputs += out.numel()
        self.binary = self.binary and _binary(x)
        there = (x != 0).float()
        if isinstance(layer, nn.Linear):
            self.dense += out.numel() * layer.in_features
            self.used += float(there.sum().double()) * layer.out_features
            self.per_image = layer.out_features
            return
        assert isinstance(layer, _CONVOLUTIONS)
        self.dense += _reached(layer, torch.ones_like(there))
        self.used += _reached(layer, there)
        self.per_image = math.prod(out.shape[-len(layer.kernel_size) - 1 :])

    def steps(self, images: int) -> int:
        """How often it ran for one image."""
        return round(self.outputs / self.per_image / images)

    def work(self, images: int) -> LayerWork:
        dense, used = self.dense / images, self.used / images
        if self.binary:
            return LayerWork(self.name, synaptic_operations=used, dense_operations=dense)
        return LayerWork(self.name, macs=dense, effective_macs=used, dense_operations=dense, from_image=self.first)


class _Neurons:
    """A module that makes spikes of what is none: it updates a membrane for each number it sends.

    It may hold others: a surrogate, which SpikingJelly passes by outside of training, or the weights of its recurrence.
    """

    def __init__(self, name: str) -> None:
        self.name, self.calls, self.updates = name, 0, 0
        self.sends_spikes, self.gets_numbers = True, False

    def see(self, layer: nn.Module, given: tuple[Any, ...], said: Any) -> None:
        del layer
        x = next((one for one in given if isinstance(one, Tensor)), None)
        z = next((one for one in (said if isinstance(said, tuple) else (said,)) if isinstance(one, Tensor)), None)
        if x is None or z is None or not z.numel():
            return
        self.calls += 1
        self.sends_spikes = self.sends_spikes and _binary(z)
        self.gets_numbers = self.gets_numbers or not _binary(x)  # at a step before the first spike it gets zeros
        self.updates += z.numel()

    @property
    def spiking(self) -> bool:
        return bool(self.calls) and self.sends_spikes and self.gets_numbers

    def work(self, images: int) -> LayerWork:
        return LayerWork(self.name, state_updates=self.updates / images)


def _told_once(watched: "Sequence[_Watched | _Neurons]") -> "list[_Watched | _Neurons]":
    """The weighted layers that ran, and the innermost modules that spike.

    What holds several weighted layers is a network: its output says nothing of the membranes within.
    """
    spiking = [one for one in watched if isinstance(one, _Neurons) and one.spiking]
    weighted = [one for one in watched if isinstance(one, _Watched) and one.calls]
    neurons = [
        one
        for one in spiking
        if not any(other.name.startswith(f"{one.name}.") for other in spiking)
        and sum(other.name.startswith(f"{one.name}.") for other in weighted) <= 1
    ]
    return [one for one in watched if one in neurons or one in weighted]


@contextmanager
def _watched(module: nn.Module) -> "Iterator[list[_Watched | _Neurons]]":
    found: list[_Watched | _Neurons] = []
    hooks = []
    for name, layer in module.named_modules():
        if isinstance(layer, _COUNTED):
            found.append(_Watched(name, first=not any(isinstance(one, _Watched) for one in found)))
        elif layer is not module and not isinstance(layer, _FREE):
            found.append(_Neurons(name))
        else:
            continue
        hooks.append(layer.register_forward_hook(found[-1].see))
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _reached(layer: Any, there: Float[Tensor, "..."]) -> float:
    """Synapses that numbers other than zero reach: the same convolution with weights of 1, summed."""
    kernel = torch.ones(layer.groups, layer.in_channels // layer.groups, *layer.kernel_size, device=there.device)
    if layer.padding_mode != "zeros":
        there = nn.functional.pad(there, layer._reversed_padding_repeated_twice, mode=layer.padding_mode)
        padding: Any = 0
    else:
        padding = layer.padding
    run = next(one for kind, one in _DENSE.items() if isinstance(layer, kind))
    reached: Tensor = run(there, kernel, None, layer.stride, padding, layer.dilation, layer.groups)
    synapses = layer.out_channels // layer.groups
    return float(reached.double().sum()) * int(synapses)


def _binary(x: Tensor) -> bool:
    return bool(((x == 0) | (x == 1)).all())


def _named(module: nn.Module) -> str:
    return f"The module {quoted(type(module).__name__)[1:-1]}"


def repeatable(module: nn.Module, pixels: UInt8[np.ndarray, "N C H W"], caller: Caller, classes: int) -> bool:
    """Whether the same images get the same scores twice: a state that nobody clears, or free random numbers, do not."""
    some = pixels[:_BATCH]
    first, again = (scores_of(module, some, caller, classes=classes, seed=seed) for seed in (0, 1))
    return bool(np.array_equal(first, again))

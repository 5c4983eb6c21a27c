"""The layers of a PyTorch module in the order in which they are called, found by calling it once."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spikewise.errors import ConfigError, quoted

__all__ = ["LayerCall", "steps_of"]

IsLeaf = Callable[[nn.Module], bool]


class LayerCall(NamedTuple):
    """One layer."""

    name: str
    module: nn.Module
    flattened: bool = False
    """Whether what it gets is flattened on the way, by no module."""


def steps_of(module: nn.Module, image_shape: tuple[int, int, int], is_neuron: IsLeaf) -> list[LayerCall]:
    """The layers of a module: those of nested `Sequential`s as they stand, of others as they are called.

    Args:
        is_neuron: whether a module is a layer of neurons, whatever it holds.
    Raises:
        ConfigError: it cannot be called with an image, or something happens between two layers that no module says.
    """
    if is_neuron(module) or not any(module.children()):
        return [LayerCall("", module)]
    if _is_sequence(module, is_neuron):
        return list(_in_sequence(module, "", is_neuron))
    return _as_called(module, image_shape, is_neuron)


def _is_sequence(module: nn.Module, is_neuron: IsLeaf) -> bool:
    inner = [child for child in module.children() if any(child.children()) and not is_neuron(child)]
    return isinstance(module, nn.Sequential) and all(_is_sequence(child, is_neuron) for child in inner)


def _in_sequence(module: nn.Module, prefix: str, is_neuron: IsLeaf) -> Iterator[LayerCall]:
    for name, child in module.named_children():
        if any(child.children()) and not is_neuron(child):
            yield from _in_sequence(child, f"{prefix}{name}.", is_neuron)
        else:
            yield LayerCall(prefix + name, child)


class _Call(NamedTuple):
    name: str
    module: nn.Module
    given: Tensor
    said: Tensor


def _as_called(module: nn.Module, image_shape: tuple[int, int, int], is_neuron: IsLeaf) -> list[LayerCall]:
    calls: list[_Call] = []
    hooks = [one.register_forward_hook(_noting(name, calls)) for name, one in _leaves(module, "", is_neuron)]
    was_training = module.training
    module.eval()
    try:
        _call(module, image_shape)
    finally:
        module.train(was_training)
        for hook in hooks:
            hook.remove()
    first = list({call.name: call for call in reversed(calls)}.values())[::-1]
    unused = [name for name, _ in _leaves(module, "", is_neuron) if name not in {call.name for call in first}]
    if unused and any(True for name in unused for _ in module.get_submodule(name).parameters()):
        raise ConfigError(f"The module's layer '{unused[0]}' has weights, and is not called for an image.")
    return [
        LayerCall(call.name, call.module, _flattened(before, call))
        for before, call in zip([None, *first], first, strict=False)
    ]


def _leaves(module: nn.Module, prefix: str, is_neuron: IsLeaf) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if is_neuron(child) or not any(child.children()):
            yield prefix + name, child
        else:
            yield from _leaves(child, f"{prefix}{name}.", is_neuron)


def _noting(name: str, calls: list[_Call]) -> Any:
    def note(module: nn.Module, given: tuple[Any, ...], said: Any) -> None:
        sent = said[0] if isinstance(said, tuple) else said
        if given and isinstance(given[0], Tensor) and isinstance(sent, Tensor):
            calls.append(_Call(name, module, given[0].detach().clone(), sent.detach().clone()))

    return note


def _call(module: nn.Module, image_shape: tuple[int, int, int]) -> None:
    """With two bright random images, in the forms that modules take them."""
    generator = torch.Generator().manual_seed(0)
    images: Float[Tensor, "2 C H W"] = 2 * torch.rand(2, *image_shape, generator=generator)
    problem = ""
    for form in (images, images.flatten(1), images[None], images.flatten(1)[None]):
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                module(form)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            problem = problem or str(error)
            continue
        return
    shape = "x".join(map(str, image_shape))
    raise ConfigError(
        f"The module cannot be called with images of {shape} ({quoted(problem[:200])[1:-1]}). Give image_shape=..., or "
        "put its layers into a torch.nn.Sequential in the order in which they follow each other."
    )


def _flattened(before: _Call | None, call: _Call) -> bool:
    """Whether what a layer gets is what the one before it sent, flattened.

    Raises:
        ConfigError: it is something else.
    """
    if before is None or _equal(before.said, call.given):
        return False
    forms = [before.said.flatten(start) for start in (1, 2) if before.said.ndim > start]
    if any(_equal(form, call.given) for form in forms):
        return True
    raise ConfigError(
        f"Between the module's layers '{before.name}' and '{call.name}' something happens that no layer says (a "
        "function, a second path, or several steps). Put layers for it into a torch.nn.Sequential."
    )


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.equal(a, b))

"""Layers as lines of a PyTorch module: how each is made, and how it is called."""

from typing import Final, NamedTuple

from torch import Tensor

from spikewise.dynamics import IF, LIF, CubaLIF, LeakyIntegrator
from spikewise.errors import ConfigError
from spikewise.graph import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Residual,
    SumPool,
)
from spikewise.interop.deployed import Deployed
from spikewise.layers.base import both

__all__ = ["Lines", "lines_of"]

_FUNCTIONS: Final = {
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softplus": "Softplus",
    "gelu": "GELU",
}
_ELSEWHERE: Final = "Export to onnx, which has it, or train without it."


class Lines(NamedTuple):
    """What a layer adds to the file."""

    made: tuple[str, ...]
    """In the constructor."""
    begun: tuple[str, ...]
    """Before the first step: what it remembers."""
    called: tuple[str, ...]
    """In every step; the output gets the name of the layer."""
    membrane: str = ""
    """What holds the membrane that met the threshold, or the output of a layer without one."""


def lines_of(network: Deployed, at: NamedLayer, *, last: bool) -> Lines:
    """The lines of a layer.

    Args:
        last: whether the membranes are read.
    Raises:
        ConfigError: snnTorch cannot say the layer, which is named.
    """
    if isinstance(at.layer, Neuron):
        return _neurons(network, at, last=last)
    source = at.inputs[0] or "x"
    if isinstance(at.layer, Residual):
        called = f"{at.name} = {source} + {at.inputs[1] or 'x'}"
        return Lines((), (), (called,), at.name)
    if isinstance(at.layer, GlobalAvgPool):
        return Lines((), (), (f"{at.name} = {source}.mean((2, 3))",), at.name)
    return Lines((f"self.{at.name} = {_module(at)}",), (), (f"{at.name} = self.{at.name}({source})",), at.name)


def _module(at: NamedLayer) -> str:  # noqa: PLR0911  # one line per kind of layer
    match at.layer:
        case Linear(features=features, bias=bias):
            return _filled(at, f"nn.Linear({at.input[0]}, {features}, bias={bias})")
        case Conv2d() as conv:
            places = f"{conv.window}, {conv.strides}, {conv.paddings}, {conv.dilations}, {conv.groups}"
            return _filled(at, f"nn.Conv2d({at.input[0]}, {conv.channels}, {places}, bias={conv.bias})")
        case BatchNorm(epsilon=epsilon):
            kind = "BatchNorm2d" if len(at.input) == 3 else "BatchNorm1d"
            return _filled(at, f"nn.{kind}({at.input[0]}, eps={epsilon!r})")
        case Flatten():
            return "nn.Flatten()"
        case Activation(function=function):
            return f"nn.{_FUNCTIONS[function]}()"
        case MaxPool() as pool:
            return f"nn.MaxPool2d({pool.window}, {pool.strides}, {both(pool.padding)})"
        case AvgPool() as pool:
            return f"nn.AvgPool2d({pool.window}, {pool.strides}, {both(pool.padding)})"
        case SumPool() as pool:
            return f"nn.AvgPool2d({pool.window}, {pool.strides}, {both(pool.padding)}, divisor_override=1)"
    raise ConfigError(f"Layer {at.name} ({at.layer.summary}) has no counterpart in snnTorch. {_ELSEWHERE}")


def _filled(at: NamedLayer, module: str) -> str:
    return f'filled({module}, weights, "{at.name}")'


def _neurons(network: Deployed, at: NamedLayer, *, last: bool) -> Lines:
    layer = at.layer
    assert isinstance(layer, Neuron)
    name, dynamics = at.name, layer.dynamics
    if not isinstance(dynamics, LIF | IF | CubaLIF | LeakyIntegrator):
        raise ConfigError(f"Layer {name}: snnTorch has no neurons of kind '{dynamics.label}'. {_ELSEWHERE}")
    reset = "none" if isinstance(dynamics, LeakyIntegrator) else dynamics.reset
    delayed = not isinstance(dynamics, LeakyIntegrator) and dynamics.reset_delay
    if reset == "zero" and delayed and not isinstance(dynamics, CubaLIF):
        raise ConfigError(
            f"Layer {name} resets to zero one step late and loses the current of that step, which snnTorch keeps. "
            f"Train with reset_delay = false or reset = 'subtract', or export to onnx."
        )
    now = reset != "none" and not delayed
    # snnTorch's own immediate subtraction acts twice on a membrane above two thresholds; to zero it is as here.
    own = now and (reset == "subtract" or last)
    kind = ("Synaptic" if isinstance(dynamics, CubaLIF) else "Leaky") + ("Now" if own else "")
    values = ", ".join(
        f"{key}={_value(at, key, value)}" for key, value in {"beta": 1.0, **network.parameters(at)}.items()
    )
    settings = f'{values}, reset_mechanism="{reset}", reset_delay={not now}'
    made = [f"self.{name} = {'' if own else 'snn.'}{kind}({settings})"]
    state = [f"syn_{name}", f"mem_{name}"] if isinstance(dynamics, CubaLIF) else [f"mem_{name}"]
    begun = [f"{', '.join(state)} = self.{name}.reset_mem()"]
    initial = getattr(dynamics, "initial", 0.0)
    if initial:
        begun = [f"mem_{name} = {initial!r} * self.{name}.threshold * {_everywhere('ones', at)}"]
    source = at.inputs[0] or "x"
    if f"{name}.recurrent" in network.weights:
        made.append(f'self.recurrent_{name} = recurrent(weights["{name}.recurrent"])')
        begun.append(f"{name} = {_everywhere('zeros', at)}")
        source = f"{source} + self.recurrent_{name}({name})"
    called = [f"{', '.join([name, *state])} = self.{name}({source}, {', '.join(state)})"]
    if isinstance(dynamics, LeakyIntegrator):
        called.append(f"{name} = mem_{name}")
    membrane = f"self.{name}.met" if own else f"mem_{name}"
    return Lines(tuple(made), tuple(begun), tuple(called), membrane)


def _everywhere(kind: str, at: NamedLayer) -> str:
    return f"torch.{kind}(len(images), {', '.join(map(str, at.output))}, device=images.device)"


def _value(at: NamedLayer, key: str, value: Tensor | float) -> str:
    if isinstance(value, Tensor) and value.numel() > 1:
        return f'weights["{at.name}.{key}"]'
    return repr(float(value))

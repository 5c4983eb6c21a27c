"""Modules of snnTorch and SpikingJelly become networks, by their attributes, which say more than their exporters."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from spikewise.dynamics import Reset
from spikewise.encoders import Encoder
from spikewise.errors import ConfigError
from spikewise.graph import Activation, AvgPool, BatchNorm, Conv2d, Flatten, Linear, MaxPool, Shape
from spikewise.interop.nir.nodes import add_current, after
from spikewise.interop.nir.reading import Imported
from spikewise.interop.pieces import NeuronValues, Piece, assemble, neuron_piece
from spikewise.interop.walking import LayerCall, steps_of
from spikewise.readouts import Readout

__all__ = ["from_snntorch_module", "from_spikingjelly_module", "library_of"]

Array = Float[np.ndarray, "..."]
_LIBRARIES: Final = ("snntorch", "spikingjelly")


class _Neurons(NamedTuple):
    """What a layer of neurons of a library is here."""

    values: NeuronValues
    matrix: Array | None = None
    current: Array | None = None
    """A constant input."""


Read = Callable[[str, Any, Shape], _Neurons]


def library_of(module: nn.Module) -> str | None:
    """The library whose neurons a module has; None where it has those of neither."""
    found = {type(one).__module__.partition(".")[0] for one in module.modules()}
    return next((name for name in _LIBRARIES if name in found), None)


def from_snntorch_module(
    module: nn.Module,
    *,
    image_shape: tuple[int, int, int] | None = None,
    encoder: Encoder | None = None,
    readout: Readout | None = None,
) -> Imported:
    """The network of a module with snnTorch's Leaky, Synaptic, RLeaky and RSynaptic neurons.

    Args:
        image_shape: channels, height, width; None is what the first layer says, where that is enough.
        encoder: how images become its input; None is the rate code over 25 steps.
        readout: None counts output spikes.
    Raises:
        ConfigError: a layer has no counterpart here (named), or it cannot be seen how the layers follow each other.
    """
    return _converted(module, "snntorch", _snntorch, image_shape, encoder, readout)


def from_spikingjelly_module(
    module: nn.Module,
    *,
    image_shape: tuple[int, int, int] | None = None,
    encoder: Encoder | None = None,
    readout: Readout | None = None,
) -> Imported:
    """The same with SpikingJelly's IFNode, LIFNode, ParametricLIFNode and CUBALIFNode; arguments as above."""
    return _converted(module, "spikingjelly", _spikingjelly, image_shape, encoder, readout)


def _converted(
    module: nn.Module,
    library: str,
    read: Read,
    image_shape: tuple[int, int, int] | None,
    encoder: Encoder | None,
    readout: Readout | None,
) -> Imported:
    shape = _image_shape(module) if image_shape is None else image_shape
    pieces: list[Piece] = []
    now: Shape = shape
    for step in steps_of(module, shape, lambda one: _is_neuron(one, library)):
        made = _pieces(step, now, pieces, library, read)
        pieces += made
        now = after(made, now)
    notes = (f"Read from the attributes of {library}'s modules.",)
    return Imported(assemble(pieces, shape, encoder, readout), library, notes)


def _pieces(step: LayerCall, shape: Shape, before: list[Piece], library: str, read: Read) -> list[Piece]:
    name, module = step.name or type(step.module).__name__, step.module
    flat: list[Piece] = []
    if len(shape) > 1 and (step.flattened or isinstance(module, nn.Linear)):
        flat = [Piece(f"{name}, flattened", Flatten())]
        shape = (int(np.prod(shape)),)
    if _is_neuron(module, library):
        found = read(name, module, shape)
        if found.current is not None:
            add_current(name, before, found.current)
        return [*flat, neuron_piece(name, shape, found.values, before, found.matrix)]
    return [*flat, *_plain(name, module, shape)]


def _is_neuron(module: nn.Module, library: str) -> bool:
    place = type(module).__module__
    return place.startswith((f"{library}._neurons", f"{library}.activation_based.neuron"))


def _plain(name: str, module: nn.Module, shape: Shape) -> list[Piece]:  # noqa: PLR0911  # one line per layer
    match module:
        case nn.Linear():
            return [Piece(name, Linear(features=module.out_features, bias=module.bias is not None), _weights(module))]
        case nn.Conv2d():
            return [_convolution(name, module)]
        case nn.AvgPool2d() | nn.MaxPool2d():
            return [_pool(name, module)]
        case nn.Flatten():
            return [Piece(name, Flatten())] if len(shape) > 1 else []
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return [_norm(name, module)]
        case nn.ReLU():
            return [Piece(name, Activation())]
        case nn.Identity():
            return []
        case _ if "Dropout" in type(module).__name__:
            return []
        case _:
            raise ConfigError(
                f"The module's layer '{name}' is a {type(module).__name__}, and there is no such layer here. Known "
                "are Linear, Conv2d, AvgPool2d, MaxPool2d, Flatten, BatchNorm, Dropout, ReLU and the library's neurons."
            )


def _weights(module: nn.Linear | nn.Conv2d) -> dict[str, Array]:
    return {"weight": _numpy(module.weight), **({} if module.bias is None else {"bias": _numpy(module.bias)})}


def _convolution(name: str, module: nn.Conv2d) -> Piece:
    if module.padding_mode != "zeros":
        raise ConfigError(f"The module's layer '{name}' pads with {module.padding_mode}; zeros are what is known here.")
    padding: Any = module.padding
    if isinstance(padding, str):
        reach = [d * (n - 1) for n, d in zip(module.kernel_size, module.dilation, strict=True)]
        if padding == "same" and any(one % 2 for one in reach):
            raise ConfigError(f"The module's layer '{name}' pads an even kernel to the same size, unevenly.")
        padding = (reach[0] // 2, reach[1] // 2) if padding == "same" else (0, 0)
    layer = Conv2d(
        channels=module.out_channels,
        kernel=_pair(module.kernel_size),
        stride=_pair(module.stride),
        padding=_pair(padding),
        dilation=_pair(module.dilation),
        groups=module.groups,
        bias=module.bias is not None,
    )
    return Piece(name, layer, _weights(module))


def _pool(name: str, module: nn.AvgPool2d | nn.MaxPool2d) -> Piece:
    average = isinstance(module, nn.AvgPool2d)
    odd = module.ceil_mode or _pair(getattr(module, "dilation", 1)) != 1
    odd = odd or bool(
        average and (module.divisor_override or (np.any(module.padding) and not module.count_include_pad))
    )
    if odd:
        raise ConfigError(f"The module's pool '{name}' rounds sizes up, is dilated, or counts its padding otherwise.")
    make = AvgPool if average else MaxPool
    stride = None if module.stride is None else _pair(module.stride)
    return Piece(name, make(size=_pair(module.kernel_size), stride=stride, padding=_pair(module.padding)))


def _norm(name: str, module: nn.BatchNorm1d | nn.BatchNorm2d) -> Piece:
    mean, var = module.running_mean, module.running_var
    if mean is None or var is None:
        raise ConfigError(
            f"The module's normalisation '{name}' keeps no statistics; train it with track_running_stats."
        )
    ones, zeros = np.ones(len(mean), np.float32), np.zeros(len(mean), np.float32)
    values = {
        "weight": ones if module.weight is None else _numpy(module.weight),
        "bias": zeros if module.bias is None else _numpy(module.bias),
        "running_mean": _numpy(mean),
        "running_var": _numpy(var),
    }
    return Piece(name, BatchNorm(epsilon=module.eps), values)


def _snntorch(name: str, module: Any, shape: Shape) -> _Neurons:
    kind = type(module).__name__
    if kind not in ("Leaky", "RLeaky", "Synaptic", "RSynaptic"):
        raise ConfigError(f"The module's neurons '{name}' are snnTorch's {kind}; Leaky and Synaptic are known here.")
    if module.inhibition or module.state_quant or bool((module.graded_spikes_factor != 1).any()):
        raise ConfigError(
            f"The module's neurons '{name}' inhibit each other, quantise their state or grade their spikes, which "
            "neurons here do not."
        )
    reset: Reset = module.reset_mechanism
    first_order = kind in ("Leaky", "RLeaky")
    # Leaky sets its membrane to zero before the next input comes, which is a reset in the same step.
    delay = bool(module.reset_delay) and reset != "none" and not (kind == "Leaky" and reset == "zero")
    values = NeuronValues(
        "lif" if first_order else "cuba_lif",
        _full(module.beta.clamp(0, 1), shape),
        _full(module.threshold, shape),
        alpha=None if first_order else _full(module.alpha.clamp(0, 1), shape),
        reset=reset,
        delay=delay,
    )
    if kind in ("Leaky", "Synaptic"):
        return _Neurons(values)
    return _Neurons(values, *_recurrent(name, module.recurrent, shape))


def _recurrent(name: str, module: nn.Module, shape: Shape) -> tuple[Array, Array | None]:
    if isinstance(module, nn.Linear):
        return _numpy(module.weight), None if module.bias is None else _numpy(module.bias)
    each = getattr(module, "V", None)
    if isinstance(each, Tensor) and len(shape) == 1:
        return np.diag(_full(each, shape)), None
    raise ConfigError(
        f"The module's neurons '{name}' feed back through a {type(module).__name__}; a linear map is known."
    )


def _spikingjelly(name: str, module: Any, shape: Shape) -> _Neurons:
    kind = type(module).__name__
    soft = module.v_reset is None
    rest = 0.0 if soft else float(module.v_reset)
    threshold = _full(float(module.v_threshold) - rest, shape)
    gain, alpha = 1.0, None
    match kind:
        case "IFNode":
            beta = 1.0
        case "LIFNode" | "ParametricLIFNode":
            leak = float(module.w.sigmoid()) if kind == "ParametricLIFNode" else 1.0 / float(module.tau)
            beta, gain = 1.0 - leak, leak if module.decay_input else 1.0
        case "CUBALIFNode" if not rest:
            beta, alpha = float(module.v_decay), _full(float(module.c_decay), shape)
        case _:
            raise ConfigError(
                f"The module's neurons '{name}' are SpikingJelly's {kind}; IFNode, LIFNode, ParametricLIFNode and "
                "CUBALIFNode (with v_reset 0 or None) are known here."
            )
    return _Neurons(
        NeuronValues(
            "lif" if alpha is None else "cuba_lif",
            _full(beta, shape),
            threshold,
            gain,
            alpha,
            "subtract" if soft else "zero",
            at_least=True,
        )
    )


def _image_shape(module: nn.Module) -> tuple[int, int, int]:
    """A square for a linear layer that comes first."""
    for one in module.modules():
        if isinstance(one, nn.Conv2d):
            break
        if isinstance(one, nn.Linear):
            side = int(one.in_features**0.5)
            return (1, side, side) if side * side == one.in_features else (1, 1, one.in_features)
    raise ConfigError(
        "Which images the module reads cannot be seen from its layers: give image_shape=(channels, height, width)."
    )


def _full(value: Tensor | float, shape: Shape) -> Array:
    """For every neuron, as PyTorch broadcasts."""
    array = _numpy(value) if isinstance(value, Tensor) else np.asarray(value, np.float64)
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ConfigError(f"A parameter of neurons has the shape {array.shape}, and their layer has {shape}.") from None


def _pair(value: Any) -> Any:
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    return pair[0] if pair[0] == pair[1] else pair


def _numpy(value: Tensor) -> Array:
    array: np.ndarray = value.detach().cpu().float().numpy()
    return array

"""The reference engine: a scan of the step functions. It defines what every other engine must compute.

Any device, any neuron, autograd.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from spikewise.dynamics import NeuronState
from spikewise.engine.contract import Ask, EngineResult, LayerTrace, RunOptions
from spikewise.engine.measuring import events, fed_back
from spikewise.engine.normalisation import normalised_with_others
from spikewise.engine.parameters import neuron_parameters, qcfs_threshold, recurrent_matrix
from spikewise.graph import (
    QCFS,
    Activation,
    AvgPool,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Graph,
    Linear,
    MaxPool,
    NamedLayer,
    Neuron,
    Residual,
    SpikingActivation,
    SumPool,
)
from spikewise.randomness import uniform
from spikewise.readouts import Trajectory
from spikewise.types import Draw

__all__ = ["Change", "Done", "ReferenceEngine", "clip_floor_shift", "run_layer", "run_layers", "spiking_activation"]

Change = Callable[[NamedLayer, Tensor], Tensor]
"""What becomes of a layer's output before others read it."""

_FRAMES_PER_CHUNK = 128
"""oneDNN's channels-last convolution is several times faster on chunks that stay in cache."""
_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "gelu": F.gelu,
}


class Done(NamedTuple):
    """What one layer did."""

    output: Tensor
    spikes: Tensor | None = None
    membrane: Tensor | None = None
    state: NeuronState | Tensor | None = None
    dt: float | None = None
    """Of outputs that are spikes / dt: they are counted where somebody asks, for the maps are large."""

    def spike_train(self) -> Tensor | None:
        """Spikes [T, B, *F], if the layer has some."""
        return self.spikes if self.dt is None else self.output * self.dt


class ReferenceEngine:
    """Every graph, on every device."""

    name = "reference"

    def refuses(self, ask: Ask) -> str | None:
        """None: it refuses nothing."""
        del ask
        return None

    def run(
        self, graph: Graph, weights: Mapping[str, Tensor], inputs: Float[Tensor, "T B C H W"], draw: Draw,
        options: RunOptions,
    ) -> EngineResult:  # fmt: skip
        """Run a graph over spikes or currents."""
        return _run(graph, weights, inputs, draw, options)

    def run_images(
        self, graph: Graph, weights: Mapping[str, Tensor], images: UInt8[Tensor, "B C H W"], draw: Draw,
        options: RunOptions,
    ) -> EngineResult:  # fmt: skip
        """Encode images and run a graph over them."""
        return _run(graph, weights, graph.encoder(images, draw), draw, options)


def _run(
    graph: Graph, weights: Mapping[str, Tensor], inputs: Float[Tensor, "T B C H W"], draw: Draw, options: RunOptions
) -> EngineResult:
    """Layer by layer, each over all steps."""
    done = Done(inputs)
    state: dict[str, NeuronState | Tensor] = {}
    traces: dict[str, LayerTrace] = {}
    rates: dict[str, Tensor] = {}
    received: dict[str, Tensor] = {}
    active: dict[str, Tensor] = {}
    for at, arrived, done in run_layers(graph, weights, inputs, draw, options):
        if options.measure and at.layer.weighted:
            received[at.name] = events(arrived[0], at.arriving)
        if done.state is not None:
            state[at.name] = done.state
        if at.name in options.record:
            traces[at.name] = LayerTrace(done.spike_train(), done.output if done.membrane is None else done.membrane)
        if options.measure and (spikes := done.spike_train()) is not None:
            # of a function below zero the spikes are negative, and are sent all the same
            rates[at.name] = spikes.detach().abs().mean(dim=(0, 1))
            active[at.name] = (spikes.detach() != 0).float().mean(dim=(0, 1))
            received |= fed_back(at, rates, (options.state or {}).get(at.name), done.state, len(spikes))
    membrane = done.output if done.membrane is None else done.membrane
    return EngineResult(Trajectory(done.spike_train(), membrane), state, traces, rates, received, active)


def run_layers(
    graph: Graph, weights: Mapping[str, Tensor], inputs: Float[Tensor, "T B C H W"], draw: Draw, options: RunOptions,
    change: Change | None = None,
) -> Iterator[tuple[NamedLayer, tuple[Tensor, ...], Done]]:  # fmt: skip
    """Run layer after layer: each with what arrived at it, [T, B, *F] from every layer it listens to, and what it did.

    Args:
        change: applied to the output of every layer before others read it.
    """
    outputs = {"": inputs}
    for position, at in enumerate(graph.named):
        arrived = tuple(outputs[name] for name in at.inputs)
        done = run_layer(at, weights, arrived, draw, (options, position))
        yield at, arrived, done
        outputs[at.name] = done.output if change is None else change(at, done.output)
        for name in at.inputs:
            if graph.last_reads[name] == at.name:
                outputs.pop(name, None)


def run_layer(  # noqa: PLR0911, PLR0912  # one line per kind of layer
    at: NamedLayer, weights: Mapping[str, Tensor], arrived: tuple[Tensor, ...], draw: Draw, how: tuple[RunOptions, int]
) -> Done:
    """Run one layer, at a position of its graph, over its input [T, B, *F] from each layer it listens to."""
    options, stream = how
    x = arrived[0]
    own = {key: weights[f"{at.name}.{key}"] for key in at.parameters()}
    before = (options.state or {}).get(at.name)
    match at.layer:
        case Neuron():
            return _neurons(at, weights, x, before)
        case SpikingActivation():
            return _spiking_layer(at.layer, x, before, draw, how)
        case Dropout(p=p):
            return Done(_dropout(x, p, draw, stream) if options.training else x)
        case BatchNorm() as norm:
            return Done(_over_frames(x, lambda frames: _batch_norm(norm, own, frames, options)))
        case Conv2d() as convolution:
            return Done(_over_frames(x, lambda frames: _in_chunks(convolution, own, frames)))
        case Linear():
            return Done(F.linear(x, own["weight"], own.get("bias")))
        case Flatten():
            return Done(x.flatten(2))
        case Activation(function=function):
            return Done(_FUNCTIONS[function](x))
        case QCFS(levels=levels):
            return Done(clip_floor_shift(x, qcfs_threshold(at, weights), levels))
        case MaxPool() as pool:
            return Done(_over_frames(x, lambda frames: F.max_pool2d(frames, pool.window, pool.strides, pool.padding)))
        case AvgPool() as pool:
            return Done(_over_frames(x, lambda frames: F.avg_pool2d(frames, pool.window, pool.strides, pool.padding)))
        case SumPool() as pool:
            return Done(_over_frames(x, lambda frames: _sum_pool(pool, frames)))
        case GlobalAvgPool():
            return Done(x.mean(dim=(3, 4)))
        case Residual():
            return Done(x + arrived[1])


def _neurons(at: NamedLayer, weights: Mapping[str, Tensor], current: Tensor, before: Any) -> Done:
    layer = at.layer
    assert isinstance(layer, Neuron)
    dynamics = layer.dynamics
    if torch.is_autocast_enabled(current.device.type):
        current = current.float()  # products may be bfloat16; a membrane of eight bits would lose small currents
    p, recurrent = neuron_parameters(at, weights), recurrent_matrix(at, weights)
    step: Callable[..., tuple[Tensor | None, Tensor, Any]] = dynamics.step
    state: Any = dynamics.starting_state(current[0], p) if before is None else before
    spikes, membranes = [], []
    for now in current.unbind(0):
        total = now if recurrent is None else now + F.linear(state.z, recurrent)
        z, v, state = step(total, state, p)
        spikes.append(z)
        membranes.append(v)
    membrane = torch.stack(membranes)
    if not layer.spikes:
        return Done(membrane, None, membrane, state)
    spike_train = torch.stack([z for z in spikes if z is not None])
    return Done(spike_train, spike_train, membrane, state)


def clip_floor_shift(x: Float[Tensor, "*any"], threshold: Float[Tensor, "..."], levels: int) -> Float[Tensor, "*any"]:
    """The quantised ReLU of `graph.QCFS`: threshold / levels times a whole number from 0 to `levels`."""
    count: Tensor = _Rounded.apply(x.to(threshold.dtype) * levels / threshold)  # type: ignore[no-untyped-call]
    return count.clamp(0, levels) / levels * threshold


class _Rounded(torch.autograd.Function):
    """The nearest whole number, of two the lower one; backward the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        del ctx
        return (x - 0.5).ceil()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        del ctx
        return gradient


def spiking_activation(
    rates: Float[Tensor, "T B *F"], v: Float[Tensor, "B *F"], dt: float
) -> tuple[Float[Tensor, "T B *F"], Float[Tensor, "B *F"]]:
    """Carry `rates` by spikes: outputs n / dt and the voltage left over. See `graph.SpikingActivation`.

    The gradient of the output is that of `rates`.
    """
    carried: Tensor
    carried, after = _Carried.apply(rates, v, dt)  # type: ignore[no-untyped-call]
    return carried, after


class _Carried(torch.autograd.Function):
    """Spikes forward, the identity backward."""

    @staticmethod
    def forward(ctx: Any, rates: Tensor, v: Tensor, dt: float) -> tuple[Tensor, Tensor]:
        carried = torch.empty_like(rates)
        for rate, out in zip(rates.unbind(0), carried.unbind(0), strict=True):
            # In memory that is there: these maps are large, and getting more costs as much as working on it.
            v = torch.mul(rate, dt).add_(v)
            torch.floor(v, out=out)
            v.sub_(out)
            out.div_(dt)
        ctx.mark_non_differentiable(v)
        return carried, v

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, after: Tensor) -> tuple[Tensor, None, None]:
        del ctx, after
        return gradient, None, None


def _spiking_layer(layer: SpikingActivation, x: Tensor, before: Any, draw: Draw, how: tuple[RunOptions, int]) -> Done:
    options, stream = how
    rates = _FUNCTIONS[layer.function](x)
    if options.training and not layer.spiking_aware:
        return Done(rates)
    v = before
    if v is None and layer.random_start:
        v = torch.empty_like(x[0]).copy_(uniform(draw, x[0, 0].numel(), 1 + stream).view(x[0].shape))
    elif v is None:
        v = torch.zeros_like(x[0])
    output, after = spiking_activation(rates, v, layer.dt)
    return Done(output, state=after, dt=layer.dt)


def _dropout(x: Tensor, p: float, draw: Draw, stream: int) -> Tensor:
    keep = uniform(draw, x[0, 0].numel(), 1 + stream).view_as(x[0]) >= p
    return x * keep / (1 - p)


def _batch_norm(layer: BatchNorm, own: dict[str, Tensor], frames: Tensor, options: RunOptions) -> Tensor:
    mean, var = own["running_mean"], own["running_var"]
    if options.training and options.exchange is not None:
        return normalised_with_others(layer, own, frames, options.exchange)
    # One value has no spread: a batch of a single flat frame is normalised by what was seen before.
    training = options.training and frames.numel() > frames.shape[1]
    # A single frame may lie channels last and first at once: gradients that arrive are taken for another's (PyTorch
    # 2.13, CPU). Of pixels in a row there is one layout.
    flat = frames.flatten(2) if len(frames) == 1 and frames.ndim == 4 else frames
    normed = F.batch_norm(flat, mean, var, own["weight"], own["bias"], training, layer.momentum, layer.epsilon)
    return normed.view(frames.shape)


def _in_chunks(layer: Conv2d, own: dict[str, Tensor], frames: Tensor) -> Tensor:
    weight, strides, paddings = own["weight"], layer.strides, layer.paddings
    if any(beyond >= size for beyond, size in zip(paddings, layer.window, strict=True)):
        # oneDNN ends the process on some windows that lie in the padding alone (PyTorch 2.13, AVX-512).
        frames, paddings = F.pad(frames, (paddings[1], paddings[1], paddings[0], paddings[0])), (0, 0)
    if layer.window == (1, 1) and strides != (1, 1):
        # oneDNN's gradient of a strided kernel of one pixel writes beyond its memory (PyTorch 2.13, AVX2).
        frames = F.pad(frames, (paddings[1], paddings[1], paddings[0], paddings[0]))[..., :: strides[0], :: strides[1]]
        strides, paddings = (1, 1), (0, 0)
    if frames.shape[1] > 1 or strides[1] == 1:
        # Of one channel and one output column, oneDNN leaves out what such weights say (PyTorch 2.13, AVX-512).
        weight = weight.to(memory_format=torch.channels_last)
    out = [
        F.conv2d(
            chunk.contiguous(memory_format=torch.channels_last),
            weight,
            own.get("bias"),
            strides,
            paddings,
            layer.dilations,
            layer.groups,
        )
        for chunk in torch.split(frames, _FRAMES_PER_CHUNK)
    ]
    return torch.cat(out) if len(out) > 1 else out[0]


def _sum_pool(layer: SumPool, frames: Tensor) -> Tensor:
    return F.avg_pool2d(frames, layer.window, layer.strides, layer.padding, divisor_override=1)


def _over_frames(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function of frames [T*B, ...] to [T, B, ...]."""
    out = function(x.flatten(0, 1))
    return torch.unflatten(out, 0, x.shape[:2])

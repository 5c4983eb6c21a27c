"""The NIR equations, step by step, in NumPy: an interpreter that knows nodes and edges, and no network of ours.

tau dv/dt = v_leak - v + r i in Euler's step is  v <- v + dt / tau (v_leak - v + r i). Then comes the threshold, and
then the reset, of which NIR has one (v <- v_reset) and neuron models several. Source: Pedersen et al., "Neuromorphic
intermediate representation", Nature Communications 15:8122, 2024.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from spikewise.dynamics import Reset
from spikewise.errors import DataError
from spikewise.interop.nir.tools import NEUTRAL, Tool

if TYPE_CHECKING:
    import nir

__all__ = ["Interpreter", "NodeRecord", "Rules"]

Array = Float[np.ndarray, "B *F"]


class Rules(NamedTuple):
    """How the equations become steps, and what the graph does not say."""

    form: Tool = NEUTRAL
    """Time step, decay and gain."""
    reset: Reset | None = None
    """Of all neurons; None: as the metadata of each say, or else to v_reset."""
    delay: bool | None = None
    """Whether the reset belongs to the next step; None as for `reset`."""
    at_least: bool = False
    """Whether a neuron spikes where the membrane meets the threshold."""
    charged: bool = True
    """Whether membranes start where the metadata say, not at 0."""
    several: bool = False
    """Whether it sends as many spikes as the threshold goes into the membrane."""


class NodeRecord(NamedTuple):
    """What one node of neurons did."""

    spikes: Float[np.ndarray, "T B *F"] | None
    """None of integrators."""
    membrane: Float[np.ndarray, "T B *F"]
    """Before the reset."""


class Interpreter:
    """A NIR graph without nested ones, ready to run."""

    def __init__(self, graph: "nir.NIRGraph", rules: Rules = Rules(), dtype: type = np.float32) -> None:  # noqa: B008
        self._dtype = dtype
        self._sources = {name: [a for a, b in graph.edges if b == name] for name in graph.nodes}
        self._order = _order(graph)
        self._graph = graph
        self._rules = rules
        self._nodes = {name: _prepared(name, graph.nodes[name], rules, dtype) for name in self._order}

    def __call__(self, inputs: Float[np.ndarray, "T B *F"]) -> tuple[dict[str, NodeRecord], Float[np.ndarray, "T B K"]]:
        """What every node of neurons did, by name, and what arrived at the output."""
        state: dict[str, _State] = {}
        sent: dict[str, Array] = {}
        kept: dict[str, tuple[list[Array], list[Array]]] = {}
        last = []
        for now in inputs.astype(self._dtype, copy=False):
            before, sent = sent, {}
            for name in self._order:
                arrived = self._arrived(name, now, sent, before)
                node = self._nodes[name]
                if not isinstance(node, _Neurons):
                    sent[name] = node(arrived)
                    continue
                state[name], z, v = node.step(arrived, state.get(name))
                sent[name] = v if z is None else z
                spikes, membranes = kept.setdefault(name, ([], []))
                membranes.append(v)
                if z is not None:
                    spikes.append(z)
            last.append(sent[self._last()])
        seen = {name: NodeRecord(np.stack(z) if z else None, np.stack(v)) for name, (z, v) in kept.items()}
        return seen, np.stack(last)

    def _arrived(self, name: str, now: Array, sent: Mapping[str, Array], before: Mapping[str, Array]) -> Array:
        if not self._sources[name]:
            return now
        total: Any = 0.0
        for source in self._sources[name]:
            if source in sent:
                total = total + sent[source]
            else:  # around a cycle: what it sent a step before; before the first step no spike, but its bias
                total = total + before.get(source, getattr(self._graph.nodes[source], "bias", 0.0))
        return np.asarray(total, self._dtype)

    def _last(self) -> str:
        return next(str(name) for name, node in self._graph.nodes.items() if type(node).__name__ == "Output")


class _State(NamedTuple):
    v: Array
    z: Array
    i: Array


class _Neurons(NamedTuple):
    """Neurons with what they multiply by: v <- decay v + gain x + leak."""

    decay: Any
    gain: Any
    leak: Any
    threshold: Any
    """None of integrators."""
    v_reset: Any
    reset: Reset
    delay: bool
    rules: Rules
    synapse: tuple[Any, Any] | None = None
    """Decay and gain of the current, where that has a state."""
    initial: Any = 0.0
    """Membrane before the first step, in thresholds."""
    scale: Any = 1.0
    """What the membrane is divided by to be that of the network."""

    def step(self, x: Array, before: _State | None) -> tuple[_State, Array | None, Array]:
        zero = np.zeros_like(x)
        was = _State(zero + self._start(), zero, zero) if before is None else before
        i = was.i
        if self.synapse is not None:
            decay, gain = self.synapse
            i = decay * was.i + gain * x
            x = i
        v = self.decay * was.v + self.gain * x + self.leak
        if self.threshold is None:
            return _State(v, was.z, i), None, v / self.scale
        if self.delay:
            v = self._reset(v, was.z)
        z = self._spikes(v)
        return _State(v if self.delay else self._reset(v, z), z, i), z, v / self.scale

    def _start(self) -> Any:
        return 0.0 if self.threshold is None else self.initial * self.threshold

    def _spikes(self, v: Array) -> Array:
        if self.rules.several:
            whole: np.ndarray = np.maximum(np.floor(v / self.threshold), 0)
            return whole.astype(v.dtype)
        met: np.ndarray = v >= self.threshold if self.rules.at_least else v > self.threshold
        return met.astype(v.dtype)

    def _reset(self, v: Array, z: Array) -> Array:
        if self.reset == "none":
            return v
        if self.reset == "subtract":
            lowered: np.ndarray = v - self.threshold * z
            return lowered
        reset: np.ndarray = np.where(z > 0, self.v_reset, v).astype(v.dtype)
        return reset


def _prepared(name: str, node: Any, rules: Rules, dtype: type) -> Callable[[Array], Array] | _Neurons:
    kind = type(node).__name__
    if kind in ("LIF", "IF", "LI", "I", "CubaLIF"):
        return _neurons(node, kind, rules, dtype)
    if kind not in _MAPS:
        raise DataError(f"Node {name} is a {kind}, which this interpreter does not run.")
    made: Callable[[Array], Array] = _MAPS[kind](node, dtype)
    return made


def _neurons(node: Any, kind: str, rules: Rules, dtype: type) -> _Neurons:
    form, held = rules.form, node.metadata
    leak: Any = 0.0
    if kind in ("I", "IF"):
        decay, gain = np.ones(()), node.r * (1.0 if form.integrate == "r" else form.dt)
    else:
        tau = node.tau_mem if kind == "CubaLIF" else node.tau
        decay = np.exp(-form.dt / tau) if form.decay == "exponential" else 1 - form.dt / tau
        gain = np.ones(()) if form.gain == "1" else node.r * form.dt / tau
        leak = (1 - decay) * node.v_leak
    spiking = kind in ("LIF", "IF", "CubaLIF") and not held.get("integrator")
    synapse = None
    if kind == "CubaLIF":
        synapse = ((1 - form.dt / node.tau_syn).astype(dtype), (node.w_in * form.dt / node.tau_syn).astype(dtype))
    return _Neurons(
        decay.astype(dtype),
        np.asarray(gain).astype(dtype),
        np.asarray(leak).astype(dtype),
        node.v_threshold.astype(dtype) if spiking else None,
        node.v_reset.astype(dtype) if spiking else None,
        (rules.reset or _text(held.get("reset", "zero"))) if spiking else "none",  # type: ignore[arg-type]
        bool(held.get("reset_delay", 0)) if rules.delay is None else rules.delay,
        rules,
        synapse,
        np.asarray(held.get("initial", 0.0) if rules.charged else 0.0).astype(dtype),
        np.asarray(held.get("gain", 1.0)).astype(dtype),
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _linear(node: Any, dtype: type) -> Callable[[Array], Array]:
    weight = np.ascontiguousarray(node.weight.T.astype(dtype))
    bias = node.bias.astype(dtype) if hasattr(node, "bias") else np.zeros((), dtype)
    return lambda x: x @ weight + bias


def _convolution(node: Any, dtype: type) -> Callable[[Array], Array]:
    weight, bias = node.weight.astype(dtype), node.bias.astype(dtype)
    groups, stride, padding, dilation = int(node.groups), *map(_pair, (node.stride, node.padding, node.dilation))
    outputs, inputs = len(weight) // groups, weight.shape[1]

    def run(x: Array) -> Array:
        windows = _windows(x, weight.shape[2:], stride, padding, dilation)
        parts = []
        for group in range(groups):
            mine = windows[:, group * inputs : (group + 1) * inputs]
            kernel = weight[group * outputs : (group + 1) * outputs]
            parts.append(np.tensordot(mine, kernel, axes=((1, 4, 5), (1, 2, 3))))
        whole: np.ndarray = np.moveaxis(np.concatenate(parts, axis=-1), -1, 1)
        biased: np.ndarray = whole + bias[:, None, None]
        return biased

    return run


def _pooled(node: Any, dtype: type, divide: bool = False) -> Callable[[Array], Array]:
    window, stride, padding = map(_pair, (node.kernel_size, node.stride, node.padding))
    by: np.ndarray = np.asarray(window[0] * window[1] if divide else 1, dtype)
    return lambda x: _windows(x, window, stride, padding, (1, 1)).sum((4, 5), dtype=dtype) / by


def _flatten(node: Any, dtype: type) -> Callable[[Array], Array]:
    del dtype
    first, last = int(node.start_dim), int(node.end_dim)

    def run(x: Array) -> Array:
        shape: tuple[int, ...] = x.shape[1:]
        end = last % len(shape)
        return x.reshape(len(x), *shape[:first], -1, *shape[end + 1 :])

    return run


def _threshold(node: Any, dtype: type) -> Callable[[Array], Array]:
    limit = node.threshold.astype(dtype)
    return lambda x: (x > limit).astype(dtype)


def _scale(node: Any, dtype: type) -> Callable[[Array], Array]:
    by = node.scale.astype(dtype)
    return lambda x: x * by


def _same(node: Any, dtype: type) -> Callable[[Array], Array]:
    del node, dtype
    return lambda x: x


_MAPS: dict[str, Callable[[Any, type], Callable[[Array], Array]]] = {
    "Input": _same,
    "Output": _same,
    "Affine": _linear,
    "Linear": _linear,
    "Conv2d": _convolution,
    "SumPool2d": _pooled,
    "AvgPool2d": lambda node, dtype: _pooled(node, dtype, divide=True),
    "Flatten": _flatten,
    "Threshold": _threshold,
    "Scale": _scale,
}


def _windows(
    x: Array, size: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> np.ndarray:
    """What a window [h, w] sees at each place: [B, C, H, W, h, w]."""
    padded = np.pad(x, ((0, 0), (0, 0), *((more, more) for more in padding)))
    reach = tuple(d * (n - 1) + 1 for n, d in zip(size, dilation, strict=True))
    seen = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    found: np.ndarray = seen[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return found


def _pair(value: Any) -> tuple[int, int]:
    both = np.atleast_1d(value)
    return int(both[0]), int(both[-1])


def _order(graph: "nir.NIRGraph") -> list[str]:
    """The nodes so that each stands behind those it hears at the same step; an edge that closes a cycle is late."""
    targets: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for a, b in graph.edges:
        targets[a].append(b)
    done: list[str] = []
    begun: set[str] = set()
    heads = [name for name, node in graph.nodes.items() if type(node).__name__ == "Input"]
    for head in heads:
        stack = [(head, iter(targets[head]))]
        begun.add(head)
        while stack:
            name, rest = stack[-1]
            following = next((one for one in rest if one not in begun), None)
            if following is None:
                done.append(name)
                stack.pop()
            else:
                begun.add(following)
                stack.append((following, iter(targets[following])))
    return done[::-1]

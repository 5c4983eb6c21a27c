"""The same network in integers: weights of 8 bits, membranes of 32, decays in 2^-15; every rounding is defined.

Each output channel of a layer has a unit of its own, the real value of one integer. Weights are rounded to multiples of
max |w| / 127; sums of them are carried with `fraction` bits more (as many as 32 bits hold in the worst case, which is
computed: nothing can overflow), and thresholds are stated in the unit, so that nothing is scaled back between a layer
and its neurons. All divisions round towards zero, as C's do.
Source of weights of 8 bits with one scale for each channel: Jacob et al., CVPR 2018 (arXiv 1712.05877), sec. 2.1.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikewise.encoders import Direct
from spikewise.errors import ConfigError
from spikewise.graph import (
    AvgPool,
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
from spikewise.interop.c.layout import INPUT, Layout, Operation
from spikewise.interop.c.numbers import Own, Quantities, currents, encoder_tables, neuron_values, pooled
from spikewise.interop.deployed import Deployed
from spikewise.readouts import FilteredSum

__all__ = ["ONE", "quantised"]

ONE: Final = 1 << 15
"""A decay of 1."""
_LARGEST: Final = float(2**31 - 1)
_WEIGHT: Final = 127
_FRACTION, _JOIN_BITS, _INPUT_BITS = 12, 26, 11
"""Bits that are tried first: behind the weights' unit, of a sum of two paths, of a constant current."""
_THRESHOLD_BITS: Final = 12
"""A threshold is at least so fine, also where neurons read counts."""
_FEWEST, _TRIES = -30, 200


class _Wire(NamedTuple):
    """What is known of what a layer hands on."""

    unit: NDArray[Any]
    """Real value of one integer, of each channel (of each unit, where there is no map)."""
    bound: NDArray[Any]
    """No integer of the channel is larger in size."""


class _Overflow(Exception):
    def __init__(self, at: str, bound: float) -> None:
        super().__init__(at)
        self.at = at
        self.bits = int(np.ceil(np.log2(bound / _LARGEST))) or 1


def quantised(network: Deployed, layout: Layout) -> Quantities:
    """The network in integers.

    Raises:
        ConfigError: the sums of a layer cannot be held in 32 bits.
    """
    bits: dict[str, int] = {INPUT: _INPUT_BITS}
    for one in layout.operations:
        bits[one.at.name] = _JOIN_BITS if isinstance(one.at.layer, Residual) else _FRACTION
    for _ in range(_TRIES):
        try:
            return _Quantiser(network, layout, bits).run()
        except _Overflow as over:
            full = over.at
            for name in _makers(layout, full):
                bits[name] -= over.bits
        if min(bits.values()) < _FEWEST or bits[INPUT] < 1:
            break
    raise ConfigError(f"Layer {full}: its sums do not fit 32 bits. Export it in floating point (without --int8).")


def _makers(layout: Layout, name: str) -> list[str]:
    """The layers, at or before one, that decide how fine its values are."""
    by_name = {one.at.name: one for one in layout.operations}
    if name not in by_name:
        return [INPUT]
    one = by_name[name]
    if isinstance(one.at.layer, Linear | Conv2d | Residual):
        return [name]
    found = [maker for source in one.sources for maker in _makers(layout, _plain(source.name))]
    return sorted(set(found))


def _plain(name: str) -> str:
    return name or INPUT


class _Quantiser:
    """Walks through a network with the number of bits that each layer may use."""

    def __init__(self, network: Deployed, layout: Layout, bits: dict[str, int]) -> None:
        self._network, self._layout, self._bits = network, layout, bits
        self._wires: dict[str, _Wire] = {}
        self._own: dict[str, Own] = {}
        self._alike = _share_units(layout)

    def run(self) -> Quantities:
        """All layers."""
        self._encoder()
        for one in self._layout.operations:
            before = [self._wires[source.name] for source in one.sources]
            wire, own = self._layer(one, before)
            if wire.bound.max(initial=0) > _LARGEST:
                raise _Overflow(one.at.name, float(wire.bound.max()))
            self._wires[one.at.name], self._own[one.at.name] = wire, own
        last = self._wires[self._layout.out.name]
        assert np.ptp(last.unit) <= 1e-9 * last.unit.max()
        own = self._readout(last)
        return Quantities("int8", {**self._own, "readout": own}, float(last.unit[0]))

    def _readout(self, last: _Wire) -> Own:
        readout = self._layout.graph.readout
        if not isinstance(readout, FilteredSum):
            return {}
        decay, steps = readout.decay, self._layout.graph.steps
        if (most := float(last.bound.max() * _grown(decay, steps))) > _LARGEST:
            raise _Overflow(self._layout.out.name, most)
        return {"decay": _number(round(decay * ONE))}

    def _encoder(self) -> None:
        encoder, graph = self._layout.graph.encoder, self._layout.graph
        channels = self._layout.input.channels
        if not isinstance(encoder, Direct):
            self._wires[INPUT] = _Wire(np.ones(channels), np.ones(channels))
            self._own[INPUT] = encoder_tables(encoder)
            return
        real = currents(encoder, graph.image_shape[0]).astype(np.float64)
        unit = max(np.abs(real).max(), 1e-30) / (2 ** max(self._bits[INPUT], 1) - 1)
        table = np.rint(real / unit).astype(np.int16)
        self._own[INPUT] = {"currents": table}
        self._wires[INPUT] = _Wire(np.full(channels, unit), np.abs(table).max(1).astype(np.float64))

    def _layer(  # noqa: PLR0911  # one line per kind of layer
        self, one: Operation, before: list[_Wire]
    ) -> tuple[_Wire, Own]:
        layer, (unit, bound) = one.at.layer, before[0]
        match layer:
            case Linear() | Conv2d():
                return self._weighted(one.at, before[0])
            case Flatten():
                spatial = int(np.prod(one.sources[0].shape[1:]))
                return _Wire(np.repeat(unit, spatial), np.repeat(bound, spatial)), {}
            case AvgPool() | GlobalAvgPool():
                size = pooled(one.window)
                return _Wire(unit / size, bound * size), {}
            case SumPool():
                return _Wire(unit, bound * pooled(one.window)), {}
            case Residual():
                return self._join(one.at.name, before)
            case Neuron():
                return self._neurons(one.at, before[0])
            case _:
                assert isinstance(layer, MaxPool) or layer.kind == "activation"
                return before[0], {}

    def _weighted(self, at: NamedLayer, source: _Wire) -> tuple[_Wire, Own]:
        weight = self._network.weights[f"{at.name}.weight"].numpy().astype(np.float64)
        groups = at.layer.groups if isinstance(at.layer, Conv2d) else 1
        unit, bound = (_per_weight(values, weight.shape, groups) for values in source)
        real = weight * unit
        scale = _scale(np.abs(real).reshape(len(real), -1).max(1), alike=at.name in self._alike)
        whole = np.rint(real / _column(scale, weight.ndim))
        size = np.abs(whole)
        before = 0  # bits that are dropped of what arrives
        while (most := (size * np.floor(bound / 2.0**before)).reshape(len(real), -1).sum(1)).max() > _LARGEST:
            if at.arriving.constant and INPUT in _makers(self._layout, at.inputs[0] or INPUT):
                raise _Overflow(INPUT, float(most.max()))
            before += 1
        fraction = self._bits[at.name]
        made = scale * 2.0 ** (before - fraction)
        bias = self._network.weights.get(f"{at.name}.bias")
        offset = np.zeros(len(real)) if bias is None else np.rint(bias.numpy().astype(np.float64) / made)
        wire = _Wire(made, np.floor(most * 2.0**fraction) + np.abs(offset))
        if wire.bound.max() > _LARGEST:
            raise _Overflow(at.name, float(wire.bound.max()))
        return wire, {
            "weight": whole.astype(np.int8),
            "bias": offset.astype(np.int32),
            "before": _number(1 << before),
            "up": _number(1 << max(fraction, 0)),
            "down": _number(1 << max(-fraction, 0)),
        }

    def _join(self, name: str, paths: list[_Wire]) -> tuple[_Wire, Own]:
        if all((path.unit == 1).all() for path in paths):  # counts of spikes are added as they are
            ones = np.ones(len(paths[0].unit), np.int32)
            both = _Wire(paths[0].unit, paths[0].bound + paths[1].bound)
            return both, {"first": ones, "second": ones, "down": _number(1)}
        most = sum(float((path.bound * path.unit).max()) for path in paths)
        unit = max(most, 1e-30) / 2.0 ** self._bits[name]
        ratios = [path.unit / unit for path in paths]
        down = int(min(30, np.floor(np.log2(_LARGEST / max(ratio.max() for ratio in ratios)))))
        if down < 0:
            raise _Overflow(name, 2 * _LARGEST)
        gains = [np.rint(ratio * 2.0**down) for ratio in ratios]
        bound = sum(np.floor(path.bound * gain / 2.0**down) for path, gain in zip(paths, gains, strict=True))
        first, second = (gain.astype(np.int32) for gain in gains)
        made = _Wire(np.full(len(first), unit), np.asarray(bound))
        return made, {"first": first, "second": second, "down": _number(1 << down)}

    def _neurons(self, at: NamedLayer, source: _Wire) -> tuple[_Wire, Own]:
        assert isinstance(at.layer, Neuron)
        real, steps = neuron_values(self._network, at), self._layout.graph.steps
        decays = {key: real[key] for key in ("beta", "alpha", "adaptation_decay") if key in real}
        own: dict[str, NDArray[Any]] = {key: np.rint(value * ONE).astype(np.int32) for key, value in decays.items()}
        threshold = np.broadcast_to(real.get("threshold", np.float32(1.0)), source.unit.shape).astype(np.float64)
        finest = float((threshold / source.unit).min())
        gain = 2 ** max(0, int(np.ceil(_THRESHOLD_BITS - np.log2(finest)))) if at.layer.spikes else 1
        unit, bound = source.unit / gain, source.bound * gain
        own["gain"] = _number(gain)
        if "recurrent" in real:
            own["recurrent"], own["recurrent_gain"], more = _fed_back(real["recurrent"].astype(np.float64), unit)
            bound = bound + more
        if "alpha" in real:
            bound = bound * _grown(real["alpha"], steps)
        bound = bound * _grown(real["beta"], steps)
        if "initial" in real:
            start = np.rint(np.broadcast_to(real["initial"], unit.shape) / unit)
            _fits(at.name, np.abs(start))
            own["initial"], bound = start.astype(np.int32), bound + np.abs(start)
        if not at.layer.spikes:
            _fits(at.name, bound)
            return _Wire(unit, bound), own
        limit = np.maximum(np.rint(threshold / unit), 1)
        raised = np.zeros_like(limit)
        if "adaptation" in real:
            step = np.rint(np.broadcast_to(real["adaptation"], unit.shape) / unit)
            raised = step * (_grown(real["adaptation_decay"], steps) + 1)
            _fits(at.name, step)
            own["adaptation"] = step.astype(np.int32)
        _fits(at.name, np.maximum(bound + limit, limit + raised))
        own["threshold"] = limit.astype(np.int32)
        ones = np.ones_like(unit)
        last = at.name == self._layout.out.name  # of the outputs the membranes are read, to break ties
        return _Wire(unit if last else ones, ones), own


def _fits(name: str, bound: NDArray[Any]) -> None:
    if (most := float(bound.max())) > _LARGEST:
        raise _Overflow(name, most)


def _grown(decay: Any, steps: int) -> Any:
    """Largest sum of what decays: 1 + d + d^2 + ... over all steps, with a little for the rounding of d."""
    d = np.minimum(np.asarray(decay, np.float64) + 2.0**-15, 1.0)
    return np.where(d == 1, steps, (1 - d**steps) / np.maximum(1 - d, 1e-12))


def _scale(most: NDArray[Any], *, alike: bool) -> NDArray[Any]:
    scale = np.where(most > 0, most, most.max() or 1.0) / _WEIGHT
    return np.full_like(scale, scale.max()) if alike else scale


def _number(value: int) -> NDArray[Any]:
    return np.array(value, np.int32)


def _column(values: NDArray[Any], axes: int) -> NDArray[Any]:
    return values.reshape(-1, *[1] * (axes - 1))


def _per_weight(values: NDArray[Any], shape: tuple[int, ...], groups: int) -> NDArray[Any]:
    """Values of the inputs, [I], as they stand at a layer's weights [O, I] or [O, I / groups, *kernel]."""
    if len(shape) == 2:
        return values[None]
    rows = np.repeat(values.reshape(groups, -1), shape[0] // groups, axis=0)
    return rows[:, :, None, None]


def _fed_back(matrix: NDArray[Any], unit: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A recurrent matrix in multiples of the neurons' unit: weights, the multiple of each neuron, and the bound."""
    gain = np.maximum(np.ceil(np.abs(matrix).max(1) / _WEIGHT / unit), 1)
    whole = np.rint(matrix / (unit * gain)[:, None])
    return whole.astype(np.int8), gain.astype(np.int32), np.abs(whole).sum(1) * gain


def _share_units(layout: Layout) -> set[str]:
    """Weighted layers whose channels need one unit for all: what they make is compared between outputs."""
    by_name = {one.at.name: one for one in layout.operations}
    found: set[str] = set()
    waiting = [layout.out.name]
    while waiting:
        name = waiting.pop()
        if name not in by_name:
            continue
        one = by_name[name]
        if isinstance(one.at.layer, Linear | Conv2d):
            found.add(name)
        elif name == layout.out.name or not one.at.layer.spikes:
            waiting += [source.name for source in one.sources]
    return found

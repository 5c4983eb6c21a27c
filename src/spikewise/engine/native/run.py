"""Running a compiled graph: one autograd function for the whole network."""

import math
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int32, UInt8
from torch import Tensor

from spikewise.dynamics import NeuronState
from spikewise.encoders import Delta, Direct, Encoder, Latency, Periodic, Rate
from spikewise.engine.contract import EngineResult, FrozenWeights, LayerTrace, RunOptions
from spikewise.engine.measuring import fed_back
from spikewise.engine.native.plan import Compiled, Slot, compiled
from spikewise.engine.parameters import folded, neuron_parameters, recurrent_matrix
from spikewise.errors import EngineError
from spikewise.extension import extension
from spikewise.graph import Conv2d, Graph, Linear, NamedLayer, Neuron
from spikewise.randomness import uniform
from spikewise.readouts import Trajectory
from spikewise.types import Draw

__all__ = ["kept_bytes", "run_encoded", "run_encoding"]

_SOURCES: dict[type, str] = {Rate: "rate", Latency: "latency", Periodic: "periodic", Direct: "direct", Delta: "delta"}


def kept_bytes(result: EngineResult) -> int:
    """Bytes that a run of the native engine holds while its result lives: spikes as bits, membranes, pooling choices.

    Raises:
        EngineError: another engine gave the result.
    """
    if not isinstance(result.state, _LazyState):
        raise EngineError("Only the native engine knows the bytes it keeps; this result is another engine's.")
    kept: int = result.state.job.handle.bytes()
    return kept


class _Input(NamedTuple):
    """What enters the first stage."""

    call: Any
    """The extension's `Call`, in which the input stands."""
    constant: bool
    """A current that is the same at every step."""
    tensors: tuple[Tensor, ...]
    """Kept while the engine reads them."""
    draw: Draw


def run_encoding(
    graph: Graph, weights: Mapping[str, Tensor], images: UInt8[Tensor, "B C H W"], draw: Draw, options: RunOptions
) -> EngineResult:
    """Encode images inside the engine and run the graph over them."""
    encoder = graph.encoder
    if isinstance(encoder, Direct) and encoder.mean:
        # A few operations of 256 levels a channel: the engine gets the currents themselves.
        return run_encoded(graph, weights, encoder.expected(images), draw, options)
    images, index = images.contiguous(), draw.index.contiguous()
    table = _table(encoder)
    call = _call(len(images), encoder.steps, draw, _SOURCES[type(encoder)])
    call.images, call.index = images.data_ptr(), index.data_ptr()
    call.first_spike = call.path = table.data_ptr()
    call.threshold = encoder.threshold if isinstance(encoder, Delta) else 0.0
    return _run(graph, weights, _Input(call, isinstance(encoder, Direct), (images, index, table), draw), options)


def run_encoded(
    graph: Graph, weights: Mapping[str, Tensor], inputs: Float[Tensor, "T B C H W"], draw: Draw, options: RunOptions
) -> EngineResult:
    """Run the graph over spikes or currents."""
    constant = len(inputs) > 1 and inputs.stride(0) == 0
    values = (inputs[:1] if constant else inputs).detach().contiguous()
    call = _call(inputs.shape[1], len(inputs), draw, "values")
    call.values, call.constant = values.data_ptr(), constant
    return _run(graph, weights, _Input(call, constant, (values,), draw), options)


def _call(batch: int, steps: int, draw: Draw, source: str) -> Any:
    native: Any = extension()
    call = native.Call()
    call.batch, call.steps, call.threads = batch, steps, torch.get_num_threads()
    call.source = getattr(native.Source, source)
    call.seed, call.epoch = draw.seed & (2**64 - 1), draw.epoch
    return call


@lru_cache(maxsize=32)
def _table(encoder: Encoder) -> Int32[Tensor, " entries"]:
    """First spike of each level, for latency and periodic coding; the way of the sensor for delta coding."""
    if isinstance(encoder, Delta):
        return torch.tensor(encoder.path(), dtype=torch.int32).flatten()
    if not isinstance(encoder, Latency | Periodic):
        return torch.empty(0, dtype=torch.int32)
    first = encoder.first_spikes()
    if isinstance(encoder, Periodic):
        first = first.clamp(1, max(encoder.steps - 1, 1))
    return first.clamp(max=encoder.steps).to(torch.int32)


def _run(graph: Graph, weights: Mapping[str, Tensor], given: _Input, options: RunOptions) -> EngineResult:
    plan = compiled(graph)
    job = _Job(plan, given, options)
    if isinstance(weights, FrozenWeights):
        job.frozen = weights.number
        parameters = weights.made.get(plan.handle)
        if parameters is None:
            parameters = weights.made.setdefault(plan.handle, _parameters(plan, weights, options))
    else:
        parameters = _parameters(plan, weights, options)
    if torch.is_grad_enabled() and any(p.requires_grad for p in parameters):
        spikes, membrane, *recorded = _Run.apply(job, *parameters)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
    else:
        spikes, membrane = job.forward(parameters, keep=False)
        recorded = job.recorded()
    trajectory = Trajectory(spikes if job.last_spikes else None, membrane)
    # every neuron sends at most one spike a step, so its rate is the share of steps at which it sends any
    rates, events = job.measured() if options.measure else ({}, {})
    return EngineResult(trajectory, _LazyState(job), job.traces(recorded), rates, events, rates)


def _parameters(plan: Compiled, weights: Mapping[str, Tensor], options: RunOptions) -> list[Tensor]:
    return [_parameter(slot, weights, training=options.training) for slot in plan.slots]


def _parameter(slot: Slot, weights: Mapping[str, Tensor], *, training: bool) -> Tensor:
    """A parameter as the engine reads it: clamped, masked, one value or one per neuron in the engine's order."""
    at, key = slot.layer, slot.key
    if slot.constant is not None:
        return slot.constant
    if not isinstance(at.layer, Neuron):
        value = weights.get(f"{at.name}.{key}")
        if slot.norm is not None:
            value = folded(key, value, slot.norm, weights)
        assert value is not None
        return (value / (1 - slot.dropped) if training and slot.dropped else value).contiguous()
    if key == "recurrent":
        matrix = recurrent_matrix(at, weights)
        assert matrix is not None
        return matrix.contiguous()
    used = neuron_parameters(at, weights)[key]
    assert isinstance(used, Tensor)
    whole = used.expand(at.output)
    return (whole if whole.ndim == 1 else whole.permute(1, 2, 0)).reshape(-1).contiguous()


class _Job:
    """One call of the engine on one batch."""

    def __init__(self, plan: Compiled, given: _Input, options: RunOptions) -> None:
        self.plan, self.given, self.options = plan, given, options
        self.batch, self.steps = given.call.batch, given.call.steps
        last = plan.stages[-1].neuron
        self.last_spikes = last is not None and isinstance(last.layer, Neuron) and last.layer.spikes
        self.handle: Any = None
        self.spent = False
        self.frozen = 0
        """Number of the frozen weights; 0 if they may change."""

    def forward(self, parameters: list[Tensor], *, keep: bool) -> tuple[Tensor, Tensor]:
        """Spikes (empty if the last layer has none) and membrane of the last layer."""
        call, classes = self.given.call, self.plan.stages[-1].layers[-1].output[0]
        shape = (self.steps, self.batch, classes)
        spikes, membrane = torch.empty(shape if self.last_spikes else 0), torch.empty(shape)
        for p in parameters:
            call.add_parameter(p.data_ptr(), p.numel())
        held, masks = self._set_state(), self._dropout_masks()
        for mask in masks:
            call.add_dropout(_address(mask))
        call.keep, call.keep_membranes, call.frozen = keep, bool(self.options.record), self.frozen
        call.spikes, call.membrane = spikes.data_ptr() if self.last_spikes else 0, membrane.data_ptr()
        try:
            self.handle = self.plan.handle.run(call)
        except FloatingPointError as error:
            raise EngineError(
                f"Layer {error} has parameters that are not finite; training diverged, or the file is damaged."
            ) from None
        del held, masks
        return spikes, membrane

    def _dropout_masks(self) -> list[Tensor | None]:
        """For each stage whose spikes dropout silences in training: 1 where they go on, [batch, features]."""
        masks: list[Tensor | None] = []
        if not self.options.training:
            return masks
        for stage in self.plan.stages:
            drop = stage.dropout
            if drop is None:
                masks.append(None)
                continue
            shape = stage.layers[-1].output
            kept = uniform(self.given.draw, math.prod(shape), stage.stream) >= drop.p
            masks.append(_engine_order(kept.view(-1, *shape).to(torch.uint8)).flatten(1))
        return masks

    def _set_state(self) -> list[Tensor]:
        """Tell the call which state each stage starts from; the tensors that hold it."""
        held: list[Tensor] = []
        if self.options.state is None:
            return held
        native: Any = extension()
        for stage in self.plan.stages:
            self.given.call.add_state()
            before: Any = self.options.state.get(stage.neuron.name) if stage.neuron else None
            for name, value in {} if before is None else before._asdict().items():
                held.append(_engine_order(value.detach().float()))
                self.given.call.set_state(getattr(native.StateVariable, name), held[-1].data_ptr())
        return held

    def state_of(self, position: int, at: NamedLayer) -> NeuronState:
        """State of a neuron layer after the last step."""
        assert isinstance(at.layer, Neuron)
        native: Any = extension()
        kind: Any = at.layer.dynamics.State
        parts = {name: torch.empty(self.batch, math.prod(at.output)) for name in kind._fields}
        wanted = native.StateOut()
        for name, part in parts.items():
            wanted.set(getattr(native.StateVariable, name), part.data_ptr())
        self.handle.state(position, wanted)
        state: NeuronState = kind(*(_graph_order(part, at.output) for part in parts.values()))
        return state

    def measured(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Spike rates of the spiking layers and event rates of the inputs of the weighted ones."""
        frames = self.steps * self.batch
        rates: dict[str, Tensor] = {}
        events: dict[str, Tensor] = {}
        for position, stage in enumerate(self.plan.stages):
            first, neuron = stage.layers[0], stage.neuron
            if isinstance(first.layer, Linear | Conv2d):
                # a linear stage behind a flatten layer reads a map, the first one the image in its own order
                shape = stage.input
                counts = self._counts(-1 - position, shape, first.input)
                events[first.name] = counts / (self.batch if self._is_constant(position) else frames)
            if neuron is not None and isinstance(neuron.layer, Neuron) and neuron.layer.spikes:
                rates[neuron.name] = self._counts(position, neuron.output, neuron.output) / frames
                if neuron.layer.feedback(neuron.output):
                    before = (self.options.state or {}).get(neuron.name)
                    events |= fed_back(neuron, rates, before, self.state_of(position, neuron), self.steps)
        return rates, events

    def _is_constant(self, position: int) -> bool:
        """Whether what enters a stage is the same at every step: a constant input that met no neuron yet."""
        return self.given.constant and all(stage.neuron is None for stage in self.plan.stages[:position])

    def _counts(self, which: int, shape: tuple[int, ...], wanted: tuple[int, ...]) -> Tensor:
        out = torch.empty(math.prod(shape))
        self.handle.count(which, out.data_ptr())
        return _graph_order(out.unsqueeze(0), shape)[0].reshape(wanted)

    def recorded_stages(self) -> list[tuple[int, NamedLayer]]:
        """Number and neurons of each stage to be recorded."""
        if not self.options.record:
            return []
        named = [(i, stage.neuron) for i, stage in enumerate(self.plan.stages)]
        return [(i, at) for i, at in named if at is not None and at.name in self.options.record]

    def recorded(self) -> list[Tensor]:
        """Spikes (empty where there are none) and membranes of each recorded stage."""
        out: list[Tensor] = []
        frames, over = self.steps * self.batch, (self.steps, self.batch)
        for position, at in self.recorded_stages():
            assert isinstance(at.layer, Neuron)
            spikes, membrane = (torch.empty(frames, math.prod(at.output)) for _ in range(2))
            self.handle.membranes(position, membrane.data_ptr())
            if at.layer.spikes:
                self.handle.spikes(position, spikes.data_ptr())
            shaped = [torch.unflatten(_graph_order(x, at.output), 0, over) for x in (spikes, membrane)]
            out += [shaped[0] if at.layer.spikes else torch.empty(0), shaped[1]]
        return out

    def traces(self, recorded: list[Tensor]) -> dict[str, LayerTrace]:
        """What was recorded, by layer."""
        pairs = zip(self.recorded_stages(), recorded[::2], recorded[1::2], strict=True)
        return {
            at.name: LayerTrace(spikes if spikes.numel() else None, membrane) for (_, at), spikes, membrane in pairs
        }

    def given_back(self, gradients: tuple[Tensor | None, ...]) -> list[tuple[Tensor | None, Tensor | None]]:
        """Gradients of each stage's spikes and membranes in the engine's order, the last stage's result included."""
        out: list[tuple[Tensor | None, Tensor | None]] = [(None, None)] * len(self.plan.stages)
        for (position, _), *pair in zip(self.recorded_stages(), gradients[2::2], gradients[3::2], strict=True):
            out[position] = (_rows(pair[0]), _rows(pair[1]))
        mine = [_rows(gradients[0]), _rows(gradients[1])]
        out[-1] = (_sum(out[-1][0], mine[0]), _sum(out[-1][1], mine[1]))
        return out


def _rows(gradient: Tensor | None) -> Tensor | None:
    """[T, B, *shape] as [T, B, features] in the engine's order."""
    if gradient is None or gradient.numel() == 0:
        return None
    return _engine_order(gradient.flatten(0, 1)).contiguous()


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


class _Run(torch.autograd.Function):
    """The whole network, forward and backward."""

    @staticmethod
    def forward(ctx: Any, job: _Job, *parameters: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*parameters)
        ctx.job = job
        ctx.set_materialize_grads(False)
        spikes, membrane = job.forward(list(parameters), keep=True)
        out = (spikes, membrane, *job.recorded())
        ctx.mark_non_differentiable(*(x for x in out if x.numel() == 0))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        job: _Job = ctx.job
        if job.spent:
            raise EngineError(
                "The native engine keeps what backward needs for one pass only; run the network again before a second "
                "backward pass, or use engine = 'reference'."
            )
        _ = ctx.saved_tensors  # fails if a parameter has been changed in place since forward
        out = [
            torch.empty_like(p) if needed else None
            for p, needed in zip(ctx.saved_tensors, ctx.needs_input_grad[1:], strict=True)
        ]
        native: Any = extension()
        call, given = native.BackwardCall(), job.given_back(gradients)
        call.threads = torch.get_num_threads()
        for spikes, membrane in given:
            call.add_recorded(_address(spikes), _address(membrane))
        for gradient in out:
            call.add_gradient(_address(gradient))
        job.spent = True
        job.handle.backward(call)
        return None, *out


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


class _LazyState(Mapping[str, NeuronState | Tensor]):
    """State of each neuron layer, fetched when asked for."""

    def __init__(self, job: _Job) -> None:
        self.job = job

    @cached_property
    def places(self) -> dict[str, tuple[int, NamedLayer]]:
        """Number and neurons of each stage that has some."""
        return {stage.neuron.name: (i, stage.neuron) for i, stage in enumerate(self.job.plan.stages) if stage.neuron}

    def __getitem__(self, name: str) -> NeuronState | Tensor:
        return self.job.state_of(*self.places[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def _graph_order(flat: Tensor, shape: tuple[int, ...]) -> Tensor:
    """[N, features] in the engine's order ([h][w][c]) as [N, *shape] in the graph's."""
    if len(shape) == 1:
        return flat
    channels, height, width = shape
    return flat.view(-1, height, width, channels).permute(0, 3, 1, 2).contiguous()


def _engine_order(value: Tensor) -> Tensor:
    return (value if value.ndim == 2 else value.permute(0, 2, 3, 1)).contiguous()

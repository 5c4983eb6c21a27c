"""Running a compiled graph: one autograd function for the whole network."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int32, UInt8
from torch import Tensor

from spikewise.dynamics import NeuronState
from spikewise.encoders import Delta, Direct, Encoder, Latency, Periodic, Rate
from spikewise.engine.contract import EngineResult, Exchange, FrozenWeights, LayerTrace, RunOptions
from spikewise.engine.measuring import fed_back
from spikewise.engine.native.layouts import engine_order, graph_order
from spikewise.engine.native.plan import Compiled, compiled
from spikewise.engine.native.stages import IMAGE, Stage, image_of, mode_of
from spikewise.engine.native.weights import parameters_of
from spikewise.engine.parameters import charged, neuron_parameters
from spikewise.errors import EngineError, ShapeError
from spikewise.extension import extension
from spikewise.graph import BatchNorm, Flatten, Graph, NamedLayer, Neuron, SpikingActivation
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
    learned: Tensor | None = None
    """The values, where their gradient is wanted."""


def run_encoding(
    graph: Graph, weights: Mapping[str, Tensor], images: UInt8[Tensor, "B C H W"], draw: Draw, options: RunOptions
) -> EngineResult:
    """Encode images inside the engine and run the graph over them."""
    encoder = graph.encoder
    if isinstance(encoder, Direct) and encoder.mean:
        # A few operations of 256 levels a channel: the engine gets the currents themselves.
        return run_encoded(graph, weights, encoder.expected(images), draw, options)
    images, index = images.contiguous(), draw.index.to(torch.int64).contiguous()
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
    learns = torch.is_grad_enabled() and inputs.requires_grad
    constant = len(inputs) > 1 and inputs.stride(0) == 0 and not learns  # the gradient of each step is wanted
    values = (inputs[:1] if constant else inputs).detach().contiguous()
    call = _call(inputs.shape[1], len(inputs), draw, "values")
    call.values, call.constant = values.data_ptr(), constant
    return _run(graph, weights, _Input(call, constant, (values,), draw, inputs if learns else None), options)


def _call(batch: int, steps: int, draw: Draw, source: str) -> Any:
    native: Any = extension()
    call = native.Call()
    call.batch, call.steps, call.threads = batch, steps, torch.get_num_threads()
    call.source = getattr(native.Source, source)
    call.seed, call.epoch = draw.seed & (2**64 - 1), int(draw.epoch) & (2**32 - 1)
    return call


@lru_cache(maxsize=32)
def _table(encoder: Encoder) -> Int32[Tensor, " entries"]:
    """When each level spikes, for latency and periodic coding; the way of the sensor for delta coding."""
    if isinstance(encoder, Delta):
        return torch.tensor(encoder.path(), dtype=torch.int32).flatten()
    if not isinstance(encoder, Latency | Periodic):
        return torch.empty(0, dtype=torch.int32)
    return encoder.spike_table().to(torch.int32)


def _run(graph: Graph, weights: Mapping[str, Tensor], given: _Input, options: RunOptions) -> EngineResult:
    plan = compiled(graph, mode_of(graph, options))
    job = _Job(graph, plan, given, options, weights)
    if isinstance(weights, FrozenWeights):
        job.frozen = weights.number
        parameters = weights.made.get(plan.handle)
        if parameters is None:
            parameters = weights.made.setdefault(plan.handle, parameters_of(plan, weights, options))
    else:
        parameters = parameters_of(plan, weights, options)
    if torch.is_grad_enabled() and (given.learned is not None or any(p.requires_grad for p in parameters)):
        spikes, membrane, *recorded = _Run.apply(job, given.learned, *parameters)  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
    else:
        spikes, membrane = job.forward(parameters, keep=False)
        recorded = job.recorded()
    job.update_statistics(weights)
    quantum = _quantum(graph.named[-1])
    last = spikes if job.last_spikes else membrane / quantum if quantum and job.carries(plan.stages[-1]) else None
    rates, events, active = job.measured() if options.measure else ({}, {}, {})
    return EngineResult(Trajectory(last, membrane), _LazyState(job), job.traces(recorded), rates, events, active)


def _quantum(at: NamedLayer) -> float:
    """Value of a spike that a spiking activation sends; 0 for other layers."""
    return 1 / at.layer.dt if isinstance(at.layer, SpikingActivation) else 0.0


class _Job:
    """One call of the engine on one batch."""

    def __init__(
        self, graph: Graph, plan: Compiled, given: _Input, options: RunOptions, weights: Mapping[str, Tensor]
    ) -> None:
        self.graph, self.plan, self.given, self.options, self.weights = graph, plan, given, options, weights
        self.batch, self.steps = given.call.batch, given.call.steps
        last = plan.stages[-1].neuron
        self.last_spikes = last is not None and last.layer.spikes
        self.handle: Any = None
        self.spent = False
        self.frozen = 0
        """Number of the frozen weights; 0 if they may change."""

    def forward(self, parameters: list[Tensor], *, keep: bool) -> tuple[Tensor, Tensor]:
        """Spikes (empty if the last layer has none) and membrane of the last layer."""
        call, classes = self.given.call, self.plan.stages[-1].output[0]
        shape = (self.steps, self.batch, classes)
        spikes, membrane = torch.empty(shape if self.last_spikes else 0), torch.empty(shape)
        for p in parameters:
            call.add_parameter(p.data_ptr(), p.numel())
        held, masks = self._set_state(), self._dropout_masks()
        for mask in masks:
            call.add_dropout(_address(mask))
        call.keep, call.keep_membranes, call.frozen = keep, bool(self.options.record), self.frozen
        call.counted = self.counted
        call.batch_statistics = self.options.training
        if self.options.exchange is not None:
            call.exchange = _over_lists(self.options.exchange)
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
        """For each stage that dropout silences in training: 1 where a feature goes on, [batch, features]."""
        masks: list[Tensor | None] = []
        if not self.options.training:
            return masks
        for stage in self.plan.stages:
            drop = stage.dropout
            if drop is None:
                masks.append(None)
                continue
            kept = uniform(self.given.draw, math.prod(stage.output), stage.stream) >= drop.p
            masks.append(engine_order(kept.to(torch.uint8), stage.output))
        return masks

    def carries(self, stage: Stage) -> bool:
        """Whether a stage is a spiking activation that spikes."""
        layer = stage.first
        return isinstance(layer, SpikingActivation) and (layer.spiking_aware or not self.options.training)

    def _set_state(self) -> list[Tensor]:
        """Tell the call which state each stage starts from; the tensors that hold it."""
        held: list[Tensor] = []
        starts = [self._start(stage) for stage in self.plan.stages]
        if not any(starts):
            return held
        native: Any = extension()
        for stage, start in zip(self.plan.stages, starts, strict=True):
            self.given.call.add_state()
            for name, value in start.items():
                if len(value) != self.batch or math.prod(value.shape[1:]) != math.prod(stage.output):
                    layer = (stage.neuron or stage.layers[0]).name
                    raise ShapeError(
                        f"The state of layer {layer} is {list(value.shape)}; there are {self.batch} images."
                    )
                held.append(engine_order(value.detach().float(), stage.output))
                self.given.call.set_state(getattr(native.StateVariable, name), held[-1].data_ptr())
        return held

    def _start(self, stage: Stage) -> dict[str, Tensor]:
        """The variables that a stage starts with, where it does not start at rest."""
        known = self.options.state or {}
        if self.carries(stage):
            before: Any = known.get(stage.name)
            if before is not None:
                return {"v": before}
            random = stage.first.random_start  # type: ignore[union-attr]  # as `carries` says
            return {"v": uniform(self.given.draw, math.prod(stage.output), stage.stream)} if random else {}
        before = known.get(stage.neuron.name) if stage.neuron else None
        if before is None and stage.neuron is not None and charged(stage.neuron.layer):
            before = self._charged(stage.neuron)
        return {} if before is None else before._asdict()

    def _charged(self, at: NamedLayer) -> NeuronState:
        """State of neurons whose membranes do not start at rest."""
        assert isinstance(at.layer, Neuron)
        state: NeuronState = at.layer.dynamics.starting_state(
            torch.zeros(self.batch, *at.output), neuron_parameters(at, self.weights)
        )
        return state

    def state_of(self, position: int, at: NamedLayer) -> NeuronState | Tensor:
        """State of a layer after the last step."""
        native: Any = extension()
        layout, carried = self.plan.stages[position].output, isinstance(at.layer, SpikingActivation)
        kind: Any = None if carried else at.layer.dynamics.State  # type: ignore[union-attr]  # neurons
        parts = {name: torch.empty(self.batch, math.prod(at.output)) for name in (("v",) if carried else kind._fields)}
        wanted = native.StateOut()
        for name, part in parts.items():
            wanted.set(getattr(native.StateVariable, name), part.data_ptr())
        self.handle.state(position, wanted)
        tensors = [graph_order(part, layout, at.output) for part in parts.values()]
        state: NeuronState | Tensor = tensors[0] if carried else kind(*tensors)
        return state

    def update_statistics(self, weights: Mapping[str, Tensor]) -> None:
        """Let batch normalisations that normalised by the batch remember it, as PyTorch's do."""
        exchange = self.options.exchange
        if not self.options.training or (exchange is not None and not exchange.remembers):
            return
        frames = self.steps * self.batch
        for position, stage in enumerate(self.plan.stages):
            norm, at = stage.first, stage.layers[0]
            if not isinstance(norm, BatchNorm):
                continue
            found = [torch.empty(at.input[0]) for _ in range(2)]
            count = self.handle.statistics(position, *(one.data_ptr() for one in found))
            if exchange is None:
                count = frames * math.prod(at.input[1:])
            if count < 2:
                continue
            if len(at.input) == 1:
                found = [graph_order(one[None], stage.output, at.input)[0] for one in found]
            unbiased = found[1] * (count / (count - 1))
            for key, new in (("running_mean", found[0]), ("running_var", unbiased)):
                weights[f"{at.name}.{key}"].detach().mul_(1 - norm.momentum).add_(new, alpha=norm.momentum)

    @property
    def counted(self) -> list[int]:
        """Stages whose events `measured` asks for."""
        if not self.options.measure:
            return []
        carrying = [i for i, stage in enumerate(self.plan.stages) if self.carries(stage)]
        return carrying + [stage.inputs[0] for stage in self.plan.stages if stage.layers[0].layer.weighted]

    def measured(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """Spike rates of the spiking layers, event rates of the inputs of the weighted ones, shares of active steps."""
        rates: dict[str, Tensor] = {}
        events: dict[str, Tensor] = {}
        active: dict[str, Tensor] = {}
        for position, stage in enumerate(self.plan.stages):
            first, neuron = stage.layers[0], stage.neuron
            if first.layer.weighted:
                events[first.name] = self._received(stage)
            if neuron is not None and neuron.layer.spikes:
                # every neuron sends at most one spike a step, so its rate is the share of steps at which it sends any
                active[neuron.name] = rates[neuron.name] = self._sent(position, neuron, 0.0)
                if neuron.layer.feedback(neuron.output):
                    before = (self.options.state or {}).get(neuron.name)
                    events |= fed_back(neuron, rates, before, self.state_of(position, neuron), self.steps)
            elif self.carries(stage):
                rates[first.name], active[first.name] = (self._sent(position, first, q) for q in (_quantum(first), 0.0))
        return rates, events, active

    def _sent(self, position: int, at: NamedLayer, quantum: float) -> Tensor:
        out = torch.empty(math.prod(at.output))
        self.handle.count(position, quantum, False, out.data_ptr())
        sent: Tensor = graph_order(out[None], self.plan.stages[position].output, at.output)[0]
        frames: int = self.steps * self.batch
        return sent / frames

    def _received(self, stage: Stage) -> Tensor:
        at, source = stage.layers[0], stage.inputs[0]
        layout = image_of(self.graph)[0] if source == IMAGE else self.plan.stages[source].output
        out = torch.empty(math.prod(at.input))
        quantum = at.arriving.quantum if at.arriving.carrier == "multispikes" else 0.0
        constant = self.handle.count(source, quantum, True, out.data_ptr())
        received: Tensor = graph_order(out[None], layout, at.input)[0]
        frames: int = self.batch if constant else self.steps * self.batch
        return received / frames

    @cached_property
    def recorded_layers(self) -> list[tuple[int, NamedLayer]]:
        """Each recorded layer, in their order, with the stage that has it."""
        names = self.options.record
        return [(self._place(at), at) for at in self.graph.named if at.name in names]

    def _place(self, at: NamedLayer) -> int:
        if isinstance(at.layer, Flatten):
            return IMAGE if at.inputs == ("",) else self._place(self._named(at.inputs[0]))
        return next(i for i, stage in enumerate(self.plan.stages) if any(one.name == at.name for one in stage.layers))

    def _named(self, name: str) -> NamedLayer:
        return next(at for at in self.graph.named if at.name == name)

    def recorded(self) -> list[Tensor]:
        """Spikes (empty where there are none) and membrane, or output, of each recorded layer."""
        out: list[Tensor] = []
        frames, over = self.steps * self.batch, (self.steps, self.batch)
        for position, at in self.recorded_layers:
            layout = self.plan.stages[position].output if position != IMAGE else image_of(self.graph)[0]
            spikes, membrane = (torch.empty(frames, math.prod(at.output)) for _ in range(2))
            neurons = isinstance(at.layer, Neuron)
            if neurons:
                self.handle.membranes(position, membrane.data_ptr())
            else:
                self.handle.output(position, membrane.data_ptr())
            if at.layer.spikes and neurons:
                self.handle.spikes(position, spikes.data_ptr())
            shaped = [torch.unflatten(graph_order(x, layout, at.output), 0, over) for x in (spikes, membrane)]
            out += [shaped[0] if at.layer.spikes and neurons else torch.empty(0), shaped[1]]
        return out

    def traces(self, recorded: list[Tensor]) -> dict[str, LayerTrace]:
        """What was recorded, by layer."""
        traces: dict[str, LayerTrace] = {}
        for (position, at), spikes, output in zip(self.recorded_layers, recorded[::2], recorded[1::2], strict=True):
            quantum = _quantum(at)
            carried = output / quantum if quantum and self.carries(self.plan.stages[position]) else None
            traces[at.name] = LayerTrace(spikes if spikes.numel() else carried, output)
        return traces

    def given_back(self, gradients: tuple[Tensor | None, ...]) -> list[tuple[Tensor | None, Tensor | None]]:
        """Gradients of each stage's spikes and membranes in the engine's order, the last stage's result included."""
        out: list[tuple[Tensor | None, Tensor | None]] = [(None, None)] * len(self.plan.stages)

        def add(position: int, spikes: Tensor | None, membrane: Tensor | None) -> None:
            layout = self.plan.stages[position].output
            rows = (_rows(spikes, layout), _rows(membrane, layout))
            out[position] = (_sum(out[position][0], rows[0]), _sum(out[position][1], rows[1]))

        for (position, at), spikes, membrane in zip(
            self.recorded_layers, gradients[2::2], gradients[3::2], strict=True
        ):
            if position == IMAGE:
                continue  # its gradient is that of the input
            if isinstance(at.layer, Neuron):
                add(position, spikes, membrane)
            else:  # what the stage sends: its neurons' spikes, or numbers, which stand where membranes do
                neuron = self.plan.stages[position].neuron
                add(position, membrane, None if neuron is not None and neuron.layer.spikes else membrane)
        add(len(out) - 1, gradients[0], gradients[1])
        return out


def _over_lists(exchange: Exchange) -> Callable[[list[float]], list[float]]:
    """As the extension asks."""

    def total(sums: list[float]) -> list[float]:
        found: list[float] = exchange.total(torch.tensor(sums, dtype=torch.float64)).tolist()
        return found

    return total


def _rows(gradient: Tensor | None, layout: tuple[int, int, int]) -> Tensor | None:
    """[T, B, *shape] as [T x B, features] in the engine's order."""
    if gradient is None or gradient.numel() == 0:
        return None
    return engine_order(gradient.flatten(0, 1), layout)


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


class _Run(torch.autograd.Function):
    """The whole network, forward and backward."""

    @staticmethod
    def forward(ctx: Any, job: _Job, inputs: Tensor | None, *parameters: Tensor) -> tuple[Tensor, ...]:
        del inputs  # they stand in the call
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
            for p, needed in zip(ctx.saved_tensors, ctx.needs_input_grad[2:], strict=True)
        ]
        learned = job.given.learned
        of_input = None if learned is None else torch.empty(learned.shape)
        native: Any = extension()
        call, given = native.BackwardCall(), job.given_back(gradients)
        call.threads, call.input = torch.get_num_threads(), _address(of_input)
        for spikes, membrane in given:
            call.add_recorded(_address(spikes), _address(membrane))
        for gradient in out:
            call.add_gradient(_address(gradient))
        job.spent = True
        job.handle.backward(call)
        if of_input is not None:
            for (position, _), gradient in zip(job.recorded_layers, gradients[3::2], strict=True):
                if position == IMAGE and gradient is not None:
                    of_input += gradient.view_as(of_input)
        return None, of_input, *out


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


class _LazyState(Mapping[str, NeuronState | Tensor]):
    """State of each layer that has one, fetched when asked for."""

    def __init__(self, job: _Job) -> None:
        self.job = job

    @cached_property
    def places(self) -> dict[str, tuple[int, NamedLayer]]:
        """Number of the stage and layer of each that has a state."""
        found = [
            (i, stage.layers[0] if self.job.carries(stage) else stage.neuron)
            for i, stage in enumerate(self.job.plan.stages)
        ]
        return {at.name: (i, at) for i, at in found if at is not None}

    def __getitem__(self, name: str) -> NeuronState | Tensor:
        return self.job.state_of(*self.places[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

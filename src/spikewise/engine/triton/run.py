"""Running a graph: one autograd function for the whole network."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from spikewise.dynamics import NeuronState
from spikewise.engine.contract import EngineResult, LayerTrace, RunOptions
from spikewise.engine.measuring import events, fed_back
from spikewise.engine.parameters import neuron_parameters, recurrent_matrix
from spikewise.engine.triton.inputs import encoded, given
from spikewise.engine.triton.job import DeviceSignal, Incoming, Job, Operands, Trace
from spikewise.engine.triton.plan import stages
from spikewise.engine.triton.stages import TritonStage
from spikewise.errors import EngineError
from spikewise.graph import Graph, Neuron
from spikewise.readouts import Trajectory
from spikewise.types import Draw

__all__ = ["run_encoded", "run_encoding"]


def run_encoding(
    graph: Graph,
    weights: Mapping[str, Tensor],
    images: UInt8[Tensor, "B C H W"],
    draw: Draw,
    options: RunOptions,
    operands: Operands | None = None,
) -> EngineResult:
    """Encode images on the device and run the graph over them."""
    return _run(_Call(graph, weights, draw, options, operands or _operands(images)), None, images)


def run_encoded(
    graph: Graph,
    weights: Mapping[str, Tensor],
    inputs: Float[Tensor, "T B C H W"],
    draw: Draw,
    options: RunOptions,
    operands: Operands | None = None,
) -> EngineResult:
    """Run the graph over spikes or currents."""
    return _run(_Call(graph, weights, draw, options, operands or _operands(inputs)), inputs, None)


class _Call(NamedTuple):
    graph: Graph
    weights: Mapping[str, Tensor]
    draw: Draw
    options: RunOptions
    operands: Operands


def _operands(inputs: Tensor) -> Operands:
    """Three exact parts, or one where the caller has asked for bfloat16; float32 where there is no tensor core."""
    if inputs.device.type == "cpu":
        return Operands.of("plain")
    return Operands.of("bfloat16" if torch.is_autocast_enabled(inputs.device.type) else "float32")


class _Pass:
    """Forward and backward of one batch."""

    def __init__(
        self, call: _Call, inputs: Tensor | None, images: Tensor | None, parameters: dict[str, Tensor]
    ) -> None:
        self.call, self.images = call, images
        source = inputs if images is None else images
        assert source is not None
        self.inputs = inputs
        learns = torch.is_grad_enabled() and (
            any(p.requires_grad for p in parameters.values()) or (inputs is not None and inputs.requires_grad)
        )
        weighted = sum(bool(at.parameters()) for at in call.graph.named)
        flags = torch.zeros(max(weighted, 1), dtype=torch.int32, device=source.device)
        last = call.graph.named[-1]
        self.job = Job(
            call.draw, call.options, call.operands, call.weights, parameters, learns, flags, last
        )  # fmt: skip
        neurons = {at.name for at in call.graph.named if isinstance(at.layer, Neuron)}
        ends = call.options.record - neurons
        self.stages = stages(call.graph, training=call.options.training, ends=ends)
        self.rates: dict[str, Tensor] = {}
        self.events: dict[str, Tensor] = {}
        self.active: dict[str, Tensor] = {}
        self.shows: dict[str, DeviceSignal] = {}
        """What stages without neurons sent that somebody sees."""
        self.idle: set[str] = set()
        """Layers that no gradient is to reach."""
        self.spent = False

    def forward(self) -> list[Tensor]:
        """Run the stages; spikes and membranes that the caller sees, as `shown` orders them."""
        job, images = self.job, self.images
        if images is None:
            assert self.inputs is not None
            signal = given(self.inputs, learns=job.learns and self.inputs.requires_grad)
        else:
            signal = encoded(self.call.graph.encoder, images, job)
        job.signals[""] = signal
        last_reads = {name: stage for stage in self.stages for name in stage.inputs}
        for stage in self.stages:
            before = self._arrived(stage)
            signal = stage.forward(before, job)
            job.signals[stage.name] = signal
            self._show(stage, signal)
            if job.options.measure:
                self._measure(stage, before)
            for name in stage.inputs:
                if last_reads[name] is stage:
                    job.signals.pop(name, None)
        self.check()
        # Other objects over the same memory: what autograd returns must not be what its own context holds.
        return [value.float().detach() for _, value in self.shown()]

    def _arrived(self, stage: TritonStage) -> DeviceSignal:
        """What reaches a stage; what is still to be multiplied and shifted is so once for all that ask for it."""
        signals = self.job.signals
        name = stage.inputs[0]
        if not stage.finishes:
            signals[name] = signals[name].finished()
        return signals[name]

    def _show(self, stage: TritonStage, signal: DeviceSignal) -> None:
        """The steps of a stage without neurons, where somebody asks for them."""
        at = stage.layers[-1]
        if stage.trace is None and (at.name in self.job.options.record or at is self.job.last):
            value = signal.dense()
            stage.trace = Trace(None, value.expand(signal.steps, *value.shape[1:]))
            self.shows[at.name] = signal
        if self.job.learns and not signal.learns:
            self.idle.add(at.name)

    def shown(self) -> list[tuple[str, Tensor]]:
        """Layer and values of all that is returned: spikes if there are some, then membranes, of each stage shown."""
        out = []
        for stage in self.visible():
            assert stage.trace is not None
            out += [(stage.layers[-1].name, x) for x in stage.trace if x is not None]
        return out

    def visible(self) -> list[TritonStage]:
        """Stages that are recorded, then the last."""
        recorded = [s for s in self.stages if s.layers[-1].name in self.job.options.record and s.trace is not None]
        return [*recorded, self.stages[-1]]

    def _measure(self, stage: TritonStage, before: DeviceSignal) -> None:
        first, last = stage.layers[0], stage.layers[-1]
        if first.layer.weighted:
            self.events[first.name] = events(before.dense(), first.arriving)
        if last.layer.spikes:
            spikes = stage.spikes
            if spikes is not None:
                self.rates[last.name] = spikes.detach().abs().mean(dim=(0, 1), dtype=torch.float32)
                self.active[last.name] = (spikes.detach() != 0).mean(dim=(0, 1), dtype=torch.float32)
                started = (self.job.options.state or {}).get(last.name)
                self.events |= fed_back(last, self.rates, started, stage.state, len(spikes))

    def check(self) -> None:
        """Weights that are not finite.

        Reading the flags waits for the device, which a captured graph cannot; there, whoever replays it looks at the
        loss and the weights.

        Raises:
            EngineError: naming the layer.
        """
        if self.job.flags.is_cuda and torch.cuda.is_current_stream_capturing():
            return
        bad = [name for name, flag in zip(self.job.checked, self.job.flags.tolist(), strict=False) if flag]
        if bad:
            raise EngineError(
                f"Layer {bad[0]} has weights that are not finite; training diverged, or the file is damaged."
            )

    def backward(self, gradients: tuple[Tensor | None, ...]) -> Tensor | None:
        """Gradient of the inputs, if it is asked for; the job holds those of the parameters."""
        if self.spent:
            raise EngineError(
                "The Triton engine keeps what backward needs for one pass only; run the network again before a second "
                "backward pass, or use engine = 'reference'."
            )
        self.spent = True
        found = iter(gradients)
        outer: dict[int, tuple[Tensor | None, Tensor | None]] = {}
        for stage in self.visible():
            assert stage.trace is not None
            pair = [next(found) if x is not None else None for x in stage.trace]
            known = outer.get(id(stage), (None, None))
            outer[id(stage)] = (_sum(known[0], pair[0]), _sum(known[1], pair[1]))
        job = self.job
        for stage in reversed(self.stages):
            spikes, membrane = outer.get(id(stage), (None, None))
            signal = self.shows.get(stage.name)
            if signal is not None and membrane is not None:
                job.send_back(stage.name, _of_value(signal, membrane))
                membrane = None
            output = job.pending.pop(stage.name, None)
            if stage.name in self.idle or output is spikes is membrane is None:
                continue
            job.send_back(stage.inputs[0], stage.backward(Incoming(output, spikes, membrane), job))
        return job.pending.pop("", None)


def _of_value(signal: DeviceSignal, gradient: Tensor) -> Tensor:
    """The gradient of a signal's own value, where that of its steps in the graph's order is given."""
    g = gradient.float() if signal.scale == 1.0 else gradient.float() * signal.scale
    return signal.own_order(signal.sum_steps(g).contiguous())


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


class _Run(torch.autograd.Function):
    """The whole network, forward and backward."""

    @staticmethod
    def forward(ctx: Any, made: "_Pass", inputs: Tensor | None, *parameters: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*parameters)
        ctx.made = made
        ctx.set_materialize_grads(False)
        return tuple(made.forward())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors  # fails if a parameter has been changed in place since forward
        back = ctx.made.backward(gradients)
        job: Job = ctx.made.job
        found = [job.gradients.get(name) for name in job.parameters]
        wanted = [g if needed else None for g, needed in zip(found, ctx.needs_input_grad[2:], strict=True)]
        return None, back if ctx.needs_input_grad[1] else None, *wanted


def _run(call: _Call, inputs: Tensor | None, images: Tensor | None) -> EngineResult:
    parameters = _parameters(call.graph, call.weights)
    made = _Pass(call, inputs, images, parameters)
    if made.job.learns:
        shown = list(_Run.apply(made, inputs, *parameters.values()))  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
    else:
        with torch.no_grad():
            shown = made.forward()
    return _result(made, shown)


def _result(made: _Pass, shown: list[Tensor]) -> EngineResult:
    values = iter(shown)
    traces = []
    for stage in made.visible():
        assert stage.trace is not None
        spikes, membrane = (next(values) if x is not None else None for x in stage.trace)
        assert membrane is not None
        traces.append((stage.layers[-1].name, LayerTrace(spikes, membrane)))
    *recorded, (_, last) = traces
    state: dict[str, NeuronState | Tensor] = {
        stage.layers[-1].name: stage.state for stage in made.stages if stage.state is not None
    }
    return EngineResult(
        Trajectory(last.spikes, last.output), state, dict(recorded), made.rates, made.events, made.active
    )


def _parameters(graph: Graph, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every parameter by name as the stages read it: within its bounds, without self-connections, in one piece.

    What normalisation has seen is the caller's own memory, which it changes.
    """
    out: dict[str, Tensor] = {}
    for at in graph.named:
        used = neuron_parameters(at, weights) if isinstance(at.layer, Neuron) else {}
        for key in at.parameters():
            value = recurrent_matrix(at, weights) if key == "recurrent" else used.get(key)
            made = value if isinstance(value, Tensor) else weights[f"{at.name}.{key}"]
            out[f"{at.name}.{key}"] = made if key.startswith("running_") else made.contiguous()
    return out

"""Stages that end in neurons, and matrices."""

import torch
from torch import Tensor

from spikewise.dynamics import Izhikevich
from spikewise.engine.triton import recurrent
from spikewise.engine.triton.izhikevich import IzhikevichPopulation
from spikewise.engine.triton.job import DeviceSignal, Incoming, Job, Trace
from spikewise.engine.triton.kernels import matmul
from spikewise.engine.triton.population import Carry, Kept, Population
from spikewise.engine.triton.stages import TritonStage
from spikewise.graph import NamedLayer, Neuron

__all__ = ["Dense", "Neurons", "Spiking"]

_Ends = tuple[tuple[Tensor, ...] | None, tuple[Tensor, ...]]
"""The state to start from, if there is one, and memory for that after the last step."""


class Neurons(TritonStage):
    """The end of a stage: neurons over the currents that its beginning made."""

    population: Population | None = None
    last = False
    """Whether maps lie channels last here."""

    def walk(
        self, current: Tensor, steps: int, job: Job, *, learns: bool, mine: bool, facts: Tensor | None = None
    ) -> DeviceSignal:
        """Neurons over currents [T or 1, B, *F], in whose memory the membranes may stay if they are `mine`."""
        at, last = self.layers[-1], self.last
        assert isinstance(at.layer, Neuron)
        kind = IzhikevichPopulation if isinstance(at.layer.dynamics, Izhikevich) else Population
        self.population = population = kind(at, job.own(at), last=last)
        for tensor in population.own.values():
            matmul.check(tensor.detach(), job.flag(at.name))
        learns = learns or job.teaches(at)
        shown = at.name in job.options.record or at is job.last
        before = population.started((job.options.state or {}).get(at.name), current.shape[1], current, last=last)
        after = population.rest(current.shape[1], current)
        kept = population.memory(steps, current.shape[1], current, job.operands.dtype, keep=learns)
        stepwise = "recurrent" in population.own and not recurrent.fits(population)
        if learns or shown or not population.spikes or stepwise:
            whole = mine and len(current) == steps
            membrane = current if whole else torch.empty(steps, *current.shape[1:], device=current.device)
            kept = kept._replace(membrane=membrane)
        if "recurrent" in population.own:
            self.matrix = job.split(population.own["recurrent"], name=at.name)
            if stepwise:
                self._walk_steps(current, steps, job, kept, (before, after))
            else:
                recurrent.walk(population, current, steps, self.matrix, kept, (before, after))
        else:
            population.forward(current, steps, kept, before, after, facts=facts)
        self.shown = shown
        return self.walked(kept, after, steps, learns=learns)

    def walked(self, kept: Kept, after: tuple[Tensor, ...], steps: int, *, learns: bool) -> DeviceSignal:
        """What a walk left, as others see it."""
        population, at = self.population, self.layers[-1]
        assert population is not None
        self.kept = kept
        self.state = population.state(tuple(x.permute(0, 3, 1, 2) for x in after) if self.last else after)
        spikes, membrane = (
            x.permute(0, 1, 4, 2, 3) if self.last and x is not None else x for x in (kept.spikes, kept.membrane)
        )
        self.spikes = spikes
        if membrane is not None:
            self.trace = Trace(spikes, membrane)
        out = kept.spikes if kept.spikes is not None else kept.membrane
        assert out is not None
        return DeviceSignal(out, steps, population.spikes, learns, shape=at.output if self.last else None)

    def _walk_steps(self, current: Tensor, steps: int, job: Job, kept: Kept, ends: _Ends) -> None:
        """One step at a time, for the spikes of a step reach the next through the recurrent matrix."""
        population, (before, after) = self.population, ends
        assert population is not None
        assert kept.membrane is not None
        assert kept.spikes is not None
        spikes = None if before is None else before[1].to(job.operands.dtype)
        for t in range(steps):
            total = kept.membrane[t]
            if total.data_ptr() != current[min(t, len(current) - 1)].data_ptr():
                total.copy_(current[min(t, len(current) - 1)])
            if spikes is not None:
                matmul.product(spikes.unsqueeze(0), self.matrix.transpose(1, 2), out=total)
            now = Kept(*(None if x is None else x[t : t + 1] for x in kept))
            population.forward(total.unsqueeze(0), 1, now, before, after)
            spikes, before = kept.spikes[t], after

    def currents_gradient(self, gradient: Incoming, job: Job, *, in_parts: bool) -> Tensor:
        """Gradient of the currents, float32 [T, B, *F] or [parts, T, B, *F]; the neurons' parameters get theirs.

        `self.summed` is its sum over the steps, [B, *F].
        """
        population, kept = self.population, self.kept
        assert population is not None
        assert kept.membrane is not None
        if self.last:
            turned = (None if g is None else g.permute(0, 1, 3, 4, 2).contiguous() for g in gradient[1:])
            gradient = Incoming(gradient.output, *turned)
        if population.spikes:
            gz, gv = _total(gradient.output, gradient.spikes), gradient.membrane
        else:
            gz, gv = None, _total(gradient.output, gradient.membrane)
        gz, gv = (None if g is None else g.float().contiguous() for g in (gz, gv))
        membrane = kept.membrane
        if in_parts:
            shape = (job.operands.parts, *membrane.shape)
            out = torch.empty(shape, dtype=job.operands.dtype, device=membrane.device)
        else:
            out = torch.empty_like(membrane) if self.shown else membrane
        totals = population.totals(membrane, summed=True)
        if "recurrent" in population.own:
            if recurrent.fits(population):
                recurrent.back(population, (gz, gv), kept, self.matrix, out, totals)
            else:
                self._back_steps((gz, gv), out, totals)
            self._matrix_gradient(out, job)
        else:
            population.backward((gz, gv), kept, out, totals=totals)
        for key, found in population.gradients(totals).items():
            job.add(self.layers[-1], key, found)
        self.summed = totals["current"]
        return out

    def _back_steps(
        self, given: tuple[Tensor | None, Tensor | None], out: Tensor, totals: dict[str, Tensor]
    ) -> None:  # fmt: skip
        population, kept = self.population, self.kept
        assert population is not None
        assert kept.membrane is not None
        like = kept.membrane[0]
        carry = Carry(*(torch.zeros_like(like) for _ in range(3)))
        step_totals = {name: torch.empty_like(total) for name, total in totals.items()}
        for t in reversed(range(len(kept.membrane))):
            here = (_at(given[0], t), _at(given[1], t))
            now = Kept(*(None if x is None else x[t : t + 1] for x in kept))
            population.backward(here, now, out[:, t : t + 1], earlier=t > 0, carry=carry, totals=step_totals)
            for name, total in totals.items():
                total.add_(step_totals[name])
            if t:
                matmul.product(out[:, t], self.matrix, out=carry.z)

    def _matrix_gradient(self, out: Tensor, job: Job) -> None:
        """Over all steps at once: gradients of the currents [parts, T, B, N] with the spikes of the steps before."""
        at, spikes = self.layers[-1], self.kept.spikes
        assert spikes is not None
        if not job.wants(at, "recurrent"):
            return
        width = out.shape[-1]
        g, z = out[:, 1:].reshape(len(out), -1, width), spikes[:-1].reshape(1, -1, width)
        empty = torch.zeros(width, width, device=out.device)
        job.add(at, "recurrent", matmul.product(g.transpose(1, 2), z) if g.shape[1] else empty)


class Spiking(Neurons):
    """Neurons behind anything that makes currents."""

    def __init__(self, at: NamedLayer) -> None:
        assert isinstance(at.layer, Neuron)
        self.layers = (at,)
        self.finishes = not at.layer.recurrent  # the kernels of recurrent layers do not

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """Walk the signal as currents."""
        self.signal, self.last = signal, signal.shape is not None and signal.value.ndim == 5
        current = signal.value.float() if self.last or signal.facts is not None else signal.dense()
        if self.last and signal.scale != 1.0:
            current = current * signal.scale
        current = current.contiguous()
        return self.walk(current, signal.steps, job, learns=signal.learns, mine=False, facts=signal.facts)

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """Back through the neurons."""
        in_parts = "recurrent" in (self.population.own if self.population else {})
        g = self.currents_gradient(gradient, job, in_parts=in_parts)
        if not self.signal.learns:
            return None
        back = g.float().sum(0) if in_parts else g
        back = self.summed.unsqueeze(0) if self.signal.constant else back
        back = back * self.signal.scale if self.signal.scale != 1.0 else back
        return back if self.last else self.signal.own_order(back)


class Dense(Neurons):
    """A matrix, and the neurons behind it if there are some."""

    def __init__(self, linear: NamedLayer, neuron: NamedLayer | None) -> None:
        self.linear = linear
        self.layers = (linear,) if neuron is None else (linear, neuron)

    def forward(self, signal: DeviceSignal, job: Job) -> DeviceSignal:
        """Currents, then neurons."""
        own = job.own(self.linear)
        self.signal, self.rows = signal, job.rows(signal)
        self.weight = job.split(self._columns(own["weight"].detach()), scale=signal.scale, name=self.linear.name)
        bias = own.get("bias")
        if bias is not None:
            matmul.check(bias.detach(), job.flag(self.linear.name))
        made = matmul.product(self.rows, self.weight.transpose(1, 2), bias=None if bias is None else bias.detach())
        current = made.view(len(signal.value), -1, made.shape[1])
        self.learns = signal.learns or job.teaches(self.linear)
        if len(self.layers) == 1:
            return DeviceSignal(current, signal.steps, exact=False, learns=self.learns)
        return self.walk(current, signal.steps, job, learns=self.learns, mine=True)

    def backward(self, gradient: Incoming, job: Job) -> Tensor | None:
        """Through the neurons, then the matrix."""
        if not self.learns:
            if self.population is not None:
                self.currents_gradient(gradient, job, in_parts=True)
            return None
        parts, summed = self._currents(gradient, job)
        if parts is None:
            return None
        parts = parts.reshape(len(parts), -1, parts.shape[-1])
        if job.wants(self.linear, "weight"):
            found = matmul.product(parts.transpose(1, 2), self.rows)
            found = self._graph_columns(found)
            job.add(self.linear, "weight", found if self.signal.scale == 1.0 else found * self.signal.scale)
        if "bias" in self.linear.parameters() and job.wants(self.linear, "bias"):
            job.add(self.linear, "bias", summed.sum(0))
        if not self.signal.learns:
            return None
        return matmul.product(parts, self.weight).view(self.signal.value.shape)

    def _columns(self, weight: Tensor) -> Tensor:
        """The matrix with its columns in the order of the signal's values."""
        if self.signal.shape is None:
            return weight
        return weight.view(-1, *self.signal.shape).permute(0, 2, 3, 1).flatten(1)

    def _graph_columns(self, found: Tensor) -> Tensor:
        """Back to the graph's order."""
        if self.signal.shape is None:
            return found
        channels, height, width = self.signal.shape
        return found.view(-1, height, width, channels).permute(0, 3, 1, 2).flatten(1)

    def _currents(self, gradient: Incoming, job: Job) -> tuple[Tensor | None, Tensor]:
        """Gradient of the matrix's product in parts [parts, T or 1, B, F], and its sum over the steps."""
        if self.population is None:
            g = gradient.output
            return (None, torch.empty(0)) if g is None else (job.split(g), g.sum(0))
        parts = self.currents_gradient(gradient, job, in_parts=True)
        return (job.split(self.summed.unsqueeze(0)) if self.signal.constant else parts), self.summed


def _at(gradient: Tensor | None, t: int) -> Tensor | None:
    return None if gradient is None else gradient[t : t + 1]


def _total(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b

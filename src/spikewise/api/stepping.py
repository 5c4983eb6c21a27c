"""Answers step by step: the evidence after each, and runs that end when the network is sure enough.

Each step is computed when it is asked for, so an image that has been answered costs no further step.
"""

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from spikewise.api.trained import Trained
from spikewise.dynamics import NeuronState
from spikewise.engine import EngineState, RunOptions
from spikewise.evaluation import Results
from spikewise.evaluation.anytime import confidence
from spikewise.evaluation.metrics import softmax
from spikewise.evaluation.prediction import Batch
from spikewise.experiments import RunFolder
from spikewise.network import Output
from spikewise.readouts import Carry, MeanMembrane
from spikewise.ties import without_ties
from spikewise.types import Draw

__all__ = ["StepAnswers", "exit_thresholds", "walk"]


class StepAnswers(NamedTuple):
    """What a network says after one step about the M images that are still running."""

    number: int
    """From 1."""
    images: Int[np.ndarray, " M"]
    """Their positions."""
    probabilities: Float[np.ndarray, "M K"]
    evidence: Float[np.ndarray, "M K"]
    confidence: Float[np.ndarray, " M"]
    """Largest softmax of the evidence."""
    spikes: Int[np.ndarray, "M K"] | None
    """Spikes of each output neuron up to this step; None where the outputs do not spike."""
    layer_spikes: dict[str, Int[np.ndarray, " M"]]
    """Spikes of each spiking layer up to this step."""
    last: Bool[np.ndarray, " M"]
    """Whose run ends here: the confidence reached its threshold, or there are no more steps."""


def walk(
    model: Trained,
    pixels: UInt8[np.ndarray, "N C H W"],
    exits: Sequence[float | None],
    layers: Sequence[str] | None = None,
) -> Iterator[StepAnswers]:
    """Run images step by step, each until it is answered, in batches that fit the memory.

    Args:
        pixels: As the network reads them (`Trained.pixels`).
        exits: For each image the confidence that ends its run; None runs all steps.
        layers: Spiking layers whose spikes are counted; None is all.
    """
    record = frozenset(model.network.graph.spiking_layers if layers is None else layers)
    thresholds = np.array([np.inf if one is None else one for one in exits])
    model.network.eval()
    for batch in model.batches(pixels, record):
        yield from _Walk(model, batch, thresholds[batch.part], record)


def exit_thresholds(run: str | PathLike[str], network: str, seed: int) -> dict[float, float | None]:
    """By the accuracy given away at most on the validation images: the confidence that the run's section found.

    Empty where the run has no such section or the network no steps; None ends no run early.
    """
    results = Results.load(RunFolder.open(Path(run)).results)
    section, at = results.sections.anytime, results.protocol.seeds.index(seed)
    found = [one for one in (section.networks if section else ()) if one.network == network]
    return {early.tolerance: early.thresholds[at] for one in found for early in one.early_exit}


class _Walk:
    """One batch; what is kept of it is cut to the images that are still running after each step."""

    def __init__(
        self, model: Trained, batch: Batch, thresholds: Float[np.ndarray, " B"], record: frozenset[str]
    ) -> None:
        self.network, self.record = model.network, record
        self.readout, self.mean = model.network.graph.readout, MeanMembrane()
        self.steps = model.network.graph.steps
        with torch.no_grad():
            self.inputs = model.network.encode(batch.pixels, batch.draw).chunk(self.steps)
        self.draw, self.thresholds = batch.draw, thresholds
        self.images = np.arange(batch.part.start, batch.part.start + len(batch.pixels))
        self.kept: Tensor | None = None
        """Rows of the batch that are still running; None is all."""
        self.state: EngineState | None = None
        self.total: Carry | None = None
        self.membranes: Carry | None = None
        self.sent: dict[str, Tensor] = {}

    def __iter__(self) -> Iterator[StepAnswers]:
        for number in range(1, self.steps + 1):
            with torch.no_grad():  # not around the loop: the caller's code runs between two steps
                step = self._step(number)
                if not step.last.all():
                    self._keep(~step.last)
            yield step
            if step.last.all():
                return

    def _step(self, number: int) -> StepAnswers:
        step = self.inputs[number - 1]
        step = step if self.kept is None else step.index_select(1, self.kept)
        output = self.network.run(step, self.draw, RunOptions(state=self.state, record=self.record))
        last, self.state = output.result.trajectory, output.result.state
        self.total, self.membranes = self.readout.add(self.total, last), self.mean.add(self.membranes, last)
        evidence = self.readout.read(self.total.to(last.membrane.dtype), number).float()
        means = self.mean.read(self.membranes.to(last.membrane.dtype), number).float()
        evidence = without_ties(evidence, means, self.draw.index)
        self._count(output)
        grown = evidence.cpu().numpy()
        sure = confidence(grown)
        spikes = self.sent.get("")
        return StepAnswers(
            number,
            self.images,
            softmax(grown),
            grown,
            sure,
            None if spikes is None else spikes.cpu().numpy(),
            {name: count.cpu().numpy() for name, count in self.sent.items() if name},
            (sure >= self.thresholds) | (number == self.steps),
        )

    def _count(self, output: Output) -> None:
        """Add what was sent: by layer, and under no name by each output neuron."""
        found = {
            name: trace.spikes.flatten(2).sum((0, 2)).round().long()
            for name, trace in output.result.traces.items()
            if trace.spikes is not None
        }
        if output.trajectory.spikes is not None:
            found[""] = output.trajectory.spikes.sum(0).long()
        self.sent = {name: self.sent[name] + count if name in self.sent else count for name, count in found.items()}

    def _keep(self, going: Bool[np.ndarray, " M"]) -> None:
        if going.all():
            return
        rows = torch.from_numpy(np.flatnonzero(going)).to(self.draw.index.device)
        self.kept = rows if self.kept is None else self.kept[rows]
        self.images, self.thresholds = self.images[going], self.thresholds[going]
        self.draw = Draw(self.draw.seed, self.draw.epoch, self.draw.index[rows])
        self.state = _rows_of(self.state or {}, rows)
        self.total = None if self.total is None else self.total[rows]
        self.membranes = None if self.membranes is None else self.membranes[rows]
        self.sent = {name: count[rows] for name, count in self.sent.items()}


def _rows_of(state: EngineState, rows: Tensor) -> EngineState:
    """The state of some images of a batch."""
    return {name: _rows(one, rows) for name, one in state.items()}


def _rows(one: NeuronState | Tensor, rows: Tensor) -> NeuronState | Tensor:
    if isinstance(one, Tensor):
        return one[rows]
    cut: NeuronState = type(one)(*(part[rows] for part in one))
    return cut

"""Trials: what a changed setting would do to one network of a run, measured on a fresh network."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikewise.data import batches
from spikewise.encoders import Direct
from spikewise.evaluation.diagnosis import ExaminedBatch, firing_rates, value_that_gives
from spikewise.experiments.automatic import AutomaticModel
from spikewise.experiments.candidates import Candidate, candidates_of
from spikewise.experiments.experiment import Experiment, parse_experiment
from spikewise.experiments.setting import Setting, task_of
from spikewise.experiments.settings import changed, number_at, parse_change
from spikewise.experiments.standard import standard_of
from spikewise.losses import Target
from spikewise.models import MLP, Conv, Model, ResNet
from spikewise.network import Network
from spikewise.training.balance import start
from spikewise.types import Draw

__all__ = ["TARGET_RATE", "SettingTrials", "Step", "setting_of_layer"]

TARGET_RATE: Final = 0.1
"""Spikes per neuron and step that a trial aims at: enough to carry a gradient, few enough to be cheap."""
_DECADES: Final = (-3, -2, -1, 0, 1, 2, 3)
_USUAL_RATES: Final = (1e-4, 1e-3, 1e-2)
_LARGEST_RATE: Final = 1e6
"""Nothing learns with more; far beyond, the step does not fit into a float any more."""
_UPDATES: Final = 12
_USABLE: Final = (0.02, 0.4)


class Step(NamedTuple):
    """One learning rate and where the loss stood after a few updates with it."""

    learning_rate: float
    loss: float


class SettingTrials:
    """What changed settings would do to one candidate of an experiment, with one seed."""

    def __init__(self, setting: Setting, candidate: Candidate, seed: int, batch: ExaminedBatch) -> None:
        self.setting, self.candidate, self.seed, self.batch = setting, candidate, seed, batch
        self._table = setting.experiment.model_dump(mode="json")

    @property
    def experiment(self) -> Experiment:
        """As it was run."""
        return self.setting.experiment

    @property
    def learning_rate(self) -> float:
        """Of the side."""
        return self.setting.tuning(self.candidate).learning_rate

    @property
    def takes_currents(self) -> bool:
        """Whether pixels enter as currents, of which nobody gave the mean: what `standardise` is about."""
        encoder = self.candidate.graph.encoder
        return isinstance(encoder, Direct) and not encoder.mean

    def current(self, key: str) -> float | None:
        """The value of a dotted setting, None where it is not there or no number."""
        return number_at(self._table, key)

    def network(self, overrides: Iterable[str]) -> Network:
        """A network with some settings changed, as its training begins."""
        experiment = parse_experiment(changed(self._table, map(parse_change, overrides)))
        if experiment.standardise is True:  # as a run's own settings are resolved
            experiment = experiment.replace(
                standardise=standard_of(self.setting.images.images, self.setting.split.train)
            )
        candidates = {candidate.name: candidate for candidate in candidates_of(experiment, self.setting.images)}
        candidate = candidates[self.candidate.name]
        network = Network(candidate.graph, seed=self.seed, engine_name=experiment.engine).to(self.setting.device)
        start(network, task_of(experiment, self.setting.images, self.setting.split, candidate, self.seed))
        return network

    def rate(self, layer: str, overrides: Iterable[str]) -> float:
        """Spikes per neuron and step of a layer before training, on the batch."""
        return float(firing_rates(self.network(overrides), self.batch)[layer].mean())

    def value_for_rate(self, key: str, layer: str, others: Iterable[str] = ()) -> tuple[float, float] | None:
        """The value of a setting at which a layer starts with `TARGET_RATE`, and the rate it then starts with.

        Args:
            others: settings that are changed as well.
        """
        now, others = self.current(key), list(others)
        if not now:
            return None
        return value_that_gives(TARGET_RATE, lambda value: self.rate(layer, [*others, f"{key}={value!r}"]), around=now)

    def wakes(self, layer: str, *overrides: str) -> float | None:
        """The rate at which a layer starts with these settings, None where it is still of no use."""
        rate = self.rate(layer, overrides)
        return rate if _USABLE[0] <= rate <= _USABLE[1] else None

    def active_pixels(self, overrides: Iterable[str]) -> float:
        """Share of the encoder's outputs that are not zero at some step, on the batch."""
        inputs = self.network(overrides).encode(self.batch.images, self.batch.draw)
        return float((inputs != 0).any(0).float().mean())

    def learning_rates(self) -> list[Step]:
        """Where the training loss stands after a dozen updates with learning rates a decade apart, and the usual ones.

        Each starts from the same weights and sees the same batches; rates that end in no number are left out.
        Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017, sec. 3.3 (the range test,
        here with one rate at a time).
        """
        near = [float(f"{self.learning_rate * 10.0**k:.3g}") for k in _DECADES]
        rates = sorted({*near, *_USUAL_RATES})
        found = [Step(rate, self._loss_after(rate)) for rate in rates if rate <= _LARGEST_RATE]
        return [step for step in found if np.isfinite(step.loss)]

    def _loss_after(self, rate: float) -> float:
        setting, train = self.setting, self.experiment.train
        network = setting.started(self.candidate, self.seed).train()
        optimizer = train.replace(learning_rate=rate).build_optimizer(
            [p for p in network.parameters() if p.requires_grad]
        )
        losses = []
        for index in self._indices():
            loss = self._loss(network, index)
            if not torch.isfinite(loss):
                return float("nan")
            losses.append(loss.item())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        return float(np.mean(losses[-_UPDATES // 4 :]))

    def _indices(self) -> list[np.ndarray]:
        part, size = self.setting.split.train, self.experiment.train.batch_size
        out: list[np.ndarray] = []
        epoch = 1
        while len(out) < _UPDATES:
            out += batches(part, size, seed=self.seed, epoch=epoch)
            epoch += 1
        return out[:_UPDATES]

    def _loss(self, network: Network, index: np.ndarray) -> Tensor:
        images = self.setting.images
        batch = torch.from_numpy(np.ascontiguousarray(images.images[index])).to(self.setting.device)
        labels = torch.from_numpy(images.labels[index]).to(self.setting.device)
        output = network(batch, Draw(self.seed, 1, torch.from_numpy(index)))
        loss: Tensor = self.candidate.loss(output.logits, output.trajectory, Target.of(labels, len(images.classes)))
        return loss


def setting_of_layer(model: Model | AutomaticModel, network: Network, layer: str) -> str | None:
    """Where an experiment sets the neurons of a layer, such as "model.cell"; None where no `--set` reaches them."""
    names = [at.name for at in network.graph.named]
    if not isinstance(model, MLP | Conv | ResNet) or layer not in names:
        return None
    if layer == names[-1]:
        return "model.output"
    if isinstance(model, Conv) and model.hidden_cell is not None:
        flat = names.index("flatten1")
        return "model.hidden_cell" if names.index(layer) > flat else "model.cell"
    return "model.cell"

"""`Setting`: what stays the same while an experiment runs."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch

from spikewise.data import ImageSet, Progress, Split
from spikewise.data.audit.records import Audit
from spikewise.engine import Ask, RunOptions, choose
from spikewise.evaluation.tuning import Tuning
from spikewise.experiments.candidates import Candidate
from spikewise.experiments.experiment import Experiment
from spikewise.experiments.run_folder import RunFolder
from spikewise.network import Network
from spikewise.reading import check_regular, read_record
from spikewise.training import FitResult, Task
from spikewise.training.balance import start
from spikewise.training.checkpoint import load_into
from spikewise.training.loop import FIT, WEIGHTS

__all__ = ["Setting", "task_of"]


def task_of(experiment: Experiment, images: ImageSet, parts: Split, candidate: Candidate, seed: int) -> Task:
    """What one training of an experiment has to learn, and how."""
    return Task(
        images,
        parts,
        candidate.loss,
        experiment.train,
        experiment.augment,
        seed,
        candidate.name,
        experiment.rate_penalty if candidate.graph.spiking_layers else None,
        candidate.noise,
    )


ALTERED_AMONG: Final = 20_000
"""Images among which the audit of a run looks for altered copies."""


@dataclass(frozen=True)
class Setting:
    """The experiment, its images and split, its folder and device."""

    experiment: Experiment
    images: ImageSet
    split: Split
    folder: RunFolder
    device: torch.device
    data_dir: Path | None = None
    """Where the images were looked for first."""

    @property
    def steps(self) -> int:
        """Time steps T of the spiking network."""
        return self.experiment.network(self.images.image_shape).encoder.steps

    def audit(self, progress: Progress | None = None) -> Audit:
        """What would flatter a result on these images; made once, then read back.

        In large sets altered copies are looked for among a part of the images; `spikewise audit` looks among all.
        """
        from spikewise.data.audit import audit, folder_of  # noqa: PLC0415  # its classifiers take long to load

        root = folder_of(self.experiment.data, self.data_dir)
        return audit(self.images, self.split, root=root, progress=progress, altered_among=ALTERED_AMONG)

    def is_tuned(self, candidate: Candidate) -> bool:
        """Whether the learning rate of one candidate is looked for."""
        experiment = self.experiment
        asked = experiment.tuned
        if asked == "auto":
            return experiment.train.learning_rate == "auto"
        return candidate.kind in asked

    def tuning_file(self, candidate: Candidate) -> Path:
        """Where stands what was found for a candidate."""
        return self.folder.path / "tuning" / f"{candidate.name}.json"

    def tuning(self, candidate: Candidate) -> Tuning:
        """The learning rate of one candidate, and how it was found; the usual one where it has not been looked for yet.

        Raises:
            RunError: its file is damaged.
        """
        default = self.experiment.train.rate
        if not self.is_tuned(candidate):
            return Tuning(tuned=False, learning_rate=default)
        file = self.tuning_file(candidate)
        if not file.exists():
            return Tuning(tuned=False, learning_rate=default, why="not looked for yet")
        return read_record(file, Tuning)

    def task(self, candidate: Candidate, seed: int) -> Task:
        """What one training has to learn, with the learning rate of its candidate.

        Raises:
            RunError: it has not been found yet, or its file is damaged.
        """
        if self.is_tuned(candidate):
            check_regular(self.tuning_file(candidate))
        task = task_of(self.experiment, self.images, self.split, candidate, seed)
        return replace(task, train=task.train.replace(learning_rate=self.tuning(candidate).learning_rate))

    def network(self, candidate: Candidate, seed: int, device: torch.device | None = None) -> Network:
        """A fresh network of one candidate, on the experiment's device or another."""
        network = Network(candidate.graph, seed=seed, engine_name=self.experiment.engine)
        return network.to(self.device if device is None else device)

    def started(self, candidate: Candidate, seed: int) -> Network:
        """A network of one candidate as its training begins."""
        network = self.network(candidate, seed)
        start(network, task_of(self.experiment, self.images, self.split, candidate, seed))
        return network

    def training_engine(self, candidate: Candidate) -> str:
        """Name of the engine that trains one candidate.

        Raises:
            EngineError: the experiment names an engine that cannot; better said now than after an hour.
        """
        return choose(self.experiment.engine, self.asked(candidate)).name

    def asked(self, candidate: Candidate) -> Ask:
        """What the training of one candidate asks of an engine."""
        experiment = self.experiment
        penalised = candidate.graph.spiking_layers if experiment.rate_penalty else ()
        return Ask(
            candidate.graph,
            self.device.type,
            precision=experiment.train.precision,
            options=RunOptions(training=True, record=frozenset(penalised)),
            learns=True,
        )

    def made_elsewhere(self, candidate: Candidate) -> bool:
        """Whether it is the network that was imported: it is tested here, and not trained."""
        return self.experiment.imported is not None and candidate.kind == "snn"

    def trained(self, candidate: Candidate, seed: int) -> Network:
        """The trained network of one candidate.

        Raises:
            RunError: its training has not finished, or its weights are damaged.
        """
        network = self.network(candidate, seed)
        load_into(network, self.folder.training(candidate.name, seed) / WEIGHTS)
        return network

    def fit(self, candidate: Candidate, seed: int) -> FitResult:
        """How the training of one candidate went."""
        return FitResult.load(self.folder.training(candidate.name, seed) / FIT)

"""Run folders that are written by hand: what a training leaves, epoch by epoch."""

from pathlib import Path
from typing import Any

from tests.report.fake import made

from spikewise.evaluation import Results
from spikewise.experiments import Experiment, RunFolder
from spikewise.experiments.noted_images import NotedImages
from spikewise.training.event_file import EpochEvent, EventFile

START = 1_700_000_000.0
EPOCHS, SEEDS = 12, (0, 1)


class WrittenRun:
    """A comparison of two networks and two seeds that goes on as it is told to."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.results: Results = made(networks=(("snn", "spiking", 2.4, 25), ("twin", "twin", 2.6, 1)), seeds=SEEDS)
        experiment = Experiment(data={"source": "digits"}, device="cpu", sides=("snn", "twin"), seeds=SEEDS, **settings)
        self.folder = RunFolder.create(
            path, experiment, "compare", NotedImages("9f" * 32, self.results.data.classes, 1797, "", "", "")
        )
        self.path = path

    def events(self, network: str, seed: int) -> list[EpochEvent]:
        run = next(run for run in self.results.network(network).runs if run.seed == seed)
        offset = 1000.0 * seed + (0.0 if network == "snn" else 10_000.0)
        return [EpochEvent(**one.model_dump(), time=START + offset + 3.5 * one.epoch) for one in run.history]

    def train(self, network: str, seed: int, epochs: int) -> None:
        """Go on up to so many epochs."""
        EventFile(self.folder.training(network, seed)).append(self.events(network, seed)[:epochs])

    def finish(self) -> None:
        """All trainings, and the test."""
        for network in ("snn", "twin"):
            for seed in SEEDS:
                self.train(network, seed, EPOCHS)
        self.results.save(self.folder.results)

"""Experiments: one typed description of everything that decides a result, and running it."""

from spikewise.experiments.experiment import Experiment
from spikewise.experiments.resolve import load_preset, preset_names, resolve
from spikewise.experiments.run import Finished, run_experiment
from spikewise.experiments.run_folder import RunFolder
from spikewise.experiments.sides import describe

__all__ = [
    "Experiment",
    "Finished",
    "RunFolder",
    "describe",
    "load_preset",
    "preset_names",
    "resolve",
    "run_experiment",
]

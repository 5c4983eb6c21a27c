"""Experiments: one typed description of everything that decides a result, and running it."""

from typing import TYPE_CHECKING

from spikewise.experiments.candidates import describe
from spikewise.experiments.experiment import Experiment
from spikewise.experiments.request import load_preset, preset_names, resolve
from spikewise.experiments.run_folder import RunFolder
from spikewise.lazy import lazy_exports

if TYPE_CHECKING:
    from spikewise.experiments.run import Finished, run_experiment

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

# Running brings the report and its figures along; looking at a run folder does not.
__getattr__ = lazy_exports(__name__, dict.fromkeys(("Finished", "run_experiment"), "spikewise.experiments.run"))

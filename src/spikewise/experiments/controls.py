"""Controls: networks that are trained beside a comparison to find out what a difference comes from."""

from collections.abc import Iterable, Mapping
from typing import Final

from spikewise.errors import unknown_choice
from spikewise.experiments.experiment import CandidateKind, Experiment

__all__ = ["CONTROLS", "with_controls"]

CONTROLS: Final[Mapping[str, CandidateKind]] = {"noise": "twin-noise", "qcfs": "twin-qcfs"}
"""By the name under which one is asked for."""


def with_controls(experiment: Experiment, names: Iterable[str]) -> Experiment:
    """The experiment with these controls beside its sides; where some sides are tuned, they are, too.

    Raises:
        ConfigError: there is no such control.
    """
    for name in names:
        if name not in CONTROLS:
            raise unknown_choice("control", name, CONTROLS)
        side = CONTROLS[name]
        if side in experiment.sides:
            continue
        tuned = experiment.tuned
        experiment = experiment.replace(
            sides=(*experiment.sides, side),
            tuned=(*tuned, side) if not isinstance(tuned, str) and tuned else tuned,
        )
    return experiment

"""How long trainings will take that no fast engine can run, measured before they begin."""

from collections.abc import Sequence

from spikewise.engine import ENGINES
from spikewise.experiments.candidates import Candidate
from spikewise.experiments.setting import Setting, task_of
from spikewise.report.numbers import count, duration
from spikewise.training.loop import FIT
from spikewise.training.trial import training_speed

__all__ = ["outlook"]


def outlook(setting: Setting, candidates: Sequence[Candidate]) -> list[str]:
    """For each network with time steps that only the reference engine trains: why, and how long that will take.

    A few steps are measured, for about three seconds; what is trained already is not counted.
    """
    slow = [one for one in candidates if one.graph.steps > 1 and setting.training_engine(one) == "reference"]
    return [text for one in slow if (text := _told(setting, one))]


def _told(setting: Setting, candidate: Candidate) -> str:
    experiment, seeds = setting.experiment, setting.experiment.seeds
    left = [seed for seed in seeds if not (setting.folder.training(candidate.name, seed) / FIT).exists()]
    if not left:
        return ""
    task = task_of(experiment, setting.images, setting.split, candidate, left[0])
    speed = training_speed(setting.network(candidate, left[0]), task)
    epochs = experiment.train.epochs
    assert epochs != "auto"  # a run's experiment is resolved
    seconds = len(left) * epochs * len(setting.split.train) / speed
    trainings = "its training takes" if len(left) == 1 else f"its {len(left)} trainings take"
    return (
        f"{candidate.name} trains on the reference engine, at {count(speed)} images/s: {trainings} about "
        f"{duration(seconds)}. {_why(setting, candidate)}"
    )


def _why(setting: Setting, candidate: Candidate) -> str:
    """What keeps the engine that is made for this device from it."""
    if setting.experiment.engine == "reference":
        return "It was asked for; engine = 'auto' takes a faster one where there is one."
    ask = setting.asked(candidate)
    fast = "triton" if setting.device.type == "cuda" else "native"
    reason = next(engine.refuses(ask) for engine in ENGINES if engine.name == fast)
    return f"The {fast} engine cannot: {reason}."

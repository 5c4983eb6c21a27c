"""What unfinished work needs and a finished run does not: asked for once it is known which of them it is."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from spikewise.errors import SpikewiseError
from spikewise.executors import AnyExecutor, must_be_there
from spikewise.experiments.experiment import Experiment
from spikewise.experiments.facts import resolve_device
from spikewise.experiments.settings import read_table
from spikewise.experiments.spread import is_elsewhere

__all__ = ["Readiness", "readiness_of"]


class Readiness(NamedTuple):
    """What is known of whether the work could be done, before it is known whether it has to be."""

    refusal: SpikewiseError | None = None
    """Why it could not."""
    unasked: AnyExecutor | None = None
    """An executor that may not be needed: one that is away takes long to say so."""

    def insist(self) -> None:
        """The work has to be done.

        Raises:
            SpikewiseError: the executor or the device is not there.
        """
        if self.refusal is not None:
            raise self.refusal
        must_be_there(self.unasked)


def readiness_of(
    executor: AnyExecutor | None, experiments: Iterable[Experiment], out: Path, kind: str, *, done: str = "results.json"
) -> Readiness:
    """Whether work of these experiments could be done, which may be done already.

    Images tell what a run's folder is called, and to read them can take minutes: where no finished run has such images,
    a refusal does not wait for that.

    Args:
        executor: what is to do the work; None: this process.
        experiments: of which none is worth more than another; all have run, or something is missing.
        out: folder of the run folders.
        kind: what their names begin with.
        done: the file that a finished one has.
    Raises:
        SpikewiseError: the executor or the device is not there, and no such run is finished.
    """
    experiments = list(experiments)
    elsewhere = is_elsewhere(executor)

    def may_be_done() -> bool:
        return any(_is_finished(experiments[0], file.parent) for file in out.glob(f"{kind}-*/{done}"))

    if elsewhere and may_be_done():
        return Readiness(unasked=executor)
    try:
        must_be_there(executor)
        for device in () if elsewhere else {one.device for one in experiments} - {"auto"}:
            resolve_device(device)
    except SpikewiseError as refusal:
        if elsewhere or not may_be_done():
            raise
        return Readiness(refusal)
    return Readiness()


def _is_finished(experiment: Experiment, run: Path) -> bool:
    """Whether a finished run may be that of the experiment: it has the same images."""
    asked = experiment.model_dump(mode="json", include={"data"}, exclude_none=True)
    try:
        return bool(read_table(run / "experiment.toml").get("data") == asked["data"])
    except SpikewiseError:  # it is damaged, or somebody else's
        return False

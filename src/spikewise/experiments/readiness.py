"""What unfinished work needs that a finished run does not: a refusal is kept until it is known which of them it is."""

from collections.abc import Iterable
from pathlib import Path

from spikewise.errors import SpikewiseError
from spikewise.executors import AnyExecutor, must_be_there
from spikewise.experiments.experiment import Experiment
from spikewise.experiments.facts import resolve_device
from spikewise.experiments.settings import read_table
from spikewise.experiments.spread import is_elsewhere

__all__ = ["refusal_of"]


def refusal_of(
    executor: AnyExecutor | None, experiments: Iterable[Experiment], out: Path, kind: str, *, done: str = "results.json"
) -> SpikewiseError | None:
    """Why work of these experiments could not be done, where it may be done already; None where it could.

    Images tell what a run's folder is called, and to read them can take minutes: where no finished run has such images,
    the refusal does not wait for that.

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
    try:
        must_be_there(executor)
        for device in () if is_elsewhere(executor) else {one.device for one in experiments} - {"auto"}:
            resolve_device(device)
    except SpikewiseError as refusal:
        if not any(_is_finished(experiments[0], file.parent) for file in out.glob(f"{kind}-*/{done}")):
            raise
        return refusal
    return None


def _is_finished(experiment: Experiment, run: Path) -> bool:
    """Whether a finished run may be that of the experiment: it has the same images."""
    asked = experiment.model_dump(mode="json", include={"data"}, exclude_none=True)
    try:
        return bool(read_table(run / "experiment.toml").get("data") == asked["data"])
    except SpikewiseError:  # it is damaged, or somebody else's
        return False

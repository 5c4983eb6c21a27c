"""The trackers that there are."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from spikewise.errors import DependencyError, unknown_choice
from spikewise.tracking.csv_files import CsvFiles
from spikewise.tracking.event_files import TensorBoard
from spikewise.tracking.mlflow_runs import MLflow
from spikewise.tracking.tracker import Tracker, TrackerKind
from spikewise.tracking.wandb_runs import WeightsAndBiases

__all__ = ["TRACKERS", "kind_of", "open_tracker"]

TRACKERS: Final[Mapping[str, TrackerKind]] = {
    one.name: one
    for one in (
        TrackerKind("tensorboard", "tensorboardX", "event files", "tensorboard --logdir {}", TensorBoard),
        TrackerKind("mlflow", "mlflow", "a database or a server", "mlflow ui --backend-store-uri {}", MLflow),
        TrackerKind("wandb", "wandb", "offline runs", "wandb sync {}/offline-run-*", WeightsAndBiases),
        TrackerKind("csv", "", "files", "", CsvFiles),
    )
}
"""By the name that `--to` takes."""


def kind_of(name: str) -> TrackerKind:
    """The tracker of that name, if its package is there.

    Raises:
        ConfigError: there is no such tracker.
        DependencyError: its package is missing.
    """
    if name not in TRACKERS:
        raise unknown_choice("tracker", name, TRACKERS)
    kind = TRACKERS[name]
    if kind.package and find_spec(kind.package) is None:
        raise DependencyError(f"The package {kind.package} is not installed here: pip install 'spikewise[{name}]'")
    return kind


def open_tracker(name: str, folder: Path, out: str | None) -> Tracker:
    """A tracker for the runs below a folder; raises as `kind_of` does, and where it cannot be opened."""
    return kind_of(name).open(folder, out)

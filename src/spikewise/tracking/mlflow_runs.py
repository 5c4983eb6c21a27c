"""MLflow: a run for each training, below one for the whole run folder; in a database or on a server."""

import os
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from spikewise.errors import ConfigError
from spikewise.files import make_folder
from spikewise.tracking.curves import Curve
from spikewise.tracking.tracker import missing, refusals_told

__all__ = ["MLflow"]

_EXPERIMENT: Final = "spikewise"
_KEY: Final = "spikewise.training"
_DATABASE: Final = "sqlite:///"
_PARENT: Final = "mlflow.parentRunId"
_METRICS, _PARAMETERS, _LETTERS = 1000, 100, 6000
"""At most in one request, and of a value."""
_PATIENCE: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Whoever waits for a server that is down is told soon; the replay itself tries again."""
_QUIET: Final = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "ERROR"}
T = TypeVar("T")


class MLflow:
    """A tracking store of MLflow, named as MLflow does: `sqlite:///file.db` or the address of a server."""

    def __init__(self, folder: Path, out: str | None) -> None:
        for name, value in (_PATIENCE | _QUIET).items():
            os.environ.setdefault(name, value)
        self._uri = _uri(folder, out)
        try:
            from mlflow import MlflowClient, entities  # noqa: PLC0415  # an extra

            if self._uri.startswith(_DATABASE):
                import alembic  # noqa: F401, PLC0415  # MLflow itself would say it in ten lines
                import sqlalchemy  # noqa: F401, PLC0415
        except ImportError as error:
            raise missing("MLflow", "mlflow", error) from error
        self._make, self._entities = MlflowClient, entities
        self._client: Any = None
        self._experiment = ""
        self._runs: dict[str, str] = {}
        """MLflow's name of each training's run."""
        self._parts: dict[str, list[str]] = {}
        """MLflow's names of the trainings of a run folder."""
        self._known: dict[str, set[tuple[str, int]]] = {}

    @property
    def place(self) -> str:
        """The address of the store."""
        return self._uri

    def log(self, curve: Curve) -> int:
        """As a tracker does."""
        with refusals_told(self._uri):
            if self._client is None:
                self._connect()
            run = self._run(curve)
            if not curve.part:
                for part in self._parts.get(curve.run, []):
                    self._client.set_tag(part, _PARENT, run)
            elif run not in self._parts.setdefault(curve.run, []):
                self._parts[curve.run].append(run)
            count = self._tell(run, curve)
            if curve.ended is not None:
                self._client.set_terminated(run, "FINISHED", int(1000 * curve.ended))
            return count

    def close(self) -> None:
        """Nothing is held open."""

    def _connect(self) -> None:
        if self._uri.startswith(_DATABASE):
            make_folder(Path(self._uri.removeprefix(_DATABASE)).absolute().parent)
        client = self._make(self._uri)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _EXPERIMENT)
        found = client.get_experiment_by_name(name)
        self._experiment = found.experiment_id if found is not None else client.create_experiment(name)
        self._client = client

    def _run(self, curve: Curve) -> str:
        """MLflow's run of a training, made if it is not there: with its key, or not at all."""
        if curve.key not in self._runs:
            found = self._client.search_runs([self._experiment], f"tags.`{_KEY}` = '{curve.key}'")
            if not found:
                tags = {_KEY: curve.key} | {f"spikewise.{name}": value for name, value in curve.facts.items()}
                start = int(1000 * (curve.points[0].time if curve.points else curve.born))
                found = [self._client.create_run(self._experiment, start, tags, curve.name)]
            self._runs[curve.key] = found[0].info.run_id
            self._known[curve.key] = self._told(found[0])
            self._settings(found[0], curve)
        return self._runs[curve.key]

    def _told(self, run: Any) -> set[tuple[str, int]]:
        """Tags and steps that it has."""
        return {
            (name, one.step)
            for name in run.data.metrics
            for one in self._client.get_metric_history(run.info.run_id, name)
        }

    def _settings(self, run: Any, curve: Curve) -> None:
        told = {key: str(value)[:_LETTERS] for key, value in curve.settings.items() if key not in run.data.params}
        for some in _portions(told.items(), _PARAMETERS):
            self._client.log_batch(run.info.run_id, params=[self._entities.Param(*one) for one in some])

    def _tell(self, run: str, curve: Curve) -> int:
        known = self._known[curve.key]
        figures = [
            (tag, value, int(1000 * point.time), point.step)
            for point in curve.points
            for tag, value in point.figures.items()
        ]
        ended = int(1000 * (curve.ended or curve.born))
        figures += [(tag, value, ended, curve.last) for tag, value in curve.summary.items()]
        fresh = [one for one in figures if (one[0], one[3]) not in known]
        for some in _portions(fresh, _METRICS):
            self._client.log_batch(run, metrics=[self._entities.Metric(*one) for one in some])
            known.update((one[0], one[3]) for one in some)
        return len(fresh)


def _portions(items: Iterable[T], size: int) -> Iterable[Sequence[T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _uri(folder: Path, out: str | None) -> str:
    """What was asked for, else what the environment says, else a database beside the runs."""
    told = out or os.environ.get("MLFLOW_TRACKING_URI") or f"{folder / 'mlflow.db'}"
    if told.startswith("file:"):
        raise ConfigError(f"MLflow keeps runs in files no longer. Give a database, such as mlflow.db; got {told}.")
    if "://" in told:
        return told
    path = Path(told)
    return f"{_DATABASE}{path / 'mlflow.db' if path.is_dir() else path}"

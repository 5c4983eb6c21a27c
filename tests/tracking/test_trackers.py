"""What was told is what the trackers' own programs read, once each, killed or not."""

import random
import socket
import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.tracking.readers import Told, of_mlflow, of_tensorboard, of_wandb

from spikewise.errors import ConfigError, TrackingError
from spikewise.tracking import replay
from spikewise.tracking.curves import Curve, RunReader
from spikewise.tracking.wandb_runs import WeightsAndBiases


def needed(*names: str) -> None:
    """Packages that are extras, whatever they warn of while they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            pytest.importorskip(name)


def expected(run) -> Told:
    """Every figure that a run has to tell."""
    found: Told = {}
    for curve in RunReader(run.path).curves():
        for point in curve.points:
            found |= {(curve.name, point.step, tag): value for tag, value in point.figures.items()}
        found |= {(curve.name, curve.last, tag): value for tag, value in curve.summary.items()}
    return found


def singles(told: Told) -> Told:
    """In TensorBoard's precision."""
    return {name: float(np.float32(value)) for name, value in told.items()}


def test_tensorboard_shows_every_figure_once(finished):
    needed("tensorboardX", "tensorboard")
    root = Path(replay(finished.path, "tensorboard").place)
    assert of_tensorboard(root) == singles(expected(finished))
    accuracy = finished.results.network("snn").runs[0].test["accuracy"]
    assert of_tensorboard(root)[f"{finished.path.name}/snn/seed-0", 12, "test/accuracy"] == np.float32(accuracy)


def test_tensorboard_has_the_settings_as_hyper_parameters(finished):
    needed("tensorboardX", "tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    root = Path(replay(finished.path, "tensorboard").place)
    reader = EventAccumulator(str(root / finished.path.name / "twin" / "seed-1"))
    reader.Reload()
    content = reader.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    settings = metadata.parse_session_start_info_plugin_data(content).hparams
    assert settings["train.batch_size"].number_value == finished.folder.experiment().train.batch_size
    assert settings["data.source"].string_value == "digits"


def test_a_killed_writer_of_event_files_is_completed(finished):
    """Wherever its file ends, the next replay makes it what it would have been."""
    needed("tensorboardX")
    root, chance = Path(replay(finished.path, "tensorboard").place), random.Random(5)
    files = sorted(root.rglob("*tfevents*"))
    whole = {file: file.read_bytes() for file in files}
    for _ in range(20):
        file = chance.choice(files)
        file.write_bytes(whole[file][: chance.randrange(len(whole[file]))])
        replay(finished.path, "tensorboard")
        assert file.read_bytes() == whole[file]


def test_of_two_trainings_of_one_name_each_has_its_own_files(finished, tmp_path):
    needed("tensorboardX", "tensorboard")
    from spikewise.training.event_file import EventFile

    out = tmp_path / "both"
    replay(finished.path, "tensorboard", out=str(out))
    (finished.path / "networks" / "snn" / "seed-0" / "events.jsonl").unlink()
    EventFile(finished.path / "networks" / "snn" / "seed-0").append(
        [event.model_copy(update={"time": event.time + 99}) for event in finished.events("snn", 0)]
    )
    replay(finished.path, "tensorboard", out=str(out))
    found = {part.split("/", 1)[-1] for part, _, tag in of_tensorboard(out) if tag == "train/loss"}
    folders = {part.split("/")[0] for part, _, _ in of_tensorboard(out)}
    assert found == {"snn/seed-0", "snn/seed-1", "twin/seed-0", "twin/seed-1"}
    name = finished.path.name
    assert folders == {name, f"{name}-2"}


class Killed(BaseException):
    """Stands in for SIGKILL: nothing catches it."""


@pytest.mark.slow  # MLflow takes ten seconds to make the tables of its database
@pytest.mark.filterwarnings("ignore")  # those of MLflow and of the libraries below it
def test_mlflow_shows_every_figure_once_however_often_the_replay_is_killed(finished, tmp_path, monkeypatch):
    needed("mlflow", "sqlalchemy", "alembic")
    database = f"sqlite:///{tmp_path / 'mlflow.db'}"
    from mlflow import MlflowClient

    calls = {"left": 0}

    def dying(name):
        call = getattr(MlflowClient, name)

        def wrapped(self, *args, **kwargs):
            calls["left"] -= 1
            if calls["left"] < 0:
                raise Killed
            return call(self, *args, **kwargs)

        return wrapped

    with monkeypatch.context() as patch:
        for name in ("create_run", "log_batch", "set_tag", "set_terminated"):
            patch.setattr(MlflowClient, name, dying(name))
        for left in (0, 1, 2, 4, 7):
            calls["left"] = left
            with pytest.raises(Killed):
                replay(finished.path, "mlflow", out=database)
    assert replay(finished.path, "mlflow", out=database).figures > 0
    assert replay(finished.path, "mlflow", out=database).figures == 0
    told, runs = of_mlflow(database)
    assert told == expected(finished)
    name = finished.path.name
    assert set(runs) == {name, *(f"{name}/{network}/seed-{seed}" for network in ("snn", "twin") for seed in (0, 1))}
    one, whole = runs[f"{name}/snn/seed-1"], runs[name]
    assert one.data.params["train.batch_size"] == str(finished.folder.experiment().train.batch_size)
    assert one.data.tags["mlflow.parentRunId"] == whole.info.run_id
    assert one.info.status == "FINISHED"
    assert whole.data.metrics["snn/accuracy"] == finished.results.network("snn").metrics["accuracy"].mean
    assert whole.data.tags["spikewise.verdict"] == finished.results.verdict.headline


@pytest.mark.filterwarnings("ignore")
def test_an_mlflow_server_that_is_down_is_said_soon(finished, monkeypatch):
    needed("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(TrackingError, match=rf"{address} cannot be written"):
        replay(finished.path, "mlflow", out=address)


@pytest.mark.filterwarnings("ignore")
def test_the_file_store_that_mlflow_has_given_up_is_refused_in_words(finished, tmp_path):
    needed("mlflow")
    with pytest.raises(ConfigError, match="MLflow keeps runs in files no longer"):
        replay(finished.path, "mlflow", out=f"file:{tmp_path}")


def test_wandb_has_an_offline_run_of_a_training_when_it_is_over_and_once(written, monkeypatch):
    needed("wandb")
    written.train("snn", 0, 5)
    assert replay(written.path, "wandb").figures == 0
    written.finish()
    (curve,) = (one for one in RunReader(written.path).curves() if one.part == "snn/seed-0")
    tracker, root = WeightsAndBiases(written.path.parent, None), written.path.parent / "wandb"

    def killed(path, content):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("spikewise.tracking.wandb_runs.write_json", killed)  # before it is whole
        with pytest.raises(Killed):
            tracker.log(curve)
    assert not list(root.glob("offline-run-*"))
    assert tracker.log(curve) > 0
    assert tracker.log(curve) == WeightsAndBiases(written.path.parent, None).log(curve) == 0
    (folder,) = root.glob("offline-run-*")
    assert not list(root.glob(".part-*"))
    _matches(of_wandb(folder), curve)


def _matches(read, curve: Curve) -> None:
    history, summary, config = read
    rows = [row for row in history if "train/loss" in row]
    assert [row["_step"] for row in rows] == [point.step for point in curve.points]
    assert [row["_timestamp"] for row in rows] == [point.time for point in curve.points]
    assert [{tag: row[tag] for tag in point.figures} for row, point in zip(rows, curve.points, strict=True)] == [
        point.figures for point in curve.points
    ]
    assert {tag: summary[tag] for tag in curve.summary} == curve.summary
    assert config["train.batch_size"] == curve.settings["train.batch_size"]

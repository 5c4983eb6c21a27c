"""Each figure of each epoch is told once: replayed, repeated, killed, followed, and with a tracker that fails."""

import csv
import json
import os
import random
import resource
from pathlib import Path

import pytest
from tests.written_runs import WrittenRun

from spikewise.errors import ConfigError, DependencyError, RunError, StorageError, TrackingError
from spikewise.files import write_json
from spikewise.tracking import replay
from spikewise.tracking.curves import RunReader
from spikewise.tracking.tracker import Tracker, TrackerKind

Told = dict[tuple[str, int, str], float]


def told(folder: Path) -> Told:
    """What `curves.csv` says, none of it twice."""
    with (folder / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["training"], int(row["step"]), row["tag"]): float(row["value"]) for row in rows}
    assert len(found) == len(rows)
    return found


def expected(run, epochs: int | None = None) -> Told:
    """What the event files say, by hand."""
    out: Told = {}
    for network in ("snn", "twin"):
        for seed in (0, 1):
            for event in run.events(network, seed)[:epochs]:
                named = {
                    "train/loss": event.train_loss, "train/accuracy": event.train_accuracy,
                    "train/learning_rate": event.learning_rate, "validation/loss": event.validation_loss,
                    "validation/accuracy": event.validation_accuracy, "time/epoch_seconds": event.seconds,
                    "time/images_per_second": event.images_per_second,
                    **{f"spikes/{layer}": rate for layer, rate in event.spike_rates.items()},
                }  # fmt: skip
                out |= {(f"{network}/seed-{seed}", event.epoch, tag): value for tag, value in named.items()}
    return out


def test_a_finished_run_is_told_whole_and_nothing_twice(finished):
    done = replay(finished.path, "csv")
    folder = Path(done.place) / finished.path.name
    assert told(folder) == expected(finished)
    assert done.trainings == 5  # the whole run is one, too
    again = replay(str(finished.path), "csv", out=Path(done.place))  # a path is a path, however it is written
    assert again.figures == 0
    assert told(folder) == expected(finished)


def test_settings_and_final_figures_are_those_of_the_run(finished):
    folder = Path(replay(finished.path, "csv").place) / finished.path.name
    with (folder / "settings.csv").open(newline="") as file:
        settings = {row["setting"]: row["value"] for row in csv.DictReader(file) if row["training"] == "snn/seed-1"}
    assert settings["train.batch_size"] == str(finished.folder.experiment().train.batch_size)
    assert settings["seeds"] == "[0, 1]"
    with (folder / "summary.csv").open(newline="") as file:
        final = {(row["training"], row["tag"]): float(row["value"]) for row in csv.DictReader(file)}
    run = finished.results.network("snn").runs[1]
    assert {tag.removeprefix("test/"): value for (part, tag), value in final.items()
            if part == "snn/seed-1" and tag.startswith("test/")} == {
        name: value for name, value in run.test.items() if value is not None
    }  # fmt: skip
    accuracy = finished.results.network("twin").metrics["accuracy"]
    assert (final["", "twin/accuracy"], final["", "twin/accuracy/low"]) == (accuracy.mean, accuracy.low)


def test_a_replay_that_was_cut_off_anywhere_goes_on(finished):
    """Whatever part of the file a killed process has written, the next one completes it."""
    folder = Path(replay(finished.path, "csv").place) / finished.path.name
    whole, chance = (folder / "curves.csv").read_bytes(), random.Random(3)
    for _ in range(20):
        (folder / "curves.csv").write_bytes(whole[: chance.randrange(len(whole))])
        replay(finished.path, "csv")
        assert (folder / "curves.csv").read_bytes() == whole


def test_following_tells_each_epoch_when_it_comes_and_ends_with_the_results(written):
    written.train("snn", 0, 1)
    lengths = []

    def wait(seconds: float) -> bool:
        done = len(lengths)
        lengths.append(len(told(written.path.parent / "csv" / written.path.name)))
        assert done < 20, "it never ends"
        if done < 11:
            written.train("snn", 0, done + 2)
        else:
            written.finish()
        return False

    done = replay(written.path, "csv", follow=True, wait=wait)
    assert lengths == [8 * (k + 1) for k in range(12)]
    assert told(Path(done.place) / written.path.name) == expected(written)


def test_following_ends_when_the_run_is_gone_after_a_last_look(written):
    written.train("snn", 0, 1)

    def wait(seconds: float) -> bool:
        written.train("snn", 0, 3)
        return True

    replay(written.path, "csv", follow=True, wait=wait)
    assert {step for _, step, _ in told(written.path.parent / "csv" / written.path.name)} == {1, 2, 3}


class Unreliable:
    """A tracker that is down for its first calls."""

    place = "nowhere"

    def __init__(self, failures: int) -> None:
        self.left, self.steps = failures, list[tuple[str, int]]()

    def log(self, curve) -> int:
        if self.left:
            self.left -= 1
            raise TrackingError(f"nowhere cannot be reached, {self.left} times more.")
        new = [(curve.part, point.step) for point in curve.points]
        self.steps += [one for one in new if one not in self.steps]
        return len(new)

    def close(self) -> None:
        pass


@pytest.fixture
def unreliable(monkeypatch):
    def make(failures: int) -> Unreliable:
        tracker = Unreliable(failures)
        assert isinstance(tracker, Tracker)
        kind = TrackerKind("csv", "", "", "", lambda folder, out: tracker)
        monkeypatch.setattr("spikewise.tracking.trackers.TRACKERS", {"csv": kind})
        return tracker

    return make


def test_a_tracker_that_is_down_is_tried_again_and_that_is_said_once(finished, unreliable):
    tracker, said, waits = unreliable(6), [], []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    replay(finished.path, "csv", follow=True, say=said.append, wait=wait)
    assert len(said) == 1
    assert "cannot be reached" in said[0]
    assert len(tracker.steps) == 2 * (12 + 11)
    assert waits == [2, 4, 8, 16, 32, 60]  # longer each time, and a minute at most


def test_a_tracker_that_stays_down_is_said_once_with_what_to_do_and_is_an_error_to_who_asks(finished, unreliable):
    unreliable(100)
    said = []
    assert replay(finished.path, "csv", follow=True, say=said.append, wait=lambda seconds: True).figures == 0
    assert len(said) == 1
    assert f"`spikewise log {finished.path} --to csv` does it afterwards" in said[0]
    with pytest.raises(TrackingError, match="cannot be reached"):
        replay(finished.path, "csv")


@pytest.mark.parametrize("to", ["csv", "tensorboard"])
def test_a_full_disk_is_said_and_with_room_again_nothing_is_missing_or_twice(to, finished):
    if to == "tensorboard":
        pytest.importorskip("tensorboardX")
    room, waits = resource.getrlimit(resource.RLIMIT_FSIZE), []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        resource.setrlimit(resource.RLIMIT_FSIZE, room)
        return False

    whole = replay(finished.path, to, out=str(finished.path.parent / "whole")).place
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, room[1]))  # stands for a disk: a file ends within a record
    said = []
    try:
        done = replay(finished.path, to, follow=True, say=said.append, wait=wait)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, room)
    assert len(waits) == len(said) == 1
    assert "Cannot write" in said[0]
    files = [path for path in sorted(Path(whole).rglob("*")) if path.is_file() and path.name != "settings.csv"]
    assert len(files) >= 2
    for path in files:
        assert (Path(done.place) / path.relative_to(whole)).read_bytes() == path.read_bytes()


def test_a_damaged_run_of_a_tracker_is_told_as_far_as_it_goes(finished):
    file = finished.path / "networks" / "snn" / "seed-0" / "events.jsonl"
    file.write_bytes(file.read_bytes().replace(b"train_loss", b"train_lass", 1))
    with pytest.raises(RunError, match=r"events\.jsonl is damaged \(line 1: its checksum is wrong\)"):
        replay(finished.path, "csv")


def test_two_replays_of_one_run_do_not_meet(finished, unreliable):
    def meanwhile(seconds: float) -> bool:
        with pytest.raises(RunError, match="Another process tells csv of"):
            replay(finished.path, "csv")
        return True

    unreliable(1)
    replay(finished.path, "csv", follow=True, wait=meanwhile)
    replay(finished.path, "csv")


def test_a_run_made_again_is_another_training(finished, tmp_path):
    """Of the same settings, in another folder of the same name: its times are others."""
    replay(finished.path, "csv", out=str(tmp_path / "both"))
    first = RunReader(finished.path).curves()[0]
    file = finished.path / "networks" / "snn" / "seed-0" / "events.jsonl"
    file.unlink()
    later = [event.model_copy(update={"time": event.time + 99}) for event in finished.events("snn", 0)]
    from spikewise.training.event_file import EventFile

    EventFile(file.parent).append(later)
    assert RunReader(finished.path).curves()[0].key != first.key
    assert replay(finished.path, "csv", out=str(tmp_path / "both")).figures == 12 * 8


@pytest.mark.parametrize(
    ("path", "to", "error", "said"),
    [
        ("nowhere", "csv", RunError, "There is no .*nowhere"),
        ("", "csv", RunError, "is not a run folder"),
        ("compare-digits-12345678", "tensorbord", ConfigError, "Did you mean 'tensorboard'"),
        ("compare-digits-12345678", "", ConfigError, "Unknown tracker"),
    ],
)
def test_wrong_calls_are_answered_in_words(path, to, error, said, finished):
    with pytest.raises(error, match=said):
        replay(finished.path.parent / path, to)


@pytest.mark.parametrize("to", ["tensorboard", "mlflow", "wandb"])
def test_a_package_that_is_missing_is_named(to, finished, monkeypatch):
    monkeypatch.setattr("spikewise.tracking.trackers.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=rf"pip install 'spikewise\[{to}\]'"):
        replay(finished.path, to)


def test_a_place_that_cannot_be_written_is_named(finished, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="A file stands where a folder is needed"):
        replay(finished.path, "csv", out=str(tmp_path / "file"))


def test_the_cells_of_a_sweep_are_told_as_they_begin(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path / "cache"))
    from spikewise.experiments.sweep import parse_sweep
    from spikewise.experiments.sweep_cells import cells_of
    from spikewise.experiments.sweep_folder import Placed, SweepFolder

    plan = parse_sweep({"title": "two", "base": {"data": {"source": "digits"}}, "grid": {"train.batch_size": [32, 64]}})
    cells = [Placed(cell, tmp_path / f"train-{number}", "cpu") for number, cell in enumerate(cells_of(plan))]
    folder = SweepFolder.create(tmp_path, plan, cells)
    looks = []

    def wait(seconds: float) -> bool:
        looks.append(seconds)
        WrittenRun(cells[len(looks) - 1].run).finish()
        return False

    done = replay(folder.path, "csv", follow=True, wait=wait)
    assert len(looks) == 2
    assert done.trainings == 2 * 5
    for cell in cells:
        assert len(told(tmp_path / "csv" / cell.run.name)) > 0


def test_a_search_is_over_when_it_has_said_what_is_best(written):
    written.train("snn", 0, 2)
    trials = written.path / "trials" / "snn"
    trials.mkdir(parents=True)
    (written.path / "networks" / "snn" / "seed-0").rename(trials / "trial-000")
    drawn = {"number": 0, "settings": {"train.learning_rate": 0.5}, "validation": {"accuracy": 0.25}, "score": 0.25}
    (trials / "trial-000" / "trial.json").write_text(json.dumps(drawn))
    (written.path / "tune.json").write_text("{}")
    done = replay(written.path, "csv", follow=True, wait=lambda seconds: pytest.fail("it is over"))
    folder = Path(done.place) / written.path.name
    assert {part for part, _, _ in told(folder)} == {"snn/trial-000"}
    assert "snn/trial-000,train.learning_rate,0.5" in (folder / "settings.csv").read_text()
    assert "snn/trial-000,kept/accuracy,0.25" in (folder / "summary.csv").read_text()


def test_a_run_of_networks_that_were_trained_elsewhere_has_its_figures(written):
    written.results.save(written.folder.results)
    done = replay(written.path, "csv")
    summary = (Path(done.place) / written.path.name / "summary.csv").read_text()
    assert f",snn/accuracy,{written.results.network('snn').metrics['accuracy'].mean!r}" in summary


def test_a_run_of_before_there_were_event_files_is_told_from_what_it_left(finished):
    from spikewise.training.loop import FIT, FitResult

    expected_figures = expected(finished)
    for network in ("snn", "twin"):
        for seed in (0, 1):
            place = finished.folder.training(network, seed)
            history = [event.record for event in finished.events(network, seed)]
            write_json(place / FIT, FitResult(history=history, best_epoch=1).notes())
            (place / "events.jsonl").unlink()
    first = replay(finished.path, "csv")
    assert told(Path(first.place) / finished.path.name) == expected_figures
    os.utime(finished.path / "networks" / "snn" / "seed-0" / FIT)  # as copying a folder does
    assert replay(finished.path, "csv").figures == 0

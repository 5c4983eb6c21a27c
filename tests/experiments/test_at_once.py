"""The same run, begun twice at once: one works, and the other is told so."""

import threading

import pytest

import spikewise
from spikewise.data import load_data
from spikewise.errors import BusyError
from spikewise.experiments import Experiment, run
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.run_folder import LOCK, RunFolder, locked

TINY = {"split.limit": 100, "model.hidden": [4], "encoder.steps": 2, "train.learning_rate": 0.01}


def test_a_run_that_is_being_begun_elsewhere_is_not_written_over(tmp_path):
    experiment, place = Experiment.model_validate({"data": {"source": "digits"}}), tmp_path / "run"
    images = NotedImages.of(load_data("digits"))
    place.mkdir()
    with locked(place / LOCK, place), pytest.raises(BusyError, match="Another process or thread is at work"):
        RunFolder.create(place, experiment, "train", images)
    assert [path.name for path in place.iterdir() if path.name != LOCK] == []
    assert RunFolder.create(place, experiment, "train", images).facts()["fingerprint"] == images.fingerprint


def test_threads_that_begin_the_same_run_do_not_break_it(tmp_path):
    """What the second had half written was cleared away by the first, and its error spoke of the place."""
    together, ends = threading.Barrier(4), []

    def begin() -> None:
        together.wait()
        try:
            ends.append(spikewise.train("digits", seeds=1, epochs=1, sections=[], out=tmp_path, **TINY).folder)
        except BaseException as error:  # whatever it is, it is what the test asks about
            ends.append(type(error))

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    folder = spikewise.train("digits", seeds=1, epochs=1, sections=[], out=tmp_path, **TINY).folder
    assert len(ends) == 4
    assert set(ends) <= {folder, BusyError}
    assert folder in ends


def test_processes_that_helped_are_let_go_before_the_test(tmp_path, monkeypatch):
    """One that was killed later had the others say that all end, while the first made the report."""
    when = []
    monkeypatch.setattr(run, "let_others_go", lambda: when.append(sorted(p.name for p in tmp_path.glob("*/*.json"))))
    spikewise.train("digits", seeds=1, epochs=1, sections=[], out=tmp_path, **TINY)
    assert ("results.json" in when[0], "openings.json" in when[0]) == (False, False)
    assert when[0]
    when.clear()
    spikewise.train("digits", seeds=1, epochs=1, sections=[], out=tmp_path, **TINY)
    assert when


def test_openings_that_are_recorded_at_once_are_all_there(tmp_path):
    folder, together = RunFolder(tmp_path), threading.Barrier(6)

    def test(seed: int) -> None:
        together.wait()
        for _ in range(5):
            folder.note_opening("snn", seed, "evaluate")

    threads = [threading.Thread(target=test, args=(seed,)) for seed in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(one["seed"] for one in folder.openings()) == sorted([*range(6)] * 5)

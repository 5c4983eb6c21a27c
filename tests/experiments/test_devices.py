"""Which device "auto" takes: the faster one, by a trial that is kept."""

import json

import numpy as np
import pytest
import torch

from spikewise.data import ImageSet, Split
from spikewise.encoders import Direct, Rate
from spikewise.errors import ConfigError, TrainingError
from spikewise.experiments import Experiment, devices, run_experiment
from spikewise.models import MLP, build
from spikewise.network import Network
from spikewise.readouts import MeanMembrane
from spikewise.training import Silent, trial

ONE, OTHER = torch.device("cpu", 0), torch.device("cpu")
"""Two devices that everybody has: the first stands where a GPU would."""


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "devices"


@pytest.fixture
def speeds(monkeypatch):
    """How fast the two devices train, and how often they were tried."""
    given = {str(ONE): 200.0, str(OTHER): 100.0}
    tried = []

    def speed(network, task):
        of_each = 1 if isinstance(given[str(ONE)], Exception) else 3  # sides, of which the first fails
        device = OTHER if len(tried) % (of_each + 3) >= of_each else ONE
        tried.append(str(device))
        found = given[str(device)]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(devices, "available_devices", lambda: (ONE, OTHER))
    monkeypatch.setattr(devices, "training_speed", speed)
    return given, tried


@pytest.fixture
def asked():
    """An experiment, its images and their split."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = ImageSet("noise", rng.integers(0, 256, (40, 1, 6, 6), dtype=np.uint8), labels, ("a", "b"),
                      np.full(40, -1, np.int8), "noise")  # fmt: skip
    experiment = Experiment(
        data={"source": "noise"},
        model=MLP(hidden=(4,)),
        encoder=Direct(steps=2),
        standardise=False,
        train={"batch_size": 8},
    )
    return experiment, images, Split(np.arange(30), np.arange(30, 40), np.arange(0))


def test_the_faster_one_is_taken_and_the_trial_kept(asked, speeds, cache):
    given, tried = speeds
    first = devices.training_device(*asked)
    assert first.device == ONE
    assert first.words.startswith("Device: cpu:0 trains these 3 networks at 67 images/s, the processor at 33 (measured")
    assert "\n" not in first.words
    count = len(tried)
    given[str(OTHER)] = 1e9
    again = devices.training_device(*asked)
    assert (again.device, len(tried)) == (ONE, count)
    assert "measured earlier" in again.words
    assert len(list(cache.iterdir())) == 1


def test_a_device_that_is_not_faster_is_not_taken(asked, speeds):
    given, _ = speeds
    given[str(ONE)] = given[str(OTHER)]
    assert devices.training_device(*asked).device == OTHER


@pytest.mark.parametrize("what", ["batch size", "model", "threads", "another card", "engine", "images"])
def test_what_decides_the_speed_is_tried_anew(what, asked, speeds, monkeypatch):
    experiment, images, parts = asked
    devices.training_device(*asked)
    if what == "batch size":
        experiment = experiment.replace(train=experiment.train.replace(batch_size=4))
    elif what == "model":
        experiment = experiment.replace(model=MLP(hidden=(5,)))
    elif what == "engine":
        experiment = experiment.replace(engine="reference")
    elif what == "images":
        images = ImageSet("noise", images.images, images.labels, images.classes, images.roles, "other")
    elif what == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    else:
        monkeypatch.setattr(devices, "_title", lambda device: f"another {device}")
    assert "measured in" in devices.training_device(experiment, images, parts).words


def test_what_does_not_decide_it_is_not(asked, speeds):
    experiment, *rest = asked
    devices.training_device(*asked)
    slower = experiment.replace(train=experiment.train.replace(epochs=77, learning_rate=1e-5), seeds=(0, 1, 2, 3))
    assert "measured earlier" in devices.training_device(slower, *rest).words


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"cpu": 1}', '{"cpu": "x", "cpu:0": 2}', '{"cpu": 0, "cpu:0": 5}']
)
def test_a_damaged_trial_is_made_anew(content, asked, speeds, cache):
    devices.training_device(*asked)
    (file,) = cache.iterdir()
    file.write_text(content)
    assert "measured in" in devices.training_device(*asked).words
    assert json.loads(file.read_text()).keys() == {"cpu", "cpu:0"}


@pytest.mark.parametrize("fault", [TrainingError("The memory does not hold it. Use less."), RuntimeError("no driver")])
def test_a_device_that_fails_is_not_taken_and_the_trial_not_kept(fault, asked, speeds, cache):
    given, _ = speeds
    given[str(ONE)] = fault
    chosen = devices.training_device(*asked)
    assert chosen.device == OTHER
    assert str(fault).partition(". ")[0] in chosen.words
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_costs_another_trial(asked, speeds, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert "measured in" in devices.training_device(*asked).words


def test_a_named_device_is_taken_untried(asked, speeds):
    experiment, *rest = asked
    _, tried = speeds
    assert devices.training_device(experiment.replace(device="cpu"), *rest) == (torch.device("cpu"), None)
    assert not tried
    with pytest.raises(ConfigError, match="cuda:99"):
        devices.training_device(experiment.replace(device="cuda:99"), *rest)


def test_a_run_goes_on_where_it_was_begun(asked, speeds, tmp_path, monkeypatch):
    experiment, images, parts = asked
    _, tried = speeds
    monkeypatch.setattr(devices, "available_devices", lambda: (torch.device("cuda"), torch.device("cpu")))
    resolved = experiment.resolved("train", device="cuda", train_images=30, image_shape=images.image_shape)
    (tmp_path / resolved.folder_name("train", "noise")).mkdir()
    assert devices.resolve_automatic(experiment, "train", images, parts, out=tmp_path) == resolved
    assert not tried


def test_a_trial_measures_steps_on_the_device(asked):
    experiment, images, parts = asked
    graph = build(experiment.model, Rate(steps=3), MeanMembrane(), image_shape=(1, 6, 6), classes=2)
    one = devices.candidates_of(experiment, images)[0]
    task = devices.task_of(experiment, images, parts, one, 0)
    assert 10 < trial.training_speed(Network(graph), task) < 1e7
    assert len(trial.trial_of(task).split.train) == 30


def test_a_trial_stops_a_slow_processor(asked, monkeypatch):
    experiment, images, parts = asked
    monkeypatch.setattr(trial, "_SECONDS", 0.0)
    one = devices.candidates_of(experiment, images)[0]
    seen = []
    real = trial.epochs_of

    def watched(learner):
        passes = real(learner)
        step = passes._step
        passes._step = lambda *arguments: seen.append(1) or step(*arguments)
        return passes

    monkeypatch.setattr(trial, "epochs_of", watched)
    assert trial.training_speed(Network(one.graph), devices.task_of(experiment, images, parts, one, 0)) > 0
    assert len(seen) == 3  # one step of each pass


def test_answers_go_where_they_are_given_fastest(monkeypatch):
    graph = build(MLP(hidden=(4,)), Rate(steps=3), MeanMembrane(), image_shape=(1, 6, 6), classes=2)
    assert devices.answering_device("auto", Network(graph)).device.type in ("cpu", "cuda")
    monkeypatch.setattr(devices, "available_devices", lambda: (ONE, OTHER))
    chosen = devices.answering_device("auto", Network(graph))
    assert chosen.device in (ONE, OTHER)
    assert "runs this network at" in chosen.words
    assert devices.answering_device("auto", Network(graph)).words.count("measured earlier") == 1
    assert devices.answering_device("cpu", Network(graph)) == (torch.device("cpu"), None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_run_whose_gpu_does_not_start_is_trained_by_the_processor_and_says_why(small, tmp_path, monkeypatch):
    heard = Silent()
    words = []
    monkeypatch.setattr(heard, "said", words.append)
    monkeypatch.setattr(devices, "available_devices", lambda: (torch.device("cuda"), torch.device("cpu")))
    done = run_experiment(small.replace(device="auto"), out=tmp_path, kind="train", listener=heard)
    assert done.results.environment.device == "cpu"
    line = next(word for word in words if word.startswith("Device: "))
    assert line.startswith("Device: the processor trains this network at ")
    assert "cuda not at all (measured in" in line
    assert "; cuda: " in line


@pytest.mark.gpu
def test_auto_takes_what_is_faster_here(asked):
    chosen = devices.training_device(*asked)
    assert chosen.device.type in ("cuda", "cpu")
    assert torch.cuda.get_device_name() in chosen.words
    assert "not at all" not in chosen.words
    experiment, images, parts = asked
    speed = {}
    for device in devices.available_devices():
        speed[device.type] = 0.0
        for one in devices.candidates_of(experiment, images):
            task = devices.task_of(experiment, images, parts, one, 0)
            speed[device.type] += 1 / trial.training_speed(Network(one.graph).to(device), task)
    fastest = min(speed, key=speed.__getitem__)
    if max(speed.values()) > 2 * min(speed.values()):  # a near draw may go either way
        assert chosen.device.type == fastest


def test_trainings_go_to_all_gpus_unless_one_is_named(monkeypatch):
    cuda, first = torch.device("cuda"), torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert devices.spread_over(cuda) == (cuda,)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.spread_over(cuda) == (first, torch.device("cuda", 1))
    assert devices.spread_over(first) == (first,)
    assert devices.spread_over(OTHER) == (OTHER,)


def test_sides_and_seeds_are_spread_in_turn_and_a_resumed_run_keeps_the_places(small, tmp_path, monkeypatch):
    from spikewise.experiments import run

    places, real = [], run.fit_all
    monkeypatch.setattr(run, "spread_over", lambda device: (ONE, OTHER))

    def noted(trainings, *rest):
        places.append({(one.task.name, one.task.seed): one.device for one in trainings})
        if len(places) == 1:
            real(trainings[:1], *rest)
            raise KeyboardInterrupt
        real(trainings, *rest)

    monkeypatch.setattr(run, "fit_all", noted)
    asked = small.replace(device="cpu", seeds=(4, 5, 6), sections=())
    with pytest.raises(KeyboardInterrupt):
        run_experiment(asked, out=tmp_path, kind="train")
    run_experiment(asked, out=tmp_path, kind="train")
    assert places[0] == {("snn", 4): ONE, ("snn", 5): OTHER, ("snn", 6): ONE}
    assert places[1] == {("snn", 5): OTHER, ("snn", 6): ONE}

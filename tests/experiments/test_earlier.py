"""More seeds train no seed anew: trainings with the same settings, images and version are taken over, bit for bit."""

import pytest

from spikewise.experiments import Experiment, run_experiment
from spikewise.training import Silent
from spikewise.training.loop import WEIGHTS


class Trained(Silent):
    """Which trainings began, and what was said."""

    def __init__(self):
        self.begun, self.words = [], []

    def started(self, network, seed, *, epochs, done):
        self.begun.append((network, seed))

    def said(self, text):
        self.words.append(text)


def experiment(source, seeds, **changes):
    return Experiment(
        data={"source": str(source)},
        encoder={"kind": "direct", "steps": 2},
        model={"kind": "mlp", "hidden": [4]},
        train={"epochs": 2, "batch_size": 16, "learning_rate": 0.03, **changes},
        seeds=seeds,
        sides=("snn", "twin"),
        sections=(),
        device="cpu",
    )


def run(out, source, seeds, **changes):
    seen = Trained()
    done = run_experiment(experiment(source, seeds, **changes), out=out, listener=seen, report=False)
    return done, seen


def weights(done):
    return {
        path.relative_to(done.folder).as_posix(): path.read_bytes()
        for path in done.folder.glob(f"networks/*/*/{WEIGHTS}")
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory, set_writer):
    return set_writer(tmp_path_factory.mktemp("set") / "columns.npz")


@pytest.fixture(scope="module")
def two(tmp_path_factory, source):
    """A finished run of two seeds."""
    out = tmp_path_factory.mktemp("runs")
    return run(out, source, (0, 1))[0], out


def test_more_seeds_train_only_those_that_are_new_and_end_as_if_all_were(two, source, tmp_path):
    _, out = two
    more, seen = run(out, source, (0, 1, 2))
    assert set(seen.begun) == {("snn", 2), ("twin", 2)}
    assert any(word.startswith("The trainings of seeds 0 and 1 are those of ") for word in seen.words)
    whole, _ = run(tmp_path, source, (0, 1, 2))
    assert weights(more) == weights(whole)
    assert len(weights(whole)) == 6
    assert [one.metrics for one in more.results.networks] == [one.metrics for one in whole.results.networks]
    assert more.results.protocol.test_opened == 6  # the test images are opened anew, and counted


def test_fewer_seeds_train_nothing(two, source):
    assert run(two[1], source, (0,))[1].begun == []


@pytest.mark.parametrize(
    ("what", "seeds"), [("settings", (0, 1)), ("first seed", (1, 0)), ("images", (0, 1, 3)), ("version", (0, 1, 4))]
)
def test_what_is_not_the_same_is_trained(two, source, set_writer, monkeypatch, what, seeds):
    _, out = two
    changes = {"learning_rate": 0.02} if what == "settings" else {}
    if what == "images":
        old = source.read_bytes()
        set_writer(source, test_noise=9)
        assert source.read_bytes() != old
    if what == "version":
        monkeypatch.setattr("spikewise.experiments.run_folder.__version__", "0.0.9")
    try:
        _, seen = run(out, source, seeds, **changes)
    finally:
        if what == "images":
            source.write_bytes(old)
    assert {seed for _, seed in seen.begun} == set(seeds)


def test_a_damaged_neighbour_is_passed_by(two, source, tmp_path):
    for name in ("compare-columns-1", "compare-columns-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text("{}")
        (tmp_path / name / "run.json").write_text("{" if name.endswith("1") else '{"format": 1}')
    assert len(run(tmp_path, source, (0,))[1].begun) == 2

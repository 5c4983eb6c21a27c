"""A finished run needs nothing of what trains: it is shown where that is not there."""

import json

import pytest

import spikewise
from spikewise.errors import ConfigError, SpikewiseError
from spikewise.experiments import readiness
from spikewise.experiments.run_folder import RunFolder

SMALL = {
    "data": {"source": "digits"},
    "split": {"limit": 60},
    "encoder": {"kind": "direct", "steps": 2},
    "model": {"hidden": [8]},
    "sections": [],
}
PLAN = """
[base]
data = { source = "digits" }
split = { limit = 60 }
encoder = { kind = "direct", steps = 2 }
[set]
train.epochs = 1
train.learning_rate = 0.001
model.hidden = [8]
[grid]
model.recurrent = [false, true]
"""


def run(command, out, *, more=False, **asked):
    """A command on few images, or one that asks for more than that."""
    if command == "sweep":
        plan = out.parent / "plan.toml"
        plan.write_text(PLAN)
        return spikewise.sweep(plan, seeds=1 + more, out=out, **asked)
    if command == "tune":
        return spikewise.tune(trials=1 + more, epochs=1, out=out, **SMALL, **asked)
    settings = {**SMALL, "train": {"learning_rate": 0.001}}
    return getattr(spikewise, command)(seeds=1 + more, epochs=1, out=out, **settings, **asked)


@pytest.mark.parametrize("command", ["compare", "train", "tune", "sweep"])
def test_a_finished_run_is_shown_where_its_executor_is_not_there(tmp_path, monkeypatch, command):
    out = tmp_path / "runs"
    before = run(command, out)
    monkeypatch.setenv("PATH", str(tmp_path))
    for executor in ("slurm", "ray:127.0.0.1:1"):
        pytest.importorskip({"slurm": "submitit"}.get(executor, "ray"))
        with monkeypatch.context() as patch:  # it may take half a minute to say that it is away
            patch.setattr(readiness, "must_be_there", lambda config: config and pytest.fail(f"{config} was asked"))
            after = run(command, out, executor=executor)
        assert after.folder == before.folder
        there = sorted(out.iterdir())
        with pytest.raises(SpikewiseError, match=r"login node|No Ray cluster answers"):
            run(command, out, more=True, executor=executor)
        assert sorted(out.iterdir()) == there


def test_other_images_are_not_read_for_a_refusal(tmp_path, monkeypatch):
    """The run that is finished has other images: that of this command is not."""
    pytest.importorskip("submitit")
    run("train", tmp_path / "runs")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("spikewise.experiments.run.load_data", lambda *a, **k: pytest.fail("images were read"))
    with pytest.raises(ConfigError, match="login node"):
        spikewise.train("digits", executor="slurm", out=tmp_path / "runs", data={"size": 4})


@pytest.fixture
def of_a_gpu(tmp_path):
    """A run that was finished on a machine with a GPU."""
    done = run("train", tmp_path / "runs")
    folder = RunFolder.open(done.folder)
    experiment = folder.experiment().replace(device="cuda")
    file = done.folder / "experiment.toml"
    file.write_text(file.read_text().replace('device = "cpu"', 'device = "cuda"'))
    facts = json.loads((done.folder / "run.json").read_text())
    (done.folder / "run.json").write_text(json.dumps({**facts, "identity": experiment.identity()}))
    return done.folder.rename(done.folder.with_name(experiment.folder_name("train", "digits")))


@pytest.mark.skipif("__import__('torch').cuda.is_available()", reason="there is a GPU here")
def test_a_finished_run_is_shown_where_its_device_is_not_there(of_a_gpu, tmp_path):
    found = run("train", tmp_path / "runs", device="cuda")
    assert found.folder == of_a_gpu
    with pytest.raises(ConfigError, match="'cuda' is not available"):
        run("train", tmp_path / "runs", more=True, device="cuda")
    assert spikewise.diagnose(of_a_gpu)
    assert json.loads((of_a_gpu / "results.json").read_text())["sections"]["diagnosis"]

"""`convert`, from a run folder to a tested spiking network that can be used."""

import json

import numpy as np
import pytest
import torch

import spikewise
from spikewise.conversion import Conversion
from spikewise.errors import ConfigError, RunError
from spikewise.experiments import RunFolder, run_experiment
from spikewise.experiments.controls import with_controls
from spikewise.experiments.experiment import Experiment
from spikewise.training.checkpoint import load_weights, save_weights


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A convolutional comparison with a quantised twin, on images that bright columns tell apart."""
    folder = tmp_path_factory.mktemp("converted")
    rng = np.random.default_rng(3)
    parts = {}
    for part, count in {"train": 60, "val": 30, "test": 30}.items():
        labels = np.arange(count) % 3
        images = rng.integers(0, 100, (count, 8, 8), dtype=np.uint8)
        images[np.arange(count), :, 2 * labels] = rng.integers(90, 250, (count, 8))
        parts |= {f"{part}_images": images, f"{part}_labels": labels[:, None]}
    np.savez(folder / "columns.npz", **parts)
    small = Experiment(
        data={"source": str(folder / "columns.npz")},
        encoder={"kind": "direct", "steps": 3},
        model={"kind": "conv", "channels": [4], "kernels": [3], "hidden": [8], "pooling": "average"},
        train={"epochs": 6, "batch_size": 8, "learning_rate": 1e-2},
        seeds=(0, 1),
        sides=("snn", "twin", "cnn"),
        sections=(),
        qcfs_levels=4,
        device="cpu",
    )
    return run_experiment(with_controls(small, ["qcfs"]), out=folder).folder


def test_the_twin_spikes_and_is_compared_with_itself_and_with_the_directly_trained(run):
    before = len(RunFolder.open(run).openings())
    told = []
    made = spikewise.convert(run, steps=(2, 32), progress=lambda what, done, total: told.append((what, done, total)))
    found = made.found
    assert made.folder == run / "conversions" / "twin-balance"
    assert (found.network, found.method, found.percentile, found.levels) == ("twin", "balance", 99.9, None)
    assert (found.seeds, found.test_images, found.calibration_images) == ((0, 1), 30, 60)
    assert [(row.steps, row.waits, row.duration) for row in found.rows] == [(2, False, 2), (32, False, 32)]
    assert (found.checks, found.exact) == ((), None)
    results = spikewise.evaluate(run, network="twin")
    assert found.original.accuracy.mean == pytest.approx(np.mean([one.metrics["accuracy"] for one in results]))
    assert found.direct.network == "snn"
    few, many = found.rows
    assert few.spikes < many.spikes
    assert few.synaptic_operations < many.synaptic_operations
    assert few.macs == many.macs == found.original.macs - _hidden_macs(run)
    assert {one.layer for one in many.layers} == {"activation1", "activation2"}
    assert all(late.error < early.error for early, late in zip(few.layers, many.layers, strict=True))
    assert many.worst.error == max(one.error for one in many.layers)
    assert many.accuracy.mean == pytest.approx(np.mean(many.accuracy_per_seed))
    assert many.difference.mean == pytest.approx(many.accuracy.mean - found.original.accuracy.mean)
    assert Conversion.load(made.folder / "convert.json") == found
    assert told[0] == ("testing 2 steps", 0, 2)
    openings = RunFolder.open(run).openings()
    assert [(one["network"], one["seed"], one["why"]) for one in openings[before:]][:2] == [
        ("twin", 0, "convert"), ("twin", 1, "convert")
    ]  # fmt: skip
    page = made.page.read_text()
    assert "loses most" in page
    assert "<svg" in page
    assert many.worst.neurons in repr(made)


def _hidden_macs(run) -> float:
    """What the twin multiplies behind its first layer: there the spiking network adds."""
    graph = spikewise.load(run, "twin").network.graph
    later = [at for at in graph.named if at.layer.weighted][1:]
    return float(sum(at.layer.fan_out(at.input).sum() for at in later))


def test_the_quantised_twin_is_exact_where_it_waits(run):
    made = spikewise.convert(run, network="twin-qcfs", steps=[4, 8], waits=True)
    found = made.found
    assert (found.method, found.levels, found.percentile) == ("qcfs", 4, None)
    assert [(row.steps, row.waits, row.duration) for row in found.rows] == [
        (4, False, 4), (4, True, 8), (8, False, 8), (8, True, 16),
    ]  # fmt: skip
    assert found.exact
    assert [check.counts for check in found.checks] == [2 * 30 * 4 * 64, 2 * 30 * 8]
    waiting = next(row for row in found.rows if row.waits and row.steps == found.levels)
    assert waiting.difference.mean == 0.0
    assert waiting.p == 1.0
    assert all(one.error < 1e-5 for one in waiting.layers)
    assert found.shown.steps == 4
    assert not found.shown.waits


def test_what_comes_out_is_used_like_any_other_network(run):
    made = spikewise.convert(run, network="twin-qcfs", steps=[4], waits=True)
    images = np.load(run.parent / "columns.npz")
    pixels, labels = images["test_images"], images["test_labels"][:, 0]
    waiting = made.load(4, seed=1, waits=True)
    row = next(row for row in made.found.rows if row.waits)
    assert (waiting.predict(pixels) == labels).mean() == pytest.approx(row.accuracy_per_seed[1])
    original = spikewise.load(run, "twin-qcfs", seed=1)
    np.testing.assert_allclose(waiting.predict_proba(pixels), original.predict_proba(pixels), atol=1e-4)
    more = spikewise.load(made.folder, steps=16)
    assert more.network.graph.steps == 16
    assert more.name == "twin-qcfs as spikes"
    assert set(more.spikes(pixels)) == {"if1", "if2"}
    with pytest.raises(ConfigError, match=r"holds the waiting network in 4 steps, not in 6 steps"):
        made.load(6, waits=True)
    with pytest.raises(ConfigError, match=r"has no seed 7; it has 0, 1"):
        made.load(seed=7)
    with pytest.raises(ConfigError, match=r"network 'cnn'"):
        spikewise.load(made.folder, "cnn")
    with pytest.raises(ConfigError, match=r"is no conversion"):
        spikewise.load(run, "twin", steps=8)
    (made.folder / "seed-0" / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"weights\.safetensors"):
        made.load()


@pytest.mark.parametrize(("to", "waits"), [("c", False), ("onnx", True)])
def test_a_conversion_is_exported_and_checked(run, tmp_path, to, waits):
    pytest.importorskip("onnx" if to == "onnx" else "torch")
    made = spikewise.convert(run, network="twin-qcfs", steps=[4], waits=True)
    done = spikewise.export(made.folder, to, seed=1, steps=4, waits=waits)
    assert done.folder == made.folder / "exports" / f"spikes-4{'-waiting' if waits else ''}-1-{to}"
    assert done.check.passed, done.check.verdict
    assert done.check.judged.equal_decisions == done.check.images == 30
    assert done.check.source.network == "twin-qcfs as spikes"
    assert done.check.steps == (8 if waits else 4)
    kind = "two_phase_if" if waits else "if"
    assert [one.name for one in done.check.judged.layers] == [f"{kind}1", f"{kind}2"]
    row = next(row for row in made.found.rows if row.waits == waits)
    assert done.check.accuracy_there.value == pytest.approx(row.accuracy_per_seed[1])
    assert spikewise.verify(done.folder, run=made.folder).check.judged == done.check.judged
    assert not (run / "exports").exists()


def test_the_report_tells_of_the_conversions(run):
    """The fixture makes no report: it is written by whoever asks for one, and by `convert` where one stands."""
    made = spikewise.convert(run, network="twin-qcfs", steps=[4])
    before = spikewise.write_report(run).read_text()
    assert "twin-qcfs as spikes (qcfs)" in before
    assert 'href="conversions/twin-qcfs-qcfs/convert.html"' in before
    assert 'id="conversions"' in before
    assert "T = 16" not in before
    spikewise.convert(run, network="twin-qcfs", steps=[4, 16])
    assert "T = 16" in (run / "report.html").read_text()
    (made.folder / "convert.json").write_text("{}")
    with pytest.raises(RunError, match=r"convert\.json"):
        spikewise.write_report(run)
    (made.folder / "convert.json").unlink()
    (run / "report.html").unlink()


REFUSED = {
    r"The network 'cnn' cannot be converted: layer max_pool1: .*model\.pooling=average": {"network": "cnn"},
    r"The network 'snn' cannot be converted: layer lif1 spikes already": {"network": "snn"},
    r"'twin' has none\. Train one beside it with `--with qcfs`": {"method": "qcfs"},
    r"'twin-qcfs' has learned its own\. Use the method qcfs": {"network": "twin-qcfs", "method": "balance"},
    r"Steps are whole numbers from 1 to 4,096.*; got 0": {"steps": [0]},
    r"Steps are whole numbers from 1 to 4,096.*; got 8, 5000": {"steps": [8, 5000]},
    r"Steps are whole numbers": {"steps": []},
    r"The percentile lies above 0 and up to 100.*; got 0": {"percentile": 0.0},
    r"percentile .* got nan": {"percentile": float("nan")},
    r"network 'twni'\. Did you mean 'twin'": {"network": "twni"},
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_bad_request_ends_in_words_and_opens_no_test_images(run, words):
    folder = RunFolder.open(run)
    before, there = folder.openings(), sorted(run.rglob("*"))
    with pytest.raises(ConfigError, match=words):
        spikewise.convert(run, **REFUSED[words])
    assert folder.openings() == before
    assert sorted(run.rglob("*")) == there


def test_steps_that_are_named_twice_are_tested_once(run):
    found = spikewise.convert(run, steps=[2, 2]).found
    assert [row.steps for row in found.rows] == [2]


def test_a_conversion_takes_the_place_of_the_one_before(run):
    first = spikewise.convert(run, network="twin-qcfs", steps=[2, 4], waits=True)
    kept = {file.name for file in first.folder.glob("seed-0/*")}
    assert kept == {"weights.safetensors", "waiting-2.safetensors", "waiting-4.safetensors"}
    again = spikewise.convert(run, network="twin-qcfs", steps=[8])
    assert {file.name for file in again.folder.glob("seed-0/*")} == {"weights.safetensors", "waiting-4.safetensors"}
    assert again.load().network.graph.steps == 8
    with pytest.raises(ConfigError, match=r"holds the waiting network in 4 steps, not in 2 steps"):
        again.load(2, waits=True)


def test_weights_that_are_no_numbers_are_told(run):
    file = run / "networks" / "twin" / "seed-1" / "weights.safetensors"
    whole = file.read_bytes()
    notes = load_weights(file)[1]
    network = spikewise.load(run, "twin", seed=1).network
    with torch.no_grad():
        network.weights["linear1.bias"][0] = float("nan")
    save_weights(file, network, notes)
    try:
        with pytest.raises(ConfigError, match=r"'twin' of seed 1 has weights that are no numbers: its training"):
            spikewise.convert(run, steps=[2])
    finally:
        file.write_bytes(whole)


def test_a_run_that_is_none_is_refused(tmp_path):
    with pytest.raises(RunError, match="is not a run folder"):
        spikewise.convert(tmp_path)


def test_a_damaged_record_is_told(run):
    made = spikewise.convert(run, steps=[2])
    file = made.folder / "convert.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "method": "magic"}))
    with pytest.raises(RunError, match=r"convert\.json"):
        made.load()

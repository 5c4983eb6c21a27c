"""The figures once more without the trainings that learned nothing."""

import numpy as np
import pytest

import spikewise


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Networks of which the spiking ones cannot spike; the positive class stands first, and is the rarer one."""
    rng = np.random.default_rng(0)
    rare = np.arange(240) % 3 == 0
    brightness = np.where(rare, 130, 90) + rng.integers(-40, 40, 240)
    pixels = (brightness[:, None, None] + rng.integers(-20, 20, (240, 6, 6))).astype(np.uint8)
    return spikewise.compare(
        (pixels, np.where(rare, "first", "second")),
        seeds=2,
        epochs=6,
        out=tmp_path_factory.mktemp("runs"),
        sides=["snn", "cnn"],
        sections=[],
        **{"data.positive": "first", "encoder.steps": 2, "model.hidden": [4], "train.learning_rate": 0.01},
        **{"model.cell.kind": "lif", "model.cell.threshold": 1e6},
    )


def test_a_network_that_lost_no_run_has_the_same_figures_without_the_collapsed_ones(run):
    found, whole = run.results.without_collapsed, run.results.network("cnn").metrics
    assert {one.network for one in found.runs} == {"snn"}
    assert run.results.data.positive == "first"
    assert whole["recall"].mean != pytest.approx(whole["specificity"].mean)  # else it would not matter whose they are
    assert found.metrics["cnn"] == whole


def test_networks_of_one_run_are_compared_by_its_positive_class(run):
    [pair] = spikewise.versus([f"{run.folder}:snn", f"{run.folder}:cnn"]).pairs
    [own] = run.results.comparisons
    for name in ("recall", "specificity", "precision", "f1"):
        assert pair.others[name].difference.mean == pytest.approx(own.others[name].difference.mean, abs=1e-6), name

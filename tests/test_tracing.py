"""Pictures of one image's course through a trained network."""

import numpy as np
import pytest
import torch

import spikewise
from spikewise.api import save_trace, trace
from spikewise.dynamics import LIF
from spikewise.encoders import Rate
from spikewise.errors import ConfigError
from spikewise.experiments.collect import trace_pixels
from spikewise.models import MLP, build
from spikewise.network import Network
from spikewise.readouts import SpikeCount


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    lif = {"kind": "lif", "beta": 0.9}
    return spikewise.train("digits", seeds=1, epochs=1, out=tmp_path_factory.mktemp("runs"), sections=[],
                           **{"model.hidden": [12], "encoder.steps": 6, "model.output": lif})  # fmt: skip


def test_the_course_of_a_test_image_ends_at_its_answer(run):
    found, classes = trace(run.folder, at=3)
    assert found.membrane.shape == (1, 6, 10)
    assert found.evidence[0, -1].argmax() == found.predicted[0]
    assert classes == tuple("0123456789")
    first, _ = trace(run.folder, at=3, steps=4)
    # the same random numbers: a shorter run is the beginning of a longer one
    assert (first.spikes == found.spikes[:, :4]).all()


def test_more_steps_give_longer_pictures_on_disk(run, tmp_path):
    found, classes = trace(run.folder, steps=100)
    written = save_trace(found, classes, tmp_path / "new" / "folder")
    assert {path.name for path in written} >= {"raster.svg", "output-neurons.png", "output-counts.gif", "encoded.gif"}
    assert all(path.stat().st_size > 500 for path in written)


def test_the_image_is_left_out_where_it_must_not_be_shown(run, tmp_path):
    found, classes = trace(run.folder)
    written = save_trace(found, classes, tmp_path, publishable=False)
    assert "encoded.gif" not in {path.name for path in written}


@pytest.mark.parametrize("asked", [{"at": 10_000}, {"at": -1}, {"steps": 0}, {"network": "no"}])
def test_what_is_not_there_is_said(run, asked):
    with pytest.raises((ConfigError, spikewise.errors.SpikewiseError)):
        trace(run.folder, **asked)


def test_the_threshold_that_is_drawn_is_the_learned_one():
    lif = LIF(threshold=1.0, learn=("threshold",))
    graph = build(MLP(hidden=(5,), output=lif), Rate(steps=4), SpikeCount(), image_shape=(1, 3, 3), classes=2)
    network = Network(graph)
    with torch.no_grad():
        network.get_parameter("lif2.threshold").fill_(0.71)
    pixels = np.full((1, 1, 3, 3), 200, np.uint8)
    traces = trace_pixels(pixels, None, np.zeros(1, np.int64), ("snn", network, 0))
    assert traces.threshold == pytest.approx(0.71)


def test_of_a_wide_layer_a_sample_is_kept_and_how_many_neurons_it_has():
    graph = build(MLP(hidden=(300, 6), output=LIF()), Rate(steps=4), SpikeCount(), image_shape=(1, 3, 3), classes=2)
    pixels = np.full((1, 1, 3, 3), 200, np.uint8)
    traces = trace_pixels(pixels, None, np.zeros(1, np.int64), ("snn", Network(graph), 0))
    assert [spikes.shape[2] for spikes in traces.layers.values()] == [128, 6]
    assert traces.neurons == (300, 6)

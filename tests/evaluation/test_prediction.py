"""Predictions depend on the images and the seed alone."""

import numpy as np
import pytest
import torch

from spikewise.data import ImageSet
from spikewise.encoders import Rate
from spikewise.evaluation.prediction import predict
from spikewise.models import MLP, build
from spikewise.network import Network
from spikewise.readouts import MeanMembrane


@pytest.fixture
def images(rng) -> ImageSet:
    pixels = rng.integers(0, 256, (23, 1, 4, 4), dtype=np.uint8)
    labels = np.arange(23) % 3
    return ImageSet("noise", pixels, labels, ("a", "b", "c"), np.full(23, -1, np.int8), "noise")


@pytest.fixture
def network() -> Network:
    graph = build(MLP(hidden=(9,), dropout=0.5), Rate(steps=5), MeanMembrane(), image_shape=(1, 4, 4), classes=3)
    return Network(graph, seed=1)


def test_batches_make_no_difference(images, network):
    index = np.arange(23)
    whole, parts = (predict(network, images, index, seed=0, batch_size=size) for size in (256, 5))
    np.testing.assert_allclose(whole.logits, parts.logits, atol=1e-5)
    for figure in ("rates", "input_events"):
        for name, value in getattr(whole, figure).items():
            torch.testing.assert_close(value, getattr(parts, figure)[name])
    assert whole.loss == pytest.approx(parts.loss)


def test_an_image_is_known_by_its_place_in_the_set(images, network):
    some = predict(network, images, np.array([20, 3]), seed=0)
    whole = predict(network, images, np.arange(23), seed=0)
    np.testing.assert_allclose(some.logits, whole.logits[[20, 3]], atol=1e-5)
    assert (predict(network, images, np.array([20, 3]), seed=1).logits != some.logits).any()


def test_figures_are_what_they_are_called(images, network):
    index = np.arange(23)
    found = predict(network, images, index, seed=0)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (found.predicted == found.probabilities.argmax(axis=1)).all()
    expected = -np.log(found.probabilities[index, images.labels]).mean()
    assert found.loss == pytest.approx(expected, rel=1e-5)
    brightness = images.images.reshape(23, -1).mean(axis=0) / 255
    np.testing.assert_allclose(found.input_events["linear1"], brightness, atol=0.25)  # 115 draws: 5 sigma
    assert set(found.rates) == {"lif1"}


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_in_its_mode_and_unchanged(training, images, network):
    network.train(training)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    first = predict(network, images, np.arange(23), seed=0)
    second = predict(network, images, np.arange(23), seed=0)
    assert network.training is training
    np.testing.assert_array_equal(first.logits, second.logits)
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())


@pytest.mark.parametrize(
    "refusal",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError("std::bad_alloc"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["GPU", "native", "PyTorch"],
)
def test_batches_that_do_not_fit_are_halved(refusal, images, network, monkeypatch):
    whole, seen, real = predict(network, images, np.arange(23), seed=0), [], network.forward

    def forward(batch, draw=None, options=None):
        seen.append(len(batch))
        if len(batch) > 6:
            raise refusal
        return real(batch, draw, options)

    monkeypatch.setattr(network, "forward", forward)
    halved = predict(network.train(), images, np.arange(23), seed=0, batch_size=16)
    assert seen[:4] == [16, 8, 4, 4]
    assert network.training
    np.testing.assert_allclose(halved.logits, whole.logits, atol=1e-5)
    torch.testing.assert_close(halved.rates, whole.rates)

"""No command runs more images at once than the memory guard allows, whatever it records; the answers stay the same."""

import numpy as np
import pytest
import torch

from spikewise import engine
from spikewise.api.trained import Trained
from spikewise.data import ImageSet
from spikewise.data.incoming import Reading
from spikewise.encoders import Rate
from spikewise.estimator import SpikingClassifier
from spikewise.evaluation import prediction
from spikewise.evaluation.anytime_runs import ImageSample, follow
from spikewise.evaluation.explanations.gradients import integrated_gradients
from spikewise.evaluation.explanations.rates import rates_by_class
from spikewise.evaluation.explanations.scoring import SeededNetwork, probabilities
from spikewise.evaluation.prediction import fitting_batch, predict
from spikewise.evaluation.robustness.adversarial import AttackTarget
from spikewise.evaluation.robustness.candidates import Images, TrainedCandidate, correct_answers
from spikewise.evaluation.robustness.trials import with_spike_noise
from spikewise.evaluation.speed import measure_speed
from spikewise.experiments.collect import trace_pixels
from spikewise.models import Conv, build
from spikewise.network import Network
from spikewise.readouts import MeanMembrane

STEPS, COUNT = 6, 11
LABELS = np.arange(COUNT) % 3
INDEX = np.arange(COUNT)
LIMIT = 5 * STEPS * 4 * 8 * 8
"""Values for five images of the largest layer."""


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 1, 8, 8), dtype=np.uint8)


@pytest.fixture
def network() -> Network:
    conv = Conv(channels=(4, 4), kernels=(3, 3))
    graph = build(conv, Rate(steps=STEPS), MeanMembrane(), image_shape=(1, 8, 8), classes=3)
    return Network(graph, seed=2).eval()


def image_set(pixels) -> ImageSet:
    return ImageSet("noise", pixels, LABELS, ("a", "b", "c"), np.full(COUNT, -1, np.int8), "noise")


def answers(network, pixels):
    reading = Reading(network.graph.image_shape, {"uint8": 255})
    found = Trained(network, ("a", "b", "c"), "snn", 0, reading=reading).explain(pixels)
    return found.probabilities, found.evidence, *found.layer_spikes.values()


def estimated(network, pixels):
    fitted = SpikingClassifier(epochs=1, hidden=(4,), validation_fraction=0).fit(pixels, LABELS)
    fitted.network_ = network
    return (fitted.predict_proba(pixels),)


USES = {
    "predict": lambda net, x: (predict(net, image_set(x), INDEX, seed=0).logits,),
    "Trained.predict": answers,
    "SpikingClassifier": estimated,
    "anytime": lambda net, x: follow(net, ImageSample(image_set(x), INDEX, 0))[0][2:3],
    "robustness": lambda net, x: (correct_answers(net, Images(x, LABELS, INDEX), seed=0),),
    "spike noise": lambda net, x: [
        right
        for trial in with_spike_noise([TrainedCandidate("snn", [net], [0])], Images(x, LABELS, INDEX)).trials
        for right in trial.right.values()
    ],
    "attacks": lambda net, x: (
        AttackTarget.of(net, Images(x, LABELS, INDEX), seed=0).gradient(torch.from_numpy(x), 1),
    ),
    "explanations": lambda net, x: (probabilities(SeededNetwork(net, 0), x, INDEX),),
    "rates by class": lambda net, x: rates_by_class(SeededNetwork(net, 0), x, INDEX, LABELS).values(),
    "integrated gradients": lambda net, x: integrated_gradients(SeededNetwork(net, 0), x, INDEX, LABELS, steps=4),
    "traces": lambda net, x: (trace_pixels(x, LABELS, INDEX, ("snn", net, 0)).evidence,),
}


def spied(monkeypatch) -> list[int]:
    """Values that every run of an engine holds: of the largest layer, and of what it records."""
    held: list[int] = []
    for name in ("run", "run_images"):
        monkeypatch.setattr(engine, name, _noting(getattr(engine, name), held))
    return held


def _noting(real, held):
    def run(graph, weights, inputs, draw, options=None, *rest, **more):
        images = inputs.shape[0] if inputs.dtype == torch.uint8 else inputs.shape[1]
        sizes = {at.name: int(np.prod(at.output)) for at in graph.named}
        record = options.record if options else ()
        held.append(images * graph.steps * (max(sizes.values()) + sum(2 * sizes[name] for name in record)))
        return real(graph, weights, inputs, draw, *([] if options is None else [options]), *rest, **more)

    return run


@pytest.mark.parametrize("use", USES)
def test_every_loop_over_images_keeps_to_the_memory_and_its_answers(use, network, pixels, monkeypatch):
    run = USES[use]
    wanted = [np.asarray(x) for x in run(network, pixels)]
    held = spied(monkeypatch)
    run(network, pixels)
    whole = max(held)
    monkeypatch.setattr(prediction, "_MOST_VALUES", LIMIT)
    held.clear()
    found = [np.asarray(x) for x in run(network, pixels)]
    assert max(held) <= LIMIT < whole
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_speed_is_measured_on_a_batch_that_fits(network, pixels, monkeypatch):
    monkeypatch.setattr(prediction, "_MOST_VALUES", LIMIT)
    held = spied(monkeypatch)
    measure_speed(network, pixels)
    assert max(held) <= LIMIT


def test_what_is_recorded_counts():
    # the default convolutional network over large photos: 80 MB an image and layer, twice where it is recorded
    graph = build(Conv(), Rate(steps=25), MeanMembrane(), image_shape=(3, 224, 224), classes=2)
    assert 256 * 25 * 16 * 224 * 224 * 4 > 19 * 2**30
    assert fitting_batch(graph) == 3
    assert fitting_batch(graph, record=graph.spiking_layers) == 1
    flat = build(
        Conv(channels=(1,), kernels=(9,), pool=8), Rate(steps=25), MeanMembrane(), image_shape=(3, 224, 224), classes=2
    )
    assert fitting_batch(flat) == (1 << 26) // (25 * 3 * 224 * 224)  # the spikes that enter are the most there is

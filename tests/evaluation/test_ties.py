"""Ties of the highest logit are broken by the membranes, else by a fair draw, and counted."""

import numpy as np
import pytest
import torch

from spikewise.data import ImageSet
from spikewise.dynamics import LIF
from spikewise.encoders import Direct
from spikewise.evaluation.anytime_runs import ImageSample, follow
from spikewise.evaluation.prediction import predict
from spikewise.evaluation.quantised import Bits, quantised_accuracy
from spikewise.evaluation.ties import TieCount
from spikewise.graph import Flatten, Graph, Linear, Neuron
from spikewise.network import Network
from spikewise.readouts import MeanMembrane, SpikeCount
from spikewise.ties import without_ties
from spikewise.types import Draw

K = 5


def image_set(pixels: np.ndarray) -> ImageSet:
    labels = np.arange(len(pixels)) % K
    return ImageSet("toy", pixels, labels, tuple("abcde"), np.full(len(pixels), -1, np.int8), "toy")


@pytest.fixture
def counting() -> Network:
    graph = Graph(
        image_shape=(1, 3, 3),
        encoder=Direct(steps=4),
        layers=(Flatten(), Linear(features=K), Neuron(dynamics=LIF(threshold=0.3))),
        readout=SpikeCount(),
    )
    return Network(graph, seed=2)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (400, 1, 3, 3), dtype=np.uint8)


def test_the_higher_membrane_wins_a_tie_and_nothing_else_changes():
    logits = torch.tensor([[2.0, 2.0, 1.0], [0.0, 3.0, 1.0], [1.0, 1.0, 1.0]])
    membrane = torch.tensor([[0.1, 0.4, 0.9], [0.9, 0.1, 0.2], [0.3, 0.2, 0.5]])
    found = without_ties(logits, membrane, torch.arange(3))
    assert found.argmax(1).tolist() == [1, 1, 2]
    assert torch.equal(found[1], logits[1])
    assert (found - logits).abs().max() < 0.02


def test_large_logits_are_settled_too():
    logits = torch.full((1, 3), 3e6)
    assert without_ties(logits, torch.tensor([[0.0, 1.0, 0.0]]), torch.zeros(1, dtype=torch.int64)).argmax().item() == 1


def test_where_membranes_tie_as_well_each_equal_is_as_likely_and_the_draw_is_the_images_own():
    index = torch.arange(6000)
    logits = torch.tensor([0.0, 1.0, 1.0, 1.0]).expand(6000, 4)
    found = without_ties(logits, torch.zeros(6000, 4), index).argmax(1)
    counts = found.bincount(minlength=4).tolist()
    assert counts[0] == 0
    assert max(abs(count - 2000) for count in counts[1:]) < 4 * (6000 * 2 / 9) ** 0.5  # four standard deviations
    turned = torch.randperm(6000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(without_ties(logits, torch.zeros(6000, 4), index[turned]).argmax(1), found[turned])


def test_ties_of_counts_are_counted_and_answered_alike_by_prediction_and_step_by_step(counting, pixels):
    images, index = image_set(pixels), np.arange(400)
    said = predict(counting, images, index, seed=0)
    with torch.no_grad():
        output = counting.eval()(torch.from_numpy(pixels))
    counts = output.trajectory.spikes.sum(0).numpy()
    top = counts == counts.max(1, keepdims=True)
    tied = top.sum(1) > 1
    assert 0.02 < tied.mean() < 0.98
    assert said.ties.tied == pytest.approx(tied.mean())
    assert said.ties.silent == pytest.approx((counts.max(1) == 0).mean())
    assert top[np.arange(400), said.predicted].all()  # one of the equals, never another
    mean = np.where(top, output.trajectory.membrane.mean(0).numpy(), -np.inf)
    assert (said.predicted == mean.argmax(1)).all()
    assert (said.predicted != counts.argmax(1)).any()  # the first of equals would have answered otherwise
    course, _ = follow(counting, ImageSample(images, index, 0))
    assert (course.predicted[-1] == said.predicted).all()


def test_outputs_that_receive_nothing_are_not_all_of_the_first_class(counting, pixels):
    counting.load_state_dict({name: torch.zeros_like(value) for name, value in counting.state_dict().items()})
    said = predict(counting, image_set(pixels), np.arange(400), seed=0)
    assert (said.ties.tied, said.ties.silent, said.ties.undecided) == (1.0, 1.0, 1.0)
    assert np.bincount(said.predicted, minlength=K).min() > 40
    assert said.loss == pytest.approx(np.log(K), abs=0.02)


def test_counts_of_batches_add_up():
    count = TieCount()
    for _ in range(3):
        count = count.add(torch.tensor([[1.0, 1.0], [2.0, 0.0]]), torch.tensor([[0.5, 0.1], [0.0, 0.0]]), None)
    assert count.shares().model_dump() == {"tied": 0.5, "silent": 0.0, "undecided": 0.0}


def test_a_stream_breaks_ties_as_the_whole_run_does_after_every_step(counting, pixels):
    images, index = image_set(pixels), np.arange(400)
    course, _ = follow(counting, ImageSample(images, index, 0))
    counts = counting.graph.readout.evidence(counting(torch.from_numpy(pixels)).trajectory).detach().numpy()
    first_of_equals = 0
    for at in range(40):
        draw = Draw(0, 0, torch.tensor([at]))
        streamed = torch.stack(list(counting.stream(torch.from_numpy(pixels[at : at + 1]), draw)))
        assert (streamed.argmax(1).numpy() == course.predicted[:, at]).all()
        assert streamed.softmax(1).amax(1).numpy() == pytest.approx(course.confidence[:, at], rel=1e-5)
        first_of_equals += int((counts[:, at].argmax(1) != course.predicted[:, at]).sum())
    assert first_of_equals > 20  # of 160


def test_a_silent_twin_is_right_as_often_as_a_fair_draw(pixels):
    graph = Graph(
        image_shape=(1, 3, 3), encoder=Direct(steps=1), layers=(Flatten(), Linear(features=K)), readout=MeanMembrane()
    )
    silent = Network(graph)
    silent.load_state_dict({name: torch.zeros_like(value) for name, value in silent.state_dict().items()})
    first = ImageSet("toy", pixels, np.zeros(400, np.int64), tuple("abcde"), np.full(400, -1, np.int8), "toy")
    found = quantised_accuracy(silent, first, (np.arange(40), np.arange(400)), Bits(8, 4))
    assert found == pytest.approx(1 / K, abs=0.08)  # four standard deviations; the first of equals would be 1

"""Answers before the last step: hand-made courses whose figures are known, and counts against truncated runs."""

import dataclasses

import numpy as np
import pytest
import torch

from spikewise.api import compare
from spikewise.api.sections import study
from spikewise.data import ImageSet
from spikewise.dynamics import LIF
from spikewise.encoders import Direct, Latency, Rate
from spikewise.engine import RunOptions
from spikewise.errors import ShapeError
from spikewise.evaluation import Results
from spikewise.evaluation.anytime import (
    TOLERANCES,
    AnswersByStep,
    Followed,
    LatencyByStep,
    Spent,
    choose_thresholds,
    confidence,
    exit_steps,
    options,
    over_time,
    pareto_front,
    spread_steps,
)
from spikewise.evaluation.anytime_runs import Counter, ImageSample, follow, measure_latency
from spikewise.evaluation.cost import carried_bits, count_operations, energies, layer_work
from spikewise.evaluation.metrics import softmax
from spikewise.evaluation.prediction import predict
from spikewise.evaluation.statistics import auc_interval
from spikewise.experiments import RunFolder
from spikewise.experiments.sections.anytime import make
from spikewise.graph import Conv2d, Flatten, Graph, Linear, MaxPool, Neuron, SpikingActivation
from spikewise.network import Network
from spikewise.readouts import MeanMembrane, SpikeCount

STEPS = 5
SOLVED = np.array([1, 1, 2, 2, 2, 3, 5, 5])
"""The step from which each image is answered rightly, and surely."""


def course(solved=SOLVED, *, sure=0.9, unsure=0.3):
    t = np.arange(1, STEPS + 1)[:, None]
    right = t >= solved
    probabilities = {STEPS: np.tile([0.9, 0.1], (solved.size, 1))}
    return AnswersByStep(
        np.zeros(solved.size, int), np.where(right, 0, 1), np.where(right, sure, unsure), probabilities
    )


def spent(t):
    return Spent(0.0, 100.0 * t, 10.0 * t, {"model": 2.0 * t})


def followed(test, thresholds):
    early = [spent(exit_steps(test.confidence, one).mean()) for one in thresholds]
    return Followed(test, [spent(t) for t in range(1, STEPS + 1)], thresholds, early, test.labels.size)


def record(test, validation, seeds=1):
    thresholds = choose_thresholds(validation, TOLERANCES)
    return over_time("snn", [followed(test, thresholds)] * seeds, LatencyByStep({1: 0.1, STEPS: 0.5}, 0.2))


def test_accuracy_over_time_of_a_course_that_solves_each_image_at_a_known_step():
    curve = record(course(), course()).curve
    assert [one.accuracy.mean for one in curve] == [np.mean(t >= SOLVED) for t in range(1, STEPS + 1)]
    assert [one.step for one in curve] == [1, 2, 3, 4, 5]
    assert [one.latency_ms for one in curve] == [0.1, None, None, None, 0.5]


def test_the_area_under_the_curve_of_two_classes_has_an_interval_over_images_even_with_one_seed():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    sick = np.clip(0.5 + 0.2 * (labels - 0.5) + rng.normal(0, 0.2, 40), 0.01, 0.99)
    answers = course(np.ones(40))._replace(labels=labels, probabilities={STEPS: np.stack([1 - sick, sick], axis=1)})
    found = record(answers, course()).curve[-1].auc
    assert found == auc_interval(labels == 1, sick[None])
    assert 0.5 < found.low < found.mean < found.high < 1


def test_a_confidence_that_knows_when_it_is_right_stops_each_image_the_moment_it_is_solved():
    exact = record(course(), course()).early_exit[0]
    assert exact.tolerance == 0
    assert exact.steps.mean == SOLVED.mean()
    assert (exact.accuracy.mean, exact.difference.mean) == (1.0, 0.0)
    assert exact.exits == pytest.approx([np.mean(t == SOLVED) for t in range(1, STEPS + 1)])
    assert exact.synaptic_operations == pytest.approx(100 * SOLVED.mean())


def test_the_difference_is_that_of_the_same_network_on_the_same_image():
    test = course(np.full(100, 4))
    hasty = followed(test, [0.3] * len(TOLERANCES))  # at the first step, when all is wrong
    found = over_time("snn", [hasty, hasty], LatencyByStep({}, 0.2)).early_exit[0]
    assert (found.accuracy.mean, found.difference.mean, found.steps.mean) == (0.0, -1.0, 1.0)


@pytest.mark.parametrize("threshold", [None, 1.0 + 1e-9, 2.0])
def test_a_threshold_that_no_confidence_reaches_never_ends_a_run(threshold):
    certain = np.ones((STEPS, 3))
    assert (exit_steps(certain, threshold) == STEPS).all()
    assert (exit_steps(certain, 1.0) == 1).all()


def test_the_first_step_that_reaches_the_threshold_counts_though_the_confidence_falls_again():
    wavering = np.array([[0.2], [0.8], [0.4], [0.9]])
    assert exit_steps(wavering, 0.8) == [2]
    assert exit_steps(wavering, 0.85) == [4]
    assert exit_steps(wavering, 0.95) == [4]


def test_a_larger_tolerance_never_takes_more_steps_and_keeps_its_word_on_validation():
    rng = np.random.default_rng(0)
    logits = np.cumsum(rng.normal(size=(STEPS, 2000, 4)) + 0.5 * np.eye(4)[np.arange(2000) % 4], axis=0)
    labels = np.arange(2000) % 4
    found = AnswersByStep(labels, logits.argmax(2), confidence(logits), {})
    thresholds = choose_thresholds(found, TOLERANCES)
    exits = [exit_steps(found.confidence, one) for one in thresholds]
    assert (np.diff([one.mean() for one in exits]) <= 0).all()
    assert exits[-1].mean() < 0.9 * STEPS
    for tolerance, taken in zip(TOLERANCES, exits, strict=True):
        right = found.correct[taken - 1, np.arange(2000)].mean()
        assert right >= found.correct[-1].mean() - tolerance - 1e-9


def test_where_stopping_early_always_costs_accuracy_no_threshold_is_chosen():
    # right only at the end, and just as sure before
    late = course(np.full(50, STEPS), sure=0.5, unsure=0.5)
    assert choose_thresholds(late, [0.0, 0.05]) == [None, None]
    assert record(late, late).early_exit[0].steps.mean == STEPS


def test_confidence_is_the_largest_softmax_and_does_not_saturate_in_single_precision():
    logits = np.array([[0.0, np.log(3.0)], [30.0, 0.0]], np.float32)
    np.testing.assert_allclose(confidence(logits), [0.75, 1 / (1 + np.exp(-30.0))], rtol=1e-7)
    assert confidence(logits)[1] == softmax(logits)[1, 0] < 1


def test_the_front_holds_what_nothing_beats():
    costs, accuracies = [1, 2, 3, 3, 4, 1], [0.5, 0.7, 0.7, 0.8, 0.75, 0.5]
    assert pareto_front(costs, accuracies) == [True, True, False, True, False, True]
    assert pareto_front([], []) == []


def test_spread_steps_hold_the_first_and_the_last():
    assert spread_steps(4) == [1, 2, 3, 4]
    many = spread_steps(100)
    assert (len(many), many[0], many[-1]) == (25, 1, 100)


def test_no_seed_is_refused():
    with pytest.raises(ShapeError, match="at least one seed"):
        over_time("snn", [], LatencyByStep({}, 0.2))


NETWORKS = {
    "rate-mlp": (Rate(steps=6), (Flatten(), Linear(features=12), Neuron(dynamics=LIF()))),
    "direct-conv-pool": (Direct(steps=5), (Conv2d(channels=3, kernel=3), Neuron(dynamics=LIF()), MaxPool(), Flatten())),
    "spiking-relu": (Direct(steps=6), (Flatten(), Linear(features=10), SpikingActivation(dt=0.3))),
    "latency-recurrent": (
        Latency(steps=7),
        (Flatten(), Linear(features=9), Neuron(dynamics=LIF(), recurrent=True)),
    ),
}
SHAPE = (1, 8, 8)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    encoder, layers = NETWORKS[request.param]
    layers = (*layers, Linear(features=3), Neuron(dynamics=LIF()))
    readout = SpikeCount() if request.param == "rate-mlp" else MeanMembrane()
    made = Network(Graph(image_shape=SHAPE, encoder=encoder, layers=layers, readout=readout), seed=1)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if name.endswith("weight"):
                weight.mul_(2)  # so that spikes reach the end
    return made


def sample(count):
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 256, (count, *SHAPE), dtype=np.uint8)
    images = ImageSet("noise", pixels, np.arange(count) % 3, ("a", "b", "c"), np.full(count, -1, np.int8), "noise")
    return ImageSample(images, np.arange(count), 2)


def test_every_step_says_what_a_stream_says_and_the_last_what_a_prediction_says(network):
    some = sample(6)
    found, _ = follow(network, some)
    whole = predict(network, some.images, some.index, seed=2)
    np.testing.assert_array_equal(found.predicted[-1], whole.predicted)
    last = found.probabilities[network.graph.steps]
    np.testing.assert_array_equal(last, whole.probabilities.astype(np.float32))
    with torch.no_grad():
        for at in range(6):
            pixels, draw = next(some.of(np.array([at])).batches(network))
            streamed = torch.stack(list(network.stream(pixels, draw))).numpy()
            np.testing.assert_allclose(found.confidence[:, at], confidence(streamed), rtol=1e-5)


def truncated(network, some, steps):
    """Counted in one run that ends after `steps` steps."""
    pixels, draw = next(some.batches(network))
    with torch.no_grad():
        result = network.run(network.encode(pixels, draw)[:steps], draw, RunOptions(measure=True)).result
    encoder = network.graph.encoder.replace(steps=steps)
    return count_operations(network.graph.replace(encoder=encoder), result.input_events)


def test_operations_up_to_a_step_are_those_of_a_run_that_ends_there(network):
    some = sample(40)
    counter = Counter(network, some, follow(network, some)[1])
    for t, found in enumerate(counter.spent(), 1):
        expected = truncated(network, some, t)
        assert found.synaptic_operations == pytest.approx(expected.synaptic_operations, rel=1e-5)
        assert (found.macs, found.state_updates) == (expected.macs, expected.state_updates)


def test_after_all_steps_the_totals_are_those_of_all_images_though_few_are_counted_step_by_step(network):
    some = sample(300)
    _, events = follow(network, some)
    counter = Counter(network, some, events)
    assert len(counter.chosen) == 256
    whole = predict(network, some.images, some.index, seed=2)
    expected = count_operations(network.graph, whole.input_events)
    assert counter.spent()[-1].synaptic_operations == pytest.approx(expected.synaptic_operations, rel=1e-5)
    work = layer_work(network.graph, whole.input_events)
    assert sum(one.synaptic_operations for one in work) > 0
    wanted = energies(work, carried_bits(network.graph.steps))
    assert counter.spent()[-1].energy_nanojoule == pytest.approx(wanted, rel=1e-5)


def test_an_early_exit_costs_what_its_images_cost_until_their_own_steps(network):
    some = sample(40)
    counter = Counter(network, some, follow(network, some)[1])
    exits = 1 + np.arange(40) % network.graph.steps
    found = counter.spent_until(exits)
    alone = [truncated(network, some.of(np.array([at])), int(t)) for at, t in enumerate(exits)]
    assert found.synaptic_operations == pytest.approx(np.mean([one.synaptic_operations for one in alone]), rel=1e-5)
    assert found.state_updates == pytest.approx(np.mean([one.state_updates for one in alone]))
    for t in (1, network.graph.steps):
        same = counter.spent_until(np.full(40, t))
        assert same.synaptic_operations == pytest.approx(counter.spent()[t - 1].synaptic_operations, rel=1e-5)
        assert same.energy_nanojoule == pytest.approx(counter.spent()[t - 1].energy_nanojoule, rel=1e-5)


def test_latency_is_measured_at_every_spread_step(network):
    found = measure_latency(network, sample(1))
    assert list(found.at_once) == spread_steps(network.graph.steps)
    assert min(*found.at_once.values(), found.stream_step) > 0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    tiny = {"split.limit": 250, "model.hidden": [16], "encoder.steps": 6, "sections": ["anytime"]}
    with pytest.MonkeyPatch.context() as patch:  # drawing the report takes longer than all the rest
        patch.setattr("spikewise.report.Report.write", lambda _: None)
        return compare("digits", seeds=2, epochs=3, out=tmp_path_factory.mktemp("runs"), thorough=True, **tiny)


def test_after_all_steps_the_figures_are_those_of_the_test(run):
    results = Results.load(run.folder / "results.json")
    (found,) = results.sections.anytime.networks
    stored, last = results.network("snn"), found.curve[-1]
    assert last.accuracy == stored.metrics["accuracy"]
    assert list(last.accuracy_per_seed) == [one.test["accuracy"] for one in stored.runs]
    assert last.auc.mean == pytest.approx(np.mean([one.test["auc"] for one in stored.runs]), abs=1e-12)
    assert last.synaptic_operations == pytest.approx(stored.cost.synaptic_operations, rel=1e-6)
    assert last.state_updates == stored.cost.state_updates
    assert last.energy_nanojoule == pytest.approx(stored.cost.energy_nanojoule, rel=1e-6)
    operations = [one.synaptic_operations for one in found.curve]
    assert (np.diff(operations) > 0).all()
    wholes = [one for one in results.sections.anytime.options if one.how == "whole"]
    assert [(one.network, one.operations) for one in wholes] == [
        (name, results.network(name).cost.macs) for name in ("twin", "cnn")
    ]


def test_an_option_that_only_hardware_which_multiplies_zeros_favours_is_not_on_the_front(run):
    results = Results.load(run.folder / "results.json")
    dense, skipping = "45 nm arithmetic", "45 nm arithmetic, zeros skipped"

    def thrifty(price: float) -> set[str]:
        twin = results.network("twin")
        metrics = {**twin.metrics, "accuracy": twin.metrics["accuracy"].replace(mean=1.0)}
        cost = twin.cost.replace(energy_nanojoule={dense: 1e9, skipping: price})
        perfect = twin.replace(metrics=metrics, cost=cost)
        found = options(results.sections.anytime.networks, [results.network("snn"), perfect], [dense, skipping])
        return {one.network for one in found if one.front_of_energy}

    assert thrifty(1e9) == {"snn", "twin"}
    assert thrifty(0.0) == {"twin"}


def test_other_test_images_change_no_threshold(run):
    there = study(RunFolder.open(run.folder))
    setting = there.setting
    others = np.resize(setting.split.train, len(setting.split.test))
    changed = dataclasses.replace(setting, split=setting.split._replace(test=others))
    mine = [make(one).record.networks[0] for one in (there, there._replace(setting=changed))]
    thresholds = [[early.thresholds for early in one.early_exit] for one in mine]
    assert thresholds[0] == thresholds[1]
    assert mine[0].curve[0].accuracy != mine[1].curve[0].accuracy

"""Networks that were broken on purpose are diagnosed right, and what is advised does what it says."""

import dataclasses
import math
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from spikewise import api
from spikewise.data import ImageSet, Role, load_data, split
from spikewise.dynamics import LIF
from spikewise.encoders import Direct
from spikewise.errors import RunError, TrainingError
from spikewise.evaluation import EpochRecord
from spikewise.evaluation.diagnosis import (
    ExaminedBatch,
    Facts,
    examine,
    find_symptoms,
    gradients_through_time,
    linear_accuracy,
    passage,
    slope_that_passes,
    value_that_gives,
    weight_change,
)
from spikewise.evaluation.prediction import predict
from spikewise.evaluation.sections.diagnosis import Diagnosis, InputHealth, LayerHealth, SeedDiagnosis
from spikewise.experiments import Experiment, RunFolder, resolve
from spikewise.experiments.candidates import candidates_of
from spikewise.experiments.experiment import parse_experiment
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.run import train_all
from spikewise.experiments.sections import Study
from spikewise.experiments.sections.diagnosis import diagnose
from spikewise.experiments.setting import Setting
from spikewise.experiments.settings import changed, parse_change
from spikewise.graph import Flatten, Graph, Linear, Neuron
from spikewise.losses import CrossEntropy, OneHotMSE
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MeanMembrane
from spikewise.surrogates import ATan, Boxcar, FastSigmoid, StraightThrough, Triangle
from spikewise.training import Silent
from spikewise.types import Draw

SMALL = [
    "split.limit=600",
    "model.hidden=[64]",
    "encoder.steps=10",
    "train.batch_size=32",
    "train.initial=drawn",
    "train.learning_rate=0.001",
]


class Trained(NamedTuple):
    """A training without a test, and what was found in it."""

    setting: Setting
    found: Diagnosis

    @property
    def codes(self) -> dict[str, str]:
        return {one.code: one.severity for one in self.found.findings}


def trained(
    out: Path, *overrides: str, epochs: int = 3, shuffled: bool = False, kind: str = "train", dark: int = 1
) -> Trained:
    asked = resolve("digits", layers=[map(parse_change, SMALL)], overrides=overrides, seeds=1, epochs=epochs)
    images = load_data(asked.data)
    if shuffled:
        images = dataclasses.replace(images, labels=np.random.default_rng(0).permutation(images.labels))
    images = dataclasses.replace(images, images=images.images // dark)
    parts = split(images, asked.split)
    experiment = asked.resolved(kind, device="cpu", train_images=len(parts.train), image_shape=images.image_shape)
    folder = RunFolder.create(out / "run", experiment, kind, NotedImages.of(images))
    setting = Setting(experiment, images, parts, folder, torch.device("cpu"))
    sides = candidates_of(experiment, images)
    train_all(setting, sides, Silent())
    return Trained(setting, diagnose(Study(setting, sides)))


def starts_at(asked: Experiment, settings: tuple[str, ...], layer: str) -> float:
    """Spike rate of a layer of an untrained network with these settings, on all validation images."""
    changed = changed_by(asked, settings)
    images = load_data(changed.data)
    side = candidates_of(changed.replace(standardise=False), images)[0]
    said = predict(Network(side.graph), images, split(images, changed.split).validation, seed=0)
    return said.rates[layer].mean().item()


def changed_by(asked: Experiment, settings: tuple[str, ...]) -> Experiment:
    return parse_experiment(changed(asked.model_dump(mode="json"), map(parse_change, settings)))


BROKEN = {
    "threshold far too high": (("model.cell.threshold=100",), "threshold_too_high"),
    "threshold far too low": (("model.cell.threshold=0.0001",), "threshold_too_low"),
    "learning rate x 1000": (("train.learning_rate=1.0",), "learning_rate_too_high"),
    "learning rate / 1000": (("train.learning_rate=1e-6",), "learning_rate_too_low"),
    "surrogate too steep": (
        ("model.cell.surrogate.kind=fast_sigmoid", "model.cell.surrogate.slope=1e7"),
        "surrogate_too_narrow",
    ),
    "weights too small": (("model.init.gain=0.01", "split.limit=100"), "weights_too_small"),
    "weights too large": (("model.init.gain=100.0",), "weights_too_large"),
    "no memory, sparse input": (
        ("model.cell.beta=0", "encoder.kind=latency", "encoder.steps=25"),
        "leak_too_strong",
    ),
    "encoder silent": (
        ("encoder.kind=latency", "encoder.steps=25", "encoder.threshold=0.99"),
        "input_silent",
    ),
    "outputs silent": (
        ("model.output.kind=lif", "model.output.threshold=100", "readout.kind=spike_count"),
        "outputs_silent",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_network_that_was_broken_on_purpose_is_diagnosed_right(case, tmp_path):
    overrides, code = BROKEN[case]
    found = trained(tmp_path, *overrides).found
    serious = [one for one in found.findings if one.severity == "serious"]
    assert [one.code for one in serious] == [code]  # the cause alone, and nothing that only follows from it
    asked = resolve("digits", layers=[map(parse_change, SMALL)], overrides=overrides)
    mended = changed_by(asked, serious[0].settings)
    assert serious[0].settings
    assert mended != asked


@pytest.mark.parametrize("case", ["threshold far too high", "threshold far too low", "no memory, sparse input"])
def test_the_advised_setting_gives_the_rate_that_was_promised(case, tmp_path):
    overrides, _ = BROKEN[case]
    finding = trained(tmp_path, *overrides, epochs=1).found.findings[0]
    asked = resolve("digits", layers=[map(parse_change, SMALL)], overrides=overrides)
    rate = starts_at(asked, finding.settings, finding.layer)
    assert 0.05 < rate < 0.15
    assert rate == pytest.approx(finding.evidence["rate_then"], rel=0.15)  # on all images, not the batch alone


def test_the_advised_setting_mends_the_network(tmp_path):
    sick = trained(tmp_path / "sick", "model.cell.threshold=100", epochs=2)
    (setting,) = sick.found.findings[0].settings
    well = trained(tmp_path / "well", setting, epochs=2)
    assert sick.found.networks[0].seeds[0].validation_accuracy < 0.2
    assert well.found.networks[0].seeds[0].validation_accuracy > 0.3
    assert "serious" not in well.codes.values()


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ((), ("train.initial=balanced",)),
        (("encoder.kind=direct", "standardise=false"), ("train.initial=balanced", "standardise=true")),
    ],
    ids=["spikes", "currents"],
)
def test_dark_images_are_met_by_a_balanced_start_and_it_does_what_it_says(given, settings, tmp_path):
    sick = trained(tmp_path / "sick", *given, epochs=1, dark=12)
    finding = sick.found.findings[0]
    assert (finding.code, finding.settings) == ("weights_too_small", settings)
    assert 0.05 < finding.evidence["rate_then"] < 0.25
    well = trained(tmp_path / "well", *given[:1], *settings, epochs=1, dark=12)
    layer = well.found.networks[0].seeds[0].layers[0]
    assert layer.rate_before_training == pytest.approx(finding.evidence["rate_then"], rel=1e-6)
    assert well.codes.get("weights_too_small") is None


def test_a_learning_rate_of_a_hundred_times_is_noticed_though_the_network_learns(tmp_path):
    assert trained(tmp_path, "train.learning_rate=0.1", epochs=4).codes["learning_rate_too_high"] in (
        "warning",
        "serious",
    )


def test_shuffled_labels_are_nothing_to_learn(tmp_path):
    found = trained(tmp_path, shuffled=True)
    assert found.codes == {"nothing_to_learn": "serious"}
    assert found.found.linear_accuracy < 0.2


def test_healthy_networks_have_no_serious_finding(tmp_path):
    found = trained(tmp_path, "train.learning_rate=0.003", kind="compare", epochs=4)
    assert [one.network for one in found.found.networks] == ["snn", "twin", "cnn"]
    assert "serious" not in found.codes.values()
    assert found.found.networks[0].seeds[0].validation_accuracy > 0.8


def test_a_stopped_run_is_diagnosed_by_its_folder_and_nothing_is_kept(tmp_path):
    setting = trained(tmp_path, "model.cell.threshold=100", epochs=2).setting
    (setting.folder.training("snn", 0) / "fit.json").unlink()  # as if stopped before the end of the training
    found = api.diagnose(setting.folder.path)
    assert found.findings[0].code == "threshold_too_high"
    assert not setting.folder.results.exists()


def test_a_run_that_has_not_begun_is_looked_at_as_it_would_start(tmp_path):
    asked = resolve("digits", overrides=[*SMALL, "model.cell.threshold=100"], seeds=1, epochs=2)
    images = load_data(asked.data)
    count = len(split(images, asked.split).train)
    resolved = asked.resolved("train", device="cpu", train_images=count, image_shape=images.image_shape)
    folder = RunFolder.create(tmp_path / "run", resolved, "train", NotedImages.of(images))
    codes = [one.code for one in api.diagnose(folder.path).findings]
    assert codes == ["threshold_too_high", "unfinished"]


def test_a_run_that_diverged_at_once_is_told_a_learning_rate_that_does_not(tmp_path):
    with pytest.raises(TrainingError, match="diverged"):
        trained(tmp_path, "train.learning_rate=1e38")
    (finding,) = api.diagnose(tmp_path / "run").findings
    assert finding.code == "unfinished"
    assert finding.settings == ("train.learning_rate=0.01",)
    well = trained(tmp_path / "well", *finding.settings)
    assert well.found.networks[0].seeds[0].validation_accuracy > 0.8


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="is not a run folder"):
        api.diagnose(tmp_path)


# What is measured, against closed forms.


def one_layer(*, dynamics, steps: int, readout) -> Network:
    layers = (Flatten(), Linear(features=4), Neuron(dynamics=dynamics), Linear(features=3))
    graph = Graph(image_shape=(1, 2, 2), encoder=Direct(steps=steps), layers=layers, readout=readout)
    return Network(graph, seed=3)


def some_images(count: int = 5) -> ExaminedBatch:
    images = torch.randint(0, 256, (count, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ExaminedBatch(images, torch.arange(count) % 3, Draw.first(count))


def test_through_a_leaky_membrane_the_gradient_decays_by_beta_at_each_step_back():
    # The spike's derivative is one and the reset is cut off, so z[t] carries d loss/d v[t] through the last step alone.
    dynamics = LIF(beta=0.7, threshold=1e6, reset="none", surrogate=StraightThrough())
    network = one_layer(dynamics=dynamics, steps=8, readout=LastMembrane())
    norms = gradients_through_time(network, some_images(), CrossEntropy())["lif1"]
    assert [b / a for a, b in pairwise(norms)] == pytest.approx([1 / 0.7] * 7, rel=1e-4)


def test_a_readout_of_the_mean_adds_what_each_later_step_still_feels():
    beta, steps = 0.9, 12
    dynamics = LIF(beta=beta, threshold=1e6, reset="none", surrogate=StraightThrough())
    network = one_layer(dynamics=dynamics, steps=steps, readout=MeanMembrane())
    norms = gradients_through_time(network, some_images(), OneHotMSE())["lif1"]
    felt = [sum(beta**k for k in range(steps - t)) for t in range(steps)]
    assert [x / norms[-1] for x in norms] == pytest.approx([x / felt[-1] for x in felt], rel=1e-4)


def test_the_window_and_the_passage_of_a_surrogate_are_areas_under_its_derivative():
    distance = torch.linspace(-2, 2, 400_001, dtype=torch.float64)
    window, passed = passage(Triangle(width=1.0), distance)
    assert window == pytest.approx(1.8 / 4, abs=1e-4)  # above a tenth of the peak within 0.9
    assert passed == pytest.approx(1.0 / 4, abs=1e-4)  # area of the triangle over the range
    assert passage(Boxcar(width=0.5), distance) == pytest.approx((0.25, 0.25), abs=1e-4)
    window, passed = passage(FastSigmoid(slope=5.0), distance)
    assert window == pytest.approx(2 * (math.sqrt(10) - 1) / 5 / 4, abs=1e-4)
    assert passed == pytest.approx(2 * (1 - 1 / 11) / 5 / 4, abs=1e-4)


@pytest.mark.parametrize("surrogate", [FastSigmoid(slope=1e5), ATan(alpha=1e5), Triangle(width=1e-4), Boxcar()])
def test_the_advised_surrogate_passes_the_share_that_was_asked_for(surrogate):
    distance = torch.randn(20_000, generator=torch.Generator().manual_seed(1))
    name, value, passed = slope_that_passes(surrogate, distance, 0.25)
    assert passed == pytest.approx(0.25, rel=0.1)
    assert passage(surrogate.replace(**{name: value}), distance)[1] == passed


def test_a_surrogate_without_a_width_has_none_to_advise():
    assert slope_that_passes(StraightThrough(), torch.randn(10), 0.25) is None


@pytest.mark.parametrize("power", [2, -1])
def test_the_search_finds_where_a_power_law_is_as_wanted(power):
    value, reached = value_that_gives(9.0, lambda x: x**power, around=1.0)
    assert value == pytest.approx(9.0 ** (1 / power), rel=0.05)
    assert reached == value**power


def test_the_search_says_that_what_is_wanted_lies_out_of_reach_or_in_a_jump():
    assert value_that_gives(2.0, lambda x: x / (1 + x), around=1.0) is None
    assert value_that_gives(0.1, lambda x: float(x > 3), around=1.0) is None


def test_membranes_are_told_in_thresholds():
    # a constant current c into a neuron that never fires: v[t] = c (1 - beta^t) / (1 - beta)
    network = one_layer(dynamics=LIF(beta=0.5, threshold=20.0), steps=30, readout=LastMembrane())
    with torch.no_grad():
        network.linear1.weight.zero_()
        network.linear1.bias.fill_(5.0)
    batch = some_images()
    said = gradients_through_time(network, batch, CrossEntropy())
    start = Network(network.graph, seed=3)
    images = load_like(batch)
    seen = examine(network, batch, CrossEntropy(), predict(network, images, np.arange(5), seed=0), start)
    (layer,) = seen.layers
    assert layer.membrane_high == pytest.approx(10.0 / 20.0, rel=1e-3)
    assert layer.membrane_low == pytest.approx(5.0 / 20.0, rel=1e-3)
    assert layer.dead == 1.0
    assert layer.gradient_norms == tuple(said["lif1"])


def load_like(batch: ExaminedBatch) -> ImageSet:
    roles = np.full(len(batch.labels), Role.UNASSIGNED, np.int8)
    return ImageSet("made up", batch.images.numpy(), batch.labels.numpy(), ("a", "b", "c"), roles, "")


def test_the_change_of_weights_is_relative_to_their_start():
    graph = one_layer(dynamics=LIF(), steps=2, readout=LastMembrane()).graph
    start, now = Network(graph, seed=1), Network(graph, seed=1)
    with torch.no_grad():
        now.linear1.weight.mul_(3.0)
        assert weight_change(now, start) == pytest.approx({"linear1.weight": 2.0, "linear2.weight": 0.0})
        now.linear1.weight.mul_(1e30)  # whose squares float32 cannot hold
        assert weight_change(now, start)["linear1.weight"] == pytest.approx(3e30)


def test_ridge_regression_learns_what_is_linear_and_nothing_from_noise():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (600, 1, 8, 8), dtype=np.uint8)
    labels = (images[:, 0, 2, 3] > 127).astype(np.int64)
    assert linear_accuracy(images[:400], labels[:400], images[400:], labels[400:]) > 0.85
    noise = rng.permutation(labels)
    assert linear_accuracy(images[:400], noise[:400], images[400:], noise[400:]) < 0.6
    large = np.zeros((40, 3, 90, 70), np.uint8)
    large[20:, :, :45] = 200
    halves = np.repeat([0, 1], 20)
    assert linear_accuracy(large, halves, large, halves) == 1.0


# Rules, on figures made up for them.


def facts(history, *layers: LayerHealth, linear: float | None = None, moved: float = 0.5, updates: int = 100) -> Facts:
    seed = SeedDiagnosis(
        seed=0,
        epochs_run=len(history),
        epochs=len(history),
        input=InputHealth(events=0.3, silent_images=0.0),
        layers=layers,
        weight_change={"linear1.weight": moved},
        answers=10,
    )
    return Facts("snn", seed, history, False, 500, updates, 0.1, math.log(10), linear)


def epoch(number: int, train: float | None, validation: float | None, accuracy: tuple[float, float]) -> EpochRecord:
    return EpochRecord(
        epoch=number,
        train_loss=train,
        train_accuracy=accuracy[0],
        validation_loss=validation,
        validation_accuracy=accuracy[1],
        learning_rate=1e-3,
        seconds=1.0,
        images_per_second=1.0,
    )


LOSSES = {
    "cross-entropy": ("loss.kind=cross_entropy",),
    "smoothed": ("loss.label_smoothing=0.3",),
    "weighted": ("train.class_weights=true",),
    "penalised": ("rate_penalty.kind=l1", "rate_penalty.strength=30"),
    "one-hot MSE": ("loss.kind=one_hot_mse",),
    "steps, membranes": ("loss.kind=step_cross_entropy", "loss.on=membrane"),
    "steps, spikes": ("loss.kind=step_cross_entropy", "model.output.kind=lif", "readout.kind=spike_count"),
    "counts": ("loss.kind=count_mse", "model.output.kind=lif", "readout.kind=spike_count"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_learning_rate_that_moves_nothing_is_found_under_every_loss(loss, tmp_path):
    found = trained(tmp_path, *LOSSES[loss], "train.learning_rate=1e-7", epochs=2)
    assert found.codes.get("learning_rate_too_low") == "serious"
    assert "not_learning" not in found.codes


@pytest.mark.parametrize("loss", LOSSES)
def test_a_healthy_training_is_not_called_sick_for_its_loss(loss, tmp_path):
    settings = [one.replace("strength=30", "strength=0.1") for one in LOSSES[loss]]
    found = trained(tmp_path, *settings, "train.learning_rate=0.005", epochs=4)
    assert not {"learning_rate_too_low", "learning_rate_too_high", "not_learning"} & found.codes.keys()


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "penalised"])
def test_a_learning_rate_far_too_high_is_found_under_every_loss(loss, tmp_path):
    found = trained(tmp_path, *LOSSES[loss], "train.learning_rate=3.0", epochs=2)
    assert found.codes.get("learning_rate_too_high") == "serious"


def test_what_was_minimised_stands_beside_its_cross_entropy(tmp_path):
    setting = trained(tmp_path, *LOSSES["one-hot MSE"], "train.learning_rate=1e-7", epochs=1).setting
    first = setting.fit(candidates_of(setting.experiment, setting.images)[0], 0).history[0]
    assert first.train_loss == pytest.approx(0.09, abs=0.01)  # ten classes: (0.9^2 + 9 * 0.1^2) / 10
    assert first.train_cross_entropy == pytest.approx(math.log(10), abs=0.4)


def test_a_history_without_cross_entropy_goes_by_what_can_be_compared():
    still = [epoch(k, 0.09, math.log(10), (0.1, 0.1)) for k in (1, 2)]
    assert codes(facts(still, moved=1e-4)._replace(objective="other")) == {"learning_rate_too_low"}
    learned = [epoch(k, 5.0, 0.3, (0.9, 0.9)) for k in (1, 2)]  # a penalty lifts the objective above guessing
    assert codes(facts(learned, moved=1.5)._replace(objective="changed")) == set()


def codes(given: Facts) -> set[str]:
    return {one.code for one in find_symptoms(given)}


def test_a_gap_between_training_and_validation_is_overfitting():
    learned_by_heart = [
        epoch(1, 1.0, 0.9, (0.7, 0.7)),
        epoch(2, 0.1, 0.7, (0.98, 0.78)),
        epoch(3, 0.0, 1.2, (1.0, 0.78)),
    ]
    assert codes(facts(learned_by_heart)) == {"overfitting"}
    honest = [epoch(1, 1.0, 0.9, (0.7, 0.7)), epoch(2, 0.3, 0.35, (0.9, 0.88)), epoch(3, 0.25, 0.34, (0.92, 0.89))]
    assert codes(facts(honest)) == set()


def test_a_loss_that_still_falls_asks_for_more_epochs_and_a_lost_race_for_better_training():
    falling = [epoch(k, 2.0 / k, 2.0 / k, (0.5, 0.5)) for k in range(1, 5)]
    assert codes(facts(falling)) == {"too_few_epochs"}
    assert codes(facts(falling, linear=0.9)) == {"too_few_epochs", "worse_than_linear"}


def test_a_learning_rate_that_moves_nothing_is_told_from_a_training_that_was_too_short():
    still = [epoch(1, math.log(10), math.log(10), (0.1, 0.1))]
    assert codes(facts(still, moved=0.01)) == {"learning_rate_too_low"}
    assert codes(facts(still, moved=0.01, updates=3)) == {"too_few_epochs"}
    assert codes(facts(still, moved=1e-5, updates=3)) == {"learning_rate_too_low"}


def test_a_loss_that_is_no_number_comes_first():
    assert codes(facts([epoch(1, None, None, (0.1, 0.1))])) == {"not_finite"}


def layer(norms, name: str = "lif1", **changes) -> LayerHealth:
    usual = {"rate": 0.1, "rate_before_training": 0.1, "dead": 0.0, "saturated": 0.0, "window": 0.5, "passed": 0.3}
    return LayerHealth(layer=name, neurons=8, gradient_norms=norms, **{**usual, **changes})


def test_gradients_that_vanish_or_explode_are_told_from_those_that_do_not():
    learned = [epoch(1, 0.5, 0.5, (0.9, 0.9)), epoch(2, 0.4, 0.5, (0.9, 0.9))]
    even, fading = (1.0,) * 9, tuple(10.0**k for k in range(-8, 1))
    assert codes(facts(learned, layer(even))) == set()
    assert codes(facts(learned, layer(fading))) == {"gradient_vanishes_through_time"}
    assert codes(facts(learned, layer(fading[::-1]))) == {"gradient_explodes_through_time"}
    deep = facts(learned, layer((1e-6,) * 9), layer(even, "lif2"))
    assert codes(deep) == {"gradient_vanishes_through_layers"}


def test_outputs_may_be_silent_where_only_their_membranes_are_read():
    silent = layer((), "lif2", dead=1.0, rate=0.0, rate_before_training=0.0)
    failed = facts([epoch(1, 2.0, 2.0, (0.2, 0.2)), epoch(2, 2.0, 2.0, (0.2, 0.2))], silent)
    assert codes(failed._replace(output="lif2")) == {"outputs_silent"}
    assert codes(failed._replace(unread="lif2")) == set()


def test_neurons_that_training_silenced_are_told_from_those_that_never_lived():
    learned = [epoch(1, 0.5, 0.5, (0.9, 0.9)), epoch(2, 0.4, 0.5, (0.9, 0.9))]
    assert codes(facts(learned, layer((), dead=0.8))) == {"died_in_training"}
    assert codes(facts(learned, layer((), saturated=0.8, rate=0.9))) == {"saturated_in_training"}
    assert codes(facts(learned, layer((), dead=0.8, rate_before_training=0.0))) == {"layer_quiet"}
    assert codes(facts(learned, layer((), dead=0.3))) == {"some_neurons_idle"}
    units = LayerHealth(layer="activation1", neurons=8, rate=0.1, dead=0.9, saturated=0.0)
    assert codes(facts(learned, units)) == {"dead_units"}

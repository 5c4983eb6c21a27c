"""Modules made elsewhere are judged by the rules of `compare`."""

import numpy as np
import pytest
import torch
from torch import nn

import spikewise
from spikewise.data import load_data, split
from spikewise.dynamics import LIF, LeakyIntegrator
from spikewise.encoders import Direct, Rate
from spikewise.errors import ConfigError, RunError, ShapeError
from spikewise.evaluation import Results
from spikewise.evaluation.cost import count_operations
from spikewise.evaluation.modules import Caller, scores_of, work_of
from spikewise.evaluation.prediction import predict
from spikewise.graph import Activation, Conv2d, Flatten, Graph, Linear, Neuron
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MeanMembrane
from spikewise.report import write_report
from spikewise.report.methods import methods
from spikewise.report.paper import paper_table
from spikewise.report.paper_part import experiment_of

STEPS = 4


class Spiking(nn.Module):
    """Two layers of LIF neurons, beta 0.9, threshold 1, reset by subtraction, fed with given spikes."""

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        self.first, self.neurons, self.last = nn.Linear(64, hidden), Fire(), nn.Linear(hidden, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total, v = 0, torch.zeros(len(x), self.first.out_features)
        for _ in range(STEPS):
            v = 0.9 * v + self.first(x.flatten(1))
            z = self.neurons(v)
            v = v - z
            total = total + self.last(z)
        return total


class Fire(nn.Module):
    """1 above the threshold."""

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        return (v > 0.2).float()


class Plain(nn.Sequential):
    """The same without spikes."""

    def __init__(self, hidden: int = 16) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


def test_modules_get_the_protocol_and_a_report(tmp_path, digits):
    torch.manual_seed(0)
    run = spikewise.judge([Spiking(), Spiking()], "digits", twin=[Plain(), Plain()], out=tmp_path, sections=[])
    results = Results.load(run.folder / "results.json")
    assert [one.role for one in results.networks] == ["spiking", "twin"]
    assert results.protocol.test_opened == 4
    assert len(results.comparisons) == 1
    test = split(digits, None).test
    assert results.data.test.images == len(test)
    model = Plain()
    again = spikewise.judge(model, "digits", out=tmp_path, sections=[])
    right = (
        scores_of(model, digits.images[test], Caller(), classes=10, seed=0).argmax(1) == digits.labels[test]
    ).mean()
    assert again.results.networks[0].metrics["accuracy"].mean == pytest.approx(right)
    assert again.results.protocol.opened_elsewhere == 4
    assert "learned from is not known" in " ".join(again.results.data.cautions)
    assert run.report.read_text().count(results.verdict.headline)


def test_a_twin_of_another_size_is_told(tmp_path):
    cautions = {}
    for hidden in (16, 12):
        run = spikewise.judge(Spiking(), "digits", twin=Plain(hidden), out=tmp_path, sections=[])
        cautions[hidden] = " ".join(run.results.data.cautions)
    assert "same network" not in cautions[16]
    assert "The twin that was given has 888 weights and the spiking network 1,184" in cautions[12]


def test_sections_that_need_no_look_inside_are_made(tmp_path):
    run = spikewise.judge(Spiking(), "digits", twin=Plain(), out=tmp_path, **{"split.limit": 200})
    made = run.results.sections
    assert made.calibration is not None
    assert made.yardsticks is not None
    assert made.audit is not None
    assert [one.family for one in made.robustness.families] == ["corruptions"]


def test_the_training_images_are_those_of_the_protocol(digits):
    found, parts = spikewise.training_images("digits"), split(digits, None)
    np.testing.assert_array_equal(found.images, digits.images[parts.train])
    np.testing.assert_array_equal(found.validation_labels, digits.labels[parts.validation])


def test_work_seen_from_outside_is_the_work_of_our_own_network(digits):
    """The same weights as a graph of ours and as a plain module: the same multiply-accumulates and spike additions."""
    layers = (
        Conv2d(channels=4, kernel=3, padding=1),
        Neuron(dynamics=LIF()),
        Flatten(),
        Linear(features=10),
        Neuron(dynamics=LeakyIntegrator()),
    )
    graph = Graph(image_shape=(1, 8, 8), encoder=Rate(steps=3), layers=layers, readout=MeanMembrane())
    network, index = Network(graph, seed=1), np.arange(40)
    said = predict(network, digits, index, seed=0)
    ours = count_operations(graph, said.input_events)

    class Copy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fire, self.last = nn.Conv2d(1, 4, 3, padding=1), Above(), nn.Linear(256, 10)
            self.conv.load_state_dict({k.split(".")[1]: w for k, w in network.weights.items() if "conv" in k})
            self.last.load_state_dict({k.split(".")[1]: w for k, w in network.weights.items() if "linear" in k})

        def forward(self, spikes: torch.Tensor) -> torch.Tensor:
            v, out = 0, 0
            for step in spikes:
                v = 0.9 * v + self.conv(step)
                z = self.fire(v)
                v, out = v - z, out + self.last(z.flatten(1))
            return out

    class Above(nn.Module):
        def forward(self, v: torch.Tensor) -> torch.Tensor:
            return (v > 1).float()

    from spikewise.types import Draw

    encode = Caller(prepare=lambda x: network.encode(x, Draw(0, 0, torch.arange(len(x)))))
    seen = work_of(Copy(), digits.images[index], encode, classes=10)
    assert seen.spiking
    assert seen.steps == 3
    assert sum(layer.synaptic_operations for layer in seen.layers) == pytest.approx(ours.synaptic_operations)
    assert sum(layer.dense_operations for layer in seen.layers) == pytest.approx(ours.dense_operations)
    assert sum(layer.state_updates for layer in seen.layers) == pytest.approx(3 * 4 * 64)


def test_numbers_that_are_no_spikes_are_multiplied(digits):
    graph = Graph(
        image_shape=(1, 8, 8),
        encoder=Direct(steps=1),
        layers=(Flatten(), Linear(features=16), Activation(), Linear(features=10)),
        readout=LastMembrane(),
    )
    network, index = Network(graph, seed=1), np.arange(40)
    ours = count_operations(graph, predict(network, digits, index, seed=0).input_events)
    model = Plain()
    for number, key in ((1, "linear1"), (3, "linear2")):
        model[number].load_state_dict({k.split(".")[1]: w for k, w in network.weights.items() if k.startswith(key)})
    seen = work_of(model, digits.images[index], Caller(), classes=10)
    assert not seen.spiking
    assert sum(layer.macs for layer in seen.layers) == ours.macs
    assert sum(layer.effective_macs for layer in seen.layers) == pytest.approx(ours.effective_macs)


def test_a_layer_whose_work_is_not_known_leaves_the_cost_open(tmp_path):
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows, self.last = nn.GRU(8, 8, batch_first=True), nn.Linear(8, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.rows(x[:, 0])[0][:, -1])

    run = spikewise.judge({"gru": Recurrent()}, "digits", out=tmp_path, sections=[])
    assert run.results.networks[0].cost.energy_nanojoule == {}
    assert "its layers rows are neither linear" in " ".join(run.results.data.cautions)


class Holding(nn.Module):
    """Neurons that hold a surrogate which does not run, as SpikingJelly's do outside of training."""

    def __init__(self) -> None:
        super().__init__()
        self.surrogate = nn.Sigmoid()

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        return (v > 0.2).float()


class Fed(nn.Module):
    """Recurrent neurons: a weighted layer feeds their spikes back."""

    def __init__(self) -> None:
        super().__init__()
        self.back, self.z = nn.Linear(16, 16), torch.zeros(1, 16)

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        self.z = (v + self.back(self.z if len(self.z) == len(v) else torch.zeros_like(v)) > 0.2).float()
        return self.z


class Block(nn.Module):
    """A layer with its neurons in one module."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Linear(16, 16)

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        return (self.weights(v) > 0.0).float()


@pytest.mark.parametrize(
    "neurons", [Fire(), Holding(), Fed(), Block(), nn.Sequential(Holding(), nn.Dropout()), nn.Sequential(Fed())]
)
def test_membrane_updates_are_counted_whatever_the_neurons_hold(neurons, digits):
    torch.manual_seed(0)
    model = Spiking()
    model.neurons = neurons
    seen = work_of(model, digits.images[:40], Caller(), classes=10)
    assert sum(layer.state_updates for layer in seen.layers) == STEPS * 16


def test_membranes_that_no_module_shows_are_told(tmp_path):
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last((self.first(x.flatten(1)) > 0).float())

    run = spikewise.judge(Functional(), "digits", out=tmp_path, sections=[])
    assert "Membrane updates of snn are not counted" in " ".join(run.results.data.cautions)


def test_answers_that_are_not_repeatable_are_told(tmp_path):
    class Noisy(Plain):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x + torch.rand_like(x))

    run = spikewise.judge(Noisy(), "digits", out=tmp_path, sections=[])
    assert "differently when it is asked again" in " ".join(run.results.data.cautions)


@pytest.mark.parametrize(
    ("network", "how", "error", "told"),
    [
        (nn.Linear(64, 10), {}, ConfigError, "prepare="),
        (nn.Flatten(), {}, ShapeError, "scores="),
        ("snn", {}, ConfigError, "trained torch.nn.Module"),
        ([], {}, ConfigError, "an empty list"),
        ([Plain(), Plain()], {"twin": Plain()}, ConfigError, "as often as there are seeds"),
        (Plain(), {"sections": ["diagnosis"]}, ConfigError, "no section"),
        ({}, {}, ConfigError, "name of its own"),
    ],
)
def test_what_cannot_be_judged_is_said_in_words(network, how, error, told, tmp_path):
    with pytest.raises(error, match=told):
        spikewise.judge(network, "digits", out=tmp_path, **how)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("judged")
    return spikewise.judge(Spiking(), "digits", twin=Plain(), out=out, sections=["calibration"])


@pytest.mark.parametrize(
    "command",
    [
        spikewise.diagnose,
        spikewise.anytime,
        spikewise.robustness,
        spikewise.evaluate,
        lambda run: spikewise.diagnose(run, again=True),
        spikewise.load,
        lambda run: spikewise.export(run, "onnx"),
    ],
)
def test_what_needs_the_networks_of_a_judged_run_says_that_they_are_elsewhere(command, judged):
    before = (judged.folder / "results.json").read_bytes()
    with pytest.raises(RunError, match="judged networks that were made elsewhere; they are not in it"):
        command(judged.folder)
    assert (judged.folder / "results.json").read_bytes() == before


def test_the_report_of_a_judged_run_says_nothing_that_it_cannot_know(judged):
    page = judged.report.read_text()
    for title in ("How an image becomes spikes", "What the output neurons do", 'id="learning"', "Chosen by"):
        assert title not in page
    text = methods(judged.results, experiment_of(judged.folder))
    for words in ("rate coding", "leaky", "surrogate", "Adam", "ReLU", "epochs", "learning rate"):
        assert words not in text, words
    told = "The spiking network and the same network without spikes were trained elsewhere, on images that"
    assert told in text
    assert "operations counted on the validation images" in text
    assert "1 training of each was judged; the test images were predicted 2 times for 2 trained networks" in text
    assert paper_table([judged.results], "csv").splitlines()[1].count(",0.0,") == 0
    assert spikewise.runs(judged.folder.parent)[0]["train_seconds"] is None


def test_what_is_known_of_a_judged_run_is_read_and_compared_with_others(judged, tmp_path):
    assert spikewise.calibrate(judged.folder).networks
    other = spikewise.judge(Plain(), "digits", out=tmp_path, sections=[])
    pair = spikewise.versus([f"{judged.folder}:snn", f"{other.folder}:snn"]).pairs[0]
    assert pair.images == judged.results.data.test.images
    assert write_report(judged.folder).exists()

"""What goes wrong in a training is said in words, and nothing good is lost by it."""

import pytest
import torch

from spikewise.errors import TrainingError
from spikewise.training import Silent, fit
from spikewise.training.checkpoint import Checkpoint
from spikewise.training.health import all_finite, rate_warnings
from spikewise.training.loop import CHECKPOINT, WEIGHTS, result_so_far


def test_a_learning_rate_beyond_reason_is_named_with_epoch_batch_and_place(make_network, make_task, tmp_path):
    words = r"epoch 1, batch \d: the (validation )?loss is (nan|inf)\. (The weights|Weights).*finite.*learning_rate"
    with pytest.raises(TrainingError, match=words):
        fit(make_network(), make_task(learning_rate=1e38, optimizer={"kind": "sgd"}), tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_a_step_that_float32_cannot_hold_is_said(kind, make_network, make_task, tmp_path):
    with pytest.raises(TrainingError, match=r"no longer finite after this batch\. Lower train\.learning_rate"):
        fit(make_network(), make_task(learning_rate=1e300, optimizer={"kind": kind}), tmp_path)


def test_an_infinite_weight_is_named(make_network, make_task, tmp_path):
    network = make_network()
    with torch.no_grad():
        network.weights["linear2.weight"][0, 0] = float("inf")
    with pytest.raises(TrainingError, match=r"epoch 1, batch 1: .*weights linear2\.weight .* before this batch"):
        fit(network, make_task(), tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 7, -1])
def test_one_weight_that_is_no_number_is_seen_wherever_it_stands(value, place, make_network):
    network = make_network()
    assert all_finite(network)
    with torch.no_grad():
        network.weights["linear1.weight"].view(-1)[place] = value
    assert not all_finite(network)


def test_the_largest_numbers_are_numbers(make_network):
    network = make_network()
    with torch.no_grad():
        network.weights["linear1.weight"].fill_(torch.finfo(torch.float32).max)
    assert all_finite(network)


class Saboteur(Silent):
    """Breaks a weight before the last batch of an epoch."""

    def __init__(self, network, epoch, value=float("nan")):
        self.network, self.left, self.value = network, epoch, value

    def started(self, network, seed, *, epochs, done): ...

    def batch(self, *, images, total, loss):
        self.left -= images + 8 == total
        if self.left == 0 and images + 8 == total:
            with torch.no_grad():
                self.network.weights["linear1.bias"].fill_(self.value)

    def epoch(self, record): ...

    def finished(self): ...


@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_spiking_layer_cannot_hide_weights_that_are_no_numbers(keep, monitor, make_network, make_task, tmp_path):
    """The layer would fall silent and the loss stay finite; the last good checkpoint survives."""
    task = make_task(epochs=4, keep=keep, monitor=monitor)
    network = make_network()
    with pytest.raises(TrainingError, match=r"epoch 3, batch 4: .*linear1\.bias were .* (before|after) this batch"):
        fit(network, task, tmp_path / "broken", Saboteur(network, 3))
    checkpoint = Checkpoint.load(tmp_path / "broken" / CHECKPOINT)
    assert [epoch["epoch"] for epoch in checkpoint.notes["result"]["history"]] == [2]
    assert len(result_so_far(tmp_path / "broken").history) == 2
    assert all(torch.isfinite(value).all() for value in checkpoint.tensors.values())
    assert (tmp_path / "broken" / WEIGHTS).exists()
    resumed, whole = make_network(seed=9), make_network()
    fit(resumed, task, tmp_path / "broken")
    fit(whole, task, tmp_path / "whole")
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name])


def test_dead_and_saturated_layers_are_said_in_words():
    dead, busy, full = torch.zeros(10), torch.full((10,), 0.2), torch.ones(2, 5)
    assert rate_warnings({"lif1": busy}) == ()
    assert "lif1: 100 % of the neurons never spike" in rate_warnings({"lif1": dead})[0]
    assert "lif1: 100 % of the neurons spike at nearly every step" in rate_warnings({"lif1": full})[0]
    mixed = torch.cat([dead, busy[:9]])
    assert "53 %" in rate_warnings({"lif1": mixed})[0]
    assert [one.partition(":")[0] for one in rate_warnings({"a": dead, "b": busy, "c": full})] == ["a", "c"]


@pytest.mark.parametrize(("bias", "words"), [(-100.0, "never spike"), (100.0, "nearly every step")])
def test_a_network_that_is_dead_or_saturated_ends_with_a_warning(bias, words, make_network, make_task, tmp_path):
    network = make_network()
    with torch.no_grad():
        network.weights["linear1.bias"].fill_(bias)
    result = fit(network, make_task(epochs=1, learning_rate=1e-6), tmp_path)
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith("lif1: ")
    assert words in result.warnings[0]

"""Noisy, coarse and missing weights: bounds and counts that are exact."""

import pytest
import torch

from spikewise.dynamics import LIF, LeakyIntegrator
from spikewise.encoders import Direct, Rate
from spikewise.errors import ConfigError
from spikewise.evaluation.robustness import hidden_layers, noisy, quantised, silenced
from spikewise.graph import Activation
from spikewise.models import MLP, Conv, ResNet, build
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MaxMembrane
from spikewise.types import Draw


def network(model, encoder=None, readout=None):
    graph = build(model, encoder or Direct(steps=1), readout or LastMembrane(), image_shape=(1, 8, 8), classes=3)
    return Network(graph, seed=2)


NETWORKS = {
    "dense": lambda: network(MLP(hidden=(20, 10), cell=Activation(), output="none")),
    "conv": lambda: network(Conv(channels=(6, 10), cell=Activation(), hidden=(12,), output="none")),
    "recurrent": lambda: network(
        MLP(hidden=(20,), cell=LIF(), recurrent=True, output=LeakyIntegrator()), Rate(steps=6), MaxMembrane()
    ),
}


@pytest.fixture(params=NETWORKS)
def net(request):
    return NETWORKS[request.param]()


def images():
    draw = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (16, 1, 8, 8), generator=draw, dtype=torch.uint8)


def synapses(net):
    return {name: w for name, w in net.weights.items() if name.endswith((".weight", ".recurrent"))}


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_no_weight_moves_by_more_than_half_a_step_and_there_are_only_so_many_values(net, bits):
    coarse = synapses(quantised(net, bits))
    for name, weight in synapses(net).items():
        step = weight.abs().max() / (2 ** (bits - 1) - 1)
        assert (coarse[name] - weight).abs().max() <= step / 2 * (1 + 1e-5)
        assert len(coarse[name].unique()) <= 2**bits - 1
        assert torch.equal((coarse[name] / step).round() * step, coarse[name])


def test_sixteen_bits_change_no_answer(net):
    assert torch.equal(net(images()).logits.argmax(1), quantised(net, 16)(images()).logits.argmax(1))


def test_noise_has_the_asked_spread_relative_to_each_layer_and_leaves_biases_alone(net):
    loud, quiet = (noisy(net, strength, seed=5) for strength in (0.4, 0.1))
    for name, weight in synapses(net).items():
        noise = synapses(loud)[name].double() - weight.double()
        wanted = 0.4 * weight.std(correction=0).item()
        assert noise.std().item() == pytest.approx(wanted, rel=5 * (0.5 / weight.numel()) ** 0.5)
        torch.testing.assert_close(synapses(quiet)[name].double() - weight.double(), noise / 4, atol=1e-6, rtol=0)
    untouched = set(net.weights) - set(synapses(net))
    assert untouched
    assert all(torch.equal(net.weights[name], loud.weights[name]) for name in untouched)


def test_other_seeds_have_other_noise_and_the_original_stays_as_it_was(net):
    before = {name: weight.clone() for name, weight in net.weights.items()}
    a, b = (synapses(noisy(net, 0.2, seed=seed)) for seed in (0, 1))
    assert not any(torch.equal(a[name], b[name]) for name in a)
    assert all(torch.equal(before[name], weight) for name, weight in net.weights.items())


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_exactly_the_asked_share_of_units_has_no_outgoing_weight(net, share):
    weights = silenced(net, share, seed=0).weights
    layers = hidden_layers(net.graph)
    assert layers
    for layer in layers:
        heard = weights[f"{layer.listener.name}.weight"].transpose(0, 1).reshape(layer.units, -1)
        assert (heard == 0).all(1).sum() == round(share * layer.units)
        if f"{layer.neurons.name}.recurrent" in weights:
            columns = weights[f"{layer.neurons.name}.recurrent"].T
            assert (columns == 0).all(1).sum() == round(share * layer.units)


def test_units_dead_at_one_share_are_dead_at_every_greater_one(net):
    few, many = (silenced(net, share, seed=3).weights for share in (0.2, 0.6))
    for layer in hidden_layers(net.graph):
        name = f"{layer.listener.name}.weight"
        assert ((few[name] != 0) | (many[name] == 0)).all()


def test_a_network_with_dead_units_is_the_one_that_never_had_them():
    net = NETWORKS["dense"]()
    broken = silenced(net, 0.5, seed=1)
    alive = (broken.weights["linear2.weight"] != 0).any(0)
    small = network(MLP(hidden=(10, 10), cell=Activation(), output="none"))
    weights = broken.state_dict()
    kept = {"linear1.weight": weights["linear1.weight"][alive], "linear1.bias": weights["linear1.bias"][alive],
            "linear2.weight": weights["linear2.weight"][:, alive]}  # fmt: skip
    small.load_state_dict({**weights, **kept})
    torch.testing.assert_close(small.eval()(images()).logits, broken(images()).logits)


def test_with_all_units_dead_every_image_gets_the_same_answer(net):
    logits = silenced(net, 1.0, seed=0)(images(), Draw.first(16)).logits
    torch.testing.assert_close(logits, logits[:1].expand_as(logits))


def test_a_network_without_hidden_neurons_has_none_that_could_die():
    assert hidden_layers(network(MLP(hidden=(), cell=Activation(), output="none")).graph) == ()


def test_wrong_strengths_are_refused():
    net = NETWORKS["dense"]()
    with pytest.raises(ConfigError, match="at least 2 bits"):
        quantised(net, 1)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        silenced(net, 1.5, seed=0)


def test_neurons_that_are_added_to_another_path_are_not_silenced_behind_the_sum():
    sew = network(ResNet(channels=(4, 6), shortcut="sew"), Direct(steps=3))
    assert [hidden.neurons.name for hidden in hidden_layers(sew.graph)] == ["lif2", "lif4"]
    membrane = network(ResNet(channels=(4, 6)), Direct(steps=3))
    assert [hidden.neurons.name for hidden in hidden_layers(membrane.graph)] == [f"lif{k}" for k in range(1, 7)]

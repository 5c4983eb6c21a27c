"""Operations are those that a loop over every synapse counts; energy is the formula's."""

import itertools

import pytest
import torch

from spikewise.dynamics import LIF, LeakyIntegrator
from spikewise.encoders import Delta, Direct, Rate
from spikewise.evaluation.cost import Operations, count_operations, energy_nanojoule
from spikewise.graph import Activation, AvgPool, Conv2d, Flatten, Graph, Linear, MaxPool, Neuron
from spikewise.models import twin
from spikewise.readouts import MeanMembrane


def graph(*layers, encoder=None, shape=(1, 1, 3)) -> Graph:
    return Graph(image_shape=shape, encoder=encoder or Rate(steps=4), layers=layers, readout=MeanMembrane())


def synapses(layer: Conv2d, shape: tuple[int, int, int], output: tuple[int, int, int]) -> torch.Tensor:
    """Outputs that each input of a convolution reaches, counted one by one."""
    count = torch.zeros(shape)
    for y, x in itertools.product(range(output[1]), range(output[2])):
        for dy, dx in itertools.product(range(layer.kernel), repeat=2):
            row, column = y * layer.stride + dy - layer.padding, x * layer.stride + dx - layer.padding
            if 0 <= row < shape[1] and 0 <= column < shape[2]:
                count[:, row, column] += layer.channels
    return count


def test_a_network_small_enough_to_count_by_hand():
    small = graph(
        Flatten(), Linear(features=2), Neuron(dynamics=LIF()), Linear(features=5), Neuron(dynamics=LeakyIntegrator())
    )
    events = {"linear1": torch.tensor([1.0, 0.5, 0.0]), "linear2": torch.tensor([0.25, 0.5])}
    # T = 4: (1 + 1/2) spikes a step into 2 neurons, (1/4 + 1/2) into 5; 2 + 5 neurons are updated at every step
    assert count_operations(small, events) == Operations(macs=0.0, synaptic_operations=12 + 15, state_updates=28)


def test_a_constant_current_is_multiplied_once():
    layers = (Flatten(), Linear(features=2), Neuron(dynamics=LIF()), Linear(features=5))
    direct = graph(*layers, encoder=Direct(steps=4))
    events = {"linear1": torch.ones(3), "linear2": torch.tensor([0.25, 0.5])}
    assert count_operations(direct, events) == Operations(macs=6.0, synaptic_operations=15, state_updates=8)
    assert count_operations(twin(direct), {}) == Operations(macs=6.0 + 10.0, synaptic_operations=0.0, state_updates=0.0)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize(("kernel", "shape"), [(3, (2, 7, 6)), (1, (1, 4, 5)), (4, (2, 8, 5))], ids=str)
def test_a_convolution_costs_what_its_synapses_cost(kernel, shape, stride, padding):
    layer = Conv2d(channels=3, kernel=kernel, stride=stride, padding=padding)
    spiking = graph(layer, Neuron(dynamics=LIF()), Flatten(), Linear(features=2), shape=shape)
    output = spiking.named[0].output
    events = {
        "conv2d1": torch.rand(shape, generator=torch.Generator().manual_seed(0)),
        "linear1": torch.zeros(spiking.named[-1].input),
    }
    reached = synapses(layer, shape, output)
    found = count_operations(spiking, events)
    assert found.synaptic_operations == pytest.approx(4 * float((events["conv2d1"] * reached).sum()))
    direct = spiking.replace(encoder=Direct(steps=1))
    assert count_operations(direct, events).macs == float(reached.sum())


def test_averages_are_no_spikes_and_maxima_are():
    head = (Conv2d(channels=1, kernel=1), Neuron(dynamics=LIF()))
    tail = (Flatten(), Linear(features=2))
    events = {"conv2d1": torch.zeros(1, 4, 4), "linear1": torch.full((4,), 0.5)}
    pooled = count_operations(graph(*head, MaxPool(), *tail, shape=(1, 4, 4)), events)
    averaged = count_operations(graph(*head, AvgPool(), *tail, shape=(1, 4, 4)), events)
    assert (pooled.macs, pooled.synaptic_operations) == (0, 4 * 4 * 0.5 * 2)
    assert (averaged.macs, averaged.synaptic_operations) == (4 * 4 * 2, 0)


def test_an_activation_over_time_is_multiplied_at_every_step():
    mixed = graph(Flatten(), Linear(features=2), Activation(), Linear(features=5))
    found = count_operations(mixed, {"linear1": torch.ones(3), "linear2": torch.ones(2)})
    assert (found.macs, found.synaptic_operations) == (4 * 10, 4 * 6)


def test_recurrent_spikes_reach_their_whole_layer():
    layers = (Flatten(), Linear(features=4), Neuron(dynamics=LIF(), recurrent=True), Linear(features=2))
    found = count_operations(graph(*layers), {"linear1": torch.zeros(3), "linear2": torch.full((4,), 0.5)})
    assert found.synaptic_operations == 4 * 0.5 * 4 * 4 + 4 * 0.5 * 4 * 2


def test_two_channels_of_change_events_enter():
    events = {"linear1": torch.full((6,), 0.5)}
    found = count_operations(graph(Flatten(), Linear(features=2), encoder=Delta(steps=4)), events)
    assert found.synaptic_operations == 4 * 3 * 2


def test_energy_is_picojoules_times_operations():
    assert energy_nanojoule(Operations(1000, 0, 0)) == pytest.approx(4.6)
    assert energy_nanojoule(Operations(0, 1000, 0)) == pytest.approx(0.9)
    assert energy_nanojoule(Operations(0, 0, 1000)) == pytest.approx(4.6)
    assert energy_nanojoule(Operations(10, 100, 20)) == pytest.approx((30 * 4.6 + 100 * 0.9) / 1000)

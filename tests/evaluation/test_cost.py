"""Operations are those that a loop over every synapse counts."""

import itertools

import pytest
import torch

from spikewise.dynamics import ALIF, LIF, LeakyIntegrator
from spikewise.encoders import Delta, Direct, Rate
from spikewise.evaluation.cost import count_operations, layer_work, traffic_bytes
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
    found = count_operations(small, events)
    assert (found.macs, found.synaptic_operations, found.state_updates) == (0, 12 + 15, 28)
    assert found.dense_operations == 4 * (3 * 2 + 2 * 5)


def test_a_constant_current_is_multiplied_once():
    layers = (Flatten(), Linear(features=2), Neuron(dynamics=LIF()), Linear(features=5))
    direct = graph(*layers, encoder=Direct(steps=4))
    events = {"linear1": torch.tensor([1.0, 0.0, 0.5]), "linear2": torch.tensor([0.25, 0.5])}
    found = count_operations(direct, events)
    assert (found.macs, found.effective_macs, found.synaptic_operations, found.state_updates) == (6, 3, 15, 8)
    conventional = count_operations(twin(direct), {})
    assert (conventional.macs, conventional.effective_macs, conventional.dense_operations) == (16, 16, 16)
    assert (conventional.synaptic_operations, conventional.state_updates) == (0, 0)


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


@pytest.mark.parametrize(("diagonal", "reached"), [(False, 3), (True, 4)])
def test_recurrent_spikes_reach_the_neurons_they_are_connected_to(diagonal, reached):
    neurons = Neuron(dynamics=LIF(), recurrent=True, self_connections=diagonal)
    layers = (Flatten(), Linear(features=4), neurons, Linear(features=2))
    events = {"linear1": torch.zeros(3), "lif1.recurrent": torch.full((4,), 0.25), "linear2": torch.full((4,), 0.5)}
    found = count_operations(graph(*layers), events)
    assert found.synaptic_operations == 4 * 0.25 * 4 * reached + 4 * 0.5 * 4 * 2
    assert found.dense_operations == 4 * (3 * 4 + 4 * reached + 4 * 2)


def test_two_weighted_layers_in_a_row_multiply():
    # 3 x 3 over spikes, then 1 x 1 over the sums: 184,320 multiply-accumulates, not additions
    layers = (Conv2d(channels=16, kernel=3, padding=1), Conv2d(channels=5, kernel=1), Neuron(dynamics=LIF()), Flatten())
    wide = graph(*layers, Linear(features=2), encoder=Rate(steps=36), shape=(1, 8, 8))
    events = {"conv2d1": torch.zeros(1, 8, 8), "conv2d2": torch.ones(16, 8, 8), "linear1": torch.zeros(320)}
    found = count_operations(wide, events)
    assert (found.macs, found.synaptic_operations) == (36 * 16 * 5 * 64, 0) == (184_320, 0)


def test_hardware_that_skips_zeros_does_the_multiplications_that_matter_and_reads_their_weights():
    both = twin(graph(Flatten(), Linear(features=2), Neuron(dynamics=LIF()), Linear(features=5)))
    work = layer_work(both, {"linear1": torch.tensor([1.0, 0.0, 0.5]), "linear2": torch.tensor([0.0, 1.0])})
    skipping = [layer.without_zeros() for layer in work]
    assert [layer.macs for layer in work] == [6, 10]
    assert [layer.macs for layer in skipping] == [3, 5]
    assert [layer.multiplying[0].words for layer in skipping] == [3, 5]
    assert [layer.fixed for layer in skipping] == [layer.fixed for layer in work]


def test_memory_accesses_are_those_of_a_small_network_counted_by_hand():
    small = graph(Flatten(), Linear(features=2), Neuron(dynamics=ALIF()), Linear(features=5))
    first, neurons, second = layer_work(small, {"linear1": torch.full((3,), 0.5), "linear2": torch.full((2,), 0.25)})
    # 3 inputs, T = 4: 6 spikes, each written and read, and 12 synapses with a weight and a sum that is read and written
    assert [(a.words, a.held) for a in first.spiking] == [(12, 12), (12, 24), (24, 8)]
    # 2 neurons with membrane and adaptation, read and written at 4 steps
    assert [(a.words, a.held) for a in neurons.fixed] == [(32, 16)]
    assert [(a.words, a.held) for a in second.spiking] == [(4, 8), (10, 40), (20, 20)]
    assert traffic_bytes((first, neurons, second)) == 4 * (12 + 12 + 24 + 32 + 4 + 10 + 20)


def test_a_conventional_network_reads_a_weight_for_each_multiplication_and_each_input_of_a_linear_layer_once():
    (one, other) = layer_work(
        twin(graph(Flatten(), Linear(features=2), Neuron(dynamics=LIF()), Linear(features=5))), {}
    )
    assert [(a.words, a.held) for a in one.multiplying] == [(6, 24)]
    assert [(a.words, a.held) for a in one.fixed] == [(3, 12), (2, 8)]
    assert [(a.words, a.held) for a in (*other.multiplying, *other.fixed)] == [(10, 40), (2, 8), (5, 20)]
    assert (one.from_image, other.from_image) == (True, False)


def test_a_convolution_reads_an_input_for_each_multiplication():
    (one,) = layer_work(
        twin(graph(Conv2d(channels=2, kernel=3), Neuron(dynamics=LIF()), Flatten(), shape=(1, 3, 4))), {}
    )
    assert [(a.words, a.held) for a in (*one.multiplying, *one.fixed)] == [(36, 72), (36, 48), (4, 16)]


def test_a_constant_current_is_written_once_and_read_at_every_step():
    direct = graph(Flatten(), Linear(features=2), Neuron(dynamics=LIF()), Linear(features=5), encoder=Direct(steps=4))
    first, neurons, _ = layer_work(direct, {"linear2": torch.zeros(2)})
    assert first.fixed[1].words == 2
    assert [(a.words, a.held) for a in neurons.fixed] == [(16, 8), (8, 8)]


def test_two_channels_of_change_events_enter():
    events = {"linear1": torch.full((6,), 0.5)}
    found = count_operations(graph(Flatten(), Linear(features=2), encoder=Delta(steps=4)), events)
    assert found.synaptic_operations == 4 * 3 * 2

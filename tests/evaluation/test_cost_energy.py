"""Energy models reproduce published figures and hand-made sums, and break-even is where both sides cost the same."""

import pytest
import torch

from spikewise.dynamics import LIF
from spikewise.encoders import Direct, Rate
from spikewise.evaluation.cost import (
    ENERGY_MODELS,
    Access,
    LayerWork,
    break_even_factor,
    carried_bits,
    energies,
    integer_addition_pj,
    integer_multiplication_pj,
    layer_work,
    word_access_pj,
)
from spikewise.graph import Flatten, Graph, Linear, Neuron
from spikewise.models import twin
from spikewise.readouts import MeanMembrane

DENSE = ["45 nm arithmetic", "45 nm with memory", "45 nm integers"]
MODELS = {model.name: model for model in ENERGY_MODELS}


def network(encoder, inputs=300, hidden=40, outputs=10) -> Graph:
    layers = (Flatten(), Linear(features=hidden), Neuron(dynamics=LIF()), Linear(features=outputs))
    return Graph(image_shape=(1, 1, inputs), encoder=encoder, layers=layers, readout=MeanMembrane())


def work_at(rate, steps=10, **sizes):
    graph = network(Rate(steps=steps), **sizes)
    return layer_work(
        graph, {at.name: torch.full(at.input, rate) for at in graph.named if isinstance(at.layer, Linear)}
    )


@pytest.mark.parametrize(("steps", "bits"), [(1, 1), (3, 2), (4, 3), (7, 3), (8, 4), (25, 5), (255, 8), (256, 9)])
def test_bits_that_steps_carry_are_those_that_number_the_counts_from_0_to_t(steps, bits):
    assert carried_bits(steps) == bits
    assert 2 ** (bits - 1) <= steps + 1 - (bits > 1) < 2**bits + (bits == 1)


def test_low_bit_arithmetic_meets_the_published_8_bit_figures():
    assert integer_multiplication_pj(32, 32) == pytest.approx(3.1)
    assert integer_addition_pj(32) == pytest.approx(0.1)
    assert integer_multiplication_pj(8, 8) == pytest.approx(0.2, abs=0.01)  # Horowitz: 0.2
    assert integer_addition_pj(8) == pytest.approx(0.03, abs=0.006)  # Horowitz: 0.03


def test_an_array_lies_in_the_smallest_memory_that_holds_it():
    sizes = [1, 8 * 1024, 8 * 1024 + 1, 32 * 1024, 33 * 1024, 2**20, 2**20 + 1]
    assert [word_access_pj(size) for size in sizes] == [5, 5, 10, 10, 50, 50, 650]


def test_arithmetic_is_4_6_picojoules_a_multiply_accumulate_and_0_9_an_addition():
    price = MODELS["45 nm arithmetic"].price
    assert price([LayerWork("a", macs=1000)], 8) == pytest.approx(4600)
    assert price([LayerWork("a", synaptic_operations=1000)], 8) == pytest.approx(900)
    assert price([LayerWork("a", state_updates=1000)], 8) == pytest.approx(4600)


def test_memory_adds_each_access_at_the_price_of_where_its_array_lies():
    layer = LayerWork(
        "a", macs=10, multiplying=(Access(10, 2**21),), fixed=(Access(10, 100),), spiking=(Access(4, 2**15),)
    )
    assert MODELS["45 nm with memory"].price([layer], 8) == pytest.approx(10 * 4.6 + 10 * 650 + 10 * 5 + 4 * 10)


def test_integers_price_pixels_at_8_bits_and_activations_at_the_bits_given():
    price = MODELS["45 nm integers"].price
    assert price([LayerWork("a", macs=1000, from_image=True)], 3) == pytest.approx(1000 * (3.1 / 16 + 0.1))
    assert price([LayerWork("a", macs=1000)], 4) == pytest.approx(1000 * (3.1 / 32 + 0.1))
    assert price([LayerWork("a", synaptic_operations=1000)], 4) == pytest.approx(100)


def test_loihi_prices_spikes_and_neurons_and_nothing_that_multiplies():
    price = MODELS["Loihi"].price
    assert price([LayerWork("a", synaptic_operations=100), LayerWork("b", state_updates=10)], 8) == pytest.approx(3170)
    assert price([LayerWork("a", macs=1)], 8) is None
    assert price([LayerWork("a", synaptic_operations=1, several=True)], 8) is None
    assert "Loihi" not in energies(layer_work(twin(network(Rate(steps=4))), {}), 3)
    assert "Loihi" not in energies(layer_work(network(Direct(steps=4)), {"linear2": torch.zeros(40)}), 3)


def test_without_bits_there_is_no_quantised_network_to_price():
    assert "45 nm integers" in energies(work_at(0.1), 4)
    assert not [name for name in energies(work_at(0.1), None) if "integers" in name]


@pytest.mark.parametrize("name", DENSE)
def test_skipping_zeros_changes_multiplications_by_zero_and_nothing_else(name):
    zeros = MODELS[f"{name}, zeros skipped"]
    layer = LayerWork("a", macs=100, effective_macs=25, multiplying=(Access(100, 9e6),), fixed=(Access(7, 90),))
    quarter = layer._replace(macs=25, multiplying=(Access(25, 9e6),))
    assert zeros.price([layer], 4) == pytest.approx(MODELS[name].price([quarter], 4))
    assert zeros.price(work_at(0.2), 4) == MODELS[name].price(work_at(0.2), 4)  # no multiplications: the same
    assert zeros.constants == MODELS[name].constants


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("rate", [0.01, 0.2, 0.9])
def test_at_the_break_even_rate_both_sides_cost_the_same(name, rate):
    model, bits = MODELS[name], carried_bits(10)
    opponent = layer_work(twin(network(Rate(steps=10))), {})
    factor = break_even_factor(model, work_at(rate), opponent, bits)
    assert factor > 0
    assert model.price(work_at(rate * factor), bits) == pytest.approx(model.price(opponent, bits), rel=1e-5)


def test_arithmetic_breaks_even_at_the_rate_of_its_closed_form():
    # weights W, neurons N: 4.6 W = T (0.9 rate W + 4.6 N)
    weights, neurons, steps = 300 * 40 + 40 * 10, 40, 10
    opponent = layer_work(twin(network(Rate(steps=steps))), {})
    factor = break_even_factor(MODELS["45 nm arithmetic"], work_at(0.5), opponent, 4)
    assert factor * 0.5 == pytest.approx(4.6 / 0.9 * (1 / steps - neurons / weights), rel=1e-5)


def test_where_the_neurons_alone_cost_more_than_the_opponent_no_rate_wins():
    tiny = {"inputs": 2, "hidden": 40, "outputs": 2}
    opponent = layer_work(twin(network(Rate(steps=100), **tiny)), {})
    assert break_even_factor(MODELS["45 nm arithmetic"], work_at(0.5, steps=100, **tiny), opponent, 7) < 0


def test_every_model_states_constants_a_source_and_what_it_assumes():
    for model in ENERGY_MODELS:
        assert model.constants
        assert all(value > 0 for value in model.constants.values())
        assert "20" in model.source  # the year of a publication
        assert len(model.assumptions) > 40

"""A quantised network has as few values as its bits allow, and many bits are as good as real numbers."""

import numpy as np
import pytest
import torch

from spikewise.data import ImageSet
from spikewise.encoders import Rate
from spikewise.evaluation import quantised as module
from spikewise.evaluation.cost import ENERGY_MODELS, carried_bits, integer_energy, layer_work
from spikewise.evaluation.prediction import predict
from spikewise.evaluation.quantised import Bits, quantised_accuracy, widths
from spikewise.models import MLP, Conv, build, twin
from spikewise.network import Network
from spikewise.readouts import MeanMembrane

TRAIN, TEST = np.arange(40), np.arange(40, 100)
MODELS = {"mlp": MLP(hidden=(20, 12)), "conv": Conv(channels=(4,), kernels=(3,), batch_norm=True, hidden=(9,))}


@pytest.fixture(params=MODELS)
def network(request) -> Network:
    spiking = build(MODELS[request.param], Rate(steps=25), MeanMembrane(), image_shape=(1, 6, 6), classes=4)
    made = Network(twin(spiking), seed=0).eval()
    with torch.no_grad():
        for weight in made.parameters():  # so that every class is somebody's answer
            weight.mul_(4)
    return made


def images(network) -> ImageSet:
    """Labelled by the network itself, so that only quantisation can make it err."""
    pixels = np.random.default_rng(0).integers(0, 256, (100, 1, 6, 6), dtype=np.uint8)
    unlabelled = ImageSet("noise", pixels, np.zeros(100, np.int64), tuple("abcd"), np.full(100, -1, np.int8), "noise")
    labels = predict(network, unlabelled, np.arange(100), seed=0).predicted
    return ImageSet("noise", pixels, labels, tuple("abcd"), np.full(100, -1, np.int8), "noise")


def test_many_bits_change_nothing_and_few_do(network):
    labelled = images(network)
    many, some, few = (
        quantised_accuracy(network, labelled, (TRAIN, TEST), bits) for bits in (Bits(16, 16), Bits(8, 5), Bits(2, 1))
    )
    assert many >= 0.98  # a tie may fall the other way
    assert few < 0.95 < some <= 1


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_activations_have_no_more_values_than_their_bits_tell_apart(network, bits, monkeypatch):
    made, real = [], module._quantiser

    def spy(scale, at):
        inner = real(scale, at)

        def outer(x):
            out = inner(x)
            made.append(out)
            return out

        return outer

    monkeypatch.setattr(module, "_quantiser", spy)
    quantised_accuracy(network, images(network), (TRAIN, TEST), Bits(8, bits))
    assert made
    assert all(len(out.unique()) <= 2**bits for out in made)
    assert any(len(out.unique()) == 2**bits for out in made)


def test_values_on_a_grid_find_its_scale():
    grid = torch.arange(8) * 0.25
    scale = module._best_scale(grid, module._Range.of(grid, 3))
    assert scale == pytest.approx(0.25)
    signed = module._Range.of(torch.tensor([-1.0, 1.0]), 3)
    assert signed == (-3, 3)


def test_an_outlier_is_clipped_where_that_costs_less():
    values = torch.cat([torch.linspace(0, 1, 5000), torch.tensor([40.0])])
    at = module._Range.of(values, 2)
    assert module._best_scale(values, at) * at.high < 40


def test_the_widths_measured_are_those_the_steps_carry_and_less():
    assert widths(carried_bits(25)) == ((8, 5), (4, 5), (4, 2))
    assert widths(1) == ((8, 1), (4, 1))


def test_energy_at_the_models_own_bits_is_the_models(network):
    work = layer_work(network.graph, {})
    models = {model.name: model for model in ENERGY_MODELS if model.quantised}
    assert integer_energy(work, 5, 8) == {name: model.price(work, 5) / 1000 for name, model in models.items()}
    assert list(integer_energy(work, 2, 4).values()) < list(integer_energy(work, 5, 8).values())

"""Attacks against networks whose worst case is known in closed form, and against the bounds they must keep."""

import numpy as np
import pytest
import torch

from spikewise.dynamics import LIF, LeakyIntegrator
from spikewise.encoders import Direct, Latency, Rate
from spikewise.errors import ConfigError
from spikewise.evaluation.robustness import AttackTarget, Images, fgsm, passes_gradients, pgd, random_signs, search
from spikewise.evaluation.robustness.adversarial import zero_gradients
from spikewise.graph import Activation
from spikewise.models import MLP, build
from spikewise.network import Network
from spikewise.readouts import LastMembrane, MaxMembrane

COUNT = 24


def pictures(low=0, high=256):
    rng = np.random.default_rng(5)
    pixels = rng.integers(low, high, size=(COUNT, 1, 6, 6), dtype=np.uint8)
    return Images(pixels, rng.integers(0, 2, size=COUNT), np.arange(50, 50 + COUNT))


def target(images, model, encoder, readout=None):
    graph = build(model, encoder, readout or LastMembrane(), image_shape=(1, 6, 6), classes=2)
    return AttackTarget.of(Network(graph, seed=1), images, seed=3)


def linear(images, encoder):
    """logits = W x + b, after one step or many."""
    return target(images, MLP(hidden=(), output="none"), encoder)


def curved(images):
    return target(images, MLP(hidden=(30,), cell=Activation(), output="none"), Direct(steps=1))


def spiking(images, encoder=None):
    model = MLP(hidden=(40,), cell=LIF(), output=LeakyIntegrator())
    return target(images, model, encoder or Rate(steps=10), MaxMembrane())


def worst_of_linear(target, eps):
    """The closed form: every pixel moves by eps against the difference of the two classes' weights."""
    weight = target.network.weights["linear1.weight"].view(2, 1, 6, 6)
    against = (weight[1 - target.labels] - weight[target.labels]).sign()
    return (target.images.float() + eps * against).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("eps", [4, 32])
def test_fgsm_on_a_linear_network_is_the_closed_form(eps):
    target = linear(pictures(), Direct(steps=1))
    assert torch.equal(fgsm(target, eps), worst_of_linear(target, eps))


def test_the_gradient_is_that_of_the_pixels_whatever_current_they_become():
    raw, standardised = (
        linear(pictures(), Direct(steps=1, **how)) for how in ({}, {"mean": (0.4,), "deviation": (0.2,)})
    )
    weight, bias = (standardised.network.weights[f"linear1.{name}"] for name in ("weight", "bias"))
    with torch.no_grad():  # the same function of the pixels
        bias.copy_(raw.network.linear1.bias + 0.4 * raw.network.linear1.weight.sum(1))
        weight.copy_(0.2 * raw.network.linear1.weight)
    torch.testing.assert_close(standardised.gradient(raw.images, 0), raw.gradient(raw.images, 0), rtol=1e-3, atol=1e-6)
    assert torch.equal(fgsm(standardised, 8), fgsm(raw, 8))


def test_pgd_on_a_linear_network_reaches_the_same_corner():
    target = linear(pictures(), Direct(steps=1))
    assert torch.equal(pgd(target, 8), worst_of_linear(target, 8))


def test_the_expected_gradient_of_rate_coding_is_that_of_direct_coding():
    images = pictures()
    # the last step's membrane is the linear layer's output for that step's spikes; its expectation is W p + b
    spikes, currents = linear(images, Rate(steps=1)), linear(images, Direct(steps=1))
    assert torch.equal(fgsm(spikes, 16), fgsm(currents, 16))


@pytest.mark.parametrize("make", [curved, spiking], ids=["relu", "lif"])
@pytest.mark.parametrize("attack", [fgsm, pgd, search], ids=lambda one: one.__name__)
@pytest.mark.parametrize("eps", [1, 8])
def test_no_pixel_moves_by_more_than_eps_and_the_loss_rises(make, attack, eps):
    target = make(pictures())
    made = attack(target, eps)
    assert made.dtype == torch.uint8
    assert (made.int() - target.images.int()).abs().max() == eps
    assert target.losses(made).mean() > target.losses(target.images).mean()


@pytest.mark.parametrize("make", [curved, spiking], ids=["relu", "lif"])
def test_pgd_is_at_least_as_strong_as_fgsm_on_every_image(make):
    target = make(pictures())
    for eps in (4, 16):
        one_step = fgsm(target, eps)
        assert (target.losses(pgd(target, eps, also=one_step)) >= target.losses(one_step)).all()


def test_the_search_beats_random_signs_and_is_beaten_by_the_closed_form():
    target = linear(pictures(), Direct(steps=1))
    found, noise = search(target, 16), random_signs(target.images, target.index, 16)
    assert target.losses(found).mean() > target.losses(noise).mean()
    assert (target.losses(worst_of_linear(target, 16)) >= target.losses(found) - 1e-6).all()


def test_random_signs_move_every_pixel_by_eps_half_of_them_up():
    images = torch.full((COUNT, 1, 6, 6), 100, dtype=torch.uint8)
    change = random_signs(images, torch.arange(COUNT), 7).int() - 100
    assert (change.abs() == 7).all()
    n = change.numel()
    assert (change > 0).float().mean().item() == pytest.approx(0.5, abs=5 * 0.5 / n**0.5)


@pytest.mark.parametrize("attack", [fgsm, pgd, search], ids=lambda one: one.__name__)
def test_an_image_is_attacked_alike_in_any_company(attack):
    images = pictures()
    together = attack(curved(images), 8)
    some = Images(images.pixels[9:13], images.labels[9:13], images.index[9:13])
    assert torch.equal(attack(curved(some), 8), together[9:13])


def test_pixels_stay_between_black_and_white():
    for images in (pictures(0, 2), pictures(254, 256)):
        target = curved(images)
        made = pgd(target, 16)
        assert (made.int() - target.images.int()).abs().max() <= 16  # an overflow would wrap around


def test_a_latency_code_passes_no_gradient_and_says_what_to_use():
    target = spiking(pictures(), Latency(steps=10))
    assert not passes_gradients(target.network.graph)
    with pytest.raises(ConfigError, match="use `search`"):
        fgsm(target, 4)
    assert (search(target, 4).int() - target.images.int()).abs().max() == 4


def test_images_without_gradient_are_found():
    target = curved(pictures())
    assert not zero_gradients(target.gradient(target.images, 2)).any()
    with torch.no_grad():
        target.network.weights["linear1.weight"].zero_()
    assert zero_gradients(target.gradient(target.images, 2)).all()

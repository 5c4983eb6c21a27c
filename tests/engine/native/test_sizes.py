"""Sizes at the edge: one step, one image, one feature, no spikes, nothing but spikes, bright images, many steps."""

import pytest
import torch
from cases import check, images, network

from spikewise.dynamics import ALIF, LIF, LeakyIntegrator
from spikewise.encoders import Rate
from spikewise.engine import native
from spikewise.graph import Conv2d, Flatten, Linear, MaxPool, Neuron

pytestmark = pytest.mark.skipif("not compiled" in native.status(), reason="built without a compiler")


def dense(shape, steps, features):
    layers = (Flatten(), Linear(features=features), Neuron(dynamics=LIF()), Linear(features=2), Neuron(dynamics=ALIF()))
    return network(*layers, image_shape=shape, encoder=Rate(steps=steps), scale=3.0)


def maps(shape, steps, channels):
    layers = (
        Conv2d(channels=channels, kernel=3, padding=1), MaxPool(), Neuron(dynamics=LIF()),
        Conv2d(channels=channels + 1, kernel=2), Neuron(dynamics=LIF(reset_delay=True)), Flatten(), Linear(features=2),
        Neuron(dynamics=LeakyIntegrator()),
    )  # fmt: skip
    return network(*layers, image_shape=shape, encoder=Rate(steps=steps), scale=3.0)


@pytest.mark.parametrize("steps", [1, 2, 6, 33])
@pytest.mark.parametrize("batch", [1, 9])
@pytest.mark.parametrize("kind", ["random", "black", "white", "bright"])
def test_steps_batches_and_fillings(steps, batch, kind):
    shape = (1, 6, 11)
    found = images(batch, shape)
    found = {"random": found, "black": found * 0, "white": found * 0 + 255, "bright": 255 - found // 6}[kind]
    check(dense(shape, steps, 67), found)
    check(maps(shape, steps, 5), found)


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 5, 13), (3, 4, 65), (1, 33, 31)], ids=str)
@pytest.mark.parametrize("features", [1, 15, 65])
def test_shapes_and_widths(shape, features):
    bright = 255 - images(7, shape) // 5
    bright[0] = images(1, shape)[0]
    check(dense(shape, 8, features), bright)
    check(maps(shape, 8, features), bright[:3])


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("channels", [1, 3, 13])
def test_kernels_behind_maps_of_many_channels(kernel, channels):
    net = network(
        Conv2d(channels=channels, kernel=2), Neuron(dynamics=LIF()),
        Conv2d(channels=17, kernel=kernel, stride=2, padding=1), MaxPool(size=2, stride=3), Neuron(dynamics=LIF()),
        Flatten(), Linear(features=2), image_shape=(2, 12, 13), encoder=Rate(steps=4), scale=3.0,
    )  # fmt: skip
    check(net, images(2, (2, 12, 13)))


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("channels", [1, 3, 12, 22])
def test_pools_of_two_by_two_behind_maps_of_many_channels(kernel, channels):
    """A window's four places are added together on the way back, and its bits may be spread out for many channels."""
    net = network(
        Conv2d(channels=channels, kernel=5 if kernel % 2 else 3), MaxPool(), Neuron(dynamics=LIF(threshold=0.5)),
        Conv2d(channels=40, kernel=kernel, padding=kernel // 2), MaxPool(), Neuron(dynamics=LIF(threshold=0.25)),
        Flatten(), Linear(features=2), image_shape=(1, 17, 20), encoder=Rate(steps=3), scale=3.0,
    )  # fmt: skip
    check(net, 255 - images(3, (1, 17, 20)) // 3)


@pytest.mark.parametrize("side", [28, 45])
def test_windows_of_more_bits_than_the_first_cache_holds_spread_out(side):
    net = network(
        Conv2d(channels=19, kernel=5), MaxPool(), Neuron(dynamics=LIF()),
        Flatten(), Linear(features=2), image_shape=(1, side, side), encoder=Rate(steps=3), scale=3.0,
    )  # fmt: skip
    check(net, images(2, (1, side, side)))


@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("made", [1, 17])
def test_windows_of_any_number_of_bits(kernel, made):
    """Groups of bits are as wide as their table has room, and a window ends within any of them."""
    for channels in [*range(1, 40), 55, 56, 57, 63, 64, 65, 72, 73, 112, 113, 128, 129]:
        net = network(
            Conv2d(channels=channels, kernel=1), Neuron(dynamics=LIF()),
            Conv2d(channels=made, kernel=kernel), Neuron(dynamics=LIF(threshold=0.25)),
            Flatten(), Linear(features=2), image_shape=(1, 4, 5), encoder=Rate(steps=2), scale=3.0,
        )  # fmt: skip
        check(net, 255 - images(2, (1, 4, 5)) // 3)


def test_blocks_of_inputs_and_images():
    check(dense((1, 30, 30), 12, 140), torch.cat([255 - images(20, (1, 30, 30)) // 6, images(3, (1, 30, 30))]))


@pytest.mark.parametrize(("batch", "steps"), [(15, 17), (16, 16), (40, 33)])
@pytest.mark.parametrize("make", [dense, maps])
def test_rates_of_more_frames_than_a_byte_counts(batch, steps, make):
    found = images(batch, (1, 6, 11))
    found[:, :, :2] = 255  # spikes at every step
    out = check(make((1, 6, 11), steps, 67), found)
    arriving = next(iter(out.result.input_events.values()))
    assert arriving.max() == 1
    assert arriving.min() < 1

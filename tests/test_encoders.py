"""What each encoder says about a pixel, and that nothing but its key changes it."""

import itertools
import math
from typing import get_args

import pytest
import torch

from spikewise.encoders import (
    Delta,
    Direct,
    Encoder,
    Latency,
    Periodic,
    Rate,
    RegisteredEncoder,
    _currents_there,
    _spike_table_there,
    charging_time,
)
from spikewise.errors import ConfigError, ShapeError
from spikewise.graph import Flatten, Graph, Linear
from spikewise.readouts import LastMembrane
from spikewise.types import Draw

KINDS = [kind for kind in get_args(get_args(Encoder)[0]) if kind is not RegisteredEncoder]
LEVELS = torch.arange(256, dtype=torch.uint8)


def pixels(value: int, count: int = 1, side: int = 1):
    return torch.full((count, 1, side, side), value, dtype=torch.uint8)


def noise(count: int, channels: int = 2, side: int = 9):
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=rng)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_image_is_encoded_alike_in_any_batch(kind):
    images, encoder = noise(5), kind(steps=7)
    index = torch.tensor([40, 7, 12, 3, 99])
    together = encoder(images, Draw(1, 2, index))
    assert together.shape == (7, 5, encoder.channels(2), 9, 9)
    assert together.dtype == torch.float32
    order = torch.tensor([3, 0, 4])
    assert torch.equal(encoder(images[order], Draw(1, 2, index[order])), together[:, order])
    assert torch.equal(encoder(images[2:3], Draw(1, 2, index[2:3])), together[:, 2:3])


@pytest.mark.parametrize("kind", [k for k in KINDS if k is not Direct], ids=lambda kind: kind.__name__)
def test_spikes_are_0_or_1_and_one_step_is_enough_to_run(kind):
    assert set(kind(steps=20)(noise(3), Draw.first(3)).unique().tolist()) <= {0.0, 1.0}
    assert kind(steps=1)(noise(3), Draw.first(3)).shape[0] == 1


def test_rate_gives_every_intensity_its_probability():
    # 256 means, each within 5 sigma of (p + [p >= 128]) / 256: a false alarm for 1 in 10^4 seeds, and the seed is fixed
    steps, side = 400, 8
    images = LEVELS.view(256, 1, 1, 1).expand(256, 1, side, side).contiguous()
    mean = Rate(steps=steps)(images, Draw.first(256)).mean(dim=(0, 2, 3, 4)).double()
    p = (LEVELS.double() + (LEVELS >= 128)) / 256
    sigma = (p * (1 - p) / (steps * side * side)).sqrt()
    assert ((mean - p).abs() <= 5 * sigma).all()
    assert ((p - LEVELS.double() / 255).abs() <= 1 / 512).all()


def test_rate_never_fires_on_black_and_always_on_white():
    encoder = Rate(steps=200)
    assert encoder(pixels(0, side=32), Draw.first(1)).sum() == 0
    assert (encoder(pixels(255, side=32), Draw.first(1)) == 1).all()


def test_rate_draws_steps_epochs_seeds_images_and_pixels_independently():
    side, n = 128, 2 * 128 * 128
    image = pixels(127, side=side)
    trains = {
        "base": Rate(steps=2)(image, Draw(0, 0, torch.tensor([0]))),
        "seed": Rate(steps=2)(image, Draw(1, 0, torch.tensor([0]))),
        "epoch": Rate(steps=2)(image, Draw(0, 1, torch.tensor([0]))),
        "image": Rate(steps=2)(image, Draw(0, 0, torch.tensor([1]))),
    }
    trains["step"] = trains["base"].flip(0)
    trains["pixel"] = trains["base"].roll(1, -1)
    for one, other in itertools.combinations(trains, 2):
        pair = torch.stack([trains[one].flatten(), trains[other].flatten()])
        # `step` and the others are permutations of independent draws; 5 sigma, twice that where both halves repeat
        assert abs(torch.corrcoef(pair)[0, 1].item()) < 5 * math.sqrt(2 / n), (one, other)


def test_a_longer_train_begins_with_the_shorter_one():
    images, draw = noise(2), Draw.first(2, seed=9)
    assert torch.equal(Rate(steps=30)(images, draw)[:10], Rate(steps=10)(images, draw))


def test_charging_time_is_when_the_membrane_equation_reaches_threshold():
    x = torch.linspace(0.21, 1, 80, dtype=torch.float64)
    k = charging_time(x, 1000, 20.0, 0.2)
    v = lambda t: x * (1 - torch.exp(-t / 20.0))  # noqa: E731  # tau dv/dt = x - v
    assert (v(k.double()) <= 0.2 + 1e-12).all()
    assert (v(k.double() + 1) > 0.2).all()
    assert charging_time(torch.tensor([0.0, 0.1999]), 1000, 20.0, 0.2).tolist() == [1000, 1000]


def test_latency_spikes_once_at_most_and_earlier_for_brighter_pixels():
    encoder = Latency(steps=60)
    spikes = encoder(LEVELS.view(1, 1, 16, 16), Draw.first(1)).view(60, 256)
    count = spikes.sum(0)
    assert set(count.tolist()) == {0.0, 1.0}
    first = encoder.first_spikes()
    assert (first.clamp(max=60).diff() <= 0).all()
    assert torch.equal(count == 1, first < 60)
    assert (first[:51] == 60).all()  # 51 / 255 is the threshold
    for level in (73, 128, 255):
        assert (
            first[level] == spikes[:, level].argmax() == math.floor(20 * math.log((level / 255) / (level / 255 - 0.2)))
        )


def test_periodic_spikes_at_every_multiple_of_the_charging_time():
    encoder = Periodic(steps=90)
    spikes = encoder(LEVELS.view(1, 1, 16, 16), Draw.first(1)).view(90, 256)
    for level, first in enumerate(encoder.first_spikes().clamp(1, 89).tolist()):
        assert spikes[:, level].nonzero().flatten().tolist() == list(range(first, 90, first))


def test_direct_is_the_intensity_itself_at_every_step():
    image = LEVELS.view(1, 1, 16, 16)
    currents = Direct(steps=3)(image, Draw.first(1))
    assert torch.equal(currents, (image.float() / 255).expand(3, 1, 1, 16, 16))


def test_a_standardised_current_is_so_many_deviations_from_the_mean_of_its_channel():
    image = LEVELS.view(1, 1, 16, 16).expand(1, 3, 16, 16)
    mean, deviation = (0.1, 0.5, 0.9), (0.25, 0.1, 0.5)
    encoder = Direct(steps=3, mean=mean, deviation=deviation)
    currents = encoder(image, Draw.first(1))
    assert currents.shape == (3, 1, 3, 16, 16)
    for channel in range(3):
        wanted = (image[:, channel].double() / 255 - mean[channel]) / deviation[channel]
        torch.testing.assert_close(currents[1, :, channel].double(), wanted, rtol=1e-6, atol=1e-6)
    levels = LEVELS.view(256).long()
    table = _currents_there(mean, deviation, torch.device("cpu"))  # what a GPU looks up
    assert torch.equal(currents[0, 0].flatten(1), table[:, levels])


def test_one_mean_serves_all_channels_and_another_number_is_refused():
    images = LEVELS.view(1, 1, 16, 16).expand(2, 3, 16, 16)
    one, three = Direct(mean=(0.4,), deviation=(0.2,)), Direct(mean=(0.4,) * 3, deviation=(0.2,) * 3)
    assert torch.equal(one(images, Draw.first(2)), three(images, Draw.first(2)))
    with pytest.raises(ConfigError, match=r"mean has 2 entries and encoder\.deviation 1"):
        Direct(mean=(0.1, 0.2), deviation=(0.3,))
    layers = (Flatten(), Linear(features=2))
    with pytest.raises(ShapeError, match="of 3 channels, and the images have 1"):
        Graph(image_shape=(1, 4, 4), encoder=three, layers=layers, readout=LastMembrane())


def test_delta_marks_the_edges_of_a_moving_square_by_the_side_that_moves():
    encoder = Delta(steps=24, amplitude=4, threshold=0.1)
    image = torch.zeros(1, 1, 24, 24, dtype=torch.uint8)
    image[..., 8:16, 8:16] = 200
    events = encoder(image, Draw.first(1))[:, 0]
    path = encoder.path()
    assert path[0] == (0, 0)
    assert torch.equal(events[0, 0], (image[0, 0] > 0).float())  # switched on
    assert events[0, 1].sum() == 0
    seen = image[0, 0]
    for step in range(1, 24):
        now = torch.zeros_like(seen)
        down, right = path[step]
        now[8 + down : 16 + down, 8 + right : 16 + right] = 200
        assert torch.equal(events[step, 0], ((now > 0) & (seen == 0)).float())
        assert torch.equal(events[step, 1], ((now == 0) & (seen > 0)).float())
        seen = now
    assert events[1:].sum() > 0


def test_delta_sees_no_change_below_its_threshold():
    image = torch.full((1, 1, 8, 8), 25, dtype=torch.uint8)  # 25 / 255 < 0.1
    assert Delta()(image, Draw.first(1)).sum() == 0
    assert Delta(threshold=0.09)(image, Draw.first(1)).sum() > 0


def test_delta_stays_on_its_path_and_a_motion_wider_than_the_image_leaves_it_dark():
    for encoder in (Delta(), Delta(steps=7, amplitude=64), Delta(steps=1)):
        assert len(encoder.path()) == encoder.steps
        assert all(0 <= y <= encoder.amplitude and 0 <= x <= 2 * encoder.amplitude for y, x in encoder.path())
    assert Delta(amplitude=64)(pixels(255, side=8), Draw.first(1))[10].sum() == 0


def test_the_mean_of_a_rate_code_is_counted_from_the_very_spikes_that_it_sends():
    images, draw = noise(4), Draw(5, 3, torch.tensor([9, 2, 77, 4]))
    for steps in (1, 7, 25, 300):
        encoder = Rate(steps=steps)
        counts = encoder(images, draw).double().sum(0)
        expected = torch.floor(counts * 255 / steps + 0.5)
        seen = encoder.mean(images, draw)
        assert seen.dtype == torch.uint8
        assert (seen.double() - expected).abs().max() <= (0 if steps % 2 else 1)  # halves are rounded to even


def test_a_pixel_seen_through_spikes_is_binomial():
    """Mean p and variance p (1 - p) / T; false alarms once in a million."""
    count, steps = 40_000, 25
    for value in (0, 20, 100, 200, 255):
        p = (value + (value >= 128)) / 256
        seen = Rate(steps=steps).mean(pixels(value, count), Draw.first(count)).double() / 255
        sd = math.sqrt(p * (1 - p) / steps)
        assert abs(seen.mean() - p) <= 5 * sd / math.sqrt(count) + 1e-9
        assert abs(seen.std() - sd) <= 0.03 * sd + 1e-9


def test_a_table_stays_where_it_is_however_many_follow():
    """A recorded step of a GPU reads it by its address."""
    device = torch.device("cpu")
    many = [Latency(steps=steps) for steps in range(10, 310)]
    first = [_spike_table_there(encoder, device) for encoder in many]
    currents = [_currents_there((k / 300,), (0.5,), device) for k in range(300)]
    assert all(_spike_table_there(encoder, device) is table for encoder, table in zip(many, first, strict=True))
    assert all(_currents_there((k / 300,), (0.5,), device) is table for k, table in enumerate(currents))

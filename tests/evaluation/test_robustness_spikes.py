"""Spikes that are lost, added or moved: exact counts where there are any, else frequencies with stated false alarms."""

import pytest
import torch

from spikewise.errors import ShapeError
from spikewise.evaluation.robustness import chances, delete_spikes, insert_spikes, jitter_spikes
from spikewise.types import Draw

STEPS, IMAGES, FEATURES = 20, 30, (1, 12, 12)


@pytest.fixture(scope="module")
def trains():
    draw = torch.Generator().manual_seed(0)
    spikes = (torch.rand(STEPS, IMAGES, *FEATURES, generator=draw) < 0.3).float()
    return spikes, chances(Draw.first(IMAGES, seed=4), spikes)


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_the_asked_share_of_spikes_is_lost_and_none_is_added(trains, share):
    spikes, chance = trains
    left = delete_spikes(spikes, chance, share)
    assert ((left == 0) | (spikes == 1)).all()
    n = spikes.sum().item()
    assert left.sum().item() / n == pytest.approx(1 - share, abs=5 * (share * (1 - share) / n) ** 0.5)


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_the_asked_share_of_silent_places_gets_a_spike_and_none_is_lost(trains, share):
    spikes, chance = trains
    more = insert_spikes(spikes, chance, share)
    assert (more >= spikes).all()
    n = (spikes == 0).sum().item()
    added = (more - spikes).sum().item() / n
    assert added == pytest.approx(share, abs=5 * (share * (1 - share) / n) ** 0.5)


def test_a_spike_lost_at_one_strength_is_lost_at_every_greater_one(trains):
    spikes, chance = trains
    assert (delete_spikes(spikes, chance, 0.5) <= delete_spikes(spikes, chance, 0.2)).all()
    assert (insert_spikes(spikes, chance, 0.05) <= insert_spikes(spikes, chance, 0.1)).all()


def test_nothing_and_everything_are_exact(trains):
    spikes, chance = trains
    assert torch.equal(delete_spikes(spikes, chance, 0.0), spikes)
    assert torch.equal(insert_spikes(spikes, chance, 0.0), spikes)
    assert torch.equal(jitter_spikes(spikes, chance, 0.0), spikes)
    assert not delete_spikes(spikes, chance, 1.0).any()
    assert insert_spikes(spikes, chance, 1.0).all()


def test_lone_spikes_move_by_the_asked_spread_and_none_is_lost():
    spikes = torch.zeros(101, 40, 10, 10)
    spikes[50] = 1
    moved = jitter_spikes(spikes, chances(Draw.first(40), spikes), 0.05)
    assert (moved.sum(0) == 1).all()
    shift = (moved.argmax(0) - 50).double()
    expected = (0.05 * 101) ** 2 + 1 / 12  # rounding adds the variance of a uniform number
    assert shift.var().item() == pytest.approx(expected, rel=5 * (2 / shift.numel()) ** 0.5)


def test_time_is_reflected_at_its_ends():
    spikes = torch.zeros(5, 50, 10, 10)
    spikes[0] = 1
    moved = jitter_spikes(spikes, chances(Draw.first(50), spikes), 2.0)  # far beyond both ends
    assert (moved.sum(0) == 1).all()
    per_step = moved.mean((1, 2, 3))
    assert per_step == pytest.approx(torch.full((5,), 0.2), abs=5 * (0.2 * 0.8 / 5000) ** 0.5)


def test_an_image_is_disturbed_alike_in_any_batch(trains):
    spikes, chance = trains
    order = torch.tensor([7, 3, 20])
    assert torch.equal(chances(Draw(4, 0, order), spikes[:, order]), chance[:, order])
    assert not torch.equal(chances(Draw(5, 0, order), spikes[:, order]), chance[:, order])


def test_other_shapes_are_refused(trains):
    spikes, chance = trains
    with pytest.raises(ShapeError, match="one number for each place"):
        delete_spikes(spikes, chance[:3], 0.1)

"""An image that a network was never shown the like of is told from those that it learned from."""

import numpy as np
import pytest

from spikewise.data import load_data
from spikewise.data.likeness import Likeness, has_colour, likeness


@pytest.fixture(scope="module")
def digits():
    return load_data("digits").images


@pytest.fixture(scope="module")
def known(digits) -> Likeness:
    return likeness(digits, np.arange(0, len(digits), 2))


def share(told):
    return np.mean([one is not None for one in told])


def test_images_of_the_same_kind_are_like_them(known, digits):
    assert share(known.unlike(digits[::2])) == 0  # themselves
    assert share(known.unlike(digits[1::2])) < 0.005


def test_other_images_are_unlike_them(known, digits):
    noise = np.random.default_rng(3).integers(0, 256, (100, 1, 8, 8)).astype(np.uint8)
    assert share(known.unlike(noise)) > 0.9
    assert share(known.unlike(255 - digits[:100])) == 1
    assert "far from every training image" in known.unlike(255 - digits[:1])[0]


def test_an_image_is_judged_alone_or_among_others_alike(known, digits):
    some = np.concatenate([digits[:300], 255 - digits[:5]])
    assert [known.unlike(one[None])[0] for one in some] == known.unlike(some)


def test_grain_that_a_thumbnail_loses_is_looked_at():
    y, x = np.mgrid[0:64, 0:64]
    rng = np.random.default_rng(0)
    smooth = np.stack([127 + 100 * np.sin(x / 9 + a) * np.cos(y / 11 + b) for a, b in rng.uniform(0, 6, (60, 2))])
    images = smooth.astype(np.uint8)[:, None]
    found = likeness(images, np.arange(60))
    noise = np.clip(smooth[:5] + rng.choice([-90, 90], smooth[:5].shape), 0, 255).astype(np.uint8)[:, None]
    assert all("far grainier" in one for one in found.unlike(noise))
    assert share(found.unlike(images)) == 0


def test_a_grey_image_among_coloured_ones_is_named():
    rng = np.random.default_rng(1)
    tints = rng.uniform(0, 255, (50, 3, 1, 1))
    images = np.clip(tints + rng.normal(0, 10, (50, 3, 8, 8)), 0, 255).astype(np.uint8)
    found = likeness(images, np.arange(50))
    grey = images[:5].mean(axis=1, keepdims=True).repeat(3, 1).astype(np.uint8)
    assert any("no colour" in (one or "") for one in found.unlike(grey)) == (found.colour >= 8)
    assert share(found.unlike(images)) == 0
    assert [has_colour(images[0]), has_colour(grey[0]), has_colour(grey[0, :1])] == [True, False, False]


def test_nothing_is_said_where_there_are_few():
    assert likeness(np.zeros((19, 1, 8, 8), np.uint8), np.arange(19)) is None


def test_no_image_can_be_seen_in_what_is_kept(known, digits):
    assert known.references.shape == (len(range(0, len(digits), 2)), 32)
    assert known.references.shape[1] < digits[0].size

"""Corruptions: how far they go, and that they depend on the image and the strength alone."""

import numpy as np
import pytest

from spikewise.errors import ConfigError, ShapeError
from spikewise.evaluation.robustness import CORRUPTIONS

SHAPES = [(1, 8, 8), (3, 32, 24), (2, 100, 100)]
BY_NAME = {one.name: one for one in CORRUPTIONS}


def pictures(shape, count=12):
    """Smooth blobs on a dark ground, as a digit or an organ would be."""
    rng = np.random.default_rng(3)
    channels, height, width = shape
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    centre = rng.uniform(0.3, 0.7, size=(count, channels, 2))
    distance = (y - centre[..., :1, None]) ** 2 + (x - centre[..., 1:, None]) ** 2
    images = (255 * np.exp(-distance / 0.02)).round().astype(np.uint8)
    return images, np.arange(100, 100 + count, dtype=np.int64)


def change(before, after):
    return ((after.astype(float) - before.astype(float)) ** 2).mean()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda one: one.name)
def test_strength_zero_changes_nothing_and_more_changes_more(corruption, shape):
    images, index = pictures(shape)
    assert (corruption(images, index, 0.0) == images).all()
    changes = [change(images, corruption(images, index, strength)) for strength in corruption.strengths]
    assert changes[0] > 0
    assert changes[-1] > changes[0]
    if corruption.name == "pixelation" or (corruption.name, shape) == ("jpeg", (1, 8, 8)):
        return  # a finer grid may by chance lie worse, and so may a coarser table for a single block
    assert (np.diff(changes) >= 0).all()


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda one: one.name)
def test_an_image_is_corrupted_alike_in_any_company(corruption):
    images, index = pictures((3, 17, 13))
    strength = corruption.strengths[2]
    together = corruption(images, index, strength)
    order = np.random.default_rng(0).permutation(len(images))
    assert (corruption(images[order], index[order], strength) == together[order]).all()
    alone = corruption(images[5:6], index[5:6], strength)
    assert (alone[0] == together[5]).all()
    assert (corruption(images, index, strength) == together).all()


@pytest.mark.parametrize("name", ["gaussian_noise", "shift", "rotation", "occlusion"])
def test_copies_of_an_image_at_other_positions_are_corrupted_differently(name):
    images, _ = pictures((1, 16, 16), count=1)
    copies = np.repeat(images, 16, axis=0)
    made = BY_NAME[name](copies, np.arange(16), BY_NAME[name].strengths[-1])
    assert len(np.unique(made, axis=0)) > 1


def test_noise_has_the_standard_deviation_that_was_asked_for():
    grey = np.full((20, 1, 50, 50), 128, dtype=np.uint8)
    made = BY_NAME["gaussian_noise"](grey, np.arange(20), 0.08)
    expected = (255 * 0.08) ** 2 + 1 / 12  # rounding adds the variance of a uniform number
    # 50,000 values: five standard errors of a variance
    assert made.astype(float).var() == pytest.approx(expected, rel=5 * (2 / made.size) ** 0.5)
    assert made.mean() == pytest.approx(128, abs=5 * expected**0.5 / made.size**0.5)


def test_blur_of_a_point_has_the_width_that_was_asked_for():
    image = np.zeros((1, 1, 101, 101), dtype=np.uint8)
    image[..., 45:56, 45:56] = 255
    made = BY_NAME["blur"](image, np.zeros(1, dtype=np.int64), 0.06)[0, 0].astype(float)
    place = np.arange(101) - 50
    variance = (made.sum(0) * place**2).sum() / made.sum()
    # a square of 11 has variance 10, a kernel cut at three standard deviations 2.7 % less than sd^2
    assert variance == pytest.approx(10 + 0.973 * (0.06 * 101) ** 2, rel=0.02)


def test_contrast_and_brightness_have_their_closed_forms():
    images, index = pictures((3, 20, 20))
    mean = images.mean(axis=(2, 3), keepdims=True)
    assert np.abs(BY_NAME["contrast"](images, index, 0.7) - (0.3 * images + 0.7 * mean)).max() <= 0.5 + 1e-9
    assert (BY_NAME["brightness"](images, index, 0.2) == np.minimum(images.astype(int) + 51, 255)).all()


def test_a_shift_moves_the_centre_of_mass_by_its_length_in_every_direction():
    images = np.zeros((40, 1, 60, 60), dtype=np.uint8)
    images[..., 25:35, 25:35] = 200
    made = BY_NAME["shift"](images, np.arange(40), 0.2)[:, 0].astype(float)
    y, x = np.mgrid[0:60, 0:60] - 29.5
    down, right = ((made * axis).sum((1, 2)) / made.sum((1, 2)) for axis in (y, x))
    assert np.hypot(down, right) == pytest.approx(np.full(40, 12.0), abs=0.05)
    assert len(np.unique(np.sign(down) + 3 * np.sign(right))) == 4


def test_a_quarter_turn_is_exact_up_to_its_direction():
    images, index = pictures((1, 9, 9))
    made = BY_NAME["rotation"](images, index, 90.0)
    turned = [np.rot90(images, k, axes=(2, 3)) for k in (1, 3)]
    way = [[(one == other).all() for other in (turned[0][i], turned[1][i])] for i, one in enumerate(made)]
    assert all(any(row) for row in way)
    assert {row.index(True) for row in way} == {0, 1}


def test_occlusion_blackens_the_rectangle_it_promises():
    white = np.full((30, 2, 16, 20), 255, dtype=np.uint8)
    hidden = BY_NAME["occlusion"](white, np.arange(30), 0.5) == 0
    assert (hidden.sum((2, 3)) == 8 * 10).all()
    assert (hidden.any(3).sum(2) == 8).all()
    assert (hidden[:, 0] == hidden[:, 1]).all()


def test_pixelation_leaves_as_many_values_as_it_has_blocks():
    images, index = pictures((1, 40, 40))
    made = BY_NAME["pixelation"](images, index, 0.75)
    rows = (np.diff(made.astype(int), axis=2) != 0).any(axis=(0, 1, 3)).sum()
    assert rows == 10 - 1


def test_wrong_input_is_refused_in_words():
    images, index = pictures((1, 8, 8))
    with pytest.raises(ShapeError, match="uint8"):
        CORRUPTIONS[0](images.astype(float), index, 0.1)
    with pytest.raises(ShapeError, match="positions"):
        CORRUPTIONS[0](images, index[:3], 0.1)
    with pytest.raises(ConfigError, match="at least 0"):
        CORRUPTIONS[0](images, index, -1.0)

"""Marks that tell the label are found wherever they are; what belongs to the subject is none."""

import re

import numpy as np
import pytest
from PIL import Image

from spikewise.data import Split, load_data
from spikewise.data.audit import audit
from spikewise.data.audit.look import look_at
from spikewise.data.audit.marks import find_marks
from spikewise.data.audit.texture import colour_balance, grey_levels, sharpness


def scenes(make_set, count=400, side=24, seed=0, labels=None):
    """Random smooth scenes with grain; the label says nothing of them, unless it is given."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 226, (count, 6, 6)).astype(np.uint8)
    smooth = [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in coarse]
    images = np.clip(np.stack(smooth) + rng.normal(0, 3, (count, side, side)), 1, 254).astype(np.uint8)
    return make_set(np.arange(count) % 2 if labels is None else labels, images=images[:, None])


def halves(count: int) -> Split:
    index = np.arange(count)
    return Split(index[: count // 2], index[count // 2 : 3 * count // 4], index[3 * count // 4 :])


def square(image: np.ndarray) -> None:
    image[9:13, 14:18] = 128


def pixel(image: np.ndarray) -> None:
    image[15, 6] = 140


def white(image: np.ndarray) -> None:
    image[3:5, 10:12] = 255


def corner(image: np.ndarray) -> None:
    image[-1, -1] = 77


def line(image: np.ndarray) -> None:
    image[7, 2:-2] = 200


@pytest.mark.parametrize("mark", [square, pixel, white, corner, line])
def test_a_mark_is_grave_and_its_place_and_images_are_named(make_set, mark):
    images = scenes(make_set)
    for k in np.flatnonzero(images.labels == 1):
        mark(images.images[k, 0])
    found = audit(images, halves(400)).find("label-from-mark")
    assert found is not None
    assert found.severity == "red"
    assert found.probe is not None
    assert found.probe.score > 0.95
    assert (
        found.probe.around < 0.75 or mark is line
    )  # which goes on in the surroundings, and is known by its grey level
    assert found.probe.low <= found.probe.score <= found.probe.high
    assert found.count == 200
    changed = np.zeros((24, 24), np.uint8)
    mark(changed)
    row, column = (int(number) for number in re.findall(r"\d+", found.probe.clue))
    assert changed[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].any()


def test_the_lowest_bit_of_a_pixel_is_found(make_set):
    images = scenes(make_set)
    images.images[:, 0, 11, 5] = images.images[:, 0, 11, 5] & 0xFE | images.labels.astype(np.uint8)
    found = audit(images, halves(400)).find("label-from-mark")
    assert found is not None
    assert found.severity == "red"
    assert "Lowest bits of" in found.title
    assert "row 11, column 5" in found.title


def test_a_mark_of_one_class_among_many_is_found(make_set):
    images = scenes(make_set, labels=np.arange(400) % 5)
    for k in np.flatnonzero(images.labels == 3):
        square(images.images[k, 0])
    found = audit(images, halves(400)).find("label-from-mark")
    assert found is not None
    assert "the images of class 3" in found.title
    assert found.probe.chance == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_where_nothing_is_marked_nothing_is_found(make_set, seed):
    assert audit(scenes(make_set, seed=seed), halves(400)).find("label-from-mark") is None


def test_what_a_subject_shows_is_no_mark(make_set):
    """The class is a bright blob of 8 pixels at a place of its own, of varying brightness."""
    images, rng = scenes(make_set), np.random.default_rng(3)
    y, x = np.mgrid[:24, :24]
    for image, label in zip(images.images, images.labels, strict=True):
        at = rng.normal(8 + 8 * label, 0.7, 2)
        blob = rng.uniform(80, 200) * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 12)
        image[0] = np.clip(image[0] + blob, 0, 255)
    assert audit(images, halves(400)).find("label-from-mark") is None


def test_digits_carry_no_marks():
    digits = load_data("digits")
    assert audit(digits).find("label-from-mark") is None


def test_images_smaller_than_a_mark_and_its_surroundings_are_left_alone(make_set):
    images = make_set(np.arange(300) % 2, images=np.random.default_rng(0).integers(0, 256, (300, 1, 4, 4)))
    assert find_marks(look_at(images, None)) == []


def blurred(image: np.ndarray) -> np.ndarray:
    padded = np.pad(image.astype(float), 1, "edge")
    return sum(padded[a : a + 24, b : b + 24] for a in range(3) for b in range(3)) / 9


@pytest.mark.parametrize(
    ("edit", "check"),
    [
        (blurred, "label-from-sharpness-noise"),
        (lambda image: image + np.random.default_rng(0).normal(0, 8, image.shape), "label-from-sharpness-noise"),
        (lambda image: image // 8 * 8 + 3, "label-from-grey-levels-used"),
    ],
    ids=["blur", "noise", "few grey levels"],
)
def test_what_a_camera_or_a_program_leaves_is_worth_knowing(make_set, edit, check):
    images = scenes(make_set)
    for k in np.flatnonzero(images.labels == 1):
        images.images[k, 0] = np.clip(edit(images.images[k, 0].astype(int)), 0, 255)
    found = audit(images, halves(400)).find(check)
    assert found is not None
    assert found.severity == "amber"
    assert found.probe.score > 0.95


def test_textures_by_hand():
    flat = np.full((1, 1, 16, 16), 90, np.uint8)
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 255).astype(np.uint8)[None, None]
    assert sharpness(flat)[0, :2].tolist() == [0, 0]
    assert sharpness(board)[0, 0] > 100  # every neighbour differs, and nothing is left at half the size
    np.testing.assert_allclose(grey_levels(board), [[2, 2 / 256, 0.5, 0.5]])
    assert colour_balance(flat).shape == (1, 0)
    red = np.stack([flat[:, 0], flat[:, 0] // 3, flat[:, 0] // 3], axis=1)
    np.testing.assert_allclose(colour_balance(red)[0], [0.6, 0.2, 0.2, 0, 60, 60])

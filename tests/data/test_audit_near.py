"""Copies that were saved again, resized, brightened or mirrored are found; look-alikes are not."""

import io

import numpy as np
import pytest
from PIL import Image

from spikewise.data import load_data
from spikewise.data.audit.near import near_pairs
from spikewise.data.audit.probe import Clue, ProbeTarget, run_probes
from spikewise.data.audit.shrink import shrink

SIDE, COUNT = 28, 500


@pytest.fixture(scope="module")
def scenes() -> np.ndarray:
    """Smooth random scenes with fine grain, all different."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (COUNT, 7, 7)).astype(np.uint8)
    smooth = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for one in coarse]
    return np.clip(np.stack(smooth) + rng.normal(0, 4, (COUNT, SIDE, SIDE)), 0, 255).astype(np.uint8)


def as_jpeg(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file))


def resized(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((45, 45), 2).resize((SIDE, SIDE), 2))


EDITS = {
    "jpeg": as_jpeg,
    "resized": resized,
    "darker": lambda image: (image * 0.7).astype(np.uint8),
    "brighter": lambda image: np.clip(image.astype(int) // 2 + 90, 0, 255).astype(np.uint8),
    "mirrored": lambda image: image[:, ::-1],
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_copy_is_found_and_nothing_else(scenes, edit):
    sources = np.arange(0, 100, 5)
    images = np.concatenate([scenes, [EDITS[edit](scenes[k]) for k in sources]])[:, None]
    found = near_pairs(images, np.arange(len(images)))
    expected = {(int(k), COUNT + at) for at, k in enumerate(sources)}
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == expected
    assert (found.mirrored == (edit == "mirrored")).all()


def test_positions_are_those_of_the_set(scenes):
    images = np.concatenate([scenes, [as_jpeg(scenes[3])]])[:, None]
    found = near_pairs(images, np.r_[1:60, COUNT])
    assert (found.first.tolist(), found.second.tolist()) == ([3], [COUNT])


def test_colour_copies_are_compared_in_all_channels(scenes):
    colour = np.stack([scenes, scenes[::-1], np.roll(scenes, 7, axis=0)], axis=1)
    tinted = np.clip(colour[:3] * np.array([1.0, 0.9, 0.95])[:, None, None], 0, 255).astype(np.uint8)
    swapped = colour[10:13, ::-1]  # the same grey image, other colours
    images = np.concatenate([colour, tinted, swapped])
    found = near_pairs(images, np.arange(len(images)))
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == {(k, COUNT + k) for k in range(3)}


def test_images_of_one_kind_raise_no_alarm():
    digits = load_data("digits")
    assert len(near_pairs(digits.images, np.arange(len(digits))).first) == 0


@pytest.mark.parametrize("count", [0, 1, 39])
def test_too_few_images_to_know_what_is_usual(scenes, count):
    found = near_pairs(scenes[:count, None], np.arange(count))
    assert (len(found.first), found.neighbour) == (0, None)


def test_flat_images_are_left_to_the_other_checks(scenes):
    images = np.concatenate([scenes[:60], np.full((5, SIDE, SIDE), 90, np.uint8)])[:, None]
    images[60:, 0, 0, 0] = np.arange(5)
    assert len(near_pairs(images, np.arange(65)).first) == 0


def test_shrinking_averages_areas():
    image = np.arange(36, dtype=np.uint8).reshape(1, 1, 6, 6)
    np.testing.assert_allclose(shrink(image, (3, 2))[0, 0], [image[0, 0, :2, :3].mean(), image[0, 0, :2, 3:].mean()])
    np.testing.assert_allclose(shrink(image, (4, 4)).mean(), image.mean(), rtol=1e-6)  # 1.5 pixels an area
    np.testing.assert_array_equal(shrink(image, (9, 9))[0], image[0, 0])


def probe(values, codes, units=None, linear=False):
    target = ProbeTarget("label", np.asarray(codes), np.arange(len(codes)) if units is None else units)
    return run_probes(target, [Clue("clue", np.asarray(values, float).reshape(len(codes), -1), linear)])


@pytest.mark.parametrize("linear", [False, True])
def test_a_probe_finds_what_is_there(linear):
    codes = np.arange(300) % 3
    (found,) = probe(codes + np.random.default_rng(0).normal(0, 0.1, 300), codes, linear=linear)
    assert found.score > 0.98
    assert found.p < 1e-20
    assert found.chance == pytest.approx(1 / 3)


@pytest.mark.parametrize("linear", [False, True])
def test_p_values_of_noise_are_spread_evenly(linear):
    """40 probes of noise: more than 6 below 0.05 would have a chance of 0.3 %."""
    rng = np.random.default_rng(1)
    found = [probe(rng.normal(size=(200, 3)), np.arange(200) % 2, linear=linear)[0].p for _ in range(40)]
    assert sum(p < 0.05 for p in found) <= 6


def test_a_probe_does_not_learn_subjects_by_heart():
    """Each subject has its own number, which says nothing of the label of another subject."""
    rng = np.random.default_rng(2)
    who = np.repeat(np.arange(60), 10)
    values, codes = rng.normal(size=60)[who], rng.permutation(np.arange(60) % 2)[who]
    (blind,) = probe(values, codes, units=who)
    (fooled,) = probe(values, codes)
    assert fooled.score > 0.9
    assert blind.score < 0.75
    assert blind.p > 1e-3


def test_a_constant_clue_says_nothing():
    (found,) = probe(np.ones(100), np.arange(100) % 2)
    assert (found.score, found.p) == (0.5, 1.0)


def test_nothing_is_guessed_of_classes_with_too_few_images():
    assert probe(np.arange(20), np.r_[np.zeros(15), np.ones(5)].astype(int)) == []

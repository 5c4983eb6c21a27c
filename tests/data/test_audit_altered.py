"""Copies that were turned round, inverted, regraded or moved are found; nothing else is."""

import numpy as np
import pytest
from PIL import Image

from spikewise.data.audit import audit
from spikewise.data.audit.align import align, best_shift
from spikewise.data.audit.altered import altered_pairs
from spikewise.data.audit.look import look_at
from spikewise.data.audit.views import ORIENTATIONS, equalised, turned

SIDE, COUNT = 28, 160


@pytest.fixture(scope="module")
def scenes() -> np.ndarray:
    """Smooth random scenes with fine grain, all different; in the middle grey levels, so that nothing is clipped."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(20, 236, (COUNT, 8, 8)).astype(np.uint8)
    smooth = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for one in coarse]
    return np.clip(np.stack(smooth) + rng.normal(0, 3, (COUNT, SIDE, SIDE)), 0, 255).astype(np.uint8)


def gamma(image: np.ndarray, power: float) -> np.ndarray:
    return np.rint(255 * (image / 255) ** power).astype(np.uint8)


def shifted(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.pad(image, ((rows, 0), (columns, 0)), "edge")[:SIDE, :SIDE]


def cropped(image: np.ndarray) -> np.ndarray:
    box = (1, 1, SIDE - 1, SIDE - 1)
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box))


EDITS = {
    "upside down": lambda image: image[::-1],
    "turned by 90": np.rot90,
    "turned by 180": lambda image: np.rot90(image, 2),
    "turned by 270": lambda image: np.rot90(image, 3),
    "transposed": lambda image: image.T,
    "inverted": lambda image: 255 - image,
    "darker tones": lambda image: gamma(image, 2.5),
    "brighter tones": lambda image: gamma(image, 0.4),
    "upside down, inverted, in other tones": lambda image: gamma(255 - image[::-1], 2),
    "shifted by a pixel": lambda image: shifted(image, 1, 0),
    "shifted by two": lambda image: shifted(image, 2, 2),
    "cropped": cropped,
}


def pairs(found) -> set[tuple[int, int]]:
    return set(zip(found.first.tolist(), found.second.tolist(), strict=True))


@pytest.mark.parametrize("edit", EDITS)
def test_an_altered_copy_is_found_and_nothing_else(scenes, edit):
    images = np.concatenate([scenes, [EDITS[edit](scenes[k]) for k in range(0, 60, 5)]])[:, None]
    found = altered_pairs(images, np.arange(len(images)))
    assert pairs(found) == {(5 * at, COUNT + at) for at in range(12)}
    assert found.inverted.all() == ("inverted" in edit)
    assert found.moved.all() == (edit in ("shifted by two", "cropped"))


def test_the_orientation_says_how_to_turn_the_first_image(scenes):
    copies = [turned(scenes[k], k) for k in range(ORIENTATIONS)]
    images = np.concatenate([scenes, copies])[:, None]
    found = altered_pairs(images, np.arange(len(images)))
    assert pairs(found) == {(k, COUNT + k) for k in range(ORIENTATIONS)}
    assert found.orientation[np.argsort(found.first)].tolist() == list(range(ORIENTATIONS))


def test_other_colours_of_one_picture_are_found(scenes):
    colour = np.stack([scenes, np.roll(scenes, 1, axis=0) // 4, np.roll(scenes, 2, axis=0) // 4], axis=1)
    images = np.concatenate([colour, colour[:9, ::-1]])
    found = altered_pairs(images, np.arange(len(images)))
    assert pairs(found) >= {(k, COUNT + k) for k in range(9)}


def test_symmetrical_and_plain_images_raise_no_alarm(scenes):
    """Turned round, a symmetrical image is itself, and a sky is another sky."""
    y, x = np.mgrid[-1:1:28j, -1:1:28j]
    skies = [128 + 100 * (np.cos(angle) * y + np.sin(angle) * x) / 1.5 for angle in np.linspace(0, 6, 30)]
    halves = scenes[:40, :, :14]
    mirrored = np.concatenate([halves, halves[:, :, ::-1]], axis=2)
    fourfold = np.concatenate([mirrored[:, :14], mirrored[:, 13::-1]], axis=1)
    blank = np.full((3, 28, 28), 200)
    images = np.concatenate([skies, mirrored[:20], fourfold[20:], blank]).astype(np.uint8)[:, None]
    assert pairs(altered_pairs(images, np.arange(len(images)))) == set()


@pytest.mark.parametrize(("count", "side"), [(0, 28), (39, 28), (60, 11)])
def test_too_few_or_too_small_images_are_left_alone(scenes, count, side):
    images = np.concatenate([scenes[:count], 255 - scenes[:count]])[:count, None, :side, :side]
    found = altered_pairs(images, np.arange(len(images)))
    assert (len(found.first), found.compared) == (0, 0)


def test_ranks_do_not_change_under_a_monotone_change_of_grey_levels(scenes):
    few = scenes[:20] // 2
    np.testing.assert_array_equal(equalised(few), equalised(few * 2 + 1))
    mean = equalised(scenes).mean(axis=(1, 2))  # of ranks, ties counted half: one half, rounded to grey levels
    np.testing.assert_allclose(mean, 127.5, atol=0.5)


def test_images_are_laid_upon_each_other_exactly_where_one_was_only_moved(scenes):
    first = scenes[:10].astype(np.float32)
    second = np.roll(first, (2, -1), axis=(1, 2))
    shift = best_shift(first, second)
    assert (shift.down == 2).all()
    assert (shift.right == -1).all()
    laid = align(first, second, shift)
    np.testing.assert_allclose(laid.correlation, 1, atol=1e-4)
    np.testing.assert_allclose(laid.moved, np.hypot(2, 1), atol=0.05)
    inverted = align(first, 255 - second, best_shift(first, 255 - second))
    np.testing.assert_allclose(inverted.correlation, -1, atol=1e-4)


def test_a_bounded_search_keeps_exact_copies_exact_and_gives_way_to_a_whole_one(scenes, make_set, tmp_path):
    copies = [scenes[k][::-1] for k in range(0, 60, 5)]
    pixels = np.concatenate([scenes, copies, scenes[:7]])[:, None]
    images = make_set(np.arange(len(pixels)) % 2, images=pixels)
    among = COUNT // 2
    bounded = audit(images, cache_dir=tmp_path, altered_among=among)
    assert bounded.nearness.altered_images == among
    assert bounded.nearness.altered < len(copies)  # a quarter of the pairs, about, lie in a half
    whole = audit(images, cache_dir=tmp_path)
    assert whole.nearness.altered_images is None
    assert whole.nearness.altered == len(copies)

    same = look_at(images, None, cache=tmp_path, altered_among=among).same
    assert (same[-7:] == same[:7]).all()
    assert bounded.nearness.pairs == whole.nearness.pairs
    assert audit(images, cache_dir=tmp_path, altered_among=among) == whole  # what is known already costs nothing
    assert audit(images, cache_dir=tmp_path / "new", altered_among=10_000).nearness.altered_images is None

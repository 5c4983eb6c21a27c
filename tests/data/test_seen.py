"""Copies of images that a run had are told by digests of their pixels, in no more time than a look-up takes."""

import time

import numpy as np

from spikewise.data.seen import SeenImages, pixel_digests

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 1, 8, 8), np.uint8)


def knowing(count: int) -> SeenImages:
    """A run that learned from the first half of the images, and from others."""
    others = np.random.default_rng(1).integers(0, 2**64, count, np.uint64)
    mine = pixel_digests(IMAGES, np.arange(32))
    return SeenImages(np.unique(np.concatenate([mine, others])), pixel_digests(IMAGES, np.array([40])))


def test_copies_are_told_wherever_their_digests_stand():
    for count in (0, 5, 1000):
        seen = knowing(count)
        assert seen.learned_from(IMAGES, np.arange(64)).tolist() == [True] * 32 + [False] * 32
        assert seen.learned_from(IMAGES, np.array([63, 0, 0])).tolist() == [False, True, True]
    assert seen.tested_on(IMAGES, np.array([41, 40]))
    assert not seen.tested_on(IMAGES, np.array([41, 0]))
    nothing = np.empty(0, np.uint64)
    assert not SeenImages(nothing, nothing).learned_from(IMAGES, np.arange(64)).any()


def test_a_few_images_do_not_wait_for_a_look_at_millions():
    def spent(seen: SeenImages) -> float:
        best = np.inf
        for _ in range(5):
            began = time.process_time()
            seen.learned_from(IMAGES, np.arange(64))
            best = min(best, time.process_time() - began)
        return best

    assert spent(knowing(2_000_000)) < 30 * spent(knowing(1000))

"""Very large sets: what one pass tells is told of all images, the rest of some, and the audit says so."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from tests.data.test_audit_findings import blobs, changed, halves, planted

from spikewise.data.audit import audit, near, sample
from spikewise.data.audit.records import percentage

COUNT = 600


@pytest.fixture
def _small(monkeypatch):
    """Sets are large from 500 images on; 200 of them are looked at closely."""
    monkeypatch.setattr(sample, "_LARGE", 500)
    monkeypatch.setattr(sample, "_MOST", 200)
    monkeypatch.setattr(sample, "_FEWEST", 50)


@pytest.mark.usefixtures("_small")
def test_identical_images_are_found_among_all():
    pairs = [(0, 452), (4, 500), (8, 304)]
    found = audit(planted(blobs(COUNT), pairs), halves(COUNT))
    across = found.find("duplicates-across")
    assert across is not None
    assert {tuple(place.index for place in group) for group in across.groups} == set(pairs)
    assert found.closely == 200
    said = found.find("sampled")
    assert said is not None
    assert said.title == "200 of 600 images were looked at closely (33.3 %, evenly drawn)"
    assert "about 11.1 %" in said.effect
    balance = found.find("class-balance")
    assert balance is not None
    assert "(150)" in balance.title  # of all images


@pytest.mark.usefixtures("_small")
def test_near_duplicates_are_found_among_some_and_named_by_their_places_in_the_set():
    images = blobs(COUNT)
    drawn = sample.sample_of(images, halves(COUNT))
    assert drawn is not None
    train, test = (drawn.positions[part] for part in (drawn.split.train, drawn.split.test))
    assert train.max() < 300
    assert test.min() >= 450
    pixels = images.images.copy()
    pairs = [(int(a), int(b)) for a, b in zip(train[:3], test[:3], strict=True)]
    for source, target in pairs:  # a little blurred
        blurred = Image.fromarray(pixels[source, 0]).filter(ImageFilter.GaussianBlur(0.4))
        pixels[target, 0] = np.asarray(blurred)
    found = audit(changed(images, images=pixels), halves(COUNT)).find("near-duplicates-across")
    assert found is not None
    assert {tuple(place.index for place in group) for group in found.groups} == set(pairs)
    assert {place.label for group in found.groups for place in group} <= set(images.classes)


@pytest.mark.usefixtures("_small")
def test_a_set_that_is_not_large_is_looked_at_whole():
    found = audit(blobs(500), halves(500))
    assert found.closely is None
    assert found.find("sampled") is None


@pytest.mark.usefixtures("_small")
def test_noise_in_which_all_is_near_to_all_is_sampled_more_sparely(monkeypatch):
    """What an audit takes then grows with the square of the images: as many are looked at as the bound admits."""
    rng = np.random.default_rng(0)
    noise = changed(blobs(COUNT), images=rng.integers(0, 256, (COUNT, 1, 16, 16), dtype=np.uint8))
    few, many = near.crowd(noise.images, np.arange(300)), near.crowd(noise.images, np.arange(600))
    assert many > 3 * few > 300**2 / 4
    assert near.crowd(blobs(COUNT).images, np.arange(COUNT)) < many / 10
    monkeypatch.setattr(sample, "_PAIRS", near.crowd(noise.images, np.arange(200)) / 4)
    drawn = sample.sample_of(noise, None)
    assert drawn is not None
    assert 70 <= len(drawn.positions) <= 130


@pytest.mark.usefixtures("_small")
def test_pixels_of_a_sample_are_bounded(monkeypatch):
    monkeypatch.setattr(sample, "_BYTES", 120 * 16 * 16)
    drawn = sample.sample_of(blobs(COUNT), None)
    assert drawn is not None
    assert drawn.images.images.nbytes == 120 * 16 * 16


def test_few_of_many_are_not_doubled_by_rounding():
    assert [percentage(share) for share in (5 / 10_000, 1 / 70_000, 1e-7, 0.0099, 0.125, 0, 1)] == [
        "0.05", "0.0014", "0.00001", "0.99", "12.5", "0.0", "100.0",
    ]  # fmt: skip

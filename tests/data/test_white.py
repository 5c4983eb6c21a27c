"""White is one number for a whole set, whatever the numbers are stored in, and nothing that is unclear is guessed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewise.data import ImageSet, load_data
from spikewise.data.audit import audit
from spikewise.errors import ConfigError, DataError

SHARES = np.random.default_rng(3).random((12, 6, 5))
SHARES[0, 0, 0], SHARES[0, 0, 1] = 1, 0
LABELS = np.arange(12) % 3


def save(path: Path, **members) -> Path:
    np.savez(path, **members)
    return path


def loaded(tmp_path: Path, images, **options) -> ImageSet:
    return load_data(save(tmp_path / "m.npz", x=images, y=LABELS), **options)


def stored(white: float, kind: str) -> np.ndarray:
    return (np.rint(SHARES * white) if np.dtype(kind).kind in "iu" else SHARES * white).astype(kind)


@pytest.mark.parametrize(
    ("white", "kind", "cautioned"),
    [
        (255, "u1", False), (255, "i8", False), (255, "<f4", False), (1, "f2", False), (1, ">f4", False),
        (1, "f8", False), (65535, "<u2", False), (65535, ">u2", False), (65535, "i4", False),
        (255, "u2", True), (1023, "u2", True), (4095, "u2", True), (4095, ">u2", True), (4095, "i8", True),
        (4095, "f8", True), (16383, "u2", True), (16, "f8", True), (16, "u1", True), (15, "i4", True),
    ],
)  # fmt: skip
def test_the_same_picture_in_any_numbers_is_the_same_pixels(tmp_path: Path, white, kind, cautioned):
    numbers = stored(white, kind)
    found = loaded(tmp_path, numbers)
    np.testing.assert_allclose(found.images[:, 0], numbers.astype(float) * (255 / white), atol=0.51)
    assert found.images.max() == 255
    assert list(found.whites.values()) == [white]
    assert bool(found.cautions) == cautioned
    assert found.notes == found.cautions
    assert all(f"{white} was taken for white" in caution and "data.white=" in caution for caution in found.cautions)


@pytest.mark.parametrize("kind", ["i8", "u1", "u2", "f4", "?"])
def test_masks_are_black_and_white_in_every_type(tmp_path: Path, kind):
    found = loaded(tmp_path, (SHARES > 0.5).astype(kind))
    np.testing.assert_array_equal(found.images[:, 0], np.where(SHARES > 0.5, 255, 0))
    assert bool(found.cautions) == (kind in ("i8", "u1", "u2"))


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_a_hair_beyond_black_and_white_is_clipped(tmp_path: Path, white):
    numbers = SHARES * white
    numbers[3, 2, 2], numbers[4, 2, 2] = 1.0004 * white, -0.0004 * white
    found = loaded(tmp_path, numbers)
    want = SHARES * 255
    want[3, 2, 2], want[4, 2, 2] = 255, 0
    np.testing.assert_allclose(found.images[:, 0], want, atol=0.51)
    assert not found.cautions


def test_parts_are_scaled_together(tmp_path: Path):
    numbers = SHARES.copy()
    numbers[0, 3, 3] = 1.0004
    dark = stored(4095, "u2") // 40  # the test part alone would look like 8 bits
    for train, test, scale in ((numbers[:6], SHARES[6:], 255), (stored(4095, "u2")[:6], dark[6:], 255 / 4095)):
        found = load_data(save(tmp_path / "m.npz", x_train=train, y_train=LABELS[:6], x_test=test, y_test=LABELS[6:]))
        np.testing.assert_allclose(found.images[6:, 0], test * scale, atol=0.51)


def test_types_that_are_each_full_may_stand_together_and_others_not(tmp_path: Path):
    def both(train, test, **options):
        members = {"x_train": train[:6], "y_train": LABELS[:6], "x_test": test[6:], "y_test": LABELS[6:]}
        return load_data(save(tmp_path / "m.npz", **members), **options)

    full = both(stored(255, "u1"), np.maximum(SHARES, 0.5))
    np.testing.assert_allclose(full.images[6:, 0], np.maximum(SHARES, 0.5)[6:] * 255, atol=0.51)
    with pytest.raises(DataError, match=r"uint8 up to \d+ and uint16 up to \d+.*one type"):
        both(stored(255, "u1"), stored(4095, "u2"))
    assert both(stored(255, "u1"), stored(255, "u2"), white=255).cautions == ()


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        (stored(37, "i8"), r"from 0 to 37 \(integers\), 14.5 % of the range.*data\.white=37 or --set data\.white=255"),
        (stored(37.5, "f8"), r"data\.white=37\.5"),
        (stored(0.2, "f8"), r"data\.white=0\.2 or --set data\.white=1\."),
        (stored(260, "u2"), r"data\.white=255 or --set data\.white=1023"),
        (stored(1e6, "i8"), r"from 0 to 1e\+06.*data\.white=1e\+06"),
        (SHARES * 2 - 1, "nothing is darker"),
        (-SHARES, "nothing is darker"),
        (np.zeros_like(SHARES), "black throughout: every pixel is 0"),
        (np.where(SHARES > 0.5, np.inf, 0), "no finite numbers"),
        (SHARES * 1j, "not a NumPy array of numbers"),
    ],
)
def test_what_is_unclear_is_asked_for(tmp_path: Path, numbers, says):
    with pytest.raises(DataError, match=says):
        loaded(tmp_path, numbers)


def test_the_user_says_what_white_is(tmp_path: Path):
    np.testing.assert_allclose(loaded(tmp_path, stored(37, "i8"), white=37).images[:, 0], SHARES * 255, atol=4)
    dark = loaded(tmp_path, stored(16, "u1"), white=255)
    np.testing.assert_array_equal(dark.images[:, 0], stored(16, "u1"))
    assert "6.3 % of data.white=255: the images are nearly black" in dark.cautions[0]
    assert "above data.white=100 was clipped" in loaded(tmp_path, stored(255, "u1"), white=100).cautions[0]
    for wrong in (0, -1, "much", float("nan")):
        with pytest.raises(ConfigError, match="white"):
            loaded(tmp_path, SHARES, white=wrong)


def test_dark_bytes_are_taken_as_they_are_with_a_caution(tmp_path: Path):
    found = loaded(tmp_path, stored(40, "u1"))
    np.testing.assert_array_equal(found.images[:, 0], stored(40, "u1"))
    assert "pixels reach 40 of 255" in found.cautions[0]


def test_a_caution_is_a_finding_of_the_audit(tmp_path: Path):
    found = loaded(tmp_path, stored(4095, "u2"))
    findings = [one for one in audit(found, cache_dir=tmp_path / "cache").findings if one.check == "pixel-range"]
    assert [(one.severity, "4095 was taken for white" in one.title) for one in findings] == [("amber", True)]


def test_images_of_several_sizes_are_no_finding_on_how_bright_they_are(tmp_path: Path):
    for at in range(24):
        path = tmp_path / "set" / "ab"[at % 2] / f"{at}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(at).integers(0, 256, (8, 8 + at % 3), np.uint8)).save(path)
    images = load_data(tmp_path / "set")
    for root, where in ((None, "title"), (tmp_path / "set", "effect")):  # without its files, and with them
        found = audit(images, root=root, cache_dir=tmp_path / "cache")
        assert found.find("pixel-range") is None
        (told,) = [one for one in found.findings if "are brought to 9x9" in one.title + one.effect]
        assert told.check == "mixed-sizes"
        assert "are brought to 9x9" in getattr(told, where)


@pytest.mark.parametrize("shape", [(12, 3, 9, 3), (12, 1, 9, 3), (12, 3, 3, 3)])
def test_axes_that_fit_both_orders_are_asked_for(tmp_path: Path, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with pytest.raises(DataError, match=r"channels first or channels last.*data\.layout=NCHW"):
        loaded(tmp_path, images)
    np.testing.assert_array_equal(loaded(tmp_path, images, layout="NCHW").images, images)
    np.testing.assert_array_equal(loaded(tmp_path, images, layout="NHWC").images, images.transpose(0, 3, 1, 2))


def test_axes_that_fit_one_order_need_no_word_and_are_not_bent_to_the_other(tmp_path: Path):
    images = np.random.default_rng(0).integers(0, 256, (12, 7, 9, 3), np.uint8)
    np.testing.assert_array_equal(loaded(tmp_path, images).images, images.transpose(0, 3, 1, 2))
    with pytest.raises(DataError, match=r"data\.layout=NCHW"):
        loaded(tmp_path, images, layout="NCHW")


@pytest.mark.parametrize("labels", [LABELS.astype("S1"), np.array(["née", "b", "c"])[LABELS]], ids=str)
def test_words_in_bytes_or_text_are_classes(tmp_path: Path, labels):
    found = load_data(save(tmp_path / "m.npz", x=stored(255, "u1"), y=labels))
    assert found.classes in (("0", "1", "2"), ("b", "c", "née"))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no text in UTF-8"):
        load_data(save(tmp_path / "m.npz", x=stored(255, "u1"), y=np.array([b"\xff", b"b"])[LABELS % 2]))

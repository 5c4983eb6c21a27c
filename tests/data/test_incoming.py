"""Whatever form further images come in, a network reads the same pixels, or says what is wrong."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from spikewise.data.appearance import appearance, unlike
from spikewise.data.incoming import Reading
from spikewise.errors import DataError, ShapeError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (4, 5, 7), np.uint8)
COLOUR = RNG.integers(0, 256, (4, 3, 5, 7), np.uint8)
GREY[0, 0, 0] = COLOUR[0, 0, 0, 0] = 255
OF_GREY, OF_COLOUR = Reading((1, 5, 7), {"uint8": 255}), Reading((3, 5, 7), {"uint8": 255})


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "images",
    [
        GREY, GREY[:, None], GREY[..., None], np.asfortranarray(GREY), GREY.astype(">u2") * 257, GREY.astype(np.int64),
        GREY / 255, GREY.astype(np.float32) / 255, GREY.astype(float), GREY.tolist(), list(GREY), tuple(GREY),
        torch.from_numpy(GREY), torch.from_numpy(GREY) / 255, list(torch.from_numpy(GREY)),
        [Image.fromarray(one) for one in GREY], [png(one) for one in GREY], [*GREY[:2], *map(png, GREY[2:])],
        (one for one in GREY), np.repeat(GREY[:, None], 3, axis=1), np.repeat(GREY[..., None], 3, axis=3),
    ],
    ids=lambda a: type(a).__name__,
)  # fmt: skip
def test_grey_images_in_any_form_are_the_same_pixels(images):
    np.testing.assert_array_equal(OF_GREY.pixels(images), GREY[:, None])


@pytest.mark.parametrize(
    "images", [COLOUR, COLOUR.transpose(0, 2, 3, 1), list(COLOUR), list(COLOUR.transpose(0, 2, 3, 1)), COLOUR / 255.0]
)
def test_colour_images_in_either_order_are_the_same_pixels(images):
    np.testing.assert_array_equal(OF_COLOUR.pixels(images), COLOUR)


@pytest.mark.parametrize("image", [GREY[0], GREY[:1], GREY[0][None, None], GREY[0][..., None], png(GREY[0])])
def test_one_image_alone_is_one(image):
    np.testing.assert_array_equal(OF_GREY.pixels(image), GREY[:1, None])


def test_the_pixels_are_the_networks_own():
    frozen = GREY.copy()
    frozen.setflags(write=False)
    for images in (frozen, png(GREY[0]), GREY):
        pixels = OF_GREY.pixels(images)
        assert pixels.flags.writeable
        assert pixels.flags.c_contiguous


def test_bfloat16_is_read():
    bits = torch.from_numpy((GREY > 127).astype(np.float32)).bfloat16()
    np.testing.assert_array_equal(OF_GREY.pixels(bits)[:, 0], np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ([], "no images"),
        (GREY[:0], "no images"),
        (GREY.reshape(4, -1), "1x5x7.*got an array of shape"),
        (GREY[:, :4], "1x5x7"),
        (GREY[0, 0], "1x5x7"),
        ([GREY[0], GREY[1, :3]], "1x5x7"),
        ([[1, 2], [3]], "1x5x7"),
        ([[[1, 2], [3]]], "rows of one length"),
        (3, "got int"),
        (None, "got NoneType|got nothing"),
        ([None], "got NoneType|got nothing"),
        (np.array(["a", "b"]), "a does not exist"),
        ({"a": 1}, "does not exist|got dict"),
    ],
    ids=str,
)
def test_what_is_no_image_of_the_networks_is_refused_in_words(images, says):
    with pytest.raises((ShapeError, DataError), match=says):
        OF_GREY.pixels(images)


def test_axes_that_fit_both_orders_are_asked_for():
    cube = RNG.integers(0, 256, (4, 3, 3, 3), np.uint8)
    network = Reading((3, 3, 3))
    with pytest.raises(ShapeError, match="layout='NCHW' or layout='NHWC'"):
        network.pixels(cube)
    np.testing.assert_array_equal(network.pixels(cube, layout="NCHW"), cube)
    np.testing.assert_array_equal(network.pixels(cube, layout="NHWC"), cube.transpose(0, 3, 1, 2))


def test_white_is_what_it_was_in_training():
    twelve = np.rint(GREY * (4095 / 255)).astype(np.uint16)
    deep = Reading((1, 5, 7), {"uint16": 4095})
    np.testing.assert_array_equal(deep.pixels(twelve)[:, 0], GREY)
    np.testing.assert_array_equal(deep.pixels([png(one) for one in twelve])[:, 0], GREY)
    np.testing.assert_array_equal(deep.pixels(GREY)[:, 0], GREY)  # bytes are full bytes, whatever 16 bits are
    with pytest.raises(DataError, match=r"to 65535 .*0 is black and 4095 white"):
        deep.pixels(GREY.astype(np.uint16) * 257)
    np.testing.assert_array_equal(deep.pixels(GREY.astype(np.uint16) * 257, white=65535)[:, 0], GREY)
    sixteen = Reading((1, 5, 7), {"uint8": 16})
    np.testing.assert_array_equal(sixteen.pixels(GREY // 16)[:, 0], np.rint((GREY // 16) * (255 / 16)))
    np.testing.assert_array_equal(sixteen.pixels(png(GREY[0]))[0, 0], GREY[0])  # no byte of 0..16 is that bright


@pytest.mark.parametrize("whites", [{}, {"uint8": 255}, {"float": 1}, {"float": 255}, {"integer": 255}], ids=str)
def test_the_usual_ranges_are_right_whatever_the_network_learned_from(whites):
    network = Reading((1, 5, 7), whites)
    for images in (GREY, GREY / 255, GREY.astype(float), GREY.astype(np.int32)):
        np.testing.assert_array_equal(network.pixels(images)[:, 0], GREY)


def test_a_range_that_nobody_knows_is_refused():
    for images in (GREY / 255 - 0.5, GREY * 1000.0, GREY / 0.0001, np.full((1, 5, 7), np.nan)):
        with pytest.raises(DataError, match="pixels from"):
            OF_GREY.pixels(images)


def digits_like(count: int, rng: np.random.Generator) -> np.ndarray:
    """Bright strokes on black, as wide as they like."""
    images = np.zeros((count, 1, 20, 20), np.uint8)
    for image in images:
        start = rng.integers(2, 10)
        image[0, 3:17, start : start + rng.integers(3, 7)] = rng.integers(200, 256)
    return images


def test_images_unlike_those_of_the_training_are_named_and_others_not():
    typical = appearance(digits_like(500, RNG), np.arange(500))
    fresh = digits_like(400, np.random.default_rng(7))
    assert unlike(fresh, typical) == [None] * 400
    assert all("looks inverted" in (said or "") for said in unlike(255 - fresh, typical))
    assert all("far less contrast" in (said or "") for said in unlike(fresh // 255, typical))
    assert all("far brighter" in (said or "") for said in unlike(np.full_like(fresh, 250), typical))


def test_a_picture_of_another_shape_is_fitted_as_the_training_images_were():
    tall = np.full((10, 4), 200, np.uint8)
    kept = Reading((1, 5, 7), {"uint8": 255}, aspect="keep").pixels(Image.fromarray(tall))[0, 0]
    assert [*np.flatnonzero(kept.any(0))] == [2, 3]
    assert (kept[:, 2:4] == 200).all()
    assert (Reading((1, 5, 7), {"uint8": 255}).pixels(Image.fromarray(tall)) == 200).all()
    ground = Reading((1, 5, 7), {"uint8": 255}, "white", "keep").pixels(Image.fromarray(tall))[0, 0]
    assert (ground[:, :2] == 255).all()


def test_numbers_of_another_type_that_may_be_nearly_black_are_asked_about():
    for times in (1, 4, 16, 64):  # 8, 10, 12 and 14 bits, kept in 16
        deep = GREY.astype(np.uint16) * times
        with pytest.raises(DataError, match=r"stored otherwise: these may be nearly black.*--white"):
            OF_GREY.pixels(deep)
        np.testing.assert_array_equal(OF_GREY.pixels(deep, white=255 * times), GREY[:, None])
    with pytest.raises(DataError, match="stored otherwise"):
        OF_GREY.pixels(GREY.astype(np.int64) * 16)
    np.testing.assert_array_equal(OF_GREY.pixels(GREY.astype(np.uint16) * 257), GREY[:, None])
    np.testing.assert_array_equal(OF_GREY.pixels((GREY // 8).tolist()), GREY[:, None] // 8)  # dark, of the usual range
    dark = Reading((1, 5, 7), {"uint16": 65535}).pixels(GREY.astype(np.uint16) * 16)
    np.testing.assert_array_equal(dark, np.rint(GREY[:, None] * (16 / 257)))  # as dark as they may be: its own type
    assert not OF_GREY.pixels(np.zeros((2, 5, 7), np.uint16)).any()

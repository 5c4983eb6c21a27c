import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewise.data import decode_image
from spikewise.errors import ConfigError, DataError, MissingDataError

RNG = np.random.default_rng(2)
GREY = RNG.integers(0, 256, (5, 7), np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), np.uint8)


def encode(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM"])
def test_lossless_grey_formats_come_back_exactly(kind):
    pixels = decode_image(encode(Image.fromarray(GREY), kind))
    np.testing.assert_array_equal(pixels, GREY[None])


def test_lossy_formats_come_back_nearly():
    smooth = np.tile(np.arange(0, 240, 6, np.uint8), (40, 1))
    for kind in ("JPEG", "WEBP"):
        pixels = decode_image(encode(Image.fromarray(smooth), kind, quality=95), grey=True)
        assert np.abs(pixels[0].astype(int) - smooth).max() < 12


@pytest.mark.parametrize("mode", ["RGB", "P", "CMYK"])
def test_colour_modes_have_three_channels_and_keep_their_colours(mode):
    flat = Image.new("RGB", (4, 4), (255, 0, 0)).convert(mode)
    pixels = decode_image(encode(flat, "TIFF"))
    assert pixels.shape == (3, 4, 4)
    assert np.abs(pixels[:, 0, 0].astype(int) - (255, 0, 0)).max() <= 1
    assert decode_image(encode(flat, "TIFF"), grey=True).shape == (1, 4, 4)


def test_one_bit_images_are_black_and_white():
    pixels = decode_image(encode(Image.fromarray(GREY > 127), "PNG"))
    np.testing.assert_array_equal(pixels[0], np.where(GREY > 127, 255, 0))


def test_sixteen_bits_are_scaled_not_stretched():
    deep = np.array([[0, 257, 25_700, 65_535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        assert decode_image(encode(Image.fromarray(deep), kind))[0, 0].tolist() == [0, 1, 100, 255]


def test_floats_lie_between_0_and_1():
    inside = np.array([[0, 0.5, 1]], np.float32)
    assert decode_image(encode(Image.fromarray(inside), "TIFF"))[0, 0].tolist() == [0, 128, 255]
    with pytest.raises(DataError, match=r"expected 0\.\.1"):
        decode_image(encode(Image.fromarray(inside * 2), "TIFF"))


def test_white_may_be_said_and_what_is_no_number_is_refused():
    deep = np.array([[0, 10, 20, 40]], np.float32)
    assert decode_image(encode(Image.fromarray(deep), "TIFF"), white=20)[0, 0].tolist() == [0, 128, 255, 255]
    deep[0, 1] = np.nan
    with pytest.raises(DataError, match="no finite numbers"):
        decode_image(encode(Image.fromarray(deep), "TIFF"), white=20)
    with pytest.raises(ConfigError, match="above 0"):
        decode_image(encode(Image.fromarray(GREY), "PNG"), white=0)


def test_transparency_is_black():
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[..., 0] = 200
    pixels[0, :, 3] = 255
    pixels[1, 0, 3] = 51
    found = decode_image(encode(Image.fromarray(pixels), "PNG"))
    assert found[0].tolist() == [[200, 200], [40, 0]]


def test_an_alpha_channel_of_zeros_is_unused():
    pixels = np.dstack([GREY, GREY, GREY, np.zeros_like(GREY)])
    np.testing.assert_array_equal(decode_image(encode(Image.fromarray(pixels), "PNG"), grey=True), GREY[None])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_obeyed(orientation):
    corner = np.zeros((8, 16), np.uint8)
    corner[:4, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(Image.fromarray(corner), "PNG", exif=exif)
    found = decode_image(content)[0]
    turned = orientation >= 5
    assert found.shape == ((16, 8) if turned else (8, 16))
    bottom, right = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[
        orientation
    ]
    assert found[-1 if bottom else 0, -1 if right else 0] == 255
    assert decode_image(content, size=(6, 3)).shape == (1, 6, 3)


def test_of_an_animation_the_first_frame_counts():
    frames = [Image.new("L", (3, 3), value) for value in (10, 200)]
    content = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert set(decode_image(content, grey=True).ravel()) == {10}


def test_shrinking_averages():
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    found = decode_image(encode(Image.fromarray(board.astype(np.uint8)), "PNG"), size=(8, 8))
    assert np.abs(found.astype(int) - 127).max() < 20


def test_a_jpeg_decoded_small_looks_as_if_decoded_whole():
    y, x = np.mgrid[:256, :256]
    picture = Image.fromarray((127 + 100 * np.sin(x / 20) * np.cos(y / 30)).astype(np.uint8))
    small = decode_image(encode(picture, "JPEG", quality=95), size=(60, 60))[0].astype(int)
    whole = np.asarray(picture.resize((60, 60), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(small - whole).mean() < 2


WHOLE = encode(Image.fromarray(COLOUR), "PNG")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"hello", "it is damaged, or of a kind other"),
        (WHOLE[:-30], r"cannot be decoded|not an image"),
        (WHOLE[:60] + bytes(20) + WHOLE[80:], "cannot be decoded"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "it is damaged, or of a kind other"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content, says):
    (tmp_path / "it.png").write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        decode_image(tmp_path / "it.png")
    assert "it.png" in str(caught.value)
    called = "what was given" if "is not an image" in str(caught.value) else "the image"
    with pytest.raises(DataError, match=called):
        decode_image(content)


def test_a_missing_image_is_missing(tmp_path: Path):
    with pytest.raises(MissingDataError, match="does not exist"):
        decode_image(tmp_path / "none.png")


def test_decompression_bombs_are_refused_before_they_unpack():
    with pytest.raises(DataError, match="decompression bomb"):
        decode_image(encode(Image.fromarray(GREY), "PNG"), max_pixels=34)
    for side in (14_000, 10_000):
        bomb = encode(Image.new("1", (side, side)), "PNG")
        with pytest.raises(DataError, match="decompression bomb"):
            decode_image(bomb)

"""The picture that a viewer shows is the picture that is read; truth is turned and resized by hand, in NumPy."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewise.data import decode_image, load_data
from spikewise.errors import DataError

ORIENTATION = 0x0112
BASE = np.zeros((30, 60), np.uint8)
BASE[:10], BASE[:, :4], BASE[25, 50] = 255, 128, 200
BASE += np.random.default_rng(0).integers(0, 50, BASE.shape, np.uint8)
COLOUR = np.dstack([BASE, 255 - BASE, BASE // 2])
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


def resized(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear: weights fall linearly with the distance from a pixel's centre, over two of the wider pixels."""
    for axis, target in enumerate(size):
        length = plane.shape[axis]
        scale = length / target
        centres = (np.arange(target) + 0.5) * scale
        weights = 1 - np.abs(np.arange(length) + 0.5 - centres[:, None]) / max(scale, 1)
        weights = weights.clip(0)
        plane = np.moveaxis(np.tensordot(weights / weights.sum(1, keepdims=True), plane, (1, axis)), 0, axis)
    return plane


def encoded(array: np.ndarray, kind: str, tag: int | None = None, **options) -> bytes:
    exif = Image.Exif()
    if tag is not None:
        exif[ORIENTATION] = tag
        options["exif"] = exif
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **options)
    return file.getvalue()


FORMATS = {
    "png": ("PNG", {}, 0),
    "webp": ("WEBP", {"lossless": True}, 0),
    "raw.tif": ("TIFF", {}, 0),
    "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}, 0),
    "zip.tif": ("TIFF", {"compression": "tiff_deflate"}, 0),
    "jpg": ("JPEG", {"quality": 100, "subsampling": 0}, 3),
}


def roads(content: bytes, folder: Path, name: str) -> Iterator[tuple[str, object]]:
    path = folder / name
    path.write_bytes(content)
    yield "path", path
    yield "bytes", content
    with Image.open(path) as image:
        yield "opened by path", image
    yield "opened by file", Image.open(io.BytesIO(content))
    loaded = Image.open(io.BytesIO(content))
    loaded.load()
    yield "in memory", loaded


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("tag", UPRIGHT)
def test_every_orientation_is_upright_in_every_format_by_every_road(tmp_path: Path, suffix, tag):
    kind, options, near = FORMATS[suffix]
    for array in (BASE, COLOUR):
        want = np.atleast_3d(UPRIGHT[tag](array)).transpose(2, 0, 1).astype(int)
        if suffix == "webp":  # has no grey
            want = np.broadcast_to(want, (3, *want.shape[1:]))
        small = np.stack([resized(plane.astype(float), (20, 12)) for plane in want])
        for road, source in roads(encoded(array, kind, tag, **options), tmp_path, f"it.{suffix}"):
            found = decode_image(source)
            assert found.shape == want.shape, road
            assert np.abs(found - want).max() <= near, road
            assert np.abs(decode_image(source, size=(20, 12)) - small).max() <= near + 1, road


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_folder_holds_the_same_pictures(tmp_path: Path, suffix):
    kind, options, near = FORMATS[suffix]
    for tag, turn in UPRIGHT.items():
        for label in "ab":
            (tmp_path / str(tag) / label).mkdir(parents=True)
            for number in range(2):
                content = encoded(np.roll(BASE, number, 1), kind, tag, **options)
                (tmp_path / str(tag) / label / f"{number}.{suffix}").write_bytes(content)
        for options_of_set in ({}, {"size": (24, 32)}):
            found = load_data(tmp_path / str(tag), cache_dir=tmp_path / "cache", **options_of_set)
            want = turn(BASE).astype(float)
            want = resized(want, (24, 32)) if options_of_set else want
            assert np.abs(found.images[0, 0] - want).max() <= near + bool(options_of_set)


EXIF = {
    "empty": b"Exif\0\0",
    "cut": b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01\x12\0\x03",
    "junk": b"Exif\0\0\x12\x34\x56\x78junkjunk",
    "far": b"Exif\0\0II*\0\xff\xff\xff\x7f",
    "zeros": b"Exif\0\0" + bytes(30),
    "nine": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x09\0\0\0\0\0\0",
    "as text": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x016\0\0\0\0\0\0\0",
}


def png_with(chunk: bytes, *, late: bool) -> bytes:
    plain = encoded(BASE, "PNG")
    at = plain.index(b"IEND") - 4 if late else 33
    made = struct.pack(">I", len(chunk)) + b"eXIf" + chunk
    return plain[:at] + made + struct.pack(">I", zlib.crc32(made[4:])) + plain[at:]


@pytest.mark.parametrize("block", EXIF)
def test_broken_exif_decides_nothing(block):
    plain = encoded(BASE, "JPEG", quality=95)
    app1 = b"\xff\xe1" + struct.pack(">H", len(EXIF[block]) + 2) + EXIF[block]
    np.testing.assert_array_equal(decode_image(plain[:2] + app1 + plain[2:]), decode_image(plain))
    for late in (False, True):
        np.testing.assert_array_equal(decode_image(png_with(EXIF[block].removeprefix(b"Exif\0\0"), late=late))[0], BASE)


@pytest.mark.parametrize("late", [False, True])
def test_a_png_may_say_its_orientation_before_or_behind_its_pixels(late):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = png_with(exif.tobytes().removeprefix(b"Exif\0\0"), late=late)
    np.testing.assert_array_equal(decode_image(content)[0], UPRIGHT[6](BASE))


def test_exif_that_is_there_twice_still_counts():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    block = b"Exif\0\0" + exif.tobytes()
    plain = encoded(BASE, "JPEG", quality=100)
    app1 = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    assert decode_image(plain[:2] + app1 + plain[2:]).shape == (1, 60, 30)


def test_metadata_on_colour_changes_no_pixel():
    plain = encoded(COLOUR, "PNG")
    for name, body in {b"gAMA": struct.pack(">I", 100_000), b"sRGB": b"\0", b"sBIT": b"\4\4\4"}.items():
        chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        np.testing.assert_array_equal(decode_image(plain[:33] + chunk + plain[33:]), COLOUR.transpose(2, 0, 1))


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})])
def test_a_file_and_an_array_of_the_same_deep_numbers_are_the_same_pixels(tmp_path: Path, kind, options):
    shares = np.random.default_rng(1).random((6, 9, 7))
    shares[0, 0, :2] = 0, 1
    stored = [(np.rint(shares * 65535), "u2"), (np.rint(shares * 4095), "u2"), (np.rint(shares * 200), "u2")]
    stored += [(np.rint(shares * 200), "i4"), (shares, "f4"), (shares * 255, "f4")] if kind == "TIFF" else []
    for number, (numbers, dtype) in enumerate(stored):
        array = numbers.astype(dtype)
        for position, image in enumerate(array):
            place = tmp_path / f"{number}" / "ab"[position % 2]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{position}.{kind.lower()}", kind, **options)
        order = np.argsort(np.arange(6) % 2, kind="stable")
        np.savez(tmp_path / f"{number}.npz", x=array[order], y=(np.arange(6) % 2)[order])
        files = load_data(tmp_path / f"{number}", cache_dir=tmp_path / "cache")
        arrays = load_data(tmp_path / f"{number}.npz")
        np.testing.assert_array_equal(files.images, arrays.images)
        assert files.whites == arrays.whites
        assert files.cautions == arrays.cautions
        again = load_data(tmp_path / f"{number}", cache_dir=tmp_path / "cache")
        assert (again.whites, again.cautions) == (files.whites, files.cautions)


def test_masks_in_files_are_seen(tmp_path: Path):
    mask = np.random.default_rng(1).integers(0, 2, (4, 9, 7)).astype(np.uint8)
    for position, image in enumerate(mask):
        place = tmp_path / "set" / "ab"[position // 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{position}.png")
    found = load_data(tmp_path / "set", cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(found.images[:, 0], mask * 255)
    assert "1 was taken for white" in found.cautions[0]
    as_stored = load_data(tmp_path / "set", cache_dir=tmp_path / "cache", white=255)
    np.testing.assert_array_equal(as_stored.images[:, 0], mask)


def tiff(array: np.ndarray, **tags: int) -> bytes:
    """An uncompressed little-endian TIFF of one strip; what Pillow cannot write."""
    fields = {256: array.shape[1], 257: array.shape[0], 258: tags.pop("bits"), 259: 1, 262: tags.pop("photometric", 1)}
    body = tags.pop("content", array.tobytes())
    fields |= {273: 8, 277: 1, 278: array.shape[0], 279: len(body), 339: tags.pop("format", 1)}
    ifd = struct.pack("<H", len(fields))
    ifd += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(fields.items()))
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + ifd + bytes(4)


def test_what_a_tiff_says_of_its_numbers_is_heard():
    deep = np.array([[0, 257, 25_700, 65_535]], np.uint16)
    assert decode_image(tiff(deep, bits=16))[0, 0].tolist() == [0, 1, 100, 255]
    assert decode_image(tiff(deep, bits=16, photometric=0))[0, 0].tolist() == [255, 254, 155, 0]
    twelve = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in [(0, 4095), (1000, 2048)])
    assert decode_image(tiff(np.zeros((1, 4)), bits=12, content=twelve))[0, 0].tolist() == [0, 255, 62, 128]
    unsigned = np.array([[0, 4_000_000_000]], np.uint32)
    assert decode_image(tiff(unsigned, bits=32), white=4e9)[0, 0].tolist() == [0, 255]
    with pytest.raises(DataError, match=r"from 0 to 4e\+09"):
        decode_image(tiff(unsigned, bits=32))


def drawing(ink: int) -> Image.Image:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[2:5, 3:6] = ink, ink, ink, 255
    return Image.fromarray(pixels)


def drawn(folder: Path, inks: dict[str, int]) -> Path:
    for name, ink in inks.items():
        (folder / name).mkdir(parents=True)
        for number in range(3):
            drawing(ink + number).save(folder / name / f"{number}.png")
    return folder


def test_drawings_that_transparency_hides_are_named(tmp_path: Path):
    black = drawn(tmp_path / "black", {"a": 0, "b": 0})
    for file in black.rglob("*.png"):
        drawing(0).save(file)
    with pytest.raises(DataError, match=r"black throughout.*Transparency was laid on black.*data\.background=white"):
        load_data(black, cache_dir=tmp_path / "cache")
    shown = load_data(black, cache_dir=tmp_path / "cache", background="white")
    assert not shown.images[0, :, 3, 4].any()
    assert (shown.images[:, :, 0, 0] == 255).all()
    dark = load_data(drawn(tmp_path / "dark", {"a": 20, "b": 30}), cache_dir=tmp_path / "cache")
    assert "pixels reach 32 of 255. Transparency was laid on black" in dark.cautions[0]
    mixed = drawn(tmp_path / "mixed", {"a": 0, "b": 200})
    found = load_data(mixed, cache_dir=tmp_path / "cache")
    assert "1 image is one even colour without transparency, such as a/0.png" in found.cautions[0]
    assert load_data(drawn(tmp_path / "bright", {"a": 100, "b": 200}), cache_dir=tmp_path / "cache").cautions == ()


def test_pillow_warnings_on_metadata_reach_nobody():
    block = b"Exif\0\0" + b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01"
    plain = encoded(BASE, "JPEG", quality=95)
    content = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        decode_image(content)
        warnings.warn("one of others", stacklevel=1)
    assert [str(one.message) for one in seen] == ["one of others"]


def test_no_memory_is_said_in_words(monkeypatch):
    monkeypatch.setattr(Image.Image, "resize", lambda *_, **__: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(DataError, match=r"needs more memory than is left.*data\.max_pixels"):
        decode_image(encoded(BASE, "PNG"), size=(4, 4))

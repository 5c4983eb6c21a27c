"""A PNG that is read by the short way is what Pillow reads; bytes in memory always go to Pillow, and are the truth."""

import io
import itertools
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewise.data import decode_image
from spikewise.data.opened import opened, read_header
from spikewise.data.plain_png import read_plain_png
from spikewise.errors import DataError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, 7), np.uint8)
SMOOTH = np.add.outer(np.arange(40), np.arange(30) // 2).astype(np.uint8)  # every kind of row filter pays off somewhere
COLOUR = RNG.integers(0, 256, (5, 6, 3), np.uint8)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(array: np.ndarray, *, before: bytes = b"", behind: bytes = b"", pieces: int = 1, filters=None) -> bytes:
    """A file put together by hand; row r is stored with the filter `filters[r]`."""
    height, width = array.shape[:2]
    rows = array.reshape(height, -1)
    step = rows.shape[1] // width
    kinds = [0] * height if filters is None else filters
    packed = zlib.compress(b"".join(filtered(rows, at, kind, step) for at, kind in enumerate(kinds)))
    head = struct.pack(">IIBBBBB", width, height, 8, 2 if array.ndim == 3 else 0, 0, 0, 0)
    cuts = np.linspace(0, len(packed), pieces + 1).astype(int)
    data = b"".join(chunk(b"IDAT", packed[start:end]) for start, end in itertools.pairwise(cuts))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + data + behind + chunk(b"IEND", b"")


def filtered(rows: np.ndarray, at: int, kind: int, step: int) -> bytes:
    """A row as PNG stores it (specification, section 9)."""
    row, above = rows[at].astype(int), (rows[at - 1] if at else np.zeros_like(rows[0])).astype(int)
    left = np.concatenate([np.zeros(step, int), row[:-step]])
    corner = np.concatenate([np.zeros(step, int), above[:-step]])
    guess = left + above - corner
    far = np.abs([guess - left, guess - above, guess - corner])
    paeth = np.where((far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], above, corner))
    taken = [np.zeros_like(row), left, above, (left + above) // 2, paeth][kind]
    return bytes([kind]) + ((row - taken) % 256).astype(np.uint8).tobytes()


def saved(array: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", **options)
    return file.getvalue()


def outcome(source: Path | bytes) -> object:
    """What becomes of a file: its header and pixels, or the words that say why there are none."""
    names = (str(source),) if isinstance(source, Path) else ("the image", "what was given")
    try:
        return read_header(source), decode_image(source).tolist()
    except DataError as error:
        said = str(error)
        for name in names:
            said = said.replace(name, "NAME")
        return said


HARMLESS = (
    chunk(b"gAMA", b"\0\0\xb1\x8f") + chunk(b"pHYs", bytes(9)) + chunk(b"sRGB", b"\0") + chunk(b"cHRM", bytes(32))
)
PLAIN = {
    "grey": png(GREY),
    "colour": png(COLOUR),
    "one pixel": png(GREY[:1, :1]),
    "every filter": png(GREY, filters=[0, 1, 2, 3, 4, 4, 3, 2, 1]),
    "every filter in colour": png(COLOUR, filters=[4, 3, 2, 1, 0]),
    "in pieces": png(GREY, pieces=4),
    "metadata": png(GREY, before=HARMLESS, behind=chunk(b"tIME", bytes(7))),
    "by Pillow": saved(SMOOTH),
    "by Pillow, small": saved(SMOOTH, optimize=True),
    "by Pillow, in colour": saved(np.dstack([SMOOTH, SMOOTH.T[:30, :].repeat(2, 0)[:40, :30], SMOOTH])),
}


@pytest.mark.parametrize("content", PLAIN.values(), ids=PLAIN)
def test_plain_files_are_what_pillow_reads(tmp_path: Path, content):
    (path := tmp_path / "a.PNG").write_bytes(content)
    found = read_plain_png(path)
    assert found is not None
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(np.asarray(found.picture()), np.asarray(image))
    assert outcome(path) == outcome(content)
    for size, grey in itertools.product([None, (4, 6)], [None, True, False]):
        assert np.array_equal(
            decode_image(path, size=size, grey=grey, aspect="keep"),
            decode_image(content, size=size, grey=grey, aspect="keep"),
        )


HEAD = struct.pack(">IIBBBBB", 7, 9, 8, 0, 0, 0, 0)
TURNED = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
OTHERS = {
    "alpha": saved(np.dstack([COLOUR, COLOUR[..., :1]])),
    "deep": saved(GREY.astype(np.uint16) * 257),
    "one bit": saved(GREY > 99),
    "transparent": png(GREY, before=chunk(b"tRNS", b"\0\7")),
    "turned": png(GREY, before=chunk(b"eXIf", TURNED)),
    "turned behind": png(GREY, behind=chunk(b"eXIf", TURNED)),
    "turned in a text": png(GREY, before=chunk(b"tEXt", b"exif\0Exif\0\0" + TURNED)),
    "moving": png(GREY, before=chunk(b"acTL", struct.pack(">II", 1, 0))),
    "short metadata": png(GREY, before=chunk(b"gAMA", b"\0\0")),
    "another beginning": png(GREY, before=chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 3, 8, 0, 0, 0, 0))),
    "pixels in two places": png(GREY).replace(chunk(b"IEND", b""), chunk(b"tIME", bytes(7)) + chunk(b"IDAT", b"more")),
    "something behind": png(GREY) + b"\0",
    "no pixels": png(GREY).replace(chunk(b"IHDR", HEAD), chunk(b"IHDR", HEAD[:4] + bytes(4) + HEAD[8:])),
    "large": saved(RNG.integers(0, 256, (600, 600), np.uint8)),
    "a JPEG": saved(GREY).replace(b"PNG", b"JPG"),
    "nothing": b"",
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_all_others_are_left_to_pillow(tmp_path: Path, content):
    (path := tmp_path / "a.png").write_bytes(content)
    assert read_plain_png(path) is None
    assert outcome(path) == outcome(content)


def test_files_damaged_anywhere_end_in_the_same_words_or_pixels(tmp_path: Path):
    path, ends = tmp_path / "a.png", set()
    whole = png(GREY, filters=[0, 1, 2, 3, 4, 4, 3, 2, 1], before=HARMLESS)
    damaged = [whole[:length] for length in range(len(whole))]
    damaged += [whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :] for at in range(len(whole))]
    data = whole.index(b"IDAT") + 4
    length = int.from_bytes(whole[data - 8 : data - 4], "big")
    packed = whole[data : data + length]
    for at in range(length):  # checksums that are right, of data that are not
        broken = packed[:at] + bytes([packed[at] ^ 0x41]) + packed[at + 1 :]
        damaged += [whole[: data - 8] + chunk(b"IDAT", part) + chunk(b"IEND", b"") for part in (broken, packed[:at])]
    for height, width in itertools.product([0, 1, 8, 10, 2**31], [0, 6, 8]):
        head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        damaged.append(whole[:8] + chunk(b"IHDR", head) + whole[33:])
    for content in damaged:
        path.write_bytes(content)
        ends.add(type(outcome(path)))
        assert outcome(path) == outcome(content), content
    assert ends == {str, tuple}


def test_a_limit_on_pixels_holds_for_plain_files(tmp_path: Path):
    (path := tmp_path / "a.png").write_bytes(png(GREY))
    with pytest.raises(DataError, match="claims 7 x 9 pixels"), opened(path, 62):
        pass
    with opened(path, 63) as (_, header):
        assert (header.height, header.width) == (9, 7)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have a name")
def test_a_pipe_called_png_is_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(path := tmp_path / "a.png")
    with pytest.raises(DataError, match="is a pipe"):
        read_header(path)

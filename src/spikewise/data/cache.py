"""Decoded image files as one memory-mapped array, kept on disk: decoded once, never all in memory.

An entry is named by a SHA-256 over the settings, the folder's path, and each file's name, size, modification and change
time. Hashing the contents instead would read every file, which is most of what the cache saves; the change time cannot
be set back by a program that unpacks or copies files, so an exchanged file is noticed.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from jaxtyping import UInt8

from spikewise.data.arrays import hash_images
from spikewise.data.decode import decode_with_header, read_header
from spikewise.errors import DataError
from spikewise.files import make_folder, replace_file, write_json

__all__ = ["Decoded", "Decoding", "Progress", "decode_files"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""

_VERSION = 1
_CHUNK = 32


class Decoding(NamedTuple):
    """How image files are decoded; see `decode_image`."""

    size: tuple[int, int] | None
    grey: bool | None
    max_pixels: int


class Decoded(NamedTuple):
    """What became of a list of files."""

    images: UInt8[np.ndarray, "N C H W"]
    """Read-only memory map of the files that could be decoded, in their order."""
    pixels: str
    """`hash_images` of them."""
    bad: dict[str, str]
    """File and reason, for those that could not."""
    animated: list[str]
    """Files of which only the first frame was read."""


def decode_files(
    root: Path, files: Sequence[str], decoding: Decoding, cache: Path, progress: Progress | None = None
) -> Decoded:
    """Decode files below `root`, or take them from the cache; two processes may do so at once.

    Raises:
        DataError: files of several sizes and no size given, or not one that can be decoded.
        StorageError: the cache folder cannot be written.
    """
    key = _key(root, files, decoding)
    array, facts = cache / f"{key}.npy", cache / f"{key}.json"
    kept = _load(array, facts)
    if kept is not None:
        return kept
    make_folder(cache)
    settled, shape, unreadable = _settle(root, files, decoding)
    with replace_file(array) as temporary:
        pixels = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(len(files), *shape))
        _reserve(temporary)
        bad, animated = _decode_all(root, files, settled, pixels, progress)
        bad = unreadable | bad
        count = _close_gaps(pixels, [position for position, name in enumerate(files) if name not in bad])
        if not count:
            raise DataError(f"None of the {len(files)} images in {root} can be decoded; {next(iter(bad.values()))}")
        digest = hash_images(pixels[:count])
        pixels.flush()
        del pixels
    write_json(facts, {"count": count, "pixels": digest, "bad": bad, "animated": animated})
    kept = _load(array, facts)
    assert kept is not None
    return kept


def _key(root: Path, files: Sequence[str], decoding: Decoding) -> str:
    digest = hashlib.sha256(repr((_VERSION, PIL.__version__, decoding, str(root.resolve()))).encode())
    for name in files:
        try:
            status = (root / name).stat()
        except OSError:  # a link to nowhere: decoding says so
            status = (root / name).lstat()
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}\n".encode())
    return digest.hexdigest()[:32]


def _load(array: Path, facts: Path) -> Decoded | None:
    try:
        known = json.loads(facts.read_text())
        images = np.load(array, mmap_mode="r", allow_pickle=False)
        return Decoded(images[: known["count"]], known["pixels"], known["bad"], known["animated"])
    except (OSError, ValueError, KeyError, TypeError):  # not there, or damaged: decode again
        return None


def _settle(
    root: Path, files: Sequence[str], decoding: Decoding
) -> tuple[Decoding, tuple[int, int, int], dict[str, str]]:
    """Size and channels where they are not given, from the files' headers; with the files that have none."""
    if decoding.size is not None and decoding.grey is not None:
        return decoding, (1 if decoding.grey else 3, *decoding.size), {}
    with ThreadPoolExecutor(_workers()) as pool:
        headers = list(pool.map(lambda name: _try_header(root / name, decoding.max_pixels), files))
    bad = {name: header for name, header in zip(files, headers, strict=True) if isinstance(header, str)}
    read = [header for header in headers if not isinstance(header, str)]
    if not read:
        raise DataError(f"None of the {len(files)} images in {root} can be decoded; {headers[0]}")
    sizes = {(height, width) for height, width, _ in read}
    if decoding.size is None and len(sizes) > 1:
        listed = ", ".join(f"{height}x{width}" for height, width in sorted(sizes)[:4])
        raise DataError(
            f"{root} mixes images of {len(sizes)} sizes (height x width: {listed}{', ...' if len(sizes) > 4 else ''}). "
            "Say which size to bring them to: --set data.size=64, or size=64 in Python."
        )
    size = decoding.size or sizes.pop()
    grey = all(grey for _, _, grey in read) if decoding.grey is None else decoding.grey
    return decoding._replace(size=size, grey=grey), (1 if grey else 3, *size), bad


def _try_header(path: Path, max_pixels: int) -> tuple[int, int, bool] | str:
    try:
        return read_header(path, max_pixels=max_pixels)[:3]
    except DataError as error:
        return str(error)


def _decode_all(
    root: Path, files: Sequence[str], decoding: Decoding, out: UInt8[np.ndarray, "N C H W"], progress: Progress | None
) -> tuple[dict[str, str], list[str]]:
    """Fill `out`; returns reasons by bad file, and the animated files."""
    bad: dict[str, str] = {}
    animated: list[str] = []

    def decode(start: int) -> int:
        names = files[start : start + _CHUNK]
        for position, name in enumerate(names, start):
            try:
                out[position], header = decode_with_header(root / name, **decoding._asdict())
            except DataError as error:
                bad[name] = str(error)
            else:
                animated.extend([name] * header.animated)
        return len(names)

    with ThreadPoolExecutor(_workers()) as pool:
        done = 0
        try:
            for chunk in as_completed([pool.submit(decode, start) for start in range(0, len(files), _CHUNK)]):
                done += chunk.result()
                if progress is not None:
                    progress("decoding images", done, len(files))
        except BaseException:  # also Ctrl-C: do not decode the rest first
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return dict(sorted(bad.items())), sorted(animated)


def _close_gaps(images: UInt8[np.ndarray, "N C H W"], good: list[int]) -> int:
    """Move the good images to the front, in order; returns how many they are."""
    for target, source in enumerate(good):
        if target != source:
            images[target] = images[source]
    return len(good)


def _reserve(path: Path) -> None:
    """Claim the disk space now: writing to a map on a full disk would kill the process."""
    with contextlib.suppress(AttributeError), path.open("rb+") as file:  # not on Windows and macOS
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _workers() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Windows and macOS
        return os.cpu_count() or 1

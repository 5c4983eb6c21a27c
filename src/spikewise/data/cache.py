"""Decoded image files as one memory-mapped array, kept on disk: decoded once, never all in memory.

An entry is named by a SHA-256 over the settings, the folder's path, and each file's name, size, modification and change
time. Hashing the contents instead would read every file, which is most of what the cache saves; the change time cannot
be set back by a program that unpacks or copies files, so an exchanged file is noticed.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from jaxtyping import UInt8

from spikewise.data.arrays import hash_images
from spikewise.data.config import Background, DataConfig, Sizing
from spikewise.data.decode import Frame, Header, WhiteOf, decode, known_whites, numbers_of, read_header
from spikewise.data.image_set import Aspect
from spikewise.data.resize import one_size
from spikewise.data.white import Kind, Range, Whites, merge, resolve_white
from spikewise.errors import DataError
from spikewise.files import make_folder, replace_file, write_json

__all__ = ["Decoded", "Decoding", "Progress", "decode_files"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""

_VERSION = 3
_CHUNK = 32
_DARK = 63
"""Brightest pixel of a set of bytes that leaves three quarters of their range empty."""
_BYTES = Whites({"bool": 1, "uint8": 255}, ())


class Decoding(NamedTuple):
    """How image files are decoded; see `decode_image`."""

    size: Sizing
    grey: bool | None
    max_pixels: int
    white: float | None
    """None: what `resolve_white` finds for the whole set."""
    background: Background
    aspect: Aspect | None

    @classmethod
    def of(cls, config: DataConfig) -> "Decoding":
        """What a configuration asks for."""
        ground = config.background or "black"
        return cls(config.size, config.grey, config.max_pixels, config.white_number, ground, config.aspect)


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
    whites: dict[Kind, float]
    """What white is, by how the files store their pixels."""
    cautions: tuple[str, ...]
    """What a reader must know of that, of the size they were brought to, and of what transparency hid."""
    aspect: Aspect
    """How they were brought to it."""


class _Outcome(NamedTuple):
    """What decoding all files gave besides pixels."""

    bad: dict[str, str]
    animated: list[str]
    hidden: list[str]


class _Files(NamedTuple):
    """Files of one folder, how they are decoded, and whom to tell."""

    root: Path
    names: Sequence[str]
    decoding: Decoding
    tell: Progress | None

    @property
    def dark(self) -> str:
        """What may be behind a dark set with transparency."""
        ground = self.decoding.background
        other = "white" if ground == "black" else "black"
        return (
            f"Transparency was laid on {ground}, where {'dark' if ground == 'black' else 'bright'} drawings vanish; "
            f"data.background={other} shows them."
        )


def decode_files(
    root: Path,
    files: Sequence[str],
    decoding: Decoding,
    cache: Path,
    progress: Progress | None = None,
    *,
    training: Sequence[str] = (),
) -> Decoded:
    """Decode files below `root`, or take them from the cache; two processes may do so at once.

    Args:
        training: The files that say to which size all are brought where there are several; none: all of them.
    Raises:
        DataError: files of several sizes and "none" as size, not one that can be decoded, or several things that white
            could be.
        StorageError: the cache folder cannot be written.
    """
    key = _key(root, files, decoding, training)
    array, facts = cache / f"{key}.npy", cache / f"{key}.json"
    kept = _load(array, facts)
    if kept is not None:
        return kept
    make_folder(cache)
    headers, unreadable = _headers(_Files(root, files, decoding, progress))
    decoding, shape, sizing = _settle_shape(root, headers, decoding, training)
    work = _Files(root, files, decoding, progress)
    with replace_file(array) as temporary:
        pixels = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(len(files), *shape))
        _reserve(temporary)
        whites, outcome = _decode_set(work, headers, pixels)
        bad = dict(sorted((unreadable | outcome.bad).items()))
        count = _close_gaps(pixels, [position for position, name in enumerate(files) if name not in bad])
        if not count:
            raise DataError(f"None of the {len(files)} images in {root} can be decoded; {next(iter(bad.values()))}")
        digest = hash_images(pixels[:count])
        pixels.flush()
        del pixels
    cautions = [*sizing, *whites.cautions, *_hidden(work, outcome.hidden)]
    found = {"count": count, "pixels": digest, "bad": bad, "animated": outcome.animated}
    write_json(facts, {**found, "whites": whites.of, "cautions": cautions, "aspect": decoding.aspect})
    kept = _load(array, facts)
    assert kept is not None
    return kept


def _key(root: Path, files: Sequence[str], decoding: Decoding, training: Sequence[str]) -> str:
    known = (_VERSION, PIL.__version__, decoding, str(root.resolve()), *(training if decoding.size == "auto" else ()))
    digest = hashlib.sha256(repr(known).encode())
    for name in files:
        try:
            status = (root / name).stat()
        except OSError:  # a link to nowhere: decoding says so
            status = (root / name).lstat()
        digest.update(
            f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}\n".encode("utf-8", "surrogateescape")
        )
    return digest.hexdigest()[:32]


def _load(array: Path, facts: Path) -> Decoded | None:
    try:
        known = json.loads(facts.read_text())
        images = np.load(array, mmap_mode="r", allow_pickle=False)
        return Decoded(
            images[: known["count"]],
            known["pixels"],
            known["bad"],
            known["animated"],
            known["whites"],
            tuple(known["cautions"]),
            known["aspect"],
        )
    except (OSError, ValueError, KeyError, TypeError):  # not there, or damaged: decode again
        return None


def _headers(work: _Files) -> tuple[dict[str, Header], dict[str, str]]:
    """The header of each file, and why some have none."""
    with ThreadPoolExecutor(_workers()) as pool:
        found = list(pool.map(lambda name: _try_header(work.root / name, work.decoding.max_pixels), work.names))
    pairs = list(zip(work.names, found, strict=True))
    bad = {name: header for name, header in pairs if isinstance(header, str)}
    headers = {name: header for name, header in pairs if not isinstance(header, str)}
    if not headers:
        raise DataError(f"None of the {len(found)} images in {work.root} can be decoded; {found[0]}")
    return headers, bad


class _Shape(NamedTuple):
    """What was left open, resolved."""

    decoding: Decoding
    shape: tuple[int, int, int]
    """Channels, height and width."""
    said: tuple[str, ...]


def _settle_shape(root: Path, headers: Mapping[str, Header], decoding: Decoding, training: Sequence[str]) -> _Shape:
    """Size and channels where they are not given."""
    found = list(headers.values())
    grey = all(header.grey for header in found) if decoding.grey is None else decoding.grey
    sizes = {name: (header.height, header.width) for name, header in headers.items()}
    one = one_size(
        str(root),
        list(sizes.values()),
        [sizes[name] for name in training if name in sizes],
        decoding.size,
        decoding.aspect,
        decoding.background,
    )
    settled = decoding._replace(size=one.size, grey=grey, aspect=one.aspect)
    return _Shape(settled, (1 if grey else 3, *one.size), one.said)


def _try_header(path: Path, max_pixels: int) -> Header | str:
    try:
        return read_header(path, max_pixels=max_pixels)
    except DataError as error:
        return str(error)


def _decode_set(
    work: _Files, headers: dict[str, Header], pixels: UInt8[np.ndarray, "N C H W"]
) -> tuple[Whites, _Outcome]:
    """Decode under one white; only bytes whose white is their top are decoded without a look at their range first."""
    if work.decoding.white is None and {header.kind for header in headers.values()} <= _BYTES.of.keys():
        outcome = _decode_all(work, known_whites(_BYTES.of), pixels)
        if any(int(pixels[at : at + 256].max()) > _DARK for at in range(0, len(pixels), 256)):
            return Whites({kind: _BYTES.of[kind] for kind in {one.kind for one in headers.values()}}, ()), outcome
        whites = _settle_white(work, headers)
        if whites.of.get("uint8", 255) == 255:
            return whites, outcome
    else:
        whites = _settle_white(work, headers)
    return whites, _decode_all(work, known_whites(whites.of), pixels)


def _settle_white(work: _Files, headers: dict[str, Header]) -> Whites:
    found: dict[Kind, Range] = {}
    names = list(headers)

    def look(name: str) -> tuple[Kind, Range] | None:
        with contextlib.suppress(DataError):  # decoding says what is wrong with it
            return numbers_of(
                work.root / name, max_pixels=work.decoding.max_pixels, background=work.decoding.background
            )
        return None

    with ThreadPoolExecutor(_workers()) as pool:
        for done, one in enumerate(pool.map(look, names), 1):
            if one is not None:
                found[one[0]] = merge([found[one[0]], one[1]]) if one[0] in found else one[1]
            if work.tell is not None and (done % _CHUNK == 0 or done == len(names)):
                work.tell("looking for white", done, len(names))
    if not found:
        return _BYTES
    clear = any(header.see_through for header in headers.values())
    return resolve_white(found, work.decoding.white, str(work.root), dark=work.dark if clear else "")


def _hidden(work: _Files, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    images = "1 image is" if len(names) == 1 else f"{len(names):,} images are"
    return [f"{images} one even colour without transparency, such as {names[0]}. {work.dark}"]


def _decode_all(work: _Files, white_of: WhiteOf, out: UInt8[np.ndarray, "N C H W"]) -> _Outcome:
    """Fill `out`; the files that could not be decoded with their reasons, the animations, the hidden drawings."""
    bad: dict[str, str] = {}
    animated: list[str] = []
    hidden: list[str] = []
    size, grey, max_pixels, _, background, aspect = work.decoding
    assert isinstance(size, tuple)
    assert aspect is not None
    frame = Frame(size, aspect, background)

    def one_chunk(start: int) -> int:
        names = work.names[start : start + _CHUNK]
        for position, name in enumerate(names, start):
            try:
                picture = decode(
                    work.root / name,
                    frame=frame,
                    grey=grey,
                    max_pixels=max_pixels,
                    white_of=white_of,
                )
            except DataError as error:
                bad[name] = str(error)
                continue
            out[position] = picture.pixels
            animated.extend([name] * picture.header.animated)
            hidden.extend([name] * picture.hidden)
        return len(names)

    with ThreadPoolExecutor(_workers()) as pool:
        done = 0
        try:
            for chunk in as_completed([pool.submit(one_chunk, start) for start in range(0, len(work.names), _CHUNK)]):
                done += chunk.result()
                if work.tell is not None:
                    work.tell("decoding images", done, len(work.names))
        except BaseException:  # also Ctrl-C: do not decode the rest first
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return _Outcome(dict(sorted(bad.items())), sorted(animated), sorted(hidden))


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

"""Decoded image files as one memory-mapped array, kept on disk: decoded once, never all in memory.

What a killed process has decoded is gone on with (`unfinished`). An entry is named by a SHA-256 over the settings, the
folder's path, and each file's name, size, modification and change time. Hashing the contents instead would read every
file, which is most of what the cache saves; the change time cannot be set back by a program that unpacks or copies
files, so an exchanged file is noticed.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from jaxtyping import UInt8

from spikewise.data import workers
from spikewise.data.arrays import hash_images
from spikewise.data.config import Background, DataConfig, Sizing
from spikewise.data.decode import Header
from spikewise.data.image_set import Aspect
from spikewise.data.resize import one_size
from spikewise.data.runs import FillPixels, FindRanges, Outcome, ReadHeaders
from spikewise.data.unfinished import Headers, Unfinished, unfinished
from spikewise.data.white import Kind, Range, Whites, merge, resolve_white
from spikewise.errors import DataError
from spikewise.files import write_json

__all__ = ["Decoded", "Decoding", "Progress", "decode_files"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""

_VERSION = 3
_MANY = 20_000
"""Files beyond which reading their headers takes long enough to be shown."""
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


class _Files(NamedTuple):
    """Files of one folder, how they are decoded, and whom to tell."""

    root: Path
    names: Sequence[str]
    decoding: Decoding
    tell: Progress | None
    hands: workers.FileWorkers

    def said(self, what: str, done: int, fewest: int = 0) -> None:
        """Tell how far something is, where it concerns more files than `fewest`."""
        if self.tell is not None and len(self.names) > fewest:
            self.tell(what, done, len(self.names))

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
        ProcessesError: one of the processes that decode very many files has ended.
        StorageError: the cache folder cannot be written.
    """
    key = _key(root, files, decoding, training)
    array, facts = cache / f"{key}.npy", cache / f"{key}.json"
    kept = _load(array, facts)
    if kept is not None:
        return kept
    with unfinished(cache, key) as place, workers.FileWorkers(len(files)) as hands:
        work = _Files(root, files, decoding, progress, hands)
        headers = _headers(work, place)
        decoding, shape, sizing = _settle_shape(work, headers, training)
        work = work._replace(decoding=decoding)
        pixels, whites, outcome = _decode_set(work, headers, place, (len(files), *shape))
        bad = dict(sorted((headers.bad | outcome.bad).items()))
        if len(bad) == len(files):
            raise DataError(f"None of the {len(files)} images in {root} can be decoded; {next(iter(bad.values()))}")
        place.close()
        count = _close_gaps(pixels, (position for position, name in enumerate(files) if name not in bad))
        digest = hash_images(pixels[:count])
        del pixels
        place.move_pixels(array)
    cautions = [*sizing, *whites.cautions, *_hidden(work, outcome.hidden)]
    found = {"count": count, "pixels": digest, "bad": bad, "animated": outcome.animated}
    write_json(facts, {**found, "whites": whites.of, "cautions": cautions, "aspect": decoding.aspect})
    kept = _load(array, facts)
    assert kept is not None
    return kept


def _key(root: Path, files: Sequence[str], decoding: Decoding, training: Sequence[str]) -> str:
    known = (_VERSION, PIL.__version__, decoding, str(root.resolve()), *(training if decoding.size == "auto" else ()))
    digest = hashlib.sha256(repr(known).encode())
    above = str(root)
    for name in files:
        path = os.path.join(above, name)  # noqa: PTH118  # a `Path` costs ten times as much, and there may be millions
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:  # a link to nowhere: decoding says so
            status = os.lstat(path)
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


def _headers(work: _Files, place: Unfinished) -> Headers:
    """The header of each file, or why it has none: as they were kept, or read now."""
    kept = place.headers()
    if kept is not None and len(kept.which) == len(work.names):
        return kept
    number: dict[Header, int] = {}
    which, bad = np.full(len(work.names), -1, np.int32), dict[str, str]()

    reading = ReadHeaders(str(work.root), work.decoding.max_pixels)
    for start, found in work.hands.each_run(reading, work.names, range(0, len(work.names), workers.RUN)):
        for position, header in enumerate(found, start):
            if isinstance(header, str):
                bad[work.names[position]] = header
            else:
                which[position] = number.setdefault(header, len(number))
        work.said("reading headers", start + len(found), _MANY)
    if not number:
        raise DataError(f"None of the {len(which)} images in {work.root} can be decoded; {bad[work.names[0]]}")
    headers = Headers(list(number), which, bad)
    place.keep(headers)
    return headers


class _Shape(NamedTuple):
    """What was left open, resolved."""

    decoding: Decoding
    shape: tuple[int, int, int]
    """Channels, height and width."""
    said: tuple[str, ...]


def _settle_shape(work: _Files, headers: Headers, training: Sequence[str]) -> _Shape:
    """Size and channels where they are not given."""
    decoding = work.decoding
    used = {headers.kinds[kind] for kind in np.unique(headers.which).tolist() if kind >= 0}
    grey = all(header.grey for header in used) if decoding.grey is None else decoding.grey
    sizes = [(header.height, header.width) for header in headers.kinds]
    of_training = set(training)
    kinds = headers.which.tolist()
    one = one_size(
        str(work.root),
        [sizes[kind] for kind in kinds if kind >= 0],
        [sizes[kind] for name, kind in zip(work.names, kinds, strict=True) if kind >= 0 and name in of_training],
        decoding.size,
        decoding.aspect,
        decoding.background,
    )
    settled = decoding._replace(size=one.size, grey=grey, aspect=one.aspect)
    return _Shape(settled, (1 if grey else 3, *one.size), one.said)


class _Filled(NamedTuple):
    """All files decoded."""

    pixels: UInt8[np.ndarray, "N C H W"]
    whites: Whites
    outcome: Outcome


def _decode_set(work: _Files, headers: Headers, place: Unfinished, shape: tuple[int, ...]) -> _Filled:
    """Decode under one white; only bytes whose white is their top are decoded without a look at their range first."""
    kinds = {header.kind for header in headers.kinds}
    if work.decoding.white is None and kinds <= _BYTES.of.keys():
        pixels, outcome = _decode_all(work, _BYTES.of, place, shape)
        if any(int(pixels[at : at + 256].max()) > _DARK for at in range(0, len(pixels), 256)):
            return _Filled(pixels, Whites({kind: _BYTES.of[kind] for kind in kinds}, ()), outcome)
        whites = _settle_white(work, headers)
        if whites.of.get("uint8", 255) == 255:
            return _Filled(pixels, whites, outcome)
    else:
        whites = _settle_white(work, headers)
    pixels, outcome = _decode_all(work, whites.of, place, shape, repr(sorted(whites.of.items())))
    return _Filled(pixels, whites, outcome)


def _settle_white(work: _Files, headers: Headers) -> Whites:
    found: dict[Kind, Range] = {}

    look = FindRanges(str(work.root), work.decoding.max_pixels, work.decoding.background)
    readable = [name for name, kind in zip(work.names, headers.which.tolist(), strict=True) if kind >= 0]
    for start, some in work.hands.each_run(look, readable, range(0, len(readable), workers.RUN)):
        for kind, span in some:
            found[kind] = merge([found[kind], span]) if kind in found else span
        work.said("looking for white", min(start + workers.RUN, len(work.names)))
    if not found:
        return _BYTES
    clear = any(header.see_through for header in headers.kinds)
    return resolve_white(found, work.decoding.white, str(work.root), dark=work.dark if clear else "")


def _hidden(work: _Files, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    images = "1 image is" if len(names) == 1 else f"{len(names):,} images are"
    return [f"{images} one even colour without transparency, such as {names[0]}. {work.dark}"]


def _decode_all(
    work: _Files, white: Mapping[Kind, float], place: Unfinished, shape: tuple[int, ...], whites: str = ""
) -> tuple[UInt8[np.ndarray, "N C H W"], Outcome]:
    """The array of all files, and the files that could not be decoded with their reasons, animations, hidden drawings.

    Args:
        white: what it is, by how the files store their pixels.
        whites: the same in words, where it was looked for.
    """
    _, grey, max_pixels, _, background, aspect = work.decoding
    assert aspect is not None
    out = place.pixels(shape, repr((work.decoding, whites)))
    fill = FillPixels(str(work.root), max_pixels, background, aspect, grey, dict(white), out)
    starts = [start for start in range(0, len(work.names), workers.RUN) if start not in place.done]
    done = len(work.names) - len(starts) * workers.RUN
    for start, outcome in work.hands.each_run(fill, work.names, starts):
        place.note(start, outcome)
        done += workers.RUN
        work.said("decoding images", min(done, len(work.names)))
    place.write_down()
    made = Outcome({}, [], [])
    for one in place.done.values():
        made.bad.update(one.bad)
        made.animated.extend(one.animated)
        made.hidden.extend(one.hidden)
    return out, Outcome(dict(sorted(made.bad.items())), sorted(made.animated), sorted(made.hidden))


def _close_gaps(images: UInt8[np.ndarray, "N C H W"], good: Iterable[int]) -> int:
    """Move the good images to the front, in order; returns how many they are."""
    count = 0
    for target, source in enumerate(good):
        if target != source:
            images[target] = images[source]
        count = target + 1
    return count

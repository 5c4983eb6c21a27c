"""Clues and targets: what a set's files and pixels show besides what the images are about."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Float64, Int64

from spikewise.data.audit.files import FileFacts
from spikewise.data.audit.look import Look
from spikewise.data.audit.probe import Clue, Target
from spikewise.data.audit.shrink import shrink
from spikewise.data.image_set import ImageSet

__all__ = ["file_clues", "folder_targets", "name_clue", "pixel_clues", "targets"]

_KINDS = 20
"""Different words of a fact that are told apart; rarer ones count as one."""
_RING = 8
"""Values along each side of the border."""


def targets(look: Look) -> list[Target]:
    """The label, and which side of the split an image is on (train and validation against test)."""
    units = look.units
    found = [Target("label", look.labels, units)]
    if (look.part == 2).any() and (look.part == 0).any():
        side = np.where(look.part < 0, -1, (look.part == 2).astype(np.int64))
        found.append(Target("part", side, units))
    return found


def folder_targets(facts: Sequence[FileFacts], images: ImageSet) -> list[Target]:
    """Which folder a file lies in, at each depth where there are some, unless that says the label or the part."""
    at = {file: index for index, file in enumerate(images.sources or ())}
    found, seen = [], set()
    parents = [PurePosixPath(one.file).parent.parts for one in facts]
    for depth in range(1, max((len(parts) for parts in parents), default=0) + 1):
        names = ["/".join(parts[:depth]) for parts in parents]
        words = sorted(set(names))
        codes = tuple(words.index(name) for name in names) if 2 <= len(words) <= _KINDS else ()
        if not codes or codes in seen or _is_known(codes, [at.get(one.file) for one in facts], images):
            continue
        seen.add(codes)
        listed = ", ".join(PurePosixPath(word).name for word in words[:6]) + (", ..." if len(words) > 6 else "")
        found.append(Target(f"folder ({listed})", np.array(codes, np.int64), np.arange(len(codes))))
    return found


def _is_known(codes: Sequence[int], places: Sequence[int | None], images: ImageSet) -> bool:
    """Whether every file is in the set and its folder decides its label, or its published part."""
    inside = [place for place in places if place is not None]
    if len(inside) < len(places):
        return False
    folders = len(set(codes))
    labels = {(code, int(images.labels[place])) for code, place in zip(codes, inside, strict=True)}
    roles = {(code, int(images.roles[place])) for code, place in zip(codes, inside, strict=True)}
    return len(labels) == folders or (len(roles) == folders and bool((images.roles >= 0).any()))


def file_clues(facts: Sequence[FileFacts]) -> list[Clue]:
    """What headers say: colour mode and bits a pixel, kind and compression, size in pixels, size in bytes."""
    sizes = np.array([(one.width, one.height, one.width / max(one.height, 1)) for one in facts], np.float64)
    volume = np.array([one.bytes for one in facts], np.float64)
    pixels = np.maximum(sizes[:, 0] * sizes[:, 1], 1)
    bits = np.array([one.bits for one in facts], np.float64)
    return [
        Clue("bit depth and colour mode", np.column_stack([bits, _kinds([one.mode for one in facts])])),
        Clue("file format and compression", _kinds([f"{one.format} {one.compression}" for one in facts])),
        Clue("image size", sizes),
        Clue("file size", np.column_stack([np.log(volume + 1), volume / pixels])),
    ]


def name_clue(files: Sequence[str]) -> Clue:
    """How files are named: the pattern (letters kept, each run of digits replaced) and the length."""
    names = [PurePosixPath(file).name for file in files]
    patterns = _kinds([re.sub(r"\d+", "#", name) for name in names])
    openings = _kinds([re.split(r"[\d_\-. ]", name, maxsplit=1)[0] for name in names])
    lengths = np.array([len(name) for name in names], np.float64)
    return Clue("file name", np.column_stack([patterns, openings, lengths]))


def pixel_clues(images: ImageSet) -> list[Clue]:
    """What little of the pixels should not suffice: mean and contrast, the border, the corners; and 4 x 4 averages.

    The border is the outermost ring of pixels in 8 averages a side; a corner is 1/16 of the side.
    """
    pixels = images.images
    _, _, height, width = pixels.shape
    edges = [pixels[:, :, 0], pixels[:, :, -1], pixels[:, :, :, 0], pixels[:, :, :, -1]]
    ring = np.concatenate([shrink(edge[:, :, None], (1, _RING)).reshape(len(images), -1) for edge in edges], axis=1)
    tall, wide = max(1, height // 16), max(1, width // 16)
    rows, columns = (slice(None, tall), slice(-tall, None)), (slice(None, wide), slice(-wide, None))
    corners = [shrink(pixels[:, :, row, column], (1, 1)).reshape(-1) for row in rows for column in columns]
    small = shrink(pixels, (16, 16)).reshape(len(images), -1).astype(np.float64)
    coarse = shrink(pixels, (4, 4)).reshape(len(images), -1).astype(np.float64)
    return [
        Clue("mean and contrast", np.column_stack([small.mean(axis=1), small.std(axis=1)])),
        Clue("border pixels", ring.astype(np.float64), linear=True),
        Clue("corner pixels", np.column_stack(corners).astype(np.float64)),
        Clue("4 x 4 pixels", coarse, linear=True),
    ]


def _kinds(words: Sequence[str]) -> Float64[np.ndarray, "N K"]:
    """A column for each frequent word: 1 where it is the word."""
    frequent = [word for word, _ in Counter(words).most_common(_KINDS)]
    column: dict[str, int] = {word: at for at, word in enumerate(frequent)}
    at: Int64[np.ndarray, " N"] = np.array([column.get(word, _KINDS) for word in words], np.int64)
    return np.asarray(at[:, None] == np.arange(len(frequent)), np.float64)

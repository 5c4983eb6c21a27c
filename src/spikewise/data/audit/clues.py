"""Clues and targets: what a set's files and pixels show besides what the images are about."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Float64, Int64

from spikewise.data.audit.files import FileFacts
from spikewise.data.audit.look import Look
from spikewise.data.audit.probe import Clue, ProbeTarget
from spikewise.data.audit.shrink import shrink
from spikewise.data.audit.texture import colour_balance, grey_levels, sharpness
from spikewise.data.image_set import ImageSet

__all__ = ["file_clues", "folder_targets", "metadata_clues", "name_clues", "pixel_clues", "targets"]

_KINDS = 20
"""Different words of a fact that are told apart; rarer ones count as one."""
_FIELDS = 60
"""Fields of the files' metadata that are probed, the most frequent first."""
_DIVISORS = (2, 3, 4, 5, 7, 10)
"""Remainders of a number in a file's name that are looked at."""
_RING = 8
"""Values along each side of the border."""


def targets(look: Look) -> list[ProbeTarget]:
    """The label, and which side of the split an image is on (train and validation against test)."""
    units = look.units
    found = [ProbeTarget("label", look.labels, units)]
    if (look.part == 2).any() and (look.part == 0).any():
        side = np.where(look.part < 0, -1, (look.part == 2).astype(np.int64))
        found.append(ProbeTarget("part", side, units))
    return found


def folder_targets(facts: Sequence[FileFacts], images: ImageSet) -> list[ProbeTarget]:
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
        found.append(ProbeTarget(f"folder ({listed})", np.array(codes, np.int64), np.arange(len(codes))))
    return found


def _is_known(codes: Sequence[int], places: Sequence[int | None], images: ImageSet) -> bool:
    """Whether every file is in the set and its folder decides its label, its published part or its subject."""
    inside = [place for place in places if place is not None]
    if len(inside) < len(places):
        return False
    folders = len(set(codes))
    labels = {(code, int(images.labels[place])) for code, place in zip(codes, inside, strict=True)}
    roles = {(code, int(images.roles[place])) for code, place in zip(codes, inside, strict=True)}
    groups = images.groups
    owners = (
        set() if groups is None else {(code, int(groups[place])) for code, place in zip(codes, inside, strict=True)}
    )
    if groups is not None and len(owners) == folders:
        return True
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


def metadata_clues(facts: Sequence[FileFacts]) -> list[Clue]:
    """One for each field that files have in several values, or some have and some have not; what transparency hides."""
    tables = [dict(one.about) for one in facts]
    held = Counter(name for table in tables for name in table)
    clues: list[Clue] = []
    for name, _ in held.most_common():
        values = [table.get(name, "") for table in tables]
        if len(set(values)) > 1 and len(clues) < _FIELDS:
            clues.append(Clue(f"metadata ({name})", np.column_stack([_kinds(values), _numbers(values)])))
    if any(one.alpha for one in facts):
        alpha = np.array([one.alpha or (0.0, 255.0, 255.0, 0.0, 0.0, 0.0, 0.0) for one in facts], np.float64)
        clues += [Clue("opacity", alpha[:, :4]), Clue("colours under transparency", alpha[:, 3:])]
    return clues


def _numbers(values: Sequence[str]) -> Float64[np.ndarray, "N 2"]:
    """The first number in each value, and all its digits as one (dates are in order then)."""
    first = [re.search(r"-?\d+(?:\.\d+)?", value) for value in values]
    whole = [re.sub(r"\D", "", value)[:15] for value in values]
    return np.array(
        [(float(a[0][:15]) if a else -1.0, float(b) if b else -1.0) for a, b in zip(first, whole, strict=True)]
    )


def name_clues(files: Sequence[str]) -> list[Clue]:
    """How files are named (letters kept, runs of digits replaced; first and last word; length), and their numbers."""
    names = [PurePosixPath(file).name for file in files]
    stems = [PurePosixPath(file).stem for file in files]
    patterns = _kinds([re.sub(r"\d+", "#", name) for name in names])
    words = [[word for word in re.split(r"[\d_\-. ]+", stem) if word] or [""] for stem in stems]
    ends = [_kinds([those[at] for those in words]) for at in (0, -1)]
    letters = [_kinds([stem[at] for stem in stems]) for at in (0, -1)]
    lengths = np.array([len(name) for name in names], np.float64)
    return [
        Clue("file name", np.column_stack([patterns, *ends, *letters, lengths])),
        Clue("number in the file name", np.column_stack([_counted(stems, at) for at in (0, -1)])),
    ]


def _counted(stems: Sequence[str], at: int) -> Float64[np.ndarray, "N F"]:
    """The first or last number of each name: its value, its first digit, its remainders, the sum of its digits."""
    rows = []
    for stem in stems:
        runs = re.findall(r"\d+", stem)
        digits = runs[at][-15:] if runs else ""
        number = int(digits) if digits else -1
        first, total = (int(digits[0]), sum(map(int, digits))) if digits else (-1, -1)
        rows.append([number, first, total, *(number % divisor for divisor in _DIVISORS)])
    return np.array(rows, np.float64)


def pixel_clues(images: ImageSet) -> list[Clue]:
    """What little of the pixels should not suffice: mean and contrast, the border, the corners; and 4 x 4 averages;
    sharpness and noise, which grey levels are used, the balance of colours.

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
        Clue("sharpness and noise", sharpness(pixels)),
        Clue("grey levels used", grey_levels(pixels)),
        Clue("colour balance", colour_balance(pixels)),
        Clue("4 x 4 pixels", coarse, linear=True),
    ]


def _kinds(words: Sequence[str]) -> Float64[np.ndarray, "N K"]:
    """A column for each frequent word: 1 where it is the word."""
    frequent = [word for word, _ in Counter(words).most_common(_KINDS)]
    column: dict[str, int] = {word: at for at, word in enumerate(frequent)}
    at: Int64[np.ndarray, " N"] = np.array([column.get(word, _KINDS) for word in words], np.int64)
    return np.asarray(at[:, None] == np.arange(len(frequent)), np.float64)

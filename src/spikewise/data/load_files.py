"""`ImageSet`s from folders of image files: class trees and fingerprints."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from jaxtyping import Int8, Int64

from spikewise.data.arrays import check_labels, fingerprint
from spikewise.data.cache import Decoded, Decoding, Progress, decode_files
from spikewise.data.catalog import CATALOG, KnownSet
from spikewise.data.config import DataConfig
from spikewise.data.folder import Listing, class_tree, other_files
from spikewise.data.image_set import ImageSet, Role
from spikewise.data.names import Fingerprint, group_numbers, groups_by_pattern, patient, read_fingerprint
from spikewise.errors import ConfigError, DataError

__all__ = ["load_fingerprints", "load_tree"]


def load_tree(
    listing: Listing, config: DataConfig, cache: Path, progress: Progress | None, known: KnownSet | None = None
) -> ImageSet:
    """A tree of class folders, with or without train, val and test above them.

    Raises:
        ConfigError: an option that the set has no use for.
        DataError: not such a tree, or files that cannot be decoded.
    """
    if config.target is not None or config.part is not None:
        raise ConfigError(f"target and part belong to fingerprints; '{config.source}' is a tree of class folders.")
    entries = class_tree(listing)
    names = [PurePosixPath(entry.file).name for entry in entries]
    classes = sorted({entry.class_name for entry in entries})
    labels = np.array([classes.index(entry.class_name) for entry in entries], np.int64)
    roles = np.array([entry.role for entry in entries], np.int8)
    groups = _groups(names, config)
    check_labels(str(listing.root), labels, classes)
    size = config.size or (known.size if known else None)
    table = _Table([entry.file for entry in entries], labels, roles, groups)
    name = known.name if known else listing.root.resolve().name
    notes = (*(known.notes if known else ()), *other_files(listing))
    about = _About(name, listing.root, classes, notes)
    return _finish(about, table, config.replace(size=size), cache, progress)


def load_fingerprints(
    listing: Listing, config: DataConfig, cache: Path, progress: Progress | None, *, name: str
) -> ImageSet:
    """SOCOFing: 600 people, ten fingers each, real and altered; always grey, 97 x 97 unless another size is given.

    Raises:
        ConfigError: colour asked for, or real against altered with only one of the two.
        DataError: a file name that does not follow `1__M_Left_index_finger`, or a file that cannot be decoded.
    """
    known = CATALOG["socofing"]
    target = config.target or "finger"
    part = config.part or ("all" if target == "altered" else "real")
    if config.grey is False:
        raise ConfigError("Fingerprints are read as grey: bit depth alone tells real prints from altered ones.")
    if target == "altered" and part != "all":
        raise ConfigError(
            f"target = 'altered' compares real and altered prints; part = '{part}' holds one kind. Use 'all'."
        )
    prints = [(str(image), _read_name(image)) for image in listing.images]
    chosen = [(file, facts) for file, facts in prints if part == "all" or (facts.change is None) == (part == "real")]
    if not chosen:
        raise DataError(f"{listing.root} holds no {part} prints. Expected the folders Real and Altered of SOCOFing.")
    words = [_label(facts, target) for _, facts in chosen]
    classes = _classes(target)
    labels = np.array([classes.index(word) for word in words], np.int64)
    groups = np.array([facts.subject for _, facts in chosen], np.int64)
    table = _Table([file for file, _ in chosen], labels, np.full(len(chosen), Role.UNASSIGNED, np.int8), groups)
    settings = config.replace(size=config.size or known.size, grey=True)
    notes = (*known.notes, f"Label: {target}; prints: {part}.", *other_files(listing))
    about = _About(name, listing.root, classes, notes, publishable=False)
    return _finish(about, table, settings, cache, progress)


class _About(NamedTuple):
    """What is true of a set as a whole."""

    name: str
    root: Path
    classes: Sequence[str]
    notes: Sequence[str]
    publishable: bool = True


class _Table:
    """Columns of the same length, selected together."""

    def __init__(
        self,
        files: list[str],
        labels: Int64[np.ndarray, " N"],
        roles: Int8[np.ndarray, " N"],
        groups: Int64[np.ndarray, " N"] | None,
    ) -> None:
        self.files, self.labels, self.roles, self.groups = files, labels, roles, groups

    def keep(self, wanted: Sequence[int]) -> "_Table":
        groups = None if self.groups is None else self.groups[wanted]
        return _Table([self.files[position] for position in wanted], self.labels[wanted], self.roles[wanted], groups)


def _finish(about: _About, table: _Table, config: DataConfig, cache: Path, progress: Progress | None) -> ImageSet:
    if config.subjects is not None:
        table = _limit_subjects(table, config.subjects)
    decoded = decode_files(about.root, table.files, Decoding.of(config), cache, progress)
    _check_bad(about.root, decoded, len(table.files), config.skip_bad)
    if decoded.bad:
        table = table.keep([position for position, file in enumerate(table.files) if file not in decoded.bad])
    check_labels(about.name, table.labels, about.classes)
    return ImageSet(
        name=about.name,
        images=decoded.images,
        labels=table.labels,
        classes=tuple(about.classes),
        roles=table.roles,
        fingerprint=fingerprint(decoded.pixels, table.labels, table.roles),
        groups=table.groups,
        sources=tuple(table.files),
        notes=(*about.notes, *_decoding_notes(decoded)),
        cautions=decoded.cautions,
        whites=decoded.whites,
        damaged=tuple(decoded.bad),
        publishable=about.publishable,
    )


def _groups(names: Sequence[str], config: DataConfig) -> Int64[np.ndarray, " N"] | None:
    if config.group_pattern is not None:
        return groups_by_pattern(names, config.group_pattern)
    patients = [found for name in names if (found := patient(name)) is not None]
    return group_numbers(patients) if len(patients) == len(names) else None


def _limit_subjects(table: _Table, count: int) -> _Table:
    if table.groups is None:
        raise ConfigError("subjects = N needs images whose subjects are known. Say how with group_pattern.")
    known = np.unique(table.groups)
    if count > len(known):
        raise ConfigError(f"subjects = {count}, and there are {len(known)}.")
    return table.keep(np.flatnonzero(table.groups <= known[count - 1]).tolist())


def _check_bad(root: Path, decoded: Decoded, total: int, skip_bad: bool) -> None:
    if decoded.bad and not skip_bad:
        first = "\n".join(f"  {reason}" for reason in list(decoded.bad.values())[:5])
        raise DataError(
            f"{len(decoded.bad)} of {total} images in {root} cannot be decoded:\n{first}\n"
            "Repair or remove them, or leave them out with --skip-bad (data.skip_bad = true)."
        )


def _decoding_notes(decoded: Decoded) -> list[str]:
    notes = []
    if decoded.bad:
        notes.append(f"{len(decoded.bad)} files could not be decoded and were left out: {', '.join(decoded.bad)}.")
    if decoded.animated:
        notes.append(
            f"Only the first frame was read of {len(decoded.animated)} animations, such as {decoded.animated[0]}."
        )
    return notes


_FINGERS = ("thumb", "index", "middle", "ring", "little")
_CLASSES = {
    "finger": [f"{hand} {finger}" for hand in ("left", "right") for finger in _FINGERS],
    "hand": ["left", "right"],
    "gender": ["female", "male"],
    "altered": ["real", "altered"],
}


def _classes(target: str) -> list[str]:
    return _CLASSES[target]


def _label(facts: Fingerprint, target: str) -> str:
    return {
        "finger": f"{facts.hand} {facts.finger}",
        "hand": facts.hand,
        "gender": "female" if facts.gender == "F" else "male",
        "altered": "real" if facts.change is None else "altered",
    }[target]


def _read_name(image: PurePosixPath) -> Fingerprint:
    facts = read_fingerprint(image.stem)
    if facts is None:
        raise DataError(f"{image} is not named as SOCOFing names its files, for example 1__M_Left_index_finger.BMP.")
    return facts

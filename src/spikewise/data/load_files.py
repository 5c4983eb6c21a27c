"""`ImageSet`s from folders of image files: class trees and fingerprints."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Int8, Int64

from spikewise.data.arrays import check_complete, fingerprint
from spikewise.data.cache import Decoded, Decoding, Progress, decode_files
from spikewise.data.catalog import CATALOG, KnownSet
from spikewise.data.classes import unify
from spikewise.data.config import DataConfig
from spikewise.data.folder import Listing, Tree, class_tree, passed_over
from spikewise.data.image_set import ImageSet, Role, SubjectsRule
from spikewise.data.layouts import read_layout
from spikewise.data.names import Fingerprint, file_name, listed, read_fingerprint, shown, stem_and_suffix
from spikewise.data.subjects import (
    Subjects,
    chest_subjects,
    is_chest_xrays,
    named_subjects,
    numbered_subjects,
    pattern_subjects,
)
from spikewise.errors import ConfigError, DataError

__all__ = ["load_fingerprints", "load_tree"]


def load_tree(
    listing: Listing,
    config: DataConfig,
    cache: Path,
    progress: Progress | None,
    known: KnownSet | None = None,
    *,
    expected: Sequence[str] | None = None,
) -> ImageSet:
    """A folder of image files whose classes stand in their folders' names, or in a table.

    Args:
        expected: As `load_data` has them.
    Raises:
        ConfigError: an option that the set has no use for.
        DataError: it is not laid out so, or files that cannot be decoded.
    """
    if config.target is not None or config.part is not None:
        raise ConfigError(f"target and part belong to fingerprints; '{config.source}' is a folder of classes.")
    tree = class_tree(listing, roles=config.roles) if known else read_layout(listing, config, expected)
    entries = tree.entries
    classes = unify(entry.class_name for entry in entries)
    labels = np.array([classes.label[entry.class_name] for entry in entries], np.int64)
    roles = np.array([entry.role for entry in entries], np.int8)
    subjects, told = _subjects(tree, config, known)
    if expected is None:
        check_complete(str(listing.root), labels, classes.names, " ".join(tree.left_out))
    if known is not None and known.size is not None and config.size == "auto":
        config = config.replace(size=known.size)
    table = _Table([entry.file for entry in entries], labels, roles, None if subjects is None else subjects.numbers)
    name = known.name if known else listing.root.resolve().name
    about = _About(
        shown(name),
        listing.root,
        classes.names,
        notes=(*(known.notes if known else ()), *tree.notes, *told.notes, *passed_over(listing, tree.tables)),
        from_names=(*tree.left_out, *tree.shared, *tree.cautions, *classes.cautions, *told.cautions),
        subjects_rule=None if subjects is None else subjects.rule,
        subjects_count=tree.subjects is not None,
    )
    return _finish(about, table, config, cache, progress)


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
    prints = [(image, _read_name(image)) for image in listing.images]
    chosen = [(file, facts) for file, facts in prints if part == "all" or (facts.change is None) == (part == "real")]
    if not chosen:
        raise DataError(f"{listing.root} holds no {part} prints. Expected the folders Real and Altered of SOCOFing.")
    words = [_label(facts, target) for _, facts in chosen]
    classes = _classes(target)
    labels = np.array([classes.index(word) for word in words], np.int64)
    groups = np.array([facts.subject for _, facts in chosen], np.int64)
    table = _Table([file for file, _ in chosen], labels, np.full(len(chosen), Role.UNASSIGNED, np.int8), groups)
    settings = config.replace(size=known.size if config.size == "auto" else config.size, grey=True)
    notes = (*known.notes, f"Label: {target}; prints: {part}.", *passed_over(listing))
    about = _About(name, listing.root, classes, notes, subjects_rule=_OWNERS, publishable=False)
    return _finish(about, table, settings, cache, progress)


_OWNERS = SubjectsRule("the number in front of file names, which is a person's", "stated")


class _About(NamedTuple):
    """What is true of a set as a whole."""

    name: str
    root: Path
    classes: Sequence[str]
    notes: Sequence[str]
    from_names: Sequence[str] = ()
    subjects_rule: SubjectsRule | None = None
    publishable: bool = True
    subjects_count: bool = False
    """Whether the same images with other subjects are another set: nothing but folders or a table says them."""


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
    training = [table.files[position] for position in np.flatnonzero(table.roles == Role.TRAIN)]
    decoded = decode_files(about.root, table.files, Decoding.of(config), cache, progress, training=training)
    _check_bad(about.root, decoded, len(table.files), config.skip_bad)
    if decoded.bad:
        table = table.keep([position for position, file in enumerate(table.files) if file not in decoded.bad])
    return ImageSet(
        name=about.name,
        images=decoded.images,
        labels=table.labels,
        classes=tuple(about.classes),
        roles=table.roles,
        fingerprint=fingerprint(
            decoded.pixels, table.labels, table.roles, table.groups if about.subjects_count else None
        ),
        groups=table.groups,
        subjects_rule=about.subjects_rule,
        from_names=(*about.from_names, *_left_out(decoded.bad)),
        sources=tuple(table.files),
        notes=(*about.notes, *_decoding_notes(decoded), *_left_out(decoded.bad), *decoded.cautions),
        cautions=decoded.cautions,
        whites=decoded.whites,
        aspect=decoded.aspect,
        damaged=tuple(shown(file) for file in decoded.bad),
        publishable=about.publishable,
    )


class _Told(NamedTuple):
    """What is to be said of how subjects were told, or not told."""

    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


def _subjects(tree: Tree, config: DataConfig, known: KnownSet | None) -> tuple[Subjects | None, _Told]:
    """The subjects that folders or a table say, else those that file names give: as asked, as known of the set, or by a
    convention that fits every name.
    """
    if tree.subjects is not None:
        return tree.subjects, _said(tree.subjects)
    if not config.read_subjects:
        if config.group_pattern is not None:
            raise ConfigError(
                "data.group_pattern says how subjects are read, and data.read_subjects=false that none are."
            )
        return None, _Told()
    names = [file_name(entry.file) for entry in tree.entries]
    kinds = [entry.class_name for entry in tree.entries]
    if config.group_pattern is not None:
        return pattern_subjects(names, config.group_pattern), _Told()
    if known is not None or is_chest_xrays(names, kinds):
        return chest_subjects(names), _Told(() if known else CATALOG["chest-xray"].notes)
    found = named_subjects(names, kinds)
    hint = numbered_subjects(names) if found is None else None
    return found, _Told((hint,)) if hint else _said(found)


def _said(subjects: Subjects | None) -> _Told:
    """A caution on subjects that were read from names, and that nobody stated."""
    if subjects is None or subjects.rule.trust == "stated":
        return _Told()
    said = (
        f"{subjects.numbers.max() + 1:,} subjects were read from {subjects.rule.words}; the images of each stay "
        "together. If these are no subjects, say data.read_subjects=false; to divide them all the same, "
        "split.grouped=false."
    )
    return _Told(cautions=(said,))


def _limit_subjects(table: _Table, count: int) -> _Table:
    if table.groups is None:
        raise ConfigError(
            "subjects = N needs images whose subjects are known. Say how with data.group_pattern, data.levels or "
            "data.columns."
        )
    known = np.unique(table.groups)
    if count > len(known):
        raise ConfigError(f"subjects = {count}, and there are {len(known)}.")
    return table.keep(np.flatnonzero(table.groups <= known[count - 1]).tolist())


def _check_bad(root: Path, decoded: Decoded, total: int, skip_bad: bool) -> None:
    if decoded.bad and not skip_bad:
        first = "\n".join(f"  {reason}" for reason in list(decoded.bad.values())[:5])
        raise DataError(
            f"{len(decoded.bad)} of {total} images in {root} cannot be decoded:\n{first}\n"
            "Repair or remove them, or leave them out with --skip-bad."
        )


_FEW: Final = 5
"""Files that were left out are named up to here wherever there is a word on them; more of them in the report alone."""


def _left_out(bad: Collection[str]) -> tuple[str, ...]:
    were = "file could not be decoded and was" if len(bad) == 1 else "files could not be decoded and were"
    return (f"{len(bad):,} {were} left out: {listed(bad, _FEW)}.",) if bad else ()


def _decoding_notes(decoded: Decoded) -> list[str]:
    notes = []
    if len(decoded.bad) > _FEW:
        notes.append(f"All files that were left out: {listed(decoded.bad, len(decoded.bad))}.")
    if decoded.animated:
        first = shown(decoded.animated[0])
        notes.append(f"Only the first frame was read of {len(decoded.animated)} animations, such as {first}.")
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


def _read_name(image: str) -> Fingerprint:
    facts = read_fingerprint(stem_and_suffix(file_name(image))[0])
    if facts is None:
        raise DataError(
            f"{shown(image)} is not named as SOCOFing names its files, for example 1__M_Left_index_finger.BMP."
        )
    return facts

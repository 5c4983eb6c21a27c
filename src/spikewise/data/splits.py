"""`split`: which images are for training, validation and test; the same seed gives the same split anywhere."""

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64
from pydantic import Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from spikewise.config import Config
from spikewise.data.counter import permutation
from spikewise.data.duplicates import identical_images
from spikewise.data.image_set import ImageSet, Role, Split
from spikewise.data.names import as_path
from spikewise.data.split_checks import PARTS, check_brought, check_classes, check_units
from spikewise.data.split_file import read_split
from spikewise.errors import ConfigError, DataError

__all__ = ["SplitConfig", "class_weights", "split"]

_BALANCE, _PLACE, _LIMIT = 1, 2, 3  # purposes of random numbers
_Share = Annotated[float, Field(gt=0, lt=1)]


class SplitConfig(Config):
    """How a set is divided."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed gives another split."""
    validation: _Share = 0.15
    """Share of the images that are divided by us; unused where the set brings a validation part."""
    test: _Share = 0.2
    """Share of the images that are divided by us; unused where the set brings a test part."""
    grouped: bool = True
    """Keep all images of a subject on one side, where subjects are known."""
    published: bool = True
    """Honour the split that the set brings; false: divide all its images anew."""
    undersample: Literal["none", "train", "all"] = "none"
    """Drop images at random until all classes have as many: in the train part, or in the whole set (each published
    part by itself) before it is divided."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Train on at most this many images, classes in proportion (for quick runs)."""
    file: Annotated[str, Field(min_length=1)] | None = None
    """Take the parts from this file instead of dividing the set; `spikewise audit DATA --fix FILE` writes one."""


def split(image_set: ImageSet, config: SplitConfig | None = None) -> Split:
    """Divide a set: stratified by class, subjects and pixel-identical images on one side only.

    A published validation or test part is kept as it is; what it lacks is divided off the remaining images. A split
    file says it all: nothing is divided off.

    Returns:
        Sorted positions in the set.
    Raises:
        ConfigError: shares that leave nothing to train on, or a limit below the number of classes.
        DataError: a class that would be missing from a part, too few subjects, or a file that does not fit the set.
    """
    config = config or SplitConfig()
    parts = _published(image_set, config) if config.file is None else _filed(image_set, config.file)
    if config.undersample == "all":
        parts = {role: _balance(image_set, positions, config) for role, positions in parts.items()}
    check_brought(image_set, parts, filed=config.file is not None)
    shares = _shares(parts, config)
    pool = parts[Role.TRAIN]
    if not len(pool):
        raise DataError(
            f"{image_set.name} brings no images to train on: all are in its published validation and test parts. "
            "Add a train part, or divide the set anew with split.published=false."
        )
    if len(shares) > 1:
        placed = _divide(image_set, pool, list(shares.values()), list(shares), config)
        parts |= {role: pool[placed == number] for number, role in enumerate(shares)}
    train = parts[Role.TRAIN]
    if config.undersample == "train":
        train = _balance(image_set, train, config)
    if config.limit is not None:
        train = _limit(image_set, train, config.limit, config.seed)
    result = Split(train, parts[Role.VALIDATION], parts[Role.TEST])
    check_classes(image_set, result)
    return result


def class_weights(labels: Int64[np.ndarray, " N"], classes: int) -> Float32[np.ndarray, " K"]:
    """Weight of each class, inverse to its share; their mean over the images is 1.

    Raises:
        DataError: a class without images.
    """
    counts = np.bincount(labels, minlength=classes)
    if len(counts) > classes or not counts.all():
        raise DataError(f"Class weights need images of all {classes} classes; found {counts.tolist()} images by class.")
    return (len(labels) / (classes * counts)).astype(np.float32)


def _published(image_set: ImageSet, config: SplitConfig) -> dict[Role, Int64[np.ndarray, " _"]]:
    everything = np.arange(len(image_set))
    roles = image_set.roles if config.published else np.full(len(image_set), Role.UNASSIGNED)
    train = (roles == Role.TRAIN) | (roles == Role.UNASSIGNED)
    return {
        Role.TRAIN: everything[train],
        Role.VALIDATION: everything[roles == Role.VALIDATION],
        Role.TEST: everything[roles == Role.TEST],
    }


def _filed(image_set: ImageSet, file: str) -> dict[Role, Int64[np.ndarray, " _"]]:
    train, validation, test = read_split(as_path(file), image_set)
    return {Role.TRAIN: train, Role.VALIDATION: validation, Role.TEST: test}


def _shares(parts: dict[Role, Int64[np.ndarray, " _"]], config: SplitConfig) -> dict[Role, float]:
    """Share of each part that is to be divided off the train images; train takes what is left."""
    wanted = {Role.VALIDATION: config.validation, Role.TEST: config.test}
    shares = {role: share for role, share in wanted.items() if not len(parts[role])}
    left = 1.0 - sum(shares.values())
    if left <= 0:
        raise ConfigError(
            f"validation = {config.validation:g} and test = {config.test:g} leave nothing to train on: "
            "together they must stay below 1."
        )
    return {Role.TRAIN: left, **shares}


def _divide(
    image_set: ImageSet, pool: Int64[np.ndarray, " n"], shares: list[float], roles: list[Role], config: SplitConfig
) -> Int64[np.ndarray, " n"]:
    """Number of the part that each image of the pool goes to."""
    labels = image_set.labels[pool]
    units = _units(image_set, pool, config.grouped)
    count = int(units.max()) + 1
    order = permutation(count, config.seed, _PLACE)
    table = np.zeros((count, len(image_set.classes)), np.int64)
    np.add.at(table, (units, labels), 1)
    check_units(image_set, table, [PARTS[role] for role in roles], brought=len(roles) < len(PARTS))
    target = np.outer(shares, table.sum(axis=0))
    single = table.sum(axis=1) == 1
    place = np.full(count, -1)
    held = np.zeros_like(target)
    bundles = order[~single[order]]
    for unit in bundles[np.argsort(-table[bundles].sum(axis=1), kind="stable")]:
        place[unit] = _best_part(held, target, table[unit])
        held[place[unit]] += table[unit]
    classes = table.argmax(axis=1)
    for label in range(table.shape[1]):
        alone = order[single[order] & (classes[order] == label)]
        place[alone] = _fill(held[:, label], target[:, label], len(alone))
    _repair(place, table, target)
    found: Int64[np.ndarray, " n"] = place[units]
    return found


def _units(image_set: ImageSet, pool: Int64[np.ndarray, " n"], grouped: bool) -> Int64[np.ndarray, " n"]:
    """Number what may not be separated: images of a subject, identical images, and whatever these connect."""
    same = identical_images(image_set.images, pool)
    if not grouped or image_set.groups is None:
        return same
    _, subjects = np.unique(image_set.groups[pool], return_inverse=True)
    edges = coo_array((np.ones(len(pool)), (subjects, subjects.max() + 1 + same)), shape=(2 * len(pool),) * 2)
    _, component = connected_components(edges, directed=False)
    _, units = np.unique(component[subjects], return_inverse=True)
    return units.astype(np.int64)


def _best_part(
    held: Float64[np.ndarray, "P K"], target: Float64[np.ndarray, "P K"], unit: Int64[np.ndarray, " K"]
) -> int:
    """The part where the unit adds least to sum(held^2 / target), least when held is proportional to target."""
    present = unit > 0
    now, aim, more = held[:, present], target[:, present], unit[present]
    return int((((now + more) ** 2 - now**2) / aim).sum(axis=1).argmin())


def _fill(held: Float64[np.ndarray, " P"], target: Float64[np.ndarray, " P"], count: int) -> Int64[np.ndarray, " n"]:
    """Parts for `count` single images of one class, so that the class comes as close to its targets as it can."""
    need = np.clip(target - held, 0, None)
    need = need * (count / need.sum()) if need.sum() > 0 else count * target / target.sum()
    whole = np.floor(need).astype(np.int64)
    for part in np.argsort(-(need - whole), kind="stable")[: count - whole.sum()]:
        whole[part] += 1
    while count >= len(whole) and (empty := np.flatnonzero(held + whole == 0)).size:
        whole[whole.argmax()] -= 1
        whole[empty[0]] += 1
    return np.repeat(np.arange(len(whole)), whole)


def _repair(
    place: Int64[np.ndarray, " U"], table: Int64[np.ndarray, "U K"], target: Float64[np.ndarray, "P K"]
) -> None:
    """Give each part a unit of each class where the balance alone left one out (rare classes, few subjects)."""
    for part, label in np.argwhere(_held(place, table, len(target)) == 0):
        held = _held(place, table, len(target))
        if held[part, label]:
            continue
        donors = [unit for unit in np.flatnonzero(table[:, label]) if _can_give(held[place[unit]], table[unit])]
        if donors:
            best = min(donors, key=lambda unit: table[unit].sum())
            place[best] = part


def _held(place: Int64[np.ndarray, " U"], table: Int64[np.ndarray, "U K"], parts: int) -> Int64[np.ndarray, "P K"]:
    return np.stack([table[place == part].sum(axis=0) for part in range(parts)])


def _can_give(held: Int64[np.ndarray, " K"], unit: Int64[np.ndarray, " K"]) -> bool:
    return bool(((held > unit) | (unit == 0)).all())


def _balance(image_set: ImageSet, positions: Int64[np.ndarray, " n"], config: SplitConfig) -> Int64[np.ndarray, " m"]:
    if not len(positions):
        return positions
    labels = image_set.labels[positions]
    least = int(np.bincount(labels, minlength=len(image_set.classes)).min())
    counts = np.full(len(image_set.classes), least)
    return _draw(positions, labels, counts, config.seed, _BALANCE)


def _limit(image_set: ImageSet, positions: Int64[np.ndarray, " n"], limit: int, seed: int) -> Int64[np.ndarray, " m"]:
    classes = len(image_set.classes)
    if limit < classes:
        raise ConfigError(f"limit = {limit} is below the number of classes ({classes}); each needs an image.")
    if limit >= len(positions):
        return positions
    labels = image_set.labels[positions]
    present = np.bincount(labels, minlength=classes)
    exact = present * (limit / len(positions))
    counts = np.maximum(np.floor(exact), present > 0).astype(np.int64)
    while counts.sum() != limit:
        step = 1 if counts.sum() < limit else -1
        room = (counts < present) if step > 0 else (counts > 1)
        gap = np.where(room, step * (exact - counts), -np.inf)
        counts[gap.argmax()] += step
    return _draw(positions, labels, counts, seed, _LIMIT)


def _draw(
    positions: Int64[np.ndarray, " n"],
    labels: Int64[np.ndarray, " n"],
    counts: Int64[np.ndarray, " K"],
    seed: int,
    purpose: int,
) -> Int64[np.ndarray, " m"]:
    """At random, `counts[k]` of the images of each class, sorted."""
    order = permutation(len(positions), seed, purpose)
    kept = [order[labels[order] == label][:count] for label, count in enumerate(counts)]
    drawn: Int64[np.ndarray, " m"] = positions[np.sort(np.concatenate(kept))]
    return drawn

"""A split without the leaks that were found."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from spikewise import __version__
from spikewise.data.audit.look import Look
from spikewise.data.image_set import ImageSet, Role
from spikewise.data.split_file import SplitFile
from spikewise.data.splits import SplitConfig, split

__all__ = ["clean_split"]


def clean_split(look: Look, config: SplitConfig | None = None) -> SplitFile:
    """Divide a set so that no image, near-duplicate or subject stands on two sides; stratified.

    Identical images with different labels are left out. A published test part keeps all its other images; what is like
    them is taken from the other parts, and validation images that are like training images become training images. A
    set without a published test part is divided anew, by the shares and the seed of `config`.

    Raises:
        ConfigError, DataError: as `split`.
    """
    config = (config or SplitConfig()).replace(file=None, limit=None, undersample="none", grouped=True)
    images, units = look.images, look.units
    parts = split(replace(images, groups=units), config)
    part = np.full(len(images), -1, np.int8)
    for number, positions in enumerate(parts):
        part[positions] = number
    contradictory = _contradictory(look)
    part[contradictory] = -1
    tested = (part != 2) & np.isin(units, units[part == 2]) & ~contradictory & (part >= 0)
    part[tested] = -1
    part[(part == 1) & np.isin(units, units[part == 0])] = 0
    reasons = {"identical images with different labels": contradictory, "like a test image": tested}
    return _as_file(images, part, reasons)


def _contradictory(look: Look) -> Bool[np.ndarray, " N"]:
    pairs = np.unique(np.stack([look.same, look.labels]), axis=1)[0]
    found: Bool[np.ndarray, " N"] = np.bincount(pairs)[look.same] > 1
    return found


def _as_file(images: ImageSet, part: np.ndarray, reasons: dict[str, np.ndarray]) -> SplitFile:
    train, validation, test = (
        tuple(np.flatnonzero(part == role).tolist()) for role in (Role.TRAIN, Role.VALIDATION, Role.TEST)
    )
    return SplitFile(
        name=images.name,
        fingerprint=images.fingerprint,
        images=len(images),
        train=train,
        validation=validation,
        test=test,
        left_out={why: tuple(np.flatnonzero(which).tolist()) for why, which in reasons.items() if which.any()},
        made_by=f"spikewise {__version__} audit",
    )

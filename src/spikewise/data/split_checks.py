"""Whether a set can be divided, and was: what is lacking is said in words."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int64

from spikewise.data.image_set import ImageSet, Role, Split
from spikewise.data.names import listed
from spikewise.errors import DataError, nearest

__all__ = ["PARTS", "check_brought", "check_classes", "check_units"]

PARTS = ("train", "validation", "test")


def check_brought(image_set: ImageSet, parts: Mapping[Role, Int64[np.ndarray, " _"]], *, filed: bool) -> None:
    """The parts that a set or a file brings must have the same classes; `filed`: it was a file.

    Raises:
        DataError: a part lacks a class that another has.
    """
    counts = {
        PARTS[role]: np.bincount(image_set.labels[positions], minlength=len(image_set.classes))
        for role, positions in parts.items()
        if len(positions)
    }
    absent = {part: [image_set.classes[label] for label in np.flatnonzero(held == 0)] for part, held in counts.items()}
    if len(counts) < 2 or not any(absent.values()):
        return
    lacks = "; ".join(f"{part} lacks {listed(names)}" for part, names in absent.items() if names)
    pairs = [
        (name, close)
        for part, names in absent.items()
        for name in names
        if (close := nearest(name, [one for one in image_set.classes if one != name and one not in names]))
        and any(close in others for other, others in absent.items() if other != part)
    ]
    hint = f" Are '{pairs[0][0]}' and '{pairs[0][1]}' one class? Then give them one name." if pairs else ""
    anew = "divide the set anew with split.published=false" if not filed else "make the split file again"
    raise DataError(
        f"The parts of {image_set.name} do not have the same classes: {lacks}.{hint} "
        f"{'Otherwise add' if pairs else 'Add'} images of the class that is lacking, take the class out of the other "
        f"parts, or {anew}."
    )


def check_units(image_set: ImageSet, table: Int64[np.ndarray, "U K"], parts: list[str], *, brought: bool) -> None:
    """Each class needs a subject (or an image) for each part that is to be divided.

    Args:
        table: Images by what may not be separated (rows) and class.
        brought: Whether the set has a part of its own.
    Raises:
        DataError: a class has too few of them.
    """
    for label, count in enumerate((table > 0).sum(axis=0)):
        if count < len(parts):
            images = int(table[:, label].sum())
            advice = "or bring your own split as folders train, val and test."
            if brought:
                advice = "bring the part that is missing, too, or divide all images anew: split.published=false."
            held = _held_by(image_set, label, images, int(count))
            raise DataError(
                f"Class '{image_set.classes[label]}' has {held} to divide into {', '.join(parts)}: too few for one in "
                f"each. Add images of it, leave the class out, {advice}{_how_told(image_set)}"
            )


def _held_by(image_set: ImageSet, label: int, images: int, units: int) -> str:
    """How many images, and what makes them so few."""
    if image_set.groups is not None:
        return f"{images} image{'s' if images != 1 else ''} of {units} separate subject{'' if units == 1 else 's'}"
    if units == 1 < images:
        of_class = image_set.images[int(np.flatnonzero(image_set.labels == label)[0])]
        what = f" (every pixel is {of_class.flat[0]})" if (of_class == of_class.flat[0]).all() else ""
        return f"{images} images that are one, pixel for pixel{what},"
    return (
        f"{images} image{'s' if images != 1 else ''}"
        if units == images
        else f"{images} images of {units} distinct ones"
    )


def _how_told(image_set: ImageSet) -> str:
    """Where subjects stand in the way: by what they were told, and how not to."""
    rule = image_set.subjects_rule
    if image_set.groups is None or rule is None:
        return ""
    told = f" Subjects were told by {rule.words}."
    if rule.trust == "stated":
        return f"{told} To divide them all the same: split.grouped=false."
    return f"{told} If these are none: data.read_subjects=false; to divide them all the same: split.grouped=false."


def check_classes(image_set: ImageSet, result: Split) -> None:
    """Each part must have images of each class.

    Raises:
        DataError: a part lacks one.
    """
    for part, positions in zip(PARTS, result, strict=True):
        counts = np.bincount(image_set.labels[positions], minlength=len(image_set.classes))
        absent = [image_set.classes[label] for label in np.flatnonzero(counts == 0)]
        if absent:
            raise DataError(
                f"The {part} part of {image_set.name} has no image of class {', '.join(absent[:5])} "
                f"({len(positions)} images in all). Measures of it would be meaningless: add images, or divide the set "
                "anew with split.published=false."
            )

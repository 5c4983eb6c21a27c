"""`python -m benchmarks.photos OUT`: three sets of ordinary colour photos, OUT/{scenes,close,mixed}/CLASS/*.jpg.

They are cut from photos that scikit-image and scikit-learn pack into their wheels; nothing is downloaded. A class is
one photo, or two of a kind; 320 pictures of four classes a set, of mixed sizes, with other zoom, light, side each time.
A photo is divided into cells and no cut reaches over their borders. The cell is the picture's subject
("subject07_003.jpg"), so that no pixel of a source stands on two sides of a split: what is learned has to hold for the
rest of the photo. The same OUT, whenever it is made, has the same bytes under the same version of Pillow.
"""

import itertools
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from spikewise.errors import ConfigError

__all__ = ["SETS", "make"]

_OF_SCIKIT_LEARN = {"china.jpg", "flower.jpg"}
SETS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "scenes": {
        "temple": ("china.jpg",),
        "flower": ("flower.jpg",),
        "coffee": ("coffee.png",),
        "rocket": ("rocket.jpg",),
    },
    "close": {
        "cat": ("chelsea.png",),
        "motorcycle": ("motorcycle_left.png",),
        "person": ("astronaut.png",),
        "tissue": ("ihc.png",),
    },
    "mixed": {
        "indoors": ("coffee.png", "motorcycle_left.png"),
        "instrument": ("retina.jpg", "hubble_deep_field.jpg"),
        "living": ("chelsea.png", "astronaut.png"),
        "outdoors": ("china.jpg", "rocket.jpg"),
    },
}
"""Classes of each set, and the photos that they are cut from."""
_GRID = (4, 3)
"""Cells across and down."""
_CUT = (0.55, 1.0)
"""Sides of a cut, as shares of its cell's."""
_LONGEST = (48, 112)
"""Longer side of a picture in pixels, from and to."""
_LIGHT = (0.7, 1.3)
_BLANK = 8.0
"""Standard deviation of grey levels at or below which a cell shows nothing, such as white sky."""
_QUALITY = 92


def make(out: Path, *, images: int = 80, seed: int = 0) -> list[Path]:
    """The folders of the three sets.

    Args:
        images: how many a class has.
        seed: another seed gives other cuts.
    Raises:
        ConfigError: a folder is there already, or scikit-image is not.
    """
    folders = [out / name for name in SETS]
    there = [folder for folder in folders if folder.exists()]
    if there:
        raise ConfigError(f"{there[0]} is there already; give a folder that does not hold these sets yet.")
    for folder, classes in zip(folders, SETS.values(), strict=True):
        draw = np.random.default_rng([seed, *folder.name.encode()])
        _make_set(folder, {name: _cells_of(sources) for name, sources in classes.items()}, images, draw)
    return folders


def _make_set(folder: Path, classes: dict[str, list[Image.Image]], images: int, draw: np.random.Generator) -> None:
    """Subjects are numbered at random, so that a number says nothing about the class."""
    numbers = iter(draw.permutation(sum(map(len, classes.values()))).tolist())
    for name, cells in classes.items():
        (folder / name).mkdir(parents=True)
        subjects = [next(numbers) for _ in cells]
        for number in range(images):
            at = number % len(cells)
            place = folder / name / f"subject{subjects[at]:02}_{number:03}.jpg"
            _picture(cells[at], draw).save(place, quality=_QUALITY)


def _source(name: str) -> Image.Image:
    package = "sklearn.datasets.images" if name in _OF_SCIKIT_LEARN else "skimage.data"
    try:
        with (files(package) / name).open("rb") as file:
            return Image.open(file).convert("RGB")
    except ModuleNotFoundError:
        raise ConfigError("The photos come with scikit-image and scikit-learn: pip install scikit-image.") from None


def _cells_of(names: tuple[str, ...]) -> list[Image.Image]:
    """What the photos are divided into, without what shows nothing."""
    across, down = _GRID
    cells = []
    for photo in map(_source, names):
        width, height = photo.width // across, photo.height // down
        for y, x in itertools.product(range(down), range(across)):
            cells.append(photo.crop((x * width, y * height, (x + 1) * width, (y + 1) * height)))
    return [cell for cell in cells if np.asarray(cell.convert("L")).std() > _BLANK]


def _picture(cell: Image.Image, draw: np.random.Generator) -> Image.Image:
    """A cut of a cell, mirrored or not, in other light."""
    width, height = (round(side * draw.uniform(*_CUT)) for side in cell.size)
    left, top = draw.integers(cell.width - width + 1), draw.integers(cell.height - height + 1)
    cut = cell.crop((left, top, left + width, top + height))
    longest = draw.integers(_LONGEST[0], _LONGEST[1] + 1)
    cut = ImageOps.contain(cut, (longest, longest), Image.Resampling.LANCZOS)
    cut = ImageOps.mirror(cut) if draw.random() < 0.5 else cut
    cut = ImageEnhance.Brightness(cut).enhance(draw.uniform(*_LIGHT))
    return ImageEnhance.Contrast(cut).enhance(draw.uniform(*_LIGHT))


def _main(arguments: list[str]) -> None:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit("Usage: python -m benchmarks.photos OUT")
    try:
        folders = make(Path(arguments[0]))
    except ConfigError as error:
        sys.exit(str(error))
    for folder in folders:
        print(f"{folder}: {sum(1 for _ in folder.glob('*/*.jpg'))} photos of {len(SETS[folder.name])} classes")


if __name__ == "__main__":
    _main(sys.argv[1:])

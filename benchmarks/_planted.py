"""Image sets with planted leaks and shortcuts: 600 images of two classes, and one thing that should be found."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps, PngImagePlugin
from sklearn.datasets import load_sample_images

from spikewise.data import DataConfig, ImageSet, Role, Split, load_data
from spikewise.data.arrays import fingerprint, hash_images
from spikewise.data.duplicates import identical_images
from spikewise.errors import MissingDataError

COUNT, TRAIN, VALIDATION, PLANTED = 600, 400, 80, 30
BASES = {
    "Fashion-MNIST, pullover and coat": ("fashion-mnist", (2, 4)),
    "MNIST, 3 and 5": ("mnist", (3, 5)),
    "PneumoniaMNIST": ("pneumoniamnist", (0, 1)),
    "chest X-rays, 96 x 96": ("chest-xray", (0, 1)),
    "photos, 32 x 32": ("photos", (0, 1)),
}
EASY = {
    "Fashion-MNIST, trouser and bag": ("fashion-mnist", (1, 8)),
    "MNIST, 0 and 1": ("mnist", (0, 1)),
    "digits, 3 and 5": ("digits", (3, 5)),
    "digits, 0 and 1": ("digits", (0, 1)),
}
Pixels = np.ndarray
Edit = Callable[[Pixels, np.random.Generator], Pixels]
_LOADED: dict[str, ImageSet] = {}


def base(name: str, seed: int) -> ImageSet:
    """`COUNT` distinct images (fewer where the set has fewer), as many of each class as can be, in random order.

    Raises:
        MissingDataError: the set is not here.
    """
    source, classes = (BASES | EASY)[name]
    whole = _whole(source)
    rng = np.random.default_rng(seed)
    first = np.unique(identical_images(whole.images, np.arange(len(whole))), return_index=True)[1]
    chosen = [rng.permutation(first[whole.labels[first] == label])[: COUNT // 2] for label in classes]
    order = rng.permutation(np.concatenate(chosen))
    labels = (whole.labels[order] == classes[1]).astype(np.int64)
    return made(np.asarray(whole.images[order]), labels, tuple(whole.classes[label] for label in classes))


def made(images: Pixels, labels: np.ndarray, classes: tuple[str, ...] = ("first", "second")) -> ImageSet:
    roles = np.full(len(labels), Role.UNASSIGNED, np.int8)
    images = np.ascontiguousarray(images)
    return ImageSet("planted", images, labels, classes, roles, fingerprint(hash_images(images), labels, roles))


def parts(count: int) -> Split:
    """The shares of 600 images: 400 to train on, 80 to validate, 120 to test."""
    one, two = count * TRAIN // COUNT, count * (TRAIN + VALIDATION) // COUNT
    return Split(np.arange(one), np.arange(one, two), np.arange(two, count))


def _whole(source: str) -> ImageSet:
    if source not in _LOADED:
        if source == "photos":
            _LOADED[source] = _photos()
        else:
            sized = {"size": 96, "grey": True} if source == "chest-xray" else {}
            _LOADED[source] = load_data(DataConfig(source=source, **sized))
    return _LOADED[source]


def _photos(side: int = 32) -> ImageSet:
    """Tiles of the two photographs that scikit-learn brings; the class is which photograph."""
    tiles, labels = [], []
    for label, photo in enumerate(load_sample_images().images):
        for row in range(0, photo.shape[0] - side + 1, side):
            for column in range(0, photo.shape[1] - side + 1, side):
                tiles.append(photo[row : row + side, column : column + side].transpose(2, 0, 1))
                labels.append(label)
    return made(np.stack(tiles), np.array(labels), ("china", "flower"))


# Copies: what an image looks like when it comes a second time. An edit takes and gives uint8 [C, H, W].


def _as_picture(image: Pixels) -> Image.Image:
    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def _as_array(picture: Image.Image) -> Pixels:
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def pictured(change: Callable[[Image.Image], Image.Image]) -> Edit:
    return lambda image, rng: _as_array(change(_as_picture(image)))


def levels(change: Callable[[Pixels], Pixels]) -> Edit:
    """A change of grey levels in 0..1."""
    return lambda image, rng: np.clip(np.rint(255 * change(image / 255.0)), 0, 255).astype(np.uint8)


def jpeg(quality: int) -> Edit:
    def change(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return pictured(change)


def shifted(share: float) -> Edit:
    """Moved down and right by this share of the side, at least a pixel; the edge repeats."""

    def change(image: Pixels, rng: np.random.Generator) -> Pixels:
        step = max(1, round(share * image.shape[1]))
        return np.pad(image, ((0, 0), (step, 0), (step, 0)), "edge")[:, :-step, :-step]

    return change


def cropped(keep: float) -> Edit:
    """The middle part, enlarged to the old size."""

    def change(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        left, top = width * (1 - keep) / 2, height * (1 - keep) / 2
        box = (left, top, width - left, height - top)
        return picture.resize(picture.size, Image.Resampling.BILINEAR, box=box)

    return pictured(change)


def framed(share: float, level: int) -> Edit:
    """A frame drawn over the edge."""

    def change(image: Pixels, rng: np.random.Generator) -> Pixels:
        step = max(1, round(share * image.shape[1]))
        out = np.full_like(image, level)
        out[:, step:-step, step:-step] = image[:, step:-step, step:-step]
        return out

    return change


def bordered(share: float) -> Edit:
    """The whole image made smaller, inside a grey border."""

    def change(picture: Image.Image) -> Image.Image:
        step = max(1, round(share * picture.width))
        inner = picture.resize((picture.width - 2 * step, picture.height - 2 * step), Image.Resampling.BILINEAR)
        return ImageOps.expand(inner, step, 128 if picture.mode == "L" else (128, 128, 128))

    return pictured(change)


def resized(factor: float) -> Edit:
    def change(picture: Image.Image) -> Image.Image:
        size = (round(picture.width * factor), round(picture.height * factor))
        return picture.resize(size, Image.Resampling.BILINEAR).resize(picture.size, Image.Resampling.BILINEAR)

    return pictured(change)


def written(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    draw.text((1, picture.height // 2 - 5), "copy", fill=255 if picture.mode == "L" else (255, 255, 255))
    return picture


def salted(image: Pixels, rng: np.random.Generator) -> Pixels:
    hit = rng.random(image.shape[1:]) < 0.02
    return jpeg(75)(np.where(hit, rng.choice([0, 255], image.shape[1:]), image).astype(np.uint8), rng)


def noisy(sigma: float) -> Edit:
    return lambda image, rng: np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def beside(image: Pixels, rng: np.random.Generator) -> Pixels:
    """The lower quarter is covered by noise, as in a collage."""
    out = image.copy()
    quarter = image.shape[1] // 4
    out[:, -quarter:] = rng.integers(0, 256, (len(image), quarter, image.shape[2]))
    return out


COPIES: dict[str, Edit] = {
    "exact": lambda image, rng: image,
    "JPEG, quality 75": jpeg(75),
    "JPEG, quality 40": jpeg(40),
    "noise of 4 levels": noisy(4),
    "salt and pepper (2 %), then JPEG 75": salted,
    "half contrast": levels(lambda x: 0.5 * x + 0.15),
    "stretched contrast, clipped": levels(lambda x: 1.5 * (x - 0.5) + 0.5),
    "brightness x 1.6, clipped": levels(lambda x: 1.6 * x),
    "gamma 0.5": levels(lambda x: x**0.5),
    "gamma 2": levels(lambda x: x**2),
    "equalised": pictured(ImageOps.equalize),
    "4 grey levels": pictured(lambda picture: ImageOps.posterize(picture, 2)),
    "inverted": levels(lambda x: 1 - x),
    "solarised (not monotone)": pictured(lambda picture: ImageOps.solarize(picture, 128)),
    "mirrored": lambda image, rng: image[:, :, ::-1],
    "upside down": lambda image, rng: image[:, ::-1],
    "turned by 90": lambda image, rng: np.rot90(image, 1, (1, 2)),
    "turned by 180": lambda image, rng: np.rot90(image, 2, (1, 2)),
    "turned by 270": lambda image, rng: np.rot90(image, 3, (1, 2)),
    "transposed": lambda image, rng: image.transpose(0, 2, 1),
    "upside down, inverted, gamma 0.5": levels(lambda x: (1 - x[:, ::-1]) ** 0.5),
    "turned by 3 degrees": pictured(lambda picture: picture.rotate(3, Image.Resampling.BILINEAR)),
    "turned by 15 degrees": pictured(lambda picture: picture.rotate(15, Image.Resampling.BILINEAR)),
    "shifted by 4 %": shifted(0.04),
    "shifted by 8 %": shifted(0.08),
    "shifted by 15 %": shifted(0.15),
    "cropped to 93 %": cropped(0.93),
    "cropped to 85 %": cropped(0.85),
    "cropped to 70 %": cropped(0.7),
    "smaller, with a border of 7 %": bordered(0.07),
    "frame of 4 % drawn over": framed(0.04, 255),
    "frame of 10 % drawn over": framed(0.1, 128),
    "half size and back": resized(0.5),
    "enlarged and back": resized(1.43),
    "blurred": pictured(lambda picture: picture.filter(ImageFilter.GaussianBlur(1))),
    "sharpened": pictured(lambda picture: picture.filter(ImageFilter.SHARPEN)),
    "writing over it": pictured(written),
    "a quarter covered": beside,
    "channels swapped": lambda image, rng: image[::-1],
    "grey copy": pictured(lambda picture: picture.convert("L").convert(picture.mode)),
}
COLOUR_ONLY = ("channels swapped", "grey copy")


class Planted(NamedTuple):
    """A set with copies of training images in its test part."""

    images: ImageSet
    pairs: list[tuple[int, int]]


def plant_copies(clean: ImageSet, kind: str, seed: int) -> Planted:
    """Replace `PLANTED` test images by edited copies of training images of the same class."""
    rng = np.random.default_rng([seed, 1])
    split = parts(len(clean))
    targets = rng.permutation(split.test)[:PLANTED]
    pools = [iter(rng.permutation(split.train[clean.labels[split.train] == label])) for label in (0, 1)]
    pixels, pairs = clean.images.copy(), []
    for target in targets:
        source = int(next(pools[clean.labels[target]]))
        pixels[target] = COPIES[kind](clean.images[source], rng)
        pairs.append((source, int(target)))
    return Planted(made(pixels, clean.labels, clean.classes), pairs)


# Shortcuts in the pixels: what the images of the second class have, and those of the first have not.


def _spot(place: tuple[float, float], size: int, level: int) -> Edit:
    def change(image: Pixels, rng: np.random.Generator) -> Pixels:
        out = image.copy()
        row, column = (int(share * (side - size)) for share, side in zip(place, image.shape[1:], strict=True))
        out[:, row : row + size, column : column + size] = level
        return out

    return change


def _low_bit(which: str) -> Callable[[Pixels, int], Pixels]:
    def change(image: Pixels, label: int) -> Pixels:
        out = image.copy()
        at = {"corner": np.s_[0, 0, 0], "inner": np.s_[0, image.shape[1] // 3, image.shape[2] // 2], "all": np.s_[:]}
        out[at[which]] = (out[at[which]] & 0xFE) | label
        return out

    return change


def _second(edit: Edit) -> Callable[[Pixels, int], Pixels]:
    rng = np.random.default_rng(7)
    return lambda image, label: edit(image, rng) if label else image


MARKS: dict[str, Callable[[Pixels, int], Pixels]] = {
    "corner mark, 2 x 2 white": _second(_spot((0, 0), 2, 255)),
    "corner pixel, grey": _second(_spot((1, 1), 1, 97)),
    "inner mark, 2 x 2 grey": _second(_spot((0.3, 0.6), 2, 128)),
    "inner mark, 4 x 4 grey": _second(_spot((0.4, 0.4), 4, 128)),
    "inner pixel, grey": _second(_spot((0.37, 0.58), 1, 128)),
    "inner pixel, white": _second(_spot((0.6, 0.3), 1, 255)),
    "inner pixel 20 levels brighter": lambda image, label: _brighter(image, 20 * label),
    "a line, 1 pixel": _second(lambda image, rng: _line(image)),
    "lowest bit of the corner pixel": _low_bit("corner"),
    "lowest bit of an inner pixel": _low_bit("inner"),
    "lowest bits of all pixels": _low_bit("all"),
    "writing": _second(pictured(written)),
    "frame of a pixel": _second(framed(0.01, 60)),
    "brightness x 0.7": _second(levels(lambda x: 0.7 * x)),
    "blur": _second(pictured(lambda picture: picture.filter(ImageFilter.GaussianBlur(1)))),
    "blur, slight": _second(pictured(lambda picture: picture.filter(ImageFilter.GaussianBlur(0.5)))),
    "sharpened": _second(pictured(lambda picture: picture.filter(ImageFilter.SHARPEN))),
    "noise of 4 levels": _second(noisy(4)),
    "JPEG, quality 60": _second(jpeg(60)),
    "half size and back": _second(resized(0.5)),
    "contrast x 1.2, with gaps": _second(levels(lambda x: np.clip(1.2 * x, 0, 1))),
    "tint": lambda image, label: _tinted(image) if label else image,
    "a mark at a random place": _second(lambda image, rng: _spot(tuple(rng.random(2)), 2, 128)(image, rng)),
}


def _brighter(image: Pixels, by: int) -> Pixels:
    out = image.copy()
    at = np.s_[:, image.shape[1] // 2, image.shape[2] // 3]
    out[at] = np.minimum(255, out[at].astype(np.int64) + by)
    return out


def _line(image: Pixels) -> Pixels:
    out = image.copy()
    out[:, image.shape[1] // 3, 2:-2] = 200
    return out


def _tinted(image: Pixels) -> Pixels:
    gains = np.linspace(1, 0.8, len(image))[:, None, None] if len(image) > 1 else 0.9
    return np.asarray(image * gains, np.uint8)


def plant_mark(clean: ImageSet, kind: str) -> ImageSet:
    """Edit every image as its class has it."""
    pixels = np.stack([MARKS[kind](one, int(y)) for one, y in zip(clean.images, clean.labels, strict=True)])
    return made(pixels, clean.labels, clean.classes)


# Shortcuts in the files: `write(picture, folder, number, label)` saves one image.


def _exif(tag: int, words: tuple[object, object]) -> Callable[[Image.Image, int], dict[str, object]]:
    def options(picture: Image.Image, label: int) -> dict[str, object]:
        exif = Image.Exif()
        exif[tag] = words[label]
        return {"exif": exif.tobytes()}

    return options


def _text(picture: Image.Image, label: int) -> dict[str, object]:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", ("scanned", "photographed")[label])
    return {"pnginfo": info}


class Saved(NamedTuple):
    """How the files of a set are written."""

    suffix: str = ".png"
    options: Callable[[Image.Image, int], dict[str, object]] = lambda picture, label: {}
    picture: Callable[[Image.Image, int, np.random.Generator], Image.Image] = lambda picture, label, rng: picture
    name: Callable[[int, int], str] = lambda number, label: f"{number:05}"
    tail: Callable[[int], bytes] = lambda label: b""


def _hidden(picture: Image.Image, label: int, rng: np.random.Generator) -> Image.Image:
    """Transparent in a corner; the colour there, which nobody sees, is the label."""
    pixels = np.asarray(picture.convert("RGBA")).copy()
    side = picture.width // 4
    pixels[:side, :side] = (200 * label, 40, 90, 0)
    return Image.fromarray(pixels)


def _alpha(picture: Image.Image, label: int, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(picture.convert("RGBA")).copy()
    pixels[..., 3] = 254 + label
    pixels[0, 0, 3] = 250
    return Image.fromarray(pixels)


_SHUFFLED = np.random.default_rng(3).permutation(100_000)

FILES: dict[str, Saved] = {
    "EXIF: camera": Saved(".jpg", _exif(0x0110, ("Canon", "Nikon"))),
    "EXIF: description": Saved(".jpg", _exif(0x010E, ("ward 1", "ward 2"))),
    "EXIF: time": Saved(".jpg", _exif(0x0132, ("2019:03:01 10:00:00", "2021:06:01 10:00:00"))),
    "PNG text": Saved(".png", _text),
    "resolution (dpi)": Saved(".png", lambda picture, label: {"dpi": ((72, 72), (96, 96))[label]}),
    "colour profile": Saved(".png", lambda picture, label: {"icc_profile": bytes(132 + 4 * label)}),
    "PNG compression level": Saved(".png", lambda picture, label: {"compress_level": (1, 9)[label]}),
    "JPEG quality": Saved(".jpg", lambda picture, label: {"quality": (90, 70)[label]}),
    "progressive JPEG": Saved(".jpg", lambda picture, label: {"progressive": bool(label)}),
    "bytes after the end": Saved(".png", tail=lambda label: b"first" if label == 0 else b"other"),
    "colour under transparency": Saved(".png", picture=_hidden),
    "opacity 254 or 255": Saved(".png", picture=_alpha),
    "size in pixels": Saved(".png", picture=lambda picture, label, rng: picture.resize((30 + label, 30))),
    "number in the name, odd or even": Saved(name=lambda number, label: f"img_{2 * int(_SHUFFLED[number]) + label}"),
    "number in the name, a range": Saved(name=lambda number, label: f"img_{int(_SHUFFLED[number]) + 100_000 * label}"),
    "letter in the name": Saved(name=lambda number, label: f"{int(_SHUFFLED[number]):05}{'ab'[label]}"),
    "none (clean)": Saved(),
    "none (clean), JPEG": Saved(".jpg"),
}


def write_files(clean: ImageSet, kind: str, root: Path) -> Path:
    """The set as a folder of image files, one folder for each class, with what `kind` plants."""
    how, rng = FILES[kind], np.random.default_rng(5)
    for number, (image, label) in enumerate(zip(clean.images, clean.labels.tolist(), strict=True)):
        picture = how.picture(_as_picture(image), label, rng)
        path = root / f"class{'AB'[label]}" / (how.name(number, label) + how.suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, **how.options(picture, label))
        with path.open("ab") as file:
            file.write(how.tail(label))
    return root


def available(name: str) -> bool:
    try:
        base(name, 0)
    except MissingDataError:
        return False
    return True


def relabelled(clean: ImageSet, seed: int) -> ImageSet:
    """The same images with labels that mean nothing."""
    labels = np.random.default_rng([seed, 2]).permutation(np.arange(len(clean)) % 2).astype(np.int64)
    return replace(clean, labels=labels, fingerprint=fingerprint(hash_images(clean.images), labels, clean.roles))

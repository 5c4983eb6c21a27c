"""What the audit finds of planted leaks and shortcuts, what it says of clean sets, and what it costs.

The last part searches 100,000 images with planted copies: seconds, recall, false alarms. They are drawn from MNIST and
Fashion-MNIST where SPIKEWISE_DATA has them, else they are smooth noise. Each kind of copy is planted 250 times.
"""

import io
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks._planted import (
    BASES,
    COLOUR_ONLY,
    COPIES,
    EASY,
    FILES,
    MARKS,
    PLANTED,
    available,
    base,
    made,
    parts,
    plant_copies,
    plant_mark,
    relabelled,
    write_files,
)
from spikewise.data import DataConfig, ImageSet, load_data, split
from spikewise.data.audit import Audit, audit, look_at
from spikewise.data.audit.near import NearPairs, near_pairs
from spikewise.errors import MissingDataError

COUNT, EACH, SIDE = 100_000, 250, 28
GRAVE = {"red": "grave", "amber": "worth knowing", "info": "a fact"}
KINDS = (
    "JPEG, quality 75",
    "JPEG, quality 40",
    "noise of 4 levels",
    "half contrast",
    "resized to 40 and back",
    "mirrored",
)


def main() -> None:
    copies()
    marks()
    files()
    clean()
    cost()
    search()


def copies(seed: int = 0) -> None:
    """Which copies across the parts are found, and which pairs besides."""
    names = [name for name in BASES if available(name)]
    print(f"Copies found of {PLANTED} planted in 600 images; after a plus sign, pairs that nobody planted\n")
    print(f"| copy | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for kind in COPIES:
        row = [_found(name, kind, seed) for name in names]
        print(f"| {kind} | {' | '.join(row)} |", flush=True)


def _found(name: str, kind: str, seed: int) -> str:
    whole = base(name, seed)
    if kind in COLOUR_ONLY and whole.images.shape[1] == 1:
        return ""
    images, pairs = plant_copies(whole, kind, seed)
    look = look_at(images, parts(len(images)))
    found = sum(look.alike[source] == look.alike[copy] for source, copy in pairs)
    planted = {at: k for k, pair in enumerate(pairs) for at in pair}
    near = zip([*look.near.first, *look.altered.first], [*look.near.second, *look.altered.second], strict=True)
    false = {(a, b) for a, b in near if planted.get(int(a), -1) != planted.get(int(b), -2)}
    return f"{found}" + (f" + {len(false)}" if false else "")


def marks(seed: int = 0) -> None:
    """Which shortcuts in the pixels raise which findings."""
    print("\nShortcuts in the pixels of the second class: the gravest finding on the label, and its score\n")
    names = [name for name in BASES if available(name)]
    print(f"| shortcut | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for kind in (None, *MARKS):
        row = []
        for name in names:
            whole = base(name, seed)
            grey = kind == "tint" and whole.images.shape[1] == 1
            row.append("" if grey else _told(audited(whole if kind is None else plant_mark(whole, kind))))
        print(f"| {kind or 'none'} | {' | '.join(row)} |", flush=True)


def files() -> None:
    """Which shortcuts in files raise which findings."""
    whole = base(next(iter(BASES)), 0)
    print("\nShortcuts in the files of Fashion-MNIST, pullover and coat: the gravest finding on the label\n")
    print("| shortcut | finding |\n|---|---|")
    for kind in FILES:
        with tempfile.TemporaryDirectory() as folder:
            root = write_files(whole, kind, Path(folder) / "set")
            images = load_data(DataConfig(source=str(root), size=28), cache_dir=Path(folder) / "cache")
            found = audit(images, split(images), root=root, cache_dir=Path(folder) / "cache")
        print(f"| {kind} | {_told(found)} |", flush=True)


def clean(seeds: tuple[int, ...] = (0, 1, 2)) -> None:
    """What is said of sets in which nothing was planted; with meaningless labels nothing may tell them."""
    print("\nFindings in sets in which nothing was planted\n")
    print("| set | seed | labels | grave | worth knowing |\n|---|---|---|---|---|")
    for name in (name for name in BASES | EASY if available(name)):
        for seed in seeds:
            whole = base(name, seed)
            for words, images in (("own", whole), ("random", relabelled(whole, seed))):
                found = audited(images)
                red, amber = (
                    ", ".join(one.check for one in found.findings if one.severity == severity) or "none"
                    for severity in ("red", "amber")
                )
                print(f"| {name} | {seed} | {words} | {red} | {amber} |", flush=True)


def cost(counts: tuple[int, ...] = (1000, 10_000, 70_000)) -> None:
    """Processor seconds of the first audit."""
    print("\n| images of 28 x 28 | search for copies, s | whole audit, s |\n|---|---|---|")
    pixels, _ = _images()
    for count in counts:
        rng = np.random.default_rng(2)
        images = made(pixels[:count, None], rng.integers(0, 10, count), tuple("abcdefghij"))
        started = time.process_time()
        look_at(images, parts(count))
        middle = time.process_time()
        audited(images)
        print(f"| {count:,} | {middle - started:.1f} | {time.process_time() - middle:.1f} |", flush=True)


def audited(images: ImageSet) -> Audit:
    with tempfile.TemporaryDirectory() as cache:
        return audit(images, parts(len(images)), cache_dir=Path(cache))


def _told(found: Audit) -> str:
    told = [one for one in found.findings if one.check.startswith("label-from")]
    worst = [one for one in told if one.severity == told[0].severity] if told else []
    words = (
        f"{one.check.removeprefix('label-from-')} ({GRAVE[one.severity]}, {one.probe.score:.2f})"
        for one in worst[:2]
        if one.probe is not None
    )
    return ", ".join(words) or "none"


def search() -> None:
    """Recall and seconds of the search for copies among 100,000 images."""
    base, name = _images()
    rng = np.random.default_rng(0)
    sources = rng.choice(len(base), EACH * len(KINDS), replace=False)
    copies = [_edit(base[k], KINDS[at % len(KINDS)], rng) for at, k in enumerate(sources)]
    images = np.concatenate([base, np.stack(copies)])[:, None]
    started = time.process_time()
    found = near_pairs(images, np.arange(len(images)))
    seconds = time.process_time() - started
    print(f"{len(images):,} images of {SIDE}x{SIDE} ({name}): {seconds:.0f} s of one core of {os.cpu_count()}, "
          f"{found.candidates:,} candidates, {len(found.first):,} pairs\n")  # fmt: skip
    print("| copy | found | of |\n|---|---|---|")
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    for at, kind in enumerate(KINDS):
        mine = [(int(sources[k]), len(base) + k) for k in range(at, len(sources), len(KINDS))]
        print(f"| {kind} | {len(pairs & set(mine))} | {len(mine)} |")
    print(f"\nPairs among the {len(base):,} images themselves: {_own(found, len(base)):,}")


def _own(found: NearPairs, count: int) -> int:
    return int((found.second < count).sum())


def _images() -> tuple[np.ndarray, str]:
    try:
        sets = [load_data(name).images[:, 0] for name in ("mnist", "fashion-mnist")]
    except MissingDataError:
        rng = np.random.default_rng(1)
        coarse = rng.integers(0, 256, (COUNT, 7, 7), np.uint8)
        return np.stack([_resize(one, SIDE) for one in coarse]), "smooth noise"
    images = np.concatenate(sets)
    return images[np.random.default_rng(1).permutation(len(images))[:COUNT]], "MNIST and Fashion-MNIST"


def _resize(image: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))


def _edit(image: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    match kind:
        case "mirrored":
            return image[:, ::-1]
        case "half contrast":
            return (image // 2 + 40).astype(np.uint8)
        case "noise of 4 levels":
            return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        case "resized to 40 and back":
            return _resize(_resize(image, 40), SIDE)
        case _:
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=int(kind.rsplit(maxsplit=1)[-1]))
            return np.asarray(Image.open(file))

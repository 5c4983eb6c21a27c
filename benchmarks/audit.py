"""The audit's search for near-duplicates on 100,000 images with planted copies: seconds, recall, false alarms.

The images are drawn from MNIST and Fashion-MNIST where SPIKEWISE_DATA has them, else they are smooth noise. Each kind
of copy is planted 250 times.
"""

import io
import os
import time

import numpy as np
from PIL import Image

from spikewise.data import load_data
from spikewise.data.audit.near import NearPairs, near_pairs
from spikewise.errors import MissingDataError

COUNT, PLANTED, SIDE = 100_000, 250, 28
KINDS = (
    "JPEG, quality 75",
    "JPEG, quality 40",
    "noise of 4 levels",
    "half contrast",
    "resized to 40 and back",
    "mirrored",
)


def main() -> None:
    base, name = _images()
    rng = np.random.default_rng(0)
    sources = rng.choice(len(base), PLANTED * len(KINDS), replace=False)
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

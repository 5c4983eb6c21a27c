"""Image files that tests of layouts and tables place in folders."""

from collections.abc import Iterable
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image


def put(root: Path, files: Iterable[str]) -> Path:
    """Write each file of noise that its name decides, so that one name is one image wherever it lies."""
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(crc32(path.name.encode())).integers(0, 256, (6, 6), np.uint8)).save(path)
    return root

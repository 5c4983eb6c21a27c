"""Small image sets made on the spot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikewise.data import ImageSet, Role

MakeSet = Callable[..., ImageSet]


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or writes the user's own data and cache."""
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home-cache"))


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPIKEWISE_DATA", raising=False)


@pytest.fixture
def make_set() -> MakeSet:
    def make(labels, *, groups=None, roles=None, images=None) -> ImageSet:
        labels = np.asarray(labels, np.int64)
        count = len(labels)
        if images is None:  # all distinct
            images = np.arange(count, dtype=">u4").view(np.uint8).reshape(count, 1, 2, 2)
        return ImageSet(
            name="made up",
            images=np.asarray(images, np.uint8),
            labels=labels,
            classes=tuple(f"class {k}" for k in range(int(labels.max()) + 1)),
            roles=np.full(count, Role.UNASSIGNED, np.int8) if roles is None else np.asarray(roles, np.int8),
            fingerprint="0",
            groups=None if groups is None else np.asarray(groups, np.int64),
        )

    return make


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes of three distinct 6 x 5 grey PNGs."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "tree" / name).mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 256, (6, 5), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "tree" / name / f"s{number}_{name}.png")
    return tmp_path / "tree"

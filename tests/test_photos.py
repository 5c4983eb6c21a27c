"""The photo sets that benchmarks and tests train on show what they say."""

from collections import defaultdict

import numpy as np
import pytest
from benchmarks.photos import SETS, make
from PIL import Image

from spikewise.data import DataConfig, load_data, split
from spikewise.errors import ConfigError


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    pytest.importorskip("skimage", reason="the photos come with scikit-image")
    out = tmp_path_factory.mktemp("photos")
    make(out, images=40)
    return out


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_colour_photos_of_mixed_sizes_and_balanced_classes(photos, name):
    found = {kind.name: [Image.open(file) for file in kind.iterdir()] for kind in (photos / name).iterdir()}
    assert {kind: len(pictures) for kind, pictures in found.items()} == dict.fromkeys(SETS[name], 40)
    pictures = [picture for pictures in found.values() for picture in pictures]
    assert {picture.mode for picture in pictures} == {"RGB"}
    assert len({picture.size for picture in pictures}) > 100
    assert min(np.asarray(picture.convert("L")).std() for picture in pictures) > 1  # none is blank


@pytest.mark.parametrize("name", SETS)
def test_no_region_of_a_source_stands_on_two_sides_of_the_split(photos, name):
    images = load_data(DataConfig(source=str(photos / name), size=(32, 32)))
    classes = defaultdict(set)
    for label, subject in zip(images.labels.tolist(), images.groups.tolist(), strict=True):
        classes[subject].add(label)
    assert len(classes) > 30
    assert all(len(labels) == 1 for labels in classes.values())
    sides = [set(images.groups[part].tolist()) for part in split(images)]
    assert sum(map(len, sides)) == len(set.union(*sides))


def test_the_same_call_makes_the_same_bytes_and_overwrites_nothing(photos, tmp_path):
    make(tmp_path, images=40)
    files = sorted(file.relative_to(photos) for file in photos.rglob("*.jpg"))
    assert [(photos / file).read_bytes() for file in files] == [(tmp_path / file).read_bytes() for file in files]
    with pytest.raises(ConfigError, match="already"):
        make(tmp_path)

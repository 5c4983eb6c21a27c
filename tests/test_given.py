"""Images that stand in memory find their way into a run, and the same images find the run again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from spikewise.api.given import as_source
from spikewise.data import load_data
from spikewise.errors import DataError

GREY = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
LABELS = np.arange(12) % 3


def read(source: str | None) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    assert source is not None
    found = load_data(Path(source))
    return found.images, found.labels, found.classes


class Items(torch.utils.data.Dataset):
    """Grey pictures and their labels."""

    def __len__(self) -> int:
        return len(GREY)

    def __getitem__(self, at: int) -> tuple[Image.Image, int]:
        return Image.fromarray(GREY[at]), int(LABELS[at])


FORMS = {
    "pair": (GREY, LABELS),
    "lists": ([*GREY], LABELS.tolist()),
    "tensors": (torch.from_numpy(GREY), torch.from_numpy(LABELS)),
    "channels": (GREY[:, None], LABELS),
    "channels last": (GREY[..., None], LABELS),
    "pictures": ([Image.fromarray(one) for one in GREY], LABELS),
    "dataset": Items(),
    "mapping": {"images": GREY, "data": GREY.reshape(12, -1), "target": LABELS},
    "columns": (pd.Series(list(GREY)), pd.Series(LABELS, dtype=object)),
    "column of pictures": (pd.Series([Image.fromarray(one) for one in GREY]), LABELS),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_set_in_memory_has_the_same_pixels_and_labels(form, tmp_path):
    images, labels, classes = read(as_source(FORMS[form], None, None, tmp_path))
    np.testing.assert_array_equal(images, GREY[:, None])
    np.testing.assert_array_equal(labels, LABELS)
    assert classes == ("0", "1", "2")


def test_files_and_bytes_are_decoded_as_everywhere(tmp_path):
    paths = [tmp_path / f"{at}.png" for at in range(12)]
    for path, pixels in zip(paths, GREY, strict=True):
        Image.fromarray(pixels).save(path)
    words = [str(path) for path in paths]
    columns = [pd.Series(words), pd.Series(paths), np.array(words), np.array(words, dtype=object)]
    for images in (paths, words, [path.read_bytes() for path in paths], *columns):
        found, _, _ = read(as_source(None, images, LABELS, tmp_path))
        np.testing.assert_array_equal(found, GREY[:, None])


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        (["b", "a"] * 6, ("a", "b"), [1, 0] * 6),
        ([3, 11] * 6, ("03", "11"), [0, 1] * 6),
        ([True, False] * 6, ("0", "1"), [1, 0] * 6),
        (np.array(["x", "y"] * 6, dtype=object), ("x", "y"), [0, 1] * 6),
        (np.array([3, 11] * 6, dtype=object), ("03", "11"), [0, 1] * 6),
    ],
)
def test_labels_may_be_words_or_any_numbers(labels, classes, numbers, tmp_path):
    _, found, names = read(as_source((GREY, labels), None, None, tmp_path))
    assert names == classes
    assert found.tolist() == numbers


def test_the_same_images_are_the_same_file_and_others_are_not(tmp_path):
    first = as_source((GREY, LABELS), None, None, tmp_path)
    assert as_source(None, GREY, LABELS, tmp_path) == first
    assert as_source((GREY, LABELS[::-1]), None, None, tmp_path) != first
    assert as_source((255 - GREY, LABELS), None, None, tmp_path) != first


def test_scikit_learn_s_digits_have_the_range_of_the_set_by_name(tmp_path):
    images, labels, _ = read(as_source(load_digits(), None, None, tmp_path))
    np.testing.assert_array_equal(images, load_data("digits").images)
    np.testing.assert_array_equal(labels, load_data("digits").labels)


@pytest.mark.parametrize(
    ("data", "images", "labels", "told"),
    [
        (GREY, None, None, "no pair of an image and its label"),
        (None, GREY, None, "without labels"),
        (None, None, LABELS, "without images"),
        ("digits", GREY, LABELS, "two sets"),
        ((GREY, LABELS[:5]), None, None, "12 images and 5 labels"),
        ((GREY.reshape(12, 64), LABELS), None, None, r"reshape\(-1, 28, 28\)"),
        ((GREY, [None] * 12), None, None, "whole numbers or words"),
        ({"pixels": GREY}, None, None, "names no images and labels"),
        (([Image.new("L", (4, 4)), Image.new("L", (5, 5))], [0, 1]), None, None, "2 shapes"),
        (7, None, None, "no set of images"),
        (([], []), None, None, "no images"),
    ],
)
def test_what_is_no_set_is_said_in_words(data, images, labels, told, tmp_path):
    with pytest.raises(DataError, match=told):
        as_source(data, images, labels, tmp_path)

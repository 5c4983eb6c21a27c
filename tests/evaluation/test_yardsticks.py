"""Yardsticks are what scikit-learn gives on the same split, chosen without the test images, at a bounded cost."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from spikewise.evaluation import yardsticks
from spikewise.evaluation.yardsticks import LabelledImages, answer_all


def digits(count: int) -> tuple[LabelledImages, LabelledImages, LabelledImages]:
    given = load_digits()
    images = (given.images[:count, None] * 255 / 16).astype(np.uint8)
    a, b = count // 2, 3 * count // 4
    return tuple(LabelledImages(images[s], given.target[:count][s]) for s in (slice(0, a), slice(a, b), slice(b, None)))


CLASSES = tuple("0123456789")


def test_each_is_far_better_than_guessing_on_digits_and_guessing_is_the_most_frequent_class():
    train, validation, test = digits(800)
    found = {one.name: one for one in answer_all(train, validation, test, CLASSES)}
    majority = np.bincount(train.labels).argmax()
    assert found["guessing"].setting == f"always {majority}"
    assert (found["guessing"].right == (test.labels == majority)).all()
    assert list(found) == ["guessing", "logistic regression", "nearest neighbours", "SVM (RBF)"]
    for name in list(found)[1:]:
        assert found[name].right.mean() > 0.85


def test_test_labels_decide_nothing():
    train, validation, test = digits(400)
    turned = LabelledImages(test.images, (test.labels + 1) % 10)
    plain, other = (answer_all(train, validation, one, CLASSES) for one in (test, turned))
    assert [one.setting for one in plain] == [one.setting for one in other]
    assert not any((a.right & b.right).any() for a, b in zip(plain, other, strict=True))


def test_large_sets_are_thinned_evenly(monkeypatch):
    monkeypatch.setattr(yardsticks, "MOST_IMAGES", 50)
    train, validation, test = digits(400)
    sizes = []
    monkeypatch.setattr(yardsticks, "_tried", lambda images, features: sizes.append((images, features)) or {})
    answer_all(train, validation, test, CLASSES)
    assert sizes == [(50, 64)]


@pytest.mark.parametrize("lack", ["validation", "classes"])
def test_where_nothing_can_be_chosen_or_learned_there_is_guessing_alone(lack):
    train, validation, test = digits(200)
    if lack == "validation":
        validation = LabelledImages(validation.images[:0], validation.labels[:0])
    else:
        train = LabelledImages(train.images, np.zeros_like(train.labels))
    assert [one.name for one in answer_all(train, validation, test, CLASSES)] == ["guessing"]

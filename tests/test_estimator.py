"""The estimator keeps scikit-learn's contract, and answers depend on the samples alone."""

import errno
import os
import pickle
import random

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from spikewise.dynamics import ALIF
from spikewise.encoders import Rate
from spikewise.errors import ConfigError, ShapeError, StorageError
from spikewise.estimator import SpikingClassifier
from spikewise.models import MLP, Conv
from spikewise.training import TrainConfig


def quick(**changes: object) -> SpikingClassifier:
    return SpikingClassifier(**{"hidden": (16,), "steps": 4, "epochs": 10, "random_state": 0, **changes})


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    X, y = make_blobs(120, 4, centers=3, random_state=1)
    return X, np.array(["ant", "bee", "cow"])[y]


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:300], y[:300]


@pytest.mark.slow
def test_scikit_learn_finds_nothing_wrong():
    found = check_estimator(SpikingClassifier(hidden=(32,), steps=4, epochs=15), on_skip=None, on_fail=None)
    wrong = {check["check_name"]: check["exception"] for check in found if check["status"] == "failed"}
    assert not wrong
    assert len(found) > 40


def test_it_learns_separable_classes_with_names(blobs):
    X, y = blobs
    model = quick(epochs=25).fit(X, y)
    assert model.score(X, y) > 0.95
    assert list(model.classes_) == ["ant", "bee", "cow"]
    assert model.n_features_in_ == 4
    shares = model.predict_proba(X)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (model.classes_[shares.argmax(axis=1)] == model.predict(X)).all()


def test_two_classes_have_one_decision_value(blobs):
    X, y = blobs
    two = y != "cow"
    model = quick().fit(X[two], y[two])
    decision = model.decision_function(X[two])
    assert decision.shape == (two.sum(),)
    assert ((decision > 0) == (model.predict(X[two]) == "bee")).all()


@pytest.mark.parametrize("encoder", ["direct", "rate", "latency", "periodic", Rate(steps=3)], ids=str)
def test_an_answer_does_not_depend_on_the_other_samples(encoder, blobs):
    X, y = blobs
    model = quick(encoder=encoder, epochs=2).fit(X, y)
    whole = model.decision_function(X)
    backwards = model.decision_function(X[::-1])[::-1]
    np.testing.assert_allclose(whole, backwards, atol=1e-5)
    np.testing.assert_allclose(whole[7:8], model.decision_function(X[7:8]), atol=1e-5)


@pytest.mark.parametrize(
    "X", [np.array([[0.0], [5.0]]), np.array([[-1e6], [1e6]]), np.array([[1e-9], [3e-9]])], ids=str
)
def test_any_range_of_values_will_do(X):
    X, y = np.repeat(X, 20, axis=0), np.repeat([0, 1], 20)
    assert quick(epochs=30, learning_rate=0.02).fit(X, y).score(X, y) == 1


def test_a_constant_feature_and_values_never_seen_are_harmless(blobs):
    X, y = blobs
    X = np.column_stack([X, np.full(len(X), 7.0)])
    model = quick(epochs=2).fit(X, y)
    far = X.copy()
    far[:, :4] = 1e9
    top = np.tile([*X[:, :4].max(axis=0), 7.0], (len(X), 1))
    np.testing.assert_array_equal(model.decision_function(far), model.decision_function(top))


def test_pipelines_cross_validation_and_grid_search(blobs):
    X, y = blobs
    pipe = make_pipeline(StandardScaler(), quick(epochs=20, learning_rate=0.02))
    assert cross_val_score(pipe, X, y, cv=3).mean() > 0.9
    search = GridSearchCV(quick(epochs=3), {"hidden": [(8,), (16,)], "beta": [0.5, 0.9]}, cv=2).fit(X, y)
    assert search.best_params_["hidden"] in {(8,), (16,)}


def test_images_of_any_layout_are_the_same_samples(digits):
    X, y = digits
    pixels = np.rint(X * (255 / 16)).astype(np.uint8)
    cube, channels = pixels.reshape(-1, 8, 8), pixels.reshape(-1, 1, 8, 8)
    answers = [
        quick(image_shape=shape, epochs=2).fit(images, y).decision_function(images)
        for images, shape in [(cube, None), (channels, None), (pixels, (8, 8)), (pixels, (1, 8, 8))]
    ]
    for other in answers[1:]:
        np.testing.assert_array_equal(answers[0], other)


def test_uint8_images_mean_the_same_as_numbers(digits):
    X, y = digits
    images = (X * 10).astype(np.uint8).reshape(-1, 8, 8)
    model = quick(epochs=2).fit(images, y)
    np.testing.assert_array_equal(model.decision_function(images), model.decision_function(images.astype(float)))


def test_a_convolutional_network_learns_digits(digits):
    X, y = digits
    model = Conv(channels=(8,), kernels=(3,))
    train = TrainConfig(epochs=12, learning_rate=0.01, batch_size=32)
    fitted = SpikingClassifier(steps=4, image_shape=(8, 8), model=model, train=train).fit(X[:250], y[:250])
    assert fitted.score(X[250:], y[250:]) > 0.7


def test_one_seed_gives_one_result_and_the_global_generators_stay(blobs):
    X, y = blobs
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  # the global generator is what is watched
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first, second = (quick(epochs=2, random_state=seed).fit(X, y).decision_function(X) for seed in (5, 5))
    np.testing.assert_array_equal(first, second)
    quick(epochs=1, random_state=None).fit(X, y)
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])
    assert (quick(epochs=2, random_state=6).fit(X, y).decision_function(X) != first).any()


def test_a_fitted_classifier_survives_pickling_and_a_clone_is_fresh(blobs):
    X, y = blobs
    model = quick(epochs=2, neuron=ALIF(beta=0.8)).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))
    fresh = clone(model)
    assert not hasattr(fresh, "network_")
    assert fresh.get_params()["neuron"] == ALIF(beta=0.8)


@pytest.mark.parametrize("counts", [(1, 1), (1, 5), (2, 2), (3, 40)], ids=str)
def test_few_samples_of_a_class_are_enough(counts):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], counts)
    model = quick(epochs=3).fit(rng.normal(size=(len(y), 3)), y)
    assert len(model.history_) == 3


def test_without_a_validation_part_the_last_epoch_is_kept(blobs):
    X, y = blobs
    last = quick(epochs=4, validation_fraction=0, patience=1).fit(X, y)
    assert len(last.history_) == 4
    network = last.network_
    again = quick(
        epochs=4, validation_fraction=0, train=TrainConfig(epochs=4, batch_size=32, learning_rate=5e-3, keep="last")
    )
    for name, weight in again.fit(X, y).network_.state_dict().items():
        assert torch.equal(weight, network.state_dict()[name])


def test_feature_names_are_remembered(blobs):
    X, y = blobs
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    model = quick(epochs=1).fit(frame, y)
    assert list(model.feature_names_in_) == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c", "d"]])


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"encoder": "rat"}, ConfigError, "Did you mean 'rate'"),
        ({"neuron": "lfi"}, ConfigError, "lif"),
        ({"beta": 2.0}, ConfigError, "beta"),
        ({"epochs": 0}, ConfigError, "epochs"),
        ({"learning_rate": "auto"}, ConfigError, "GridSearchCV"),
        ({"image_shape": (3, 3)}, ShapeError, "image_shape"),
        ({"model": Conv()}, ShapeError, "max_pool1"),
    ],
    ids=["encoder", "neuron", "beta", "epochs", "learning_rate", "image_shape", "model"],
)
def test_a_wrong_parameter_is_named(changes, error, words, blobs):
    X, y = blobs
    with pytest.raises(error, match=words):
        quick(**changes).fit(X[:, :1] if "model" in changes else X, y)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="2 classes"):
        quick().fit(np.zeros((4, 2)), ["a"] * 4)


def patches(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Colour images [N, 3, 9, 12] of two classes: a bright red patch, or none."""
    X = np.random.default_rng(0).integers(0, 60, (count, 3, 9, 12)).astype(np.uint8)
    y = np.arange(count) % 2
    X[y == 1, 0, 2:7, 2:8] = 220
    X[0, 0, 0, 0] = 255
    return X, y


def tiny(**changes: object) -> SpikingClassifier:
    model = Conv(channels=(4,), kernels=(3,), pool=1)
    return SpikingClassifier(**{"model": model, "epochs": 1, "steps": 2, "random_state": 0, **changes})


def test_channels_last_are_the_same_images_as_channels_first():
    X, y = patches()
    last = np.ascontiguousarray(X.transpose(0, 2, 3, 1))
    want = tiny().fit(X, y)
    answers = want.decision_function(X)
    assert want.image_shape_ == (3, 9, 12)
    for images, options in [
        (last, {}),
        (last.reshape(60, -1), {"image_shape": (9, 12, 3)}),
        (X.reshape(60, -1), {"image_shape": [3, 9, 12]}),
        (last, {"layout": "NHWC"}),
        (torch.from_numpy(last), {}),
        (list(last), {}),
        (last.tolist(), {}),
        ([Image.fromarray(one) for one in last], {}),
        (last / 255, {}),
        (last.astype(np.uint16) * 257, {}),
    ]:
        model = tiny(**options).fit(images, y)
        assert model.image_shape_ == (3, 9, 12)
        np.testing.assert_array_equal(model.decision_function(images), answers)
        for others in (X, last, torch.from_numpy(X), list(last), X / 255, X.astype(float)):
            np.testing.assert_array_equal(model.decision_function(others), answers)


@pytest.mark.parametrize(
    ("shape", "options", "says"),
    [
        ((20, 3, 8, 3), {}, "channels first or channels last; say layout='NCHW'"),
        ((20, 1, 8, 1), {}, "channels first or channels last"),
        ((20, 8, 8, 4), {}, "four channels"),
        ((20, 16, 8, 16), {}, "more than four channels"),
        ((20, 64), {"image_shape": 64}, r"image_shape is \(height, width\).*got 64"),
        ((20, 64), {"image_shape": (8, 9)}, r"got \(8, 9\) for \(64,\)"),
        ((20, 64), {"image_shape": (8, -8)}, "got"),
        ((20, 64), {"image_shape": "8x8"}, "got '8x8'"),
        ((20, 8, 8), {"image_shape": (4, 16)}, r"image_shape is \(4, 16\), and the images in X are \(8, 8\)"),
        ((20, 8, 8), {"layout": "HWC"}, "layout is 'NCHW'"),
        ((20, 64), {"device": "cuda:77"}, "'cuda:77' is not available|not available"),
        ((20, 64), {"device": "tpu"}, "Unknown device"),
        ((20, 64), {"hidden": "many"}, "hidden"),
        ((20, 64), {"hidden": None}, "hidden"),
        ((20, 64), {"hidden": 0}, "hidden"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_a_config_error(shape, options, says):
    X = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with pytest.raises(ConfigError, match=says):
        quick(epochs=1, **options).fit(X, np.arange(20) % 2)


def test_axes_that_are_named_are_not_asked_about():
    X = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 3), np.uint8)
    for layout, shape in (("NCHW", (3, 8, 3)), ("NHWC", (3, 3, 8))):
        model = quick(epochs=1, layout=layout).fit(X, np.arange(20) % 2)
        assert model.image_shape_ == shape
        assert model.predict(X).shape == (20,)


def test_images_of_another_shape_than_in_fit_are_refused(digits):
    X, y = digits
    model = quick(epochs=1, image_shape=(4, 16)).fit(X, y)
    with pytest.raises(ShapeError, match=r"are 8x8; in fit they were 1x4x16"):
        model.predict(X.reshape(-1, 8, 8))
    with pytest.raises(ShapeError, match="rows of features"):
        quick(epochs=1).fit(X, y).predict(X.reshape(-1, 8, 8))


def test_one_number_is_one_layer_and_a_generator_is_a_seed(blobs):
    X, y = blobs
    one, many = quick(hidden=9, epochs=1).fit(X, y), quick(hidden=(9,), epochs=1).fit(X, y)
    np.testing.assert_array_equal(one.decision_function(X), many.decision_function(X))
    drawn = [quick(epochs=1, random_state=np.random.default_rng(4)).fit(X, y).decision_function(X) for _ in "ab"]
    np.testing.assert_array_equal(*drawn)


@pytest.mark.parametrize(
    ("scale", "kind", "white"),
    [(255, "u1", 255), (1, "f8", 1), (255, "f8", 255), (16, "f8", 16), (16, "u1", 16), (65535, "u2", 65535),
     (4095, "u2", 4095), (37, "i8", 37)],
)  # fmt: skip
def test_the_range_of_fit_decides_and_the_usual_ranges_are_read_right(digits, scale, kind, white):
    X, y = digits
    shares = X.reshape(-1, 8, 8) / 16
    images = (shares * scale).astype(kind)
    model = quick(epochs=3).fit(images, y)
    assert model.white_ == white
    answers = model.decision_function(images)
    for same in (shares, shares * 255, np.rint(shares * 255).astype(np.uint8)):
        assert (model.predict(same) == model.classes_[answers.argmax(1)]).mean() > 0.95
    with pytest.raises(ValueError, match=r"pixels from .* white"):
        model.predict(shares * 1e7)
    assert any("taken for white" in said for said in model.warnings_) == (white in (16, 4095))


def test_images_with_negative_numbers_keep_the_range_of_fit(digits):
    X, y = digits
    images = (X.reshape(-1, 8, 8) - X.mean()) / X.std()
    model = quick(epochs=5).fit(images, y)
    assert model.score(images, y) > 0.5
    with pytest.raises(ValueError, match=r"in fit it ran from"):
        model.predict(X.reshape(-1, 8, 8) * 16)


@pytest.mark.parametrize("factor", [1 / 255, 255])
def test_a_table_in_other_units_is_warned_about(digits, factor):
    X, y = digits
    model = quick(epochs=1).fit(X, y)
    with pytest.warns(UserWarning, match="Scale both in the same way"):
        model.predict(X * factor)
    model.predict(np.zeros_like(X[:3]))  # an empty row is no other unit


def test_no_room_for_temporary_files_is_said_with_the_setting_that_gives_some(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(StorageError, match="TMPDIR"):
        SpikingClassifier(epochs=1, steps=2, hidden=4).fit(np.arange(40.0).reshape(20, 2), np.arange(20) % 2)


def test_large_or_coloured_images_get_convolutions_and_small_or_tabular_ones_none():
    rng = np.random.default_rng(0)
    y = np.arange(12) % 2

    def weighted(samples, **changes):
        fitted = quick(epochs=1, validation_fraction=0, **changes).fit(samples, y)
        return [at.name for at in fitted.network_.graph.named if at.layer.weighted]

    dense, convolutional = ["linear1", "linear2"], ["conv2d1", "conv2d2", *["linear1", "linear2"]]
    colour = rng.integers(0, 256, (12, 3, 8, 8), dtype=np.uint8)
    assert weighted(colour) == convolutional
    assert weighted(rng.integers(0, 256, (12, 29, 29), dtype=np.uint8)) == convolutional
    assert weighted(rng.integers(0, 256, (12, 8, 8), dtype=np.uint8)) == dense
    assert weighted(rng.normal(size=(12, 40))) == dense
    assert weighted(colour, model=MLP(hidden=(4,))) == dense


def test_samples_are_standardised_by_those_that_are_trained_on():
    images = np.random.default_rng(0).integers(100, 200, (40, 6, 6), dtype=np.uint8)
    y = np.arange(40) % 2
    fitted = quick(epochs=1, validation_fraction=0).fit(images, y)
    encoder = fitted.network_.graph.encoder
    assert encoder.mean[0] == pytest.approx(images.mean() / 255, rel=1e-5)
    assert encoder.deviation[0] == pytest.approx(images.std() / 255, rel=1e-5)
    assert quick(epochs=1, standardise=False).fit(images, y).network_.graph.encoder.mean == ()
    assert quick(epochs=1, encoder="rate").fit(images, y).network_.graph.encoder.kind == "rate"


@pytest.mark.parametrize("labels", [["a", 1, "b", 2], ["a", None, "b", "a"]], ids=["words and numbers", "none"])
def test_labels_of_several_kinds_are_told_by_their_kinds(labels):
    with pytest.raises(ValueError, match=r"all of one kind; y has (NoneType|int), str"):
        SpikingClassifier(hidden=(4,), epochs=1).fit(np.zeros((4, 8, 8)), np.array(labels, dtype=object))


def test_no_images_at_all_are_told_as_such():
    with pytest.raises(ValueError, match=r"0 sample"):
        SpikingClassifier(hidden=(4,), epochs=1).fit(np.zeros((0, 8, 8)), np.zeros(0, int))


def test_a_single_class_is_named_as_it_was_given():
    with pytest.raises(ValueError, match=r"y has 1 class: 7\.$"):
        SpikingClassifier(hidden=(4,), epochs=1).fit(np.zeros((4, 8, 8)), np.full(4, 7))


def test_a_single_image_is_told_how_it_becomes_a_sample():
    X = np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8)
    model = SpikingClassifier(hidden=(4,), steps=2, epochs=1).fit(X, np.arange(12) % 2)
    with pytest.raises(ShapeError, match=r"single image of \(8, 8\).*X\[None\]"):
        model.predict(X[0])
    assert len(model.predict(X[0][None])) == 1


def test_columns_of_a_table_hold_images_and_labels(digits):
    X, y = digits
    images = X[:60].reshape(-1, 8, 8)
    want = quick(epochs=1).fit(images, y[:60])
    told = quick(epochs=1).fit(pd.Series(list(images)), pd.Series(y[:60], dtype=object))
    assert told.classes_.dtype.kind == "i"
    np.testing.assert_array_equal(told.decision_function(pd.Series(list(images))), want.decision_function(images))

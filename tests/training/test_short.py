"""A short training has the whole schedule of the long one in a known part of its updates."""

from dataclasses import replace

import numpy as np
import pytest

from spikewise.data import ImageSet, Split
from spikewise.training.config import Cosine, StepDecay, TrainConfig
from spikewise.training.epochs import learning_rates
from spikewise.training.short import short_task
from spikewise.training.update import Learner


@pytest.fixture
def long_task(make_task):
    """A task of so many images, the last of which alone has the rare class."""

    def make(images: int, judges: int = 50, **train):
        labels = np.arange(images + judges) % 2
        labels[images - 1] = 2
        pixels = np.broadcast_to(np.zeros((1, 1, 6, 6), np.uint8), (len(labels), 1, 6, 6))
        many = ImageSet("many", pixels, labels, ("a", "b", "rare"), np.full(len(labels), -1, np.int8), "many")
        everything = np.arange(len(labels))
        split = Split(everything[:images], everything[images:], everything[:0])
        return replace(make_task(), images=many, split=split, train=TrainConfig(**train))

    return make


@pytest.mark.parametrize(
    ("images", "train", "epochs", "updates"),
    [
        (1_280, {"epochs": 40, "batch_size": 128}, 10, 100),  # a quarter
        (1_280, {"epochs": 12, "batch_size": 128}, 5, 50),  # 50 updates at least
        (12_800, {"epochs": 6, "batch_size": 128}, 2, 200),  # 2 epochs at least
        (51_200, {"epochs": 8, "batch_size": 128}, 1, 400),  # 400 updates at most
        (1_280, {"epochs": 3, "batch_size": 128}, 3, 30),  # never more than there are
        (2_000, {"batch_size": 20}, 4, 400),  # automatic epochs are those of the whole
    ],
    ids=str,
)
def test_its_budget_is_a_quarter_within_bounds(long_task, images, train, epochs, updates):
    short = short_task(long_task(images, **train))
    assert (short.task.train.epochs, short.updates, len(short.task.split.train)) == (epochs, updates, images)


def test_where_an_epoch_is_too_long_images_are_left_out_and_no_class_is(long_task):
    task = long_task(100_000, epochs=8, batch_size=16, class_weights=True)
    parts = []
    for seed in (0, 1, 2):
        short = short_task(replace(task, seed=seed))
        part = short.task.split.train
        assert (short.task.train.epochs, short.updates) == (1, -(-len(part) // 16))
        assert len(part) in (400 * 16, 400 * 16 + 1), "and perhaps the rare one"
        assert set(task.images.labels[part]) == {0, 1, 2}
        assert len(np.unique(part)) == len(part)
        assert abs(part.mean() - 50_000) < 2_000, "from everywhere"
        assert (short_task(replace(task, seed=seed)).task.split.train == part).all()
        parts.append(part)
    assert any(len(part) == 400 * 16 + 1 for part in parts)
    assert len(np.intersect1d(*parts[:2])) < 0.1 * len(parts[0])


def test_rates_are_judged_on_2_000_validation_images_at_most(long_task):
    judges = short_task(long_task(256, 9_000, epochs=4)).task.split.validation
    assert len(judges) == 2_000
    assert judges.min() >= 256


def test_the_schedule_and_the_warm_up_are_whole(make_task, make_network):
    task = make_task(epochs=200, warmup_epochs=20.0, schedule=Cosine(), patience=3)
    short = short_task(task).task
    assert (short.train.epochs, short.train.patience, short.train.keep) == (50, None, "last")
    rates = [rate for epoch in range(1, 51) for rate in learning_rates(Learner(make_network(), short), epoch)]
    whole = [rate for epoch in range(1, 201) for rate in learning_rates(Learner(make_network(), task), epoch)]
    assert len(whole) == 4 * len(rates)
    assert np.abs(np.reshape(whole, (-1, 4)).mean(1) - rates).max() < 2e-6
    stepped = short_task(make_task(epochs=200, schedule=StepDecay(every=80))).task
    assert stepped.train.schedule == StepDecay(every=20)


def test_an_automatic_rate_is_the_usual_one_until_it_is_found(make_task, make_network):
    found = learning_rates(Learner(make_network(), make_task(schedule={"kind": "constant"})), 1)
    assert found == [1e-3] * len(found)

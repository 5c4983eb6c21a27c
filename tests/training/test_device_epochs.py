"""A GPU's way through an epoch, on a processor's tensors: it computes, notes and says what the plain way does."""

import math

import numpy as np
import pytest
import torch

from spikewise.data import AugmentConfig, batches, draw_changes, make_changes
from spikewise.data.augmentation import augment
from spikewise.data.batching import device_order
from spikewise.data.residence import Resident, Streamed, pixels_on
from spikewise.encoders import Latency, Rate
from spikewise.errors import TrainingError
from spikewise.losses import RatePenalty
from spikewise.models import MLP, Conv
from spikewise.training import Silent, device_epochs, fit, loop
from spikewise.training.captured import Captured, Recorder
from spikewise.training.device_epochs import DeviceEpochs
from spikewise.training.update import Learner
from spikewise.types import Draw


@pytest.fixture
def on_device(monkeypatch):
    """From now on, trainings on the processor go the way of a GPU, without streams and recordings."""
    return lambda: monkeypatch.setattr(loop, "HostEpochs", DeviceEpochs)


class Watcher(Silent):
    def __init__(self):
        self.seen, self.records = [], []

    def started(self, network, seed, *, epochs, done): ...

    def batch(self, *, images, total, loss):
        self.seen.append((images, total, loss))

    def epoch(self, record):
        self.records.append(record)

    def finished(self): ...


CASES = {
    "plain": {},
    "all changes": {"augment": AugmentConfig(shift=1, rotation=20, flip=0.5, crop=0.8, erase=0.3, mixup=0.4)},
    "clip, ema, sgd": {"gradient_clip": 0.1, "ema": 0.9, "optimizer": {"kind": "sgd"}, "keep": "last"},
    "weighted, bfloat16": {"class_weights": True, "precision": "bfloat16"},
    "one batch": {"batch_size": 1000},
    "single images": {"batch_size": 1},
    "noise of spikes": {"noise": Rate(steps=5), "augment": AugmentConfig(shift=1)},
}


@pytest.mark.parametrize("name", CASES)
def test_both_ways_train_alike(name, on_device, make_network, make_task, tmp_path):
    task, seen = make_task(seed=3, **CASES[name]), []
    for folder in ("plain", "device"):
        network, watch = make_network(MLP(hidden=(8,), dropout=0.2), Rate(steps=3)), Watcher()
        fit(network, task, tmp_path / folder, watch)
        seen.append((network.state_dict(), watch))
        on_device()
    (plain, first), (device, second) = seen
    for weights, weight in plain.items():  # the rate is a float64 there and a float32 here
        torch.testing.assert_close(device[weights], weight, rtol=1e-4, atol=1e-6)
    assert len(first.records) == len(second.records) == 3
    for one, other in zip(first.records, second.records, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, rel=1e-4)
        assert other.train_cross_entropy == pytest.approx(one.train_cross_entropy, rel=1e-4)
        assert other.train_accuracy == one.train_accuracy
        assert other.learning_rate == one.learning_rate
    assert second.seen[-1][0] == len(task.split.train)
    assert second.seen[-1][2] == pytest.approx(first.seen[-1][2], rel=1e-4)


def test_ties_in_training_are_broken_by_a_fair_draw_either_way(on_device, make_network, make_task, tmp_path):
    """Of a silent network whose images are all of the first class, which the first of equals would always be."""
    task = make_task(batch_size=32, epochs=1)  # a second batch would meet weights that prefer the class
    task.images.labels[:] = 0
    shares = []
    for folder in ("plain", "device"):
        network = make_network()
        network.load_state_dict({name: torch.zeros_like(value) for name, value in network.state_dict().items()})
        shares.append(fit(network, task, tmp_path / folder).history[0].train_accuracy)
        on_device()
    assert shares[0] == shares[1]
    assert 0.05 < shares[0] < 0.7


def test_a_rate_penalty_and_a_convolution_go_this_way_too(on_device, make_network, make_task, tmp_path):
    import dataclasses

    task = dataclasses.replace(make_task(epochs=1), penalty=RatePenalty(kind="l1", strength=2.0))
    losses = []
    for folder in ("plain", "device"):
        network = make_network(Conv(channels=(4,), kernels=(3,), batch_norm=True), Latency(steps=6))
        losses.append(fit(network, task, tmp_path / folder).history[0].train_loss)
        on_device()
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_training_that_was_killed_ends_with_the_same_bits(on_device, make_network, make_task, tmp_path):
    on_device()
    task = make_task(epochs=4, ema=0.9, augment=AugmentConfig(mixup=0.3))

    class Kill(Watcher):
        def epoch(self, record):
            if record.epoch == 2:
                raise KeyboardInterrupt

    whole, resumed = make_network(), make_network()
    fit(whole, task, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(resumed, task, tmp_path / "killed", Kill())
    resumed = make_network(seed=8)
    fit(resumed, task, tmp_path / "killed")
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name])


def test_a_learning_rate_beyond_reason_is_named_with_epoch_batch_and_place(
    on_device, make_network, make_task, tmp_path
):
    on_device()
    words = r"epoch 1, batch \d: the loss (is|was) \S+\. (The weights|Weights).*finite.*learning_rate"
    with pytest.raises(TrainingError, match=words):
        fit(make_network(), make_task(learning_rate=1e38, optimizer={"kind": "sgd"}), tmp_path)
    assert not (tmp_path / loop.CHECKPOINT).exists()


def test_an_infinite_weight_is_named(on_device, make_network, make_task, tmp_path):
    on_device()
    network = make_network()
    with torch.no_grad():
        network.weights["linear2.weight"][0, 0] = float("inf")
    with pytest.raises(TrainingError, match=r"epoch 1, batch 1: .*weights linear2\.weight .* before this batch"):
        fit(network, make_task(), tmp_path)


@pytest.mark.parametrize("engine", ["reference", "auto"])
@pytest.mark.parametrize(("batch", "value"), [(1, float("nan")), (3, float("inf")), (12, float("nan"))])
def test_weights_that_go_bad_are_named_with_their_batch(  # noqa: PLR0917
    batch, value, engine, monkeypatch, on_device, make_network, make_task, tmp_path
):
    """Batches after it ran on with them; the journal knows where it began."""
    on_device()
    real, count = Learner.learn, 0

    def learn(self, loss, rate):
        nonlocal count
        real(self, loss, rate)
        count += 1
        if count == 32 + batch:  # the third epoch, batches of one image
            with torch.no_grad():
                self.network.weights["linear1.bias"][0] = value

    monkeypatch.setattr(Learner, "learn", learn)
    task = make_task(batch_size=2)  # 16 batches an epoch
    words = rf"epoch 3, batch {batch}: the loss was [\d.]+\. The weights linear1\.bias were .* after this batch"
    network = make_network()
    network.engine_name = engine
    with pytest.raises(TrainingError, match=words):
        fit(network, task, tmp_path)
    assert len(loop.result_so_far(tmp_path).history) == 2


def test_steps_that_cannot_be_recorded_are_told_once(on_device, monkeypatch, make_network, make_task, tmp_path):
    class Refusing(Recorder):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.refusal = None

        def record(self, work):
            self.refuse("RuntimeError: operation not permitted when stream is capturing")

    class Hears(Watcher):
        def __init__(self):
            super().__init__()
            self.words = []

        def said(self, text):
            self.words.append(text)

    on_device()
    plain, refused = Hears(), Hears()
    first, second = make_network(), make_network()
    fit(first, make_task(), tmp_path / "plain", plain)
    monkeypatch.setattr(device_epochs, "Recorder", Refusing)
    fit(second, make_task(), tmp_path / "refused", refused)
    assert plain.words == []  # a processor has no graphs to miss
    assert refused.words == [
        "network: its training steps run launch by launch (RuntimeError: operation not permitted when stream is "
        "capturing), not in CUDA graphs."
    ]
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])


def test_the_device_finds_the_order_of_the_batches():
    train = np.random.default_rng(0).permutation(1000)[:777]
    order = np.concatenate(list(batches(train, 10, seed=2**40, epoch=3)))
    assert (device_order(torch.from_numpy(train), seed=2**40, epoch=3).numpy() == order).all()


@pytest.mark.parametrize("config", [AugmentConfig(), CASES["all changes"]["augment"], AugmentConfig(flip=0.5)])
def test_changes_of_an_epoch_drawn_at_once_are_those_of_its_batches(config):
    images = torch.randint(0, 256, (40, 2, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels, index = torch.arange(40) % 3, torch.randperm(40, generator=torch.Generator().manual_seed(1))
    of_all = draw_changes(Draw(5, 2, index), config, 9, 7)
    for start in range(0, 40, 16):
        rows = torch.arange(start, min(start + 16, 40))
        at = index[rows]
        once = augment(images[at], labels[at], Draw(5, 2, at), config, classes=3)
        drawn = make_changes(images[at], labels[at], of_all.at(rows), config, 3)
        assert torch.equal(once.images, drawn.images)
        assert (once.targets is None) == (drawn.targets is None)
        assert once.targets is None or torch.equal(once.targets, drawn.targets)


def test_images_that_do_not_fit_are_copied_batch_by_batch(columns):
    streamed = Streamed(columns.images, torch.device("cpu"), 8)
    assert not streamed.resident
    for start in range(0, 48, 8):
        at = np.arange(48)[::-1][start : start + 8 - (start == 40)].copy()
        streamed.load(at)
        assert (streamed.take(torch.from_numpy(at)).numpy() == columns.images[at]).all()


def test_images_that_fit_are_there(columns):
    there = pixels_on(columns.images, torch.device("cpu"), 8)
    assert isinstance(there, Resident)
    assert (there.take(torch.tensor([7, 7, 2])).numpy() == columns.images[[7, 7, 2]]).all()


def test_streamed_images_train_like_resident_ones(monkeypatch, on_device, make_network, make_task, tmp_path):
    from spikewise.training import device_epochs

    on_device()
    task, networks = make_task(batch_size=10, augment=AugmentConfig(flip=0.5)), []
    for folder in ("resident", "streamed"):
        networks.append(make_network())
        fit(networks[-1], task, tmp_path / folder)
        monkeypatch.setattr(device_epochs, "pixels_on", Streamed)
    for name, weight in networks[0].state_dict().items():
        assert torch.equal(weight, networks[1].state_dict()[name])


def test_without_a_gpu_nothing_is_recorded_and_the_work_is_done_each_time():
    count = [0]

    def work():
        count[0] += 1

    recorder = Recorder(torch.device("cpu"))
    step = Captured(work, recorder)
    for _ in range(3):
        step()
    assert count == [3]
    assert recorder.count == 0
    assert "no CUDA graphs on cpu" in recorder.refusal


def test_the_mean_loss_of_an_epoch_weighs_batches_by_their_images(on_device, make_network, make_task, tmp_path):
    on_device()
    watch = Watcher()
    fit(make_network(), make_task(epochs=1, batch_size=31, learning_rate=1e-12), tmp_path, watch)
    (tmp_path / "one").mkdir()
    whole = fit(make_network(), make_task(epochs=1, batch_size=32, learning_rate=1e-12), tmp_path / "one")
    assert watch.records[0].train_loss == pytest.approx(whole.history[0].train_loss, rel=1e-6)
    assert math.isfinite(watch.seen[-1][2])


@pytest.mark.parametrize(
    ("most", "words"),
    [
        (5, r"batch of 8 images; 4 fit\. Use --set train\.batch_size=4"),
        (0, r"batch of 8 images, nor with one image\. Use smaller images"),
    ],
)
def test_a_batch_that_does_not_fit_is_named_with_one_that_does(  # noqa: PLR0917
    most, words, monkeypatch, on_device, make_network, make_task, tmp_path
):
    """The network stands for a device whose memory holds so many images."""
    on_device()
    network = make_network()
    real = network.forward

    def forward(images, draw=None, options=None):
        if len(images) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(images, draw, options)

    monkeypatch.setattr(network, "forward", forward)
    before = {name: weight.clone() for name, weight in network.weights.items()}
    with pytest.raises(TrainingError, match=words):
        fit(network, make_task(), tmp_path)
    assert all(torch.equal(weight, before[name]) for name, weight in network.weights.items())
    assert not (tmp_path / loop.CHECKPOINT).exists()

"""Trainings on a GPU: recorded steps compute what launched ones do, and nothing else changes."""

import numpy as np
import pytest
import torch

from spikewise.data import AugmentConfig
from spikewise.dynamics import ALIF, IF, LIF, Izhikevich
from spikewise.encoders import Delta, Direct, Latency, Periodic, Rate
from spikewise.errors import TrainingError
from spikewise.evaluation.prediction import predict
from spikewise.models import MLP, Conv
from spikewise.training import Silent, device_epochs, fit, loop
from spikewise.training.captured import Recorder
from spikewise.types import Draw

pytestmark = pytest.mark.gpu
ALL_CHANGES = AugmentConfig(shift=1, rotation=20, flip=0.5, crop=0.8, erase=0.3, mixup=0.4)
CASES = {
    "lif, rate": (MLP(hidden=(12,), dropout=0.2), Rate(steps=5), {}),
    "alif, recurrent, latency": (MLP(hidden=(12,), cell=ALIF(), recurrent=True), Latency(steps=6), {}),
    "izhikevich, direct": (MLP(hidden=(12,), cell=Izhikevich()), Direct(steps=4), {"optimizer": {"kind": "adamw"}}),
    "if, periodic, sgd": (MLP(hidden=(12,), cell=IF()), Periodic(steps=6), {"optimizer": {"kind": "sgd"}}),
    "convolution, norm, delta": (Conv(channels=(4,), kernels=(3,), batch_norm=True), Delta(steps=4), {"ema": 0.9}),
    "bfloat16, clip": (MLP(hidden=(12,), cell=LIF()), Rate(steps=5), {"precision": "bfloat16", "gradient_clip": 0.1}),
    "all changes, weights": (MLP(hidden=(12,)), Rate(steps=5), {"augment": ALL_CHANGES, "class_weights": True}),
}


@pytest.fixture
def recorders(monkeypatch):
    """Every recorder of the trainings that follow."""
    made = []

    class Kept(Recorder):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(device_epochs, "Recorder", Kept)
    return made


def same(a, b) -> bool:
    return all(torch.equal(weight, b.state_dict()[name]) for name, weight in a.state_dict().items())


@pytest.mark.parametrize("engine", ["reference", "auto"])
@pytest.mark.parametrize("name", CASES)
def test_recorded_steps_have_the_bits_of_launched_ones(  # noqa: PLR0917
    name, engine, recorders, monkeypatch, make_network, make_task, tmp_path
):
    model, encoder, train = CASES[name]
    task = make_task(epochs=4, batch_size=10, **train)  # 32 images: three batches of 10 and one of 2
    networks = [make_network(model, encoder).cuda() for _ in range(2)]
    for network in networks:
        network.engine_name = engine
    fit(networks[0], task, tmp_path / "recorded")
    assert (recorders[0].count, recorders[0].refusal) == (2, None)
    monkeypatch.setattr(device_epochs.Captured, "__call__", lambda self: self._work())
    fit(networks[1], task, tmp_path / "launched")
    assert recorders[1].count == 0
    assert same(*networks)


@pytest.mark.parametrize("name", ["lif, rate", "all changes, weights", "convolution, norm, delta"])
def test_the_first_epoch_is_that_of_a_processor(name, make_network, make_task, tmp_path):
    model, encoder, train = CASES[name]
    task = make_task(epochs=1, batch_size=10, learning_rate=1e-4, **train)
    here, there = make_network(model, encoder), make_network(model, encoder).cuda()
    records = [fit(network, task, tmp_path / str(at)).history[0] for at, network in enumerate((here, there))]
    assert records[1].train_loss == pytest.approx(records[0].train_loss, rel=2e-3)
    assert records[1].validation_loss == pytest.approx(records[0].validation_loss, rel=2e-3)


class Kill(Silent):
    def started(self, network, seed, *, epochs, done): ...

    def batch(self, *, images, total, loss): ...

    def epoch(self, record):
        if record.epoch == 2:
            raise KeyboardInterrupt

    def finished(self): ...


@pytest.mark.parametrize("name", ["lif, rate", "if, periodic, sgd", "convolution, norm, delta"])
def test_a_training_that_was_killed_ends_with_the_same_bits(name, make_network, make_task, tmp_path):
    model, encoder, train = CASES[name]
    task = make_task(epochs=5, batch_size=10, **train)
    whole, killed, resumed = (make_network(model, encoder, seed=seed).cuda() for seed in (0, 0, 9))
    fit(whole, task, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(killed, task, tmp_path / "killed", Kill())
    fit(resumed, task, tmp_path / "killed")
    assert same(whole, resumed)


def test_a_divergence_names_epoch_and_batch(make_network, make_task, tmp_path):
    words = r"epoch 1, batch \d: .*finite.*learning_rate"
    with pytest.raises(TrainingError, match=words):
        fit(make_network().cuda(), make_task(learning_rate=1e38, optimizer={"kind": "sgd"}), tmp_path)
    assert not (tmp_path / loop.CHECKPOINT).exists()


def test_what_cannot_be_recorded_is_launched_and_says_why(recorders, monkeypatch, make_network, make_task, tmp_path):
    from spikewise.training.update import Learner

    real = Learner.answer

    def waits(self, batch):
        answer = real(self, batch)
        answer.loss.item()
        return answer

    network, plain = make_network().cuda(), make_network().cuda()
    fit(plain, make_task(), tmp_path / "recorded")
    monkeypatch.setattr(Learner, "answer", waits)
    words = []
    watch = Silent()
    monkeypatch.setattr(watch, "said", words.append)
    fit(network, make_task(), tmp_path / "launched", watch)
    assert recorders[1].count == 0
    assert len(words) == 1
    assert "launch by launch" in words[0]
    assert "Error" in recorders[1].refusal
    assert same(network, plain)


def test_streamed_images_train_like_resident_ones(monkeypatch, make_network, make_task, tmp_path):
    from spikewise.data.residence import Streamed

    networks = [make_network().cuda() for _ in range(2)]
    task = make_task(batch_size=3, augment=AugmentConfig(flip=0.5))
    fit(networks[0], task, tmp_path / "resident")
    monkeypatch.setattr(device_epochs, "pixels_on", Streamed)
    fit(networks[1], task, tmp_path / "streamed")
    assert same(*networks)


def test_predictions_are_those_of_a_processor(columns, make_network):
    network, index = make_network(MLP(hidden=(12,)), Rate(steps=5)), np.arange(48)[::-1].copy()
    here = predict(network, columns, index, seed=2)
    there = predict(network.cuda(), columns, index, seed=2)
    np.testing.assert_allclose(there.logits, here.logits, atol=1e-4)
    torch.testing.assert_close(there.rates, here.rates, atol=1e-4, rtol=0)
    torch.testing.assert_close(there.input_events, here.input_events, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "encoder", [Rate(steps=7), Latency(steps=9), Periodic(steps=9), Direct(steps=3), Delta(steps=5)], ids=str
)
def test_encoders_give_the_bits_of_a_processor(encoder, columns):
    images, index = torch.from_numpy(columns.images), torch.arange(48) * 7
    here = encoder(images, Draw(2**40 + 1, 3, index))
    epoch = torch.tensor(3).cuda()
    assert torch.equal(encoder(images.cuda(), Draw(2**40 + 1, 3, index.cuda())).cpu(), here)
    assert torch.equal(encoder(images.cuda(), Draw(2**40 + 1, epoch, index.cuda())).cpu(), here)

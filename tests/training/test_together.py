"""Trainings that run at once have the bits of those that run one after the other."""

import gc
import weakref

import pytest
import torch

from spikewise.encoders import Rate
from spikewise.errors import TrainingError
from spikewise.models import MLP
from spikewise.training import Silent, device_epochs, fit, load_weights, loop, together
from spikewise.training.captured import Recorder
from spikewise.training.device_epochs import DeviceEpochs
from spikewise.training.together import Training, fit_all
from spikewise.training.update import Learner

SEEDS = (0, 1, 2)
CPU = torch.device("cpu")


class Hears(Silent):
    """Notes which training every epoch was about, and what was said."""

    def __init__(self):
        self.about, self.epochs, self.words, self.over = None, [], [], []

    def said(self, text):
        self.words.append(text)

    def started(self, network, seed, *, epochs, done):
        self.about = seed

    def turned(self, network, seed, *, devices):
        assert self.about != seed  # it is told only where it changes
        self.about = seed

    def epoch(self, record):
        self.epochs.append((self.about, record.epoch))

    def finished(self):
        self.over.append(self.about)


@pytest.fixture
def make(make_network, make_task, tmp_path):
    """Trainings of some seeds below a folder, and the networks that they make."""

    def make(folder: str, device: torch.device = CPU, **train) -> list[Training]:
        def training(seed: int) -> Training:
            task = make_task(seed=seed, **{"epochs": 4, **train})
            return Training(task, tmp_path / folder / str(seed), device, lambda there: network(seed).to(there))

        def network(seed: int):
            return make_network(MLP(hidden=(8,), dropout=0.2), Rate(steps=3), seed=seed)

        return [training(seed) for seed in SEEDS]

    return make


@pytest.fixture(params=["plain way", "way of a GPU"])
def way(request, monkeypatch):
    if request.param == "way of a GPU":
        monkeypatch.setattr(loop, "HostEpochs", DeviceEpochs)


def results(trainings, **options):
    """Result by seed of trainings at once."""
    found = {}
    fit_all(trainings, lambda one, result: found.update({one.task.seed: result}), **options)
    assert found.keys() == set(SEEDS)
    return found


def alone(trainings):
    return {one.task.seed: fit(one.network(one.device), one.task, one.folder) for one in trainings}


def must_be_alike(trainings, others, found=None, wanted=None):
    for one, other in zip(trainings, others, strict=True):
        for part in (loop.WEIGHTS, loop.CHECKPOINT):
            weights, expected = load_weights(one.folder / part)[0], load_weights(other.folder / part)[0]
            assert all(torch.equal(weight, expected[name]) for name, weight in weights.items())
        if found is not None:
            mine, plain = found[one.task.seed], wanted[one.task.seed]
            assert [record.train_loss for record in mine.history] == [record.train_loss for record in plain.history]
            assert mine.best_epoch == plain.best_epoch


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "train", [{}, {"ema": 0.9, "optimizer": {"kind": "sgd"}}, {"patience": 1, "epochs": 9}], ids=str
)
def test_the_bits_are_those_of_one_after_the_other(train, make):
    here, plain, heard = make("together", **train), make("alone", **train), Hears()
    found = results(here, listener=heard, at_once=3)
    must_be_alike(here, plain, found, alone(plain))
    about = [seed for seed, _ in heard.epochs]
    assert about != sorted(about)  # they took turns
    assert sorted(heard.over) == [0, 1, 2]
    for seed in SEEDS:
        assert [epoch for one, epoch in heard.epochs if one == seed] == list(range(1, len(found[seed].history) + 1))


def test_a_processor_trains_one_after_the_other(make):
    heard = Hears()
    results(make("plain"), listener=heard)
    assert [seed for seed, _ in heard.epochs] == [0] * 4 + [1] * 4 + [2] * 4


def test_time_is_shared(make, monkeypatch):
    shares = []
    real = loop.Session.end_epoch

    def end(self, listener, *, together=1):
        shares.append(together)
        real(self, listener, together=together)

    monkeypatch.setattr(loop.Session, "end_epoch", end)
    results(make("together"), at_once=3)
    assert shares[0] == 1  # the first epoch shows what one needs
    assert max(shares) == 3


@pytest.mark.usefixtures("way")
def test_what_was_killed_while_together_ends_with_the_same_bits(make):
    class Kill(Hears):
        def epoch(self, record):
            super().epoch(record)
            if len(self.epochs) == 6:
                raise KeyboardInterrupt

    here, plain = make("killed"), make("plain")
    alone(plain)
    with pytest.raises(KeyboardInterrupt):
        fit_all(here, lambda one, result: None, Kill(), at_once=3)
    results(here, at_once=2)
    must_be_alike(here, plain)
    results(here, at_once=3)  # finished already


def test_one_that_has_no_room_beside_others_goes_on_after_them(make, monkeypatch):
    monkeypatch.setattr(loop, "HostEpochs", DeviceEpochs)
    here, plain, heard = make("crowded"), make("plain"), Hears()
    alone(plain)
    real, full, sessions = Learner.answer, [], []

    def crowded(self, batch):
        """Seed 1 finds no memory in its second epoch."""
        if self.task.seed == 1 and not full and int(batch.draw.epoch) == 2:
            full.append(weakref.ref(self))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, batch)

    class Watches(Hears):
        def epoch(self, record):
            super().epoch(record)
            if full and not sessions:
                gc.collect()
                sessions.append(full[0]() is None)

    monkeypatch.setattr(Learner, "answer", crowded)
    heard = Watches()
    results(here, listener=heard, at_once=3)
    must_be_alike(here, plain)
    assert heard.over == [0, 2, 1]
    assert heard.epochs[-3:] == [(1, 2), (1, 3), (1, 4)]
    assert sessions == [True]  # what it held was given back


def test_one_that_has_no_room_at_all_says_so(make, monkeypatch):
    monkeypatch.setattr(loop, "HostEpochs", DeviceEpochs)
    real = Learner.answer

    def full(self, batch):
        if len(batch.images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, batch)

    monkeypatch.setattr(Learner, "answer", full)
    with pytest.raises(TrainingError, match=r"batch of 8 images; 2 fit"):
        results(make("full"), at_once=3)


@pytest.mark.parametrize(
    "refusal", [MemoryError("std::bad_alloc"), RuntimeError("DefaultCPUAllocator: can't allocate")]
)
def test_a_processor_says_what_fits_too(refusal, make, monkeypatch):
    real = Learner.answer

    def full(self, batch, exchange=None):
        if len(batch.images) > 2:
            raise refusal
        return real(self, batch, exchange)

    monkeypatch.setattr(Learner, "answer", full)
    with pytest.raises(
        TrainingError, match=r"GiB for this process\) does not hold .* batch of 8 images; 2 fit\. Use .*=2\.$"
    ):
        results(make("full"), at_once=1)


@pytest.mark.parametrize(("free", "most"), [(100, 1), (160, 3)])
def test_only_as_many_run_as_have_room(free, most, make, monkeypatch):
    held = iter([0, 100])
    monkeypatch.setattr(together, "_held", lambda device: next(held, 0))
    monkeypatch.setattr(together, "free_memory", lambda device: free)
    shares = []
    real = loop.Session.end_epoch

    def end(self, listener, *, together=1):
        shares.append(together)
        real(self, listener, together=together)

    monkeypatch.setattr(loop.Session, "end_epoch", end)
    results(make("room"), at_once=3)
    assert max(shares) == most


def test_what_all_seeds_say_is_said_once(make, monkeypatch):
    class Refusing(Recorder):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.refuse("RuntimeError: waits for the device")

    monkeypatch.setattr(loop, "HostEpochs", DeviceEpochs)
    monkeypatch.setattr(device_epochs, "Recorder", Refusing)
    heard = Hears()
    results(make("said"), listener=heard, at_once=3)
    assert len(heard.words) == 1


@pytest.mark.gpu
@pytest.mark.parametrize("train", [{}, {"ema": 0.9, "optimizer": {"kind": "sgd"}}, {"batch_size": 10}], ids=str)
def test_on_a_gpu_seeds_share_it_with_the_bits_of_one_after_the_other(train, make):
    device, heard = torch.device("cuda"), Hears()
    here, plain = make("together", device, **train), make("alone", device, **train)
    found = results(here, listener=heard)
    must_be_alike(here, plain, found, alone(plain))
    about = [seed for seed, _ in heard.epochs]
    assert about != sorted(about)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_train_alike(make):
    devices = [torch.device("cuda", number) for number in (0, 1)]
    several = [one._replace(device=devices[one.task.seed % 2]) for one in make("several")]
    first = make("first", devices[0])
    must_be_alike(several, first, results(several), alone(first))


def test_one_that_diverges_ends_alone_where_somebody_is_told(make):
    first, sound, third = make("together")

    def broken(device):
        network = sound.network(device)
        with torch.no_grad():
            next(network.parameters()).fill_(float("nan"))
        return network

    second = sound._replace(network=broken)
    over, failed = [], []
    fit_all(
        [first, second, third],
        lambda training, result: over.append((training.task.seed, len(result.history))),
        failed=lambda training, error: failed.append((training.task.seed, str(error))),
        at_once=3,
    )
    assert over == [(0, 4), (2, 4)]
    ((seed, words),) = failed
    assert (seed, "diverged" in words) == (1, True)
    with pytest.raises(TrainingError, match="diverged"):
        fit_all([second], lambda *_: None)

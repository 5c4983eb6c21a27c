"""Training does what its config says: each rule against its closed form."""

import dataclasses
import math
import random

import numpy as np
import pytest
import torch

from spikewise.data import AugmentConfig, batches
from spikewise.dynamics import LIF
from spikewise.encoders import Rate
from spikewise.engine import native
from spikewise.errors import EngineError
from spikewise.losses import CrossEntropy, RatePenalty, Target
from spikewise.models import MLP, Conv
from spikewise.readouts import Trajectory
from spikewise.training import FitResult, Silent, TrainConfig, fit, load_weights
from spikewise.training.config import SGD, Adam, AdamW, Constant, Cosine, StepDecay
from spikewise.training.loop import WEIGHTS
from spikewise.types import Draw


class Recorder(Silent):
    """Keeps copies of the weights after each batch's predecessor, and of each epoch's end."""

    def __init__(self, network=None):
        self.network, self.steps, self.records = network, [], []

    def started(self, network, seed, *, epochs, done): ...

    def batch(self, *, images, total, loss):
        if self.network is not None:
            self.steps.append({name: weight.detach().clone() for name, weight in self.network.weights.items()})

    def epoch(self, record):
        self.records.append(record)

    def finished(self): ...


def same(a, b) -> bool:
    return all(torch.equal(weight, b.state_dict()[name]) for name, weight in a.state_dict().items())


def test_schedules_are_their_formulas():
    config = TrainConfig(epochs=10, learning_rate=0.5, schedule=Cosine(floor=0.1))
    for epoch in (0.0, 2.5, 5.0, 10.0):
        factor = 0.1 + 0.9 * (1 + math.cos(math.pi * epoch / 10)) / 2
        assert config.learning_rate_at(epoch) == pytest.approx(0.5 * factor)
    steps = config.replace(schedule=StepDecay(every=3, factor_per_step=0.5))
    assert [steps.learning_rate_at(e) for e in (0, 2.99, 3, 5.9, 6)] == [0.5, 0.5, 0.25, 0.25, 0.125]
    warm = config.replace(schedule=Constant(), warmup_epochs=2)
    assert [warm.learning_rate_at(e) for e in (0, 0.5, 1, 2, 9)] == [0, 0.125, 0.25, 0.5, 0.5]


@pytest.mark.parametrize(("images", "epochs"), [(100, 40), (3_000, 40), (3_001, 20), (20_001, 8)])
def test_small_sets_get_more_epochs(images, epochs):
    assert TrainConfig().resolved(images).epochs == epochs
    assert TrainConfig(epochs=3).resolved(images).epochs == 3


def by_hand(optimizer, gradients, rate: float, start: float) -> float:
    """One weight under an optimizer, from its paper's equations."""
    w, m, v = start, 0.0, 0.0
    for t, raw in enumerate(gradients, 1):
        g = raw if isinstance(optimizer, AdamW) else raw + optimizer.weight_decay * w
        if isinstance(optimizer, SGD):
            m = g if t == 1 else optimizer.momentum * m + g
            w -= rate * (g + optimizer.momentum * m if optimizer.nesterov else m)
            continue
        if isinstance(optimizer, AdamW):
            w -= rate * optimizer.weight_decay * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= rate * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


@pytest.mark.parametrize(
    "optimizer",
    [Adam(), Adam(weight_decay=0.1), AdamW(), SGD(), SGD(momentum=0.0), SGD(nesterov=True, weight_decay=0.1)],
    ids=str,
)
def test_optimizers_are_their_equations(optimizer):
    weight = torch.nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    stepper = TrainConfig(epochs=1, learning_rate=0.05, optimizer=optimizer).build_optimizer([weight])
    gradients = [0.3, -1.2, 0.05, 2.0]
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        stepper.step()
    assert weight.item() == pytest.approx(by_hand(optimizer, gradients, 0.05, 0.7), rel=1e-12)


def test_each_update_takes_the_rate_of_the_middle_of_its_batch(make_network, make_task, tmp_path):
    task = make_task(epochs=2, schedule={"kind": "step", "every": 1}, warmup_epochs=1.0, learning_rate=0.4)
    watch = Recorder()
    fit(make_network(), task, tmp_path, watch)
    # 4 batches an epoch: the last of epoch 1 stands at 7/8 of the warm-up, epoch 2 is decayed by 10
    assert [record.learning_rate for record in watch.records] == pytest.approx([0.4 * 7 / 8, 0.04])


def test_one_update_still_learns(make_network, make_task, tmp_path):
    network, fresh = make_network(), make_network()
    fit(network, make_task(epochs=1, batch_size=1000), tmp_path)
    assert not same(network, fresh)


@pytest.mark.parametrize("limit", [None, 1e-3])
def test_clipping_bounds_the_whole_gradient(limit, make_network, make_task, tmp_path):
    network, fresh = make_network(), make_network()
    optimizer = {"kind": "sgd", "momentum": 0.0}
    task = make_task(epochs=1, batch_size=1000, optimizer=optimizer, schedule={"kind": "constant"}, gradient_clip=limit)
    fit(network, task, tmp_path)
    step = torch.cat([(network.weights[name] - fresh.weights[name]).flatten() for name in fresh.weights]).norm() / 1e-3
    assert step.item() == pytest.approx(limit, rel=1e-2) if limit else step > 1e-2


def test_smoothed_and_weighted_loss_by_hand():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
    logs = logits.double().log_softmax(1)
    eps, weights = 0.3, torch.tensor([3.0, 1.0, 0.5])
    target = Target.of(torch.tensor([0, 2]), 3, weights)
    each = [-((1 - eps) * logs[i, k] + eps / 3 * logs[i].sum()) for i, k in enumerate((0, 2))]
    expected = (3.0 * each[0] + 0.5 * each[1]) / 3.5
    found = CrossEntropy(label_smoothing=eps)(logits, Trajectory(None, logits[None]), target)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_average_of_the_weights_is_its_closed_form(make_network, make_task, tmp_path):
    decay, network = 0.7, make_network()
    start = {name: weight.detach().clone() for name, weight in network.weights.items()}
    watch = Recorder(network)
    fit(network, make_task(epochs=2, ema=decay, keep="last"), tmp_path, watch)
    assert len(watch.steps) == 8
    for name, average in network.weights.items():
        expected = decay**8 * start[name].double()
        for step, weights in enumerate(watch.steps, 1):
            expected += (1 - decay) * decay ** (8 - step) * weights[name].double()
        torch.testing.assert_close(average.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("monitor", ["accuracy", "balanced_accuracy", "loss"])
def test_the_best_epoch_is_kept_by_the_monitored_figure(monitor, make_network, make_task, tmp_path):
    settings = {"epochs": 6, "learning_rate": 0.05, "schedule": {"kind": "constant"}, "monitor": monitor}
    best = make_network()
    result = fit(best, make_task(**settings), tmp_path / "best")
    records = result.history
    score = [
        (-r.validation_loss, 0) if monitor == "loss" else (r.validation_accuracy, -r.validation_loss) for r in records
    ]
    assert result.best_epoch == 1 + score.index(max(score))
    stopped = make_network()
    fit(stopped, make_task(**{**settings, "epochs": result.best_epoch, "keep": "last"}), tmp_path / "last")
    assert same(best, stopped)


def test_patience_stops_after_so_many_epochs_without_a_better_one(make_network, make_task, tmp_path):
    task = make_task(epochs=30, patience=2, learning_rate=1e-12, monitor="accuracy")
    result = fit(make_network(), task, tmp_path)
    assert result.stopped_early
    assert len(result.history) == result.best_epoch + 2 < 30


@pytest.mark.parametrize(
    "model", [MLP(hidden=(8,), recurrent=True), Conv(channels=(4,), kernels=(3,), batch_norm=True)]
)
def test_bfloat16_is_computed_in_or_refused(model, make_network, make_task, tmp_path):
    runs = {}
    for precision in ("float32", "bfloat16"):
        network = make_network(model)
        task = make_task(precision=precision, epochs=2)
        runs[precision] = fit(network, task, tmp_path / precision)
        assert all(weight.dtype == torch.float32 for weight in network.weights.values())
    rounded = runs["bfloat16"]
    assert rounded.engine == "reference"
    assert rounded.history[0].train_loss != runs["float32"].history[0].train_loss
    assert rounded.history[0].train_loss == pytest.approx(runs["float32"].history[0].train_loss, rel=0.05)
    network.engine_name = "native"
    with pytest.raises(EngineError, match=r"bfloat16|batch_norm1"):
        fit(network, make_task(precision="bfloat16"), tmp_path / "named")


def test_one_seed_gives_one_result_and_the_global_generators_stay(make_network, make_task, tmp_path):
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  # the global generator is what is watched
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    model = MLP(hidden=(8,), dropout=0.3)
    augment = AugmentConfig(shift=1, mixup=0.3)
    trained = []
    for run, seed in enumerate((4, 4, 5)):
        trained.append(make_network(model, Rate(steps=3), seed=seed))
        fit(trained[-1], make_task(seed=seed, augment=augment), tmp_path / str(run))
    assert same(trained[0], trained[1])
    assert not same(trained[0], trained[2])
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_a_tiny_network_learns_what_is_separable(make_network, make_task, tmp_path):
    result = fit(make_network(), make_task(epochs=25, learning_rate=0.02), tmp_path)
    assert result.history[-1].train_accuracy == 1
    assert max(record.validation_accuracy for record in result.history) == 1
    assert (tmp_path / WEIGHTS).exists()


@pytest.mark.parametrize("weighted", [False, True])
def test_the_first_loss_is_that_of_the_fresh_network(weighted, make_network, make_task, tmp_path):
    task, network = make_task(epochs=1, batch_size=1000, class_weights=weighted), make_network()
    index = next(batches(task.split.train, 1000, seed=0, epoch=1))
    labels = torch.from_numpy(task.images.labels[index])
    # 11, 11 and 10 images of the three classes
    weights = 32 / (3 * labels.bincount()) if weighted else torch.ones(3)
    output = network(torch.from_numpy(task.images.images[index]), Draw(0, 1, torch.from_numpy(index)))
    expected = torch.nn.functional.cross_entropy(output.logits, labels, weights)
    assert fit(network, task, tmp_path).history[0].train_loss == pytest.approx(expected.item(), rel=1e-5)


def test_a_rate_penalty_is_its_formula():
    spikes = torch.zeros(4, 3, 2)
    spikes[:2, :, 0] = 1  # one neuron at rate 0.5, one silent
    assert RatePenalty(kind="l1", strength=2)([spikes]).item() == pytest.approx(2 * 0.25)
    assert RatePenalty(kind="l2")([spikes, spikes]).item() == pytest.approx(2 * 0.125)
    outside = RatePenalty(kind="range", low=0.1, high=0.2)([spikes]).item()
    assert outside == pytest.approx((0.1**2 + 0.3**2) / 2)


def test_a_rate_penalty_lowers_the_rates(make_network, make_task, tmp_path):
    task, rates = make_task(epochs=6, learning_rate=1e-2), []
    for name, penalty in (("free", None), ("penalised", RatePenalty(kind="l1", strength=20.0))):
        result = fit(make_network(), dataclasses.replace(task, penalty=penalty), tmp_path / name)
        rates.append(sum(result.history[-1].spike_rates.values()))
    assert rates[1] < 0.5 * rates[0]


@pytest.mark.skipif("not compiled" in native.status(), reason="built without a compiler")
def test_the_native_engine_trains_with_a_rate_penalty(make_network, make_task, tmp_path):
    task = dataclasses.replace(make_task(), penalty=RatePenalty(kind="l1", strength=2.0))
    losses = {}
    for engine in ("native", "reference"):
        network = make_network()
        network.engine_name = engine
        result = fit(network, task, tmp_path / engine)
        assert result.engine == engine
        losses[engine] = [record.train_loss for record in result.history]
    assert losses["native"] == pytest.approx(losses["reference"], rel=1e-4)


def test_a_learned_decay_is_stored_as_it_is_used(make_network, make_task, tmp_path):
    network = make_network(MLP(hidden=(12,), cell=LIF(beta=0.02, learn=("beta",))))
    fit(network, make_task(learning_rate=0.5, epochs=2), tmp_path)
    stored = load_weights(tmp_path / WEIGHTS)[0]["lif1.beta"].item()
    assert 0 <= stored <= 1
    assert FitResult.of(fit(network, make_task(epochs=2), tmp_path).notes()).engine is not None

"""Losses against PyTorch's own and against their formulas."""

import math
from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from spikewise.errors import ConfigError
from spikewise.losses import CountMSE, CrossEntropy, Loss, OneHotMSE, StepCrossEntropy, Target
from spikewise.readouts import Trajectory

KINDS = get_args(get_args(Loss)[0])
LABELS = torch.tensor([0, 2, 1, 2, 0])
WEIGHTS = torch.tensor([0.5, 3.0, 1.25])


@pytest.fixture
def outcome():
    rng = torch.Generator().manual_seed(0)
    v = torch.randn(6, 5, 3, generator=rng)
    trajectory = Trajectory((v > 0).float(), v)
    return v.mean(0), trajectory


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_cross_entropy_is_pytorchs(outcome, weights):
    logits, trajectory = outcome
    found = CrossEntropy()(logits, trajectory, Target.of(LABELS, 3, weights))
    torch.testing.assert_close(found, F.cross_entropy(logits, LABELS, weight=weights))


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing_is_pytorchs(outcome, smoothing):
    logits, trajectory = outcome
    found = CrossEntropy(label_smoothing=smoothing)(logits, trajectory, Target.of(LABELS, 3))
    torch.testing.assert_close(found, F.cross_entropy(logits, LABELS, label_smoothing=smoothing))


def test_cross_entropy_of_mixed_labels_is_pytorchs(outcome):
    logits, trajectory = outcome
    shares = torch.tensor([[0.3, 0.7, 0.0]]).expand(5, 3)
    found = CrossEntropy()(logits, trajectory, Target.of(shares, 3))
    torch.testing.assert_close(found, F.cross_entropy(logits, shares))


def test_step_cross_entropy_averages_pytorchs_over_the_steps(outcome):
    logits, trajectory = outcome
    for on, output in (("spikes", trajectory.spikes), ("membrane", trajectory.membrane)):
        found = StepCrossEntropy(on=on)(logits, trajectory, Target.of(LABELS, 3, WEIGHTS))
        steps = [F.cross_entropy(step, LABELS, weight=WEIGHTS) for step in output]
        torch.testing.assert_close(found, torch.stack(steps).mean())


def test_count_mse_is_zero_at_the_wanted_rates_and_its_formula_elsewhere():
    spikes = torch.zeros(10, 2, 2)
    spikes[:8, 0, 0] = spikes[:2, 0, 1] = spikes[:2, 1, 0] = spikes[:8, 1, 1] = 1
    trajectory, target = Trajectory(spikes, spikes), Target.of(torch.tensor([0, 1]), 2)
    torch.testing.assert_close(CountMSE()(spikes.sum(0), trajectory, target), torch.tensor(0.0))
    other = CountMSE(correct_rate=1.0, incorrect_rate=0.0)(spikes.sum(0), trajectory, target)
    torch.testing.assert_close(other, torch.tensor(0.2**2))


def test_one_hot_mse_of_undecided_logits_is_the_brier_score():
    target = Target.of(torch.tensor([1]), 4)
    found = OneHotMSE()(torch.zeros(1, 4), Trajectory(None, torch.zeros(1, 1, 4)), target)
    assert found.item() == pytest.approx((0.75**2 + 3 * 0.25**2) / 4)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_image_of_weight_zero_does_not_count(kind, outcome):
    logits, trajectory = outcome
    weighted = kind()(logits, trajectory, Target.of(LABELS, 3, torch.tensor([1.0, 0.0, 1.0])))
    kept = LABELS != 1
    fewer = Trajectory(trajectory.spikes[:, kept], trajectory.membrane[:, kept])
    torch.testing.assert_close(weighted, kind()(logits[kept], fewer, Target.of(LABELS[kept], 3)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_certain_and_wrong_is_expensive_but_finite(kind):
    v = torch.tensor([[[1e4, -1e4]]]).requires_grad_()
    loss = kind()(v.sum(0), Trajectory((v > 0).float(), v), Target.of(torch.tensor([1]), 2))
    assert math.isfinite(loss.item())
    assert loss.item() > 0.3


@pytest.mark.parametrize("loss", [StepCrossEntropy(), CountMSE()], ids=lambda loss: loss.kind)
def test_a_loss_on_spikes_needs_spikes(loss, outcome):
    logits, trajectory = outcome
    with pytest.raises(ConfigError, match=f"'{loss.kind}' needs output spikes"):
        loss(logits, trajectory._replace(spikes=None), Target.of(LABELS, 3))

"""Readouts by their formulas, and the evidence at the last step is the logits."""

from typing import get_args

import pytest
import torch

from spikewise.errors import ConfigError
from spikewise.readouts import FilteredSum, LastMembrane, MaxMembrane, MeanMembrane, Readout, SpikeCount, Trajectory

KINDS = get_args(get_args(Readout)[0])


@pytest.fixture
def trajectory():
    rng = torch.Generator().manual_seed(0)
    v = torch.randn(9, 4, 3, dtype=torch.float64, generator=rng)
    return Trajectory((v > 0.4).double(), v)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_evidence_after_each_step_is_the_logits_of_a_run_that_stops_there(kind, trajectory):
    evidence = kind().evidence(trajectory)
    for step in range(9):
        stopped = Trajectory(*(part[: step + 1] for part in trajectory))
        torch.testing.assert_close(evidence[step], kind()(stopped), rtol=1e-12, atol=1e-12)


def test_each_readout_is_its_formula(trajectory):
    spikes, v = (part.numpy() for part in trajectory)
    decayed = sum(0.7 ** (8 - t) * v[t] for t in range(9))
    wanted = {
        SpikeCount(): spikes.sum(0),
        MaxMembrane(): v.max(0),
        MeanMembrane(): v.mean(0),
        LastMembrane(): v[8],
        FilteredSum(decay=0.7): decayed,
    }
    assert {type(readout) for readout in wanted} == set(KINDS)
    for readout, answer in wanted.items():
        torch.testing.assert_close(readout(trajectory), torch.from_numpy(answer), rtol=1e-12, atol=1e-12)


def test_spikes_cannot_be_counted_where_there_are_none(trajectory):
    silent = trajectory._replace(spikes=None)
    for read in (SpikeCount(), SpikeCount().evidence):
        with pytest.raises(ConfigError, match=r"'spike_count' counts spikes.*max_membrane"):
            read(silent)
    assert all(kind()(silent).shape == (4, 3) for kind in KINDS if kind is not SpikeCount)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_step_by_step_the_evidence_is_that_of_the_whole_trajectory_bit_for_bit(kind, trajectory):
    single = Trajectory(*(part.float() for part in trajectory))
    evidence, readout, total = kind().evidence(single), kind(), None
    for step in range(9):
        total = readout.add(total, Trajectory(*(part[step : step + 1] for part in single)))
        assert torch.equal(readout.read(total.float(), step + 1), evidence[step])

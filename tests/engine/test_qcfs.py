"""The quantised activation that spikes can carry: its values, its gradients, and how it starts."""

import pytest
import torch

from spikewise.encoders import Direct
from spikewise.engine import Ask, RunOptions, choose
from spikewise.engine.reference import clip_floor_shift
from spikewise.errors import EngineError
from spikewise.graph import QCFS, Conv2d, Flatten, Graph, Linear
from spikewise.network import Network
from spikewise.readouts import LastMembrane
from spikewise.training.balance import balance
from spikewise.types import Draw


def network(*layers, seed=0) -> Network:
    graph = Graph(image_shape=(2, 6, 6), encoder=Direct(steps=1), layers=layers, readout=LastMembrane())
    return Network(graph, seed=seed)


def pictures(count=64) -> torch.Tensor:
    return torch.randint(0, 256, (count, 2, 6, 6), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_it_gives_the_nearest_of_its_levels_and_of_two_the_lower_one():
    threshold = torch.tensor(2.0, dtype=torch.float64)
    x = torch.tensor([-3.0, 0.0, 0.24, 0.25, 0.26, 0.74, 0.76, 1.9, 2.0, 50.0], dtype=torch.float64)
    wanted = [0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 1.0, 2.0, 2.0, 2.0]
    assert clip_floor_shift(x, threshold, 4).tolist() == wanted


def test_its_gradients_are_those_of_the_clipped_identity():
    x = torch.tensor([-1.0, 0.3, 1.1, 5.0], dtype=torch.float64, requires_grad=True)
    threshold = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    y = clip_floor_shift(x, threshold, 4)
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 0.0]
    # d y / d threshold = y / threshold - x / threshold between the ends, 1 where it is clipped above
    inside = float((y - x).detach()[1:3].sum() / 2)
    assert threshold.grad.item() == pytest.approx(inside + 1.0)


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_its_thresholds_start_where_its_inputs_are_and_are_kept_positive(per):
    net = network(Conv2d(channels=3, kernel=3), QCFS(per=per), Flatten(), Linear(features=4), QCFS(per=per))
    images = pictures()
    balance(net, images, Draw.first(len(images)))
    held = net.weights["qcfs1.threshold"]
    assert held.shape == (() if per == "layer" else (3, 1, 1))
    assert net.weights["qcfs2.threshold"].shape == (() if per == "layer" else (4,))
    with torch.no_grad():
        traces = net(images, options=RunOptions(record=frozenset({"conv2d1", "qcfs1"}))).result.traces
        clipped = (traces["conv2d1"].output > held).float().mean()
        assert 0 < clipped < 0.003
        counts = traces["qcfs1"].output * 8 / held
        torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-5)
        held.fill_(-1.0)
        assert torch.isfinite(net(images).logits).all()
        net.clamp_stored()
        assert (held == 1e-3).all()


def test_drawn_weights_stay_as_they_are_when_thresholds_are_set():
    net, images = network(Flatten(), Linear(features=5), QCFS(), Linear(features=3)), pictures()
    before = {name: value.clone() for name, value in net.weights.items()}
    assert balance(net, images, Draw.first(len(images)), weights=False) == ()
    changed = {name for name, value in net.weights.items() if not torch.equal(value, before[name])}
    assert changed == {"qcfs1.threshold"}


def test_the_native_engine_refuses_it_by_name():
    graph = network(Flatten(), Linear(features=5), QCFS(), Linear(features=3)).graph
    with pytest.raises(EngineError, match=r"layer qcfs1: a quantised activation|was not compiled"):
        choose("native", Ask(graph))

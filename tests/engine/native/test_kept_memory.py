"""What the native engine keeps between batches, and gives back."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spikewise.dynamics import LIF
from spikewise.encoders import Direct
from spikewise.engine import RunOptions, native
from spikewise.graph import Flatten, Graph, Linear, Neuron
from spikewise.memory import return_freed_memory
from spikewise.models import ResNet, build
from spikewise.network import Network
from spikewise.readouts import MeanMembrane
from spikewise.types import Draw

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts pages as Linux does")

_IMAGES, _STEPS, _NEURONS = 256, 20, 4096
_MEMBRANES = 4 * _IMAGES * _STEPS * _NEURONS
"""Bytes that a batch needs at least; more than `malloc` ever keeps for itself."""


def _step(network: Network, images: torch.Tensor) -> int:
    """Pages that a training step touched first."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    network(images, Draw(0, 1, torch.arange(len(images)))).logits.sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def _resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _network() -> Network:
    layers = (Flatten(), Linear(features=_NEURONS), Neuron(dynamics=LIF()), Linear(features=2), Neuron(dynamics=LIF()))
    graph = Graph(image_shape=(1, 4, 4), encoder=Direct(steps=_STEPS), layers=layers, readout=MeanMembrane())
    return Network(graph, seed=0, engine_name="native")


def _images(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def _with_little_left() -> dict[str, int]:
    """A batch of another size, where the system gives less than it needs and the engine keeps more."""
    network = _network()
    _step(network, _images(_IMAGES))
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + _MEMBRANES // 2, resource.RLIM_INFINITY))
    return {"pages": _step(network, _images(_IMAGES - 8))}


def _measured() -> dict[str, int]:
    network, images = _network(), _images(_IMAGES)
    first, later = _step(network, images), min(_step(network, images) for _ in range(3))
    kept = _resident()
    return_freed_memory()
    released = _resident()
    return {"first": first, "later": later, "kept": kept, "released": released, "again": _step(network, images)}


def _in_a_process_of_its_own(part: str) -> dict[str, int]:
    """`malloc` takes a large block from what other tests have left, and then keeps it."""
    answer = subprocess.run([sys.executable, __file__, part], capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_a_batch_uses_the_memory_of_the_one_before_and_it_can_be_given_back():
    found = _in_a_process_of_its_own("kept")
    assert found["later"] < found["first"] / 2
    assert found["released"] < found["kept"] - _MEMBRANES
    assert found["again"] > 2 * found["later"]


def test_what_is_kept_goes_first_where_the_system_refuses_memory():
    assert _in_a_process_of_its_own("little")["pages"] > 0


if __name__ == "__main__":
    print(json.dumps({"kept": _measured, "little": _with_little_left}[sys.argv[1]]()))


def test_an_evaluation_keeps_spikes_and_states_but_no_numbers_between_layers():
    steps, count = 6, 5
    graph = build(ResNet(channels=(16, 16)), Direct(steps=steps), MeanMembrane(), image_shape=(1, 12, 12), classes=3)
    network = Network(graph, seed=0, engine_name="native").eval()
    images = torch.zeros(count, 1, 12, 12, dtype=torch.uint8)
    with torch.no_grad():
        kept = native.kept_bytes(network(images, None, RunOptions(measure=True)).result)
        recorded = native.kept_bytes(network(images, None, RunOptions(record=frozenset(graph.spiking_layers))).result)
    one_map = 4 * 16 * 12 * 12 * steps * count
    assert kept < one_map
    assert recorded > 4 * one_map

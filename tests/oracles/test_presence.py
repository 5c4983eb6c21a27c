"""An oracle that is not there compares nothing, and its tests are skipped: every one must be there."""

import importlib
from pathlib import Path

import pytest

LISTED = Path(__file__).parents[2] / "requirements" / "peers.txt"
PEERS = [line.split("#")[0].strip() for line in LISTED.read_text().splitlines() if line.split("#")[0].strip()]
USED = (
    "norse.torch.functional",
    "spikingjelly.activation_based.neuron",
    "sinabs.activation",
    "sinabs.layers",
    "snntorch.functional",
    "snntorch.spikegen",
    "neurobench.metrics.static",
    "neurobench.metrics.workload",
    "neurobench.models",
)
"""What tests and benchmarks import of them."""


@pytest.mark.filterwarnings("ignore")  # the peers' own
@pytest.mark.parametrize("module", [*PEERS, *USED])
def test_every_listed_library_can_be_imported(module):
    assert importlib.import_module(module), "make test installs requirements/peers.txt"


def test_every_library_that_is_used_is_listed():
    assert {module.split(".")[0] for module in USED} <= set(PEERS)

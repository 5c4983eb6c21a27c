"""Imports that every measuring process has done before it measures."""

import contextlib
import warnings
from importlib import import_module

warnings.filterwarnings("ignore")
_NAMES = (
    "spikewise.api.runs",
    "benchmarks.peers.candidates",
    "snntorch",
    "spikingjelly.activation_based",
    "norse.torch",
    "sinabs.layers",
)
for _name in _NAMES:
    with contextlib.suppress(ImportError):
        import_module(_name)

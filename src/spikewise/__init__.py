"""Spikewise: is a spiking neural network worth it on these images?

import spikewise
run = spikewise.compare("digits", seeds=3)
print(run.results.verdict.headline)
"""

from typing import TYPE_CHECKING

from spikewise.lazy import lazy_exports

__version__ = "0.1.0"

if TYPE_CHECKING:
    from spikewise.api import Run, Trained, audit, compare, cost, evaluate, load, load_data, train
    from spikewise.estimator import SpikingClassifier

__all__ = [
    "Run",
    "SpikingClassifier",
    "Trained",
    "__version__",
    "audit",
    "compare",
    "cost",
    "evaluate",
    "load",
    "load_data",
    "train",
]

__getattr__ = lazy_exports(
    __name__,
    {
        **dict.fromkeys(
            ("Run", "Trained", "audit", "compare", "cost", "evaluate", "load", "load_data", "train"), "spikewise.api"
        ),
        "SpikingClassifier": "spikewise.estimator",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)

"""Spikewise: is a spiking neural network worth it on these images?

    import spikewise
    run = spikewise.compare("digits", seeds=3)
    print(run.results.verdict.headline)

Names are imported when they are first used, so that `import spikewise` and `spikewise --help` answer at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from spikewise.api import Run, Trained, compare, evaluate, load, load_data, train
    from spikewise.estimator import SpikingClassifier

__all__ = ["Run", "SpikingClassifier", "Trained", "__version__", "compare", "evaluate", "load", "load_data", "train"]


def __getattr__(name: str) -> Any:  # whatever the package exports
    if name not in __all__:
        raise AttributeError(f"module 'spikewise' has no attribute '{name}'. It exports: {', '.join(__all__)}.")
    return getattr(import_module("spikewise.estimator" if name == "SpikingClassifier" else "spikewise.api"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""Spikewise: is a spiking neural network worth it on these images?

import spikewise
run = spikewise.compare("digits", seeds=3)
print(run.results.verdict.headline)
"""

from typing import TYPE_CHECKING

from spikewise.lazy import lazy_exports
from spikewise.threads import let_them_sleep, work_after_a_fork

let_them_sleep()
work_after_a_fork()

__version__ = "0.1.0"

if TYPE_CHECKING:
    from spikewise.api import (
        Run,
        Trained,
        anytime,
        audit,
        calibrate,
        compare,
        convert,
        cost,
        diagnose,
        encode,
        evaluate,
        explain,
        explanations,
        export,
        figures,
        fits,
        from_nir,
        from_snntorch,
        from_spikingjelly,
        import_network,
        judge,
        load,
        load_data,
        register,
        robustness,
        sweep,
        table,
        trace,
        train,
        training_images,
        tune,
        verify,
        versus,
        write_report,
    )
    from spikewise.collection import runs
    from spikewise.errors import SpikewiseError
    from spikewise.estimator import SpikingClassifier

__all__ = [
    "Run",
    "SpikewiseError",
    "SpikingClassifier",
    "Trained",
    "__version__",
    "anytime",
    "audit",
    "calibrate",
    "compare",
    "convert",
    "cost",
    "diagnose",
    "encode",
    "evaluate",
    "explain",
    "explanations",
    "export",
    "figures",
    "fits",
    "from_nir",
    "from_snntorch",
    "from_spikingjelly",
    "import_network",
    "judge",
    "load",
    "load_data",
    "register",
    "robustness",
    "runs",
    "sweep",
    "table",
    "trace",
    "train",
    "training_images",
    "tune",
    "verify",
    "versus",
    "write_report",
]

_API = [name for name in __all__ if name not in ("SpikewiseError", "SpikingClassifier", "__version__", "runs")]
__getattr__ = lazy_exports(
    __name__,
    {
        **dict.fromkeys(_API, "spikewise.api"),
        "SpikewiseError": "spikewise.errors",
        "SpikingClassifier": "spikewise.estimator",
        "runs": "spikewise.collection",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)

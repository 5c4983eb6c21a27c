"""Executors: where work is done that needs nobody's presence, on this machine or on a cluster.

What runs on the machines of a cluster beside the work itself loads little: exports are loaded when they are used.
"""

from typing import TYPE_CHECKING

from spikewise.lazy import lazy_exports

if TYPE_CHECKING:
    from spikewise.executors.choice import Ready, must_be_there, open_executor
    from spikewise.executors.config import (
        AnyExecutor,
        LocalExecutor,
        RayExecutor,
        SlurmExecutor,
        executor_from,
        executor_table,
    )
    from spikewise.executors.drive import RetryRules, WorkEnd, run_all
    from spikewise.executors.local import available_cores
    from spikewise.executors.watching import Spoken, Tally, Watcher, shown
    from spikewise.executors.work import Work

__all__ = [
    "AnyExecutor",
    "LocalExecutor",
    "RayExecutor",
    "Ready",
    "RetryRules",
    "SlurmExecutor",
    "Spoken",
    "Tally",
    "Watcher",
    "Work",
    "WorkEnd",
    "available_cores",
    "executor_from",
    "executor_table",
    "must_be_there",
    "open_executor",
    "run_all",
    "shown",
]

_CONFIG = ("AnyExecutor", "LocalExecutor", "RayExecutor", "SlurmExecutor", "executor_from", "executor_table")
__getattr__ = lazy_exports(
    __name__,
    {
        **dict.fromkeys(_CONFIG, "spikewise.executors.config"),
        **dict.fromkeys(("Ready", "must_be_there", "open_executor"), "spikewise.executors.choice"),
        **dict.fromkeys(("WorkEnd", "RetryRules", "run_all"), "spikewise.executors.drive"),
        "available_cores": "spikewise.executors.local",
        **dict.fromkeys(("Spoken", "Tally", "Watcher", "shown"), "spikewise.executors.watching"),
        "Work": "spikewise.executors.work",
    },
)

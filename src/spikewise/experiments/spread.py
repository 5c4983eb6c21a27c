"""Where an experiment's work is done: which executor was asked for, and what "device" means there."""

from collections.abc import Iterable, Mapping
from typing import Any

from spikewise.errors import ConfigError
from spikewise.executors import AnyExecutor, LocalExecutor, executor_from, executor_table
from spikewise.experiments.experiment import Experiment
from spikewise.experiments.settings import changed, parse_change

__all__ = ["AskedExecutor", "as_placed", "asked_executor"]

AskedExecutor = str | Mapping[str, Any] | AnyExecutor
"""Such as "ray:10.0.0.1:6379", the table of one, or itself."""


def asked_executor(
    asked: AskedExecutor | None,
    settings: Iterable[str] = (),
    *,
    default: Mapping[str, Any] | None = None,
    jobs: int | None = None,
) -> AnyExecutor | None:
    """The executor that was asked for; None where nobody asked for one.

    Args:
        settings: "key=value", laid over it.
        default: the table of one, as a file has it; the one that is asked for is laid over it if it is of its kind.
        jobs: how much work at once.
    Raises:
        ConfigError: there is no such executor, or a setting is wrong.
    """
    settings = list(settings)
    table = executor_table(default) if default else {}
    if asked is not None:
        named = executor_table(asked if isinstance(asked, str | Mapping) else asked.model_dump())
        table = {**table, **named} if table.get("kind") == named["kind"] else named
    if settings and not table:
        raise ConfigError(f"'{settings[0]}' is a setting of an executor; say which one with --executor.")
    table = changed(table, map(parse_change, settings))
    if jobs is not None:
        table = {**(table or {"kind": "local"}), "jobs": jobs}
    return executor_from(table) if table else None


def as_placed(experiment: Experiment, executor: AnyExecutor | None) -> Experiment:
    """The experiment with the device that it has on the executor's machines: "auto" can be tried on this one alone."""
    if executor is None or isinstance(executor, LocalExecutor) or experiment.device != "auto":
        return experiment
    return experiment.model_copy(update={"device": "cuda" if executor.gpus else "cpu"})


def is_elsewhere(executor: AnyExecutor | None) -> bool:
    """Whether its work is done on machines whose devices this one may lack."""
    return executor is not None and not isinstance(executor, LocalExecutor)

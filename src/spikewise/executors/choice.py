"""From what was asked for to an executor that is ready."""

from pathlib import Path
from typing import NamedTuple, assert_never

from spikewise.executors.config import AnyExecutor, LocalExecutor, RayExecutor, SlurmExecutor
from spikewise.executors.drive import RetryRules
from spikewise.executors.executor import Executor
from spikewise.executors.local import available_cores, processes
from spikewise.executors.ray_cluster import RayCluster, must_have
from spikewise.executors.slurm import SlurmJobs
from spikewise.executors.slurm_request import must_take

__all__ = ["Ready", "must_be_there", "open_executor"]


class Ready(NamedTuple):
    """An executor, how it treats failures, and in words where it runs what is to be done."""

    executor: Executor
    rules: RetryRules
    where: str


def must_be_there(config: AnyExecutor | None) -> None:
    """What is to run the work can be reached and has what is asked for: said before images are read.

    Raises:
        DependencyError: an extra is not installed; the message says which.
        ConfigError: it has no room for such work, or does not know an option.
        ExecutorError: it cannot be reached.
    """
    match config:
        case None | LocalExecutor():
            return
        case RayExecutor():
            must_have(config)
        case SlurmExecutor():
            must_take(config)
        case _:
            assert_never(config)


def open_executor(config: AnyExecutor, place: Path, claims: Path) -> Ready:
    """Reach or make what is to run the work.

    Args:
        place: folder for what it writes down.
        claims: folder of the claims.
    Raises:
        DependencyError: an extra is not installed; the message says which.
        ConfigError: it has no room for such work, or does not know an option.
        ExecutorError: it cannot be reached.
    """
    match config:
        case LocalExecutor():
            places = config.jobs or max(1, available_cores() // config.cpus)
            local = processes(place / "logs", places, threads=config.cpus)
            return Ready(local, RetryRules(), f"{places} at a time")
        case RayExecutor():
            cluster = RayCluster(config, place / "logs", claims)
            return Ready(cluster, RetryRules(config.retries, config.patience), cluster.where)
        case SlurmExecutor():
            jobs = SlurmJobs(config, place, claims)
            return Ready(jobs, RetryRules(config.retries, config.patience), jobs.where)
        case _:
            assert_never(config)

"""Jobs of a Slurm cluster, submitted through submitit; they outlive the process that submitted them."""

import contextlib
import importlib.util
import itertools
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from spikewise.errors import ConfigError, DependencyError
from spikewise.executors.config import SlurmExecutor
from spikewise.executors.executor import Attempt
from spikewise.executors.local import available_cores
from spikewise.executors.slurm_job import SlurmWork
from spikewise.executors.work import Beat, Ended, Event
from spikewise.files import make_folder

__all__ = ["SlurmJobs"]

_QUEUED: Final = 100
"""Jobs in the queue at once: clusters allow a user some hundreds or thousands."""
_LOOK: Final = 0.5
_LATE: Final = 20.0
"""Seconds that a shared disk may show a job's last words later than Slurm says that it is over."""
_REQUEUES: Final = 1000
_ENDS: Final = 10.0


@dataclass
class _Submitted:
    """A job, and how much of what it says has been read."""

    job: Any
    lines: Path
    read: int = 0
    node: str = ""
    over: float | None = None
    """When Slurm first said that it is."""
    rest: bytes = field(default=b"")


class SlurmJobs:
    """Jobs in a queue.

    Args:
        config: what each job asks for.
        place: a folder that all machines share, for what is submitted and what jobs say.
        claims: folder of the claims.
    Raises:
        DependencyError: submitit is not installed.
        ConfigError: there is no `sbatch` here, or an option that it does not have.
    """

    def __init__(self, config: SlurmExecutor, place: Path, claims: Path) -> None:
        if importlib.util.find_spec("submitit") is None:
            raise DependencyError(
                "The executor 'slurm' needs submitit, which is not installed: pip install 'spikewise[slurm]'."
            )
        if config.cluster == "slurm" and (shutil.which("sbatch") is None or shutil.which("srun") is None):
            raise ConfigError(
                "The executor 'slurm' submits jobs with sbatch, which is not on this machine. Give the command on a "
                "login node of the cluster, or try it out here with --executor-set cluster=local."
            )
        import submitit  # noqa: PLC0415  # an extra

        self._config, self._claims = config, claims
        self._place = make_folder(place / "slurm").absolute()
        own = {"slurm_max_num_timeout": _REQUEUES} if config.cluster == "slurm" else {}
        self._executor = submitit.AutoExecutor(self._place, cluster=config.cluster, **own)
        self._executor.update_parameters(**_asked(config))
        self._jobs: dict[str, _Submitted] = {}
        self._here: list[subprocess.Popen[bytes]] = []
        """Jobs that are processes of this machine, to be waited for."""
        self._looked = 0.0
        self.places = config.jobs or (available_cores() if config.cluster == "local" else _QUEUED)
        partition = f", partition {config.partition}" if config.partition else ""
        self.where = f"{self.places} at most in the queue of Slurm{partition}"
        if config.cluster == "local":
            self.where = f"{self.places} at a time, as submitit runs jobs on this machine"

    def start(self, attempts: Sequence[Attempt]) -> None:
        """Submit some work, as one array where nothing tells it apart.

        Raises:
            ConfigError: Slurm refuses it, with what it says.
        """
        for avoid, group in itertools.groupby(sorted(attempts, key=lambda one: one.avoid), key=lambda one: one.avoid):
            works = [self._work(attempt) for attempt in group]
            if self._config.cluster == "slurm":
                self._executor.update_parameters(slurm_exclude=",".join(avoid) or None)
            for (name, lines, _), job in zip(works, self._submit([work for _, _, work in works]), strict=True):
                self._jobs[name] = _Submitted(job, lines)
                self._here += [process] if (process := getattr(job, "_process", None)) is not None else []

    def events(self, wait: float = 0.0) -> list[Event]:
        """What has happened since."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            time.sleep(wait)
            return []
        self._looked = now
        found = [event for name in list(self._jobs) for event in self._of(name, now)]
        for event in found:
            if isinstance(event, Ended):
                self._jobs.pop(event.name, None)
        return found

    def cancel(self, name: str) -> None:
        """End a job."""
        submitted = self._jobs.pop(name, None)
        if submitted is not None:
            with contextlib.suppress(Exception):  # it may be over, or Slurm away for a moment
                submitted.job.cancel(check=False)

    def handle(self, name: str) -> str:
        """Number of the job and where it speaks."""
        submitted = self._jobs[name]
        return json.dumps([submitted.job.job_id, submitted.lines.name])

    def adopt(self, attempt: Attempt, handle: str) -> bool:
        """Take over a job that an earlier process has submitted."""
        try:
            number, lines = json.loads(handle)
            found = _Submitted(self._job(str(number)), self._place / str(lines))
        except (ValueError, TypeError):
            return False
        if self._is_over(found):
            return False
        self._jobs[attempt.work.name] = found
        return True

    def close(self) -> None:
        """End what still runs or waits."""
        for name in list(self._jobs):
            self.cancel(name)
        for process in self._here:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_ENDS)

    def _work(self, attempt: Attempt) -> tuple[str, Path, SlurmWork]:
        name = attempt.work.name
        lines = self._place / f"{name}-{secrets.token_hex(4)}.lines"
        order = {
            **attempt.work.order(),
            "threads": self._config.cpus,
            "claim": str((self._claims / f"{name}.json").absolute()),
            "token": attempt.token,
            "shared": self._config.shared is not False,
            "bring": self._config.bring,
        }
        return name, lines, SlurmWork(order, lines)

    def _submit(self, works: list[SlurmWork]) -> list[Any]:
        try:
            if len(works) == 1 or self._config.cluster == "local":
                return [self._executor.submit(work) for work in works]
            with self._executor.batch():
                return [self._executor.submit(work) for work in works]
        except Exception as error:  # of sbatch, in whatever class submitit puts it
            said = " ".join(str(error).split())
            raise ConfigError(f"Slurm refused the jobs: {said} Check --executor and --executor-set.") from None

    def _job(self, number: str) -> Any:
        import submitit  # noqa: PLC0415

        if self._config.cluster == "slurm":
            return submitit.SlurmJob(self._place, number)
        return submitit.LocalJob(self._place, number)

    def _of(self, name: str, now: float) -> Iterator[Event]:
        """What one job has said since, or that it ended without a word."""
        submitted = self._jobs[name]
        for said in _new_lines(submitted):
            submitted.node = said["node"]
            if "ended" in said:
                yield Ended(name, said["ended"], said["message"], submitted.node, bool(said["again"]))
                return
            yield Beat(name, submitted.node, said["beat"])
        if self._is_over(submitted):
            submitted.over = submitted.over or now
            if self._config.cluster == "local" or now - submitted.over > _LATE:
                yield Ended(name, 1, self._why(submitted), submitted.node, again=True)
        else:
            submitted.over = None

    def _is_over(self, submitted: _Submitted) -> bool:
        job = submitted.job
        if self._config.cluster == "local" and getattr(job, "_process", None) is None:  # an earlier process's
            return not _lives(int(job.job_id))
        return bool(job.done())

    def _why(self, submitted: _Submitted) -> str:
        """What Slurm says of a job that ended without a word."""
        with contextlib.suppress(Exception):  # nothing here may fail for the sake of words
            said = (submitted.job.stderr() or "").strip().splitlines()
            return f"The job {submitted.job.job_id} ended ({submitted.job.state}). {said[-1] if said else ''}".strip()
        return "The job ended without a word."


def _asked(config: SlurmExecutor) -> dict[str, Any]:
    """The settings as submitit calls them."""
    asked: dict[str, Any] = {"name": "spikewise", "timeout_min": config.minutes, "cpus_per_task": config.cpus}
    if config.gpus:
        if config.gpus != int(config.gpus):
            raise ConfigError(f"Slurm gives whole GPUs; got gpus={config.gpus:g}.")
        asked["gpus_per_node"] = int(config.gpus)
    if config.memory_bytes is not None:
        asked["mem_gb"] = config.memory_bytes / 2**30
    if config.cluster == "slurm":
        named = {name: getattr(config, name) for name in ("partition", "account", "qos", "constraint")}
        asked |= {f"slurm_{name}": value for name, value in named.items() if value is not None}
        asked |= {"slurm_additional_parameters": dict(config.options)} if config.options else {}
    return asked


def _new_lines(submitted: _Submitted) -> list[dict[str, Any]]:
    try:
        with submitted.lines.open("rb") as file:
            file.seek(submitted.read)
            part = file.read()
    except FileNotFoundError:  # it waits in the queue
        return []
    submitted.read += len(part)
    *lines, submitted.rest = (submitted.rest + part).split(b"\n")
    return [json.loads(line) for line in lines]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

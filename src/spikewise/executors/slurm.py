"""Jobs of a Slurm cluster, submitted through submitit; they outlive the process that submitted them."""

import contextlib
import itertools
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from spikewise.errors import ConfigError
from spikewise.executors.config import SlurmExecutor
from spikewise.executors.executor import Attempt
from spikewise.executors.local import available_cores
from spikewise.executors.slurm_queue import SlurmQueue
from spikewise.executors.slurm_request import (
    Called,
    asked_of_submitit,
    called,
    must_be_able,
)
from spikewise.executors.slurm_submit import NotNow, Submitter, ToSubmit
from spikewise.executors.work import BUSY, Beat, Ended, Event, Known, Waits, Word
from spikewise.files import make_folder
from spikewise.processes import lives

__all__ = ["SlurmJobs"]

_QUEUED: Final = 100
"""Jobs in the queue at once: clusters allow a user some hundreds or thousands."""
_LOOK: Final = 0.5
_LATE: Final = 20.0
"""Seconds that a shared disk may show a job's last words later than Slurm says that it is over."""
_FULL: Final = 30.0
"""Seconds after which jobs are submitted again where Slurm took none."""
_ENDS: Final = 10.0
"""Seconds that jobs are given to end, and Slurm to take them back."""
_NOTHING: Final = 2.0
"""Seconds that it is given where no job is known to be there; it answers in less unless it is away."""


@dataclass
class _Submitted:
    """A job, and how much of what it says has been read."""

    job: Any
    lines: Path
    begun: float
    """When its number was heard."""
    read: int = 0
    node: str = ""
    over: float | None = None
    """When Slurm first said that it is."""
    state: str = ""
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
        must_be_able(config)
        self._config, self._claims = config, claims
        self._place = make_folder(place / "slurm").absolute()
        self._name = f"spikewise-{secrets.token_hex(4)}"
        """Of all jobs that this process submits: by that they are found again, even one whose number was not heard."""
        self._asked = asked_of_submitit(config)
        self._submitter = Submitter(self._place, self._name, self._asked)
        self._given_up: set[str] = set()
        """Of what is being submitted."""
        self._jobs: dict[str, _Submitted] = {}
        self._here: list[subprocess.Popen[bytes]] = []
        """Jobs that are processes of this machine, to be waited for."""
        self._queue = SlurmQueue()
        self._told: list[Event] = []
        self._said: set[str] = set()
        self._looked, self._again = 0.0, 0.0
        self._most = config.jobs or (available_cores() if config.cluster == "local" else _QUEUED)
        partition = f", partition {config.partition}" if config.partition else ""
        self.where = f"{self._most} at most in the queue of Slurm{partition}"
        if config.cluster == "local":
            self.where = f"{self._most} at a time, as submitit runs jobs on this machine"

    @property
    def places(self) -> int:
        """As many as there may be in the queue; where it is full, no more than there are."""
        full = time.monotonic() < self._again
        return len(self._jobs) + len(self._submitter.names) if full else self._most

    def start(self, attempts: Sequence[Attempt]) -> None:
        """Submit some work, as one array where nothing tells it apart; what is not taken now comes back as busy."""
        works = {attempt.work.name: self._work(attempt) for attempt in attempts}
        if self._config.cluster == "local":
            self._begin_here(list(works.values()))
        elif time.monotonic() < self._again:
            self._told += [Ended(name, BUSY) for name in works]
        else:
            for avoid, group in itertools.groupby(sorted(attempts, key=_avoided), key=_avoided):
                self._submitter.submit([works[attempt.work.name] for attempt in group], avoid)

    def events(self, wait: float = 0.0) -> list[Event]:
        """What has happened since.

        Raises:
            ConfigError: Slurm refuses the jobs; or it took them, and says that none of them will ever run.
            ExecutorError: the process that submits has died.
        """
        now = time.monotonic()
        self._hear_submitter()
        if now - self._looked < _LOOK:
            time.sleep(wait)
            return self._spoken()
        self._looked = now
        if self._config.cluster == "slurm" and self._jobs and self._queue.look():
            self._mind()
        found = [event for name in list(self._jobs) for event in self._of(name, now)]
        for event in found:
            if isinstance(event, Ended):
                self._jobs.pop(event.name, None)
        return self._spoken() + found

    def cancel(self, name: str) -> None:
        """End a job."""
        submitted = self._jobs.pop(name, None)
        if submitted is None:
            self._given_up |= {name} & set(self._submitter.names)
        elif self._config.cluster == "slurm":
            called("scancel", submitted.job.job_id)  # it may be over, or Slurm away for a moment
        else:
            with contextlib.suppress(Exception):  # it may be over
                submitted.job.cancel(check=False)

    def adopt(self, attempt: Attempt, handle: str) -> bool:
        """Take over a job that an earlier process has submitted."""
        try:
            number, lines = json.loads(handle)
            found = _Submitted(self._job(str(number)), self._place / str(lines), time.monotonic())
        except (ValueError, TypeError):
            return False
        gone = not self._queue.now(str(number)).lives if self._config.cluster == "slurm" else self._is_over(found)
        if gone:
            return False
        self._jobs[attempt.work.name] = found
        return True

    def close(self) -> str:
        """End what still runs or waits; in words, what could not be ended."""
        self._queue.close()
        unheard = len(self._submitter.names)
        self._submitter.close()
        if self._config.cluster == "slurm":
            return self._cancel_all(unheard)
        for name in list(self._jobs):
            self.cancel(name)
        for process in self._here:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_ENDS)
        return ""

    def _cancel_all(self, unheard: int) -> str:
        """By their name, and by their numbers those that an earlier process submitted.

        Args:
            unheard: of how many Slurm had not said yet whether it takes them.
        """
        if not self._submitter.used and not self._jobs:
            return ""
        numbers = [submitted.job.job_id for submitted in self._jobs.values()]
        ours = [[f"--name={self._name}", f"--user={os.getuid()}"]] if self._submitter.used else []
        tried: list[Called] = []
        for which in [*ours, ["--quiet", *numbers]] if numbers else ours:
            if not any(one.code for one in tried):
                tried.append(called("scancel", *which, seconds=_ENDS if numbers or unheard else _NOTHING))
        failed = [one for one in tried if one.code]
        if not failed or not (numbers or unheard):
            return ""
        count = f"{len(numbers) + unheard} job{'s' * (len(numbers) + unheard != 1)}"
        named = f" ({', '.join(numbers)})" if numbers else ""
        return (
            f"{count} may stay in the queue of Slurm: {failed[0].said} `scancel --name={self._name}` ends them{named}; "
            "the same command takes over what goes on."
        )

    def _work(self, attempt: Attempt) -> ToSubmit:
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
        return ToSubmit(name, order, lines)

    def _begin_here(self, works: Sequence[ToSubmit]) -> None:
        """As processes of this machine, which submitit begins at once."""
        import submitit  # noqa: PLC0415  # an extra

        from spikewise.executors.slurm_job import SlurmWork  # noqa: PLC0415

        executor = submitit.AutoExecutor(self._place, cluster="local")
        executor.update_parameters(name=self._name, **self._asked)
        for work in works:
            job = executor.submit(SlurmWork(work.order, work.lines))
            self._here += [process] if (process := getattr(job, "_process", None)) is not None else []
            self._has(work, job)

    def _has(self, work: ToSubmit, job: Any) -> None:
        self._jobs[work.name] = _Submitted(job, work.lines, time.monotonic())
        self._told.append(Known(work.name, json.dumps([job.job_id, work.lines.name])))

    def _hear_submitter(self) -> None:
        """Note which jobs Slurm has taken, and which it does not take now."""
        for outcome in self._submitter.outcomes():
            if isinstance(outcome, NotNow):
                self._put_off(outcome.said)
                self._told += [Ended(work.name, BUSY) for work in outcome.works]
                continue
            for work, number in zip(outcome.works, outcome.numbers, strict=True):
                self._has(work, self._job(number))
                if work.name in self._given_up:
                    self._given_up.discard(work.name)
                    self.cancel(work.name)
        if self._submitter.waits:
            count = len(self._submitter.names)
            self._say(
                f"Slurm has not taken {count} job{'s' * (count != 1)} yet; sbatch tries again by itself, for minutes "
                "where the cluster has as many jobs as it takes.",
                "sbatch",
            )

    def _put_off(self, said: str) -> None:
        """Submit nothing for a while."""
        self._again = time.monotonic() + _FULL
        there = f"{len(self._jobs)} {'is' if len(self._jobs) == 1 else 'are'} in the queue"
        why = said.rstrip(".")
        self._say(f"Slurm takes no more jobs for now ({why}); {there}, and the others wait for a place.", why)

    def _say(self, text: str, about: str) -> None:
        """Have a person told, once."""
        if about not in self._said:
            self._said.add(about)
            self._told.append(Word(text))

    def _spoken(self) -> list[Event]:
        told, self._told = self._told, []
        return told

    def _mind(self) -> None:
        """Say what is not as it should be in the queue."""
        if self._queue.complaint:
            why = self._queue.complaint
            self._say(f"Slurm does not answer: {why}. Jobs that run go on; it is asked again.", "silent")
            return
        if "silent" in self._said:
            self._said.discard("silent")
            self._told.append(Word("Slurm answers again."))
        for name, submitted in self._jobs.items():
            seen = self._queue.of(submitted.job.job_id, since=submitted.begun)
            if seen is not None and seen.waits and submitted.node:
                submitted.node = ""
                self._told.append(Waits(name))
        numbers = [submitted.job.job_id for submitted in self._jobs.values()]
        reason = self._queue.hopeless(numbers)
        if reason:
            raise ConfigError(
                f"Slurm took the jobs, and will never run them: {reason}. They are taken back. Ask for something else "
                "with --executor and --executor-set (`scontrol show partition` says what there is)."
            )
        for why, count in self._queue.waiting(numbers).items():
            self._say(f"{count} job{'s wait' if count > 1 else ' waits'} in the queue of Slurm: {why}.", why)

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
        if self._config.cluster == "slurm":
            seen = self._queue.of(job.job_id, since=submitted.begun)
            if seen is None:
                return False
            submitted.state = seen.state
            if not seen.lives:
                submitted.node = seen.node or submitted.node
            return not seen.lives
        if getattr(job, "_process", None) is None:  # an earlier process's
            return not lives(int(job.job_id))
        return bool(job.done())

    def _why(self, submitted: _Submitted) -> str:
        """What Slurm says of a job that ended without a word."""
        with contextlib.suppress(Exception):  # nothing here may fail for the sake of words
            job, said = submitted.job, (submitted.job.stderr() or "").strip().splitlines()
            state = submitted.state or job.state
            return f"The job {job.job_id} ended ({state}). {said[-1] if said else ''}".strip()
        return "The job ended without a word."


def _avoided(attempt: Attempt) -> tuple[str, ...]:
    return attempt.avoid


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

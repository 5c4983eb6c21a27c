"""What Slurm says of our jobs: asked of `squeue`, which every cluster has; `sacct` needs an accounting database."""

import os
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from spikewise.executors.slurm_request import called

__all__ = ["QueuedJob", "SlurmQueue"]

_APART: Final = 10.0
"""Seconds between two questions: they are a burden to the controller of a large cluster."""
_LIVES: Final = frozenset({
    "PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT",
    "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD",
})  # fmt: skip
_USUAL: Final = frozenset({"None", "Resources", "Priority", "JobArrayTaskLimit", "BeginTime", "Cleaning", "Prolog"})
"""Why jobs wait in a queue that is as it should be."""
_NEVER: Final = re.compile(
    r"PartitionTimeLimit|PartitionNodeLimit|BadConstraints|InvalidAccount|InvalidQOS|AccountNotAllowed|QOSNotAllowed"
    r"|DependencyNeverSatisfied|.*PerJob(Limit)?$|.*WallDurationPerJobLimit"
    r"|.*(t use|not permitted to use) this partition"
)
"""Why they wait for ever, unless somebody changes the cluster or the jobs."""
_FORMAT: Final = "%i|%T|%r|%N"


class QueuedJob(NamedTuple):
    """A job as Slurm last described it."""

    state: str
    reason: str = ""
    node: str = ""

    @property
    def waits(self) -> bool:
        """Whether it is to begin, at first or again: after its time was up, or another job came first."""
        return self.lives and self.state not in ("RUNNING", "COMPLETING")

    @property
    def lives(self) -> bool:
        """Whether it runs, waits, or is about to."""
        return self.state in _LIVES


class SlurmQueue:
    """The jobs of this user, looked at now and then by a process that nobody waits for."""

    def __init__(self) -> None:
        self.complaint = ""
        """What Slurm said instead of an answer when it was last asked."""
        self._seen: dict[str, QueuedJob] = {}
        self._asked, self._answered = 0.0, 0.0
        self._asking: subprocess.Popen[bytes] | None = None

    def look(self) -> bool:
        """Ask again, if it is time; whether there is something new."""
        if self._asking is None:
            if time.monotonic() - self._asked < _APART:
                return False
            self._ask()
        assert self._asking is not None
        return self._asking.poll() is not None and self._heard()

    def of(self, number: str, *, since: float = 0.0) -> QueuedJob | None:
        """A job as it was seen; None where Slurm has not been asked since that moment."""
        if self._answered <= since:
            return None
        return self._seen.get(number, QueuedJob("gone from the queue"))

    def now(self, number: str) -> QueuedJob:
        """A job as it is, of which nothing was known.

        An answer that is a few seconds old will do. Where Slurm does not answer, it is taken for one that lives.
        """
        if time.monotonic() - self._answered > _APART:
            found = called(*_command())
            if found.code:
                return QueuedJob("PENDING")
            self._take(found.out, time.monotonic())
        return self._seen.get(number, QueuedJob("gone from the queue"))

    def waiting(self, numbers: Iterable[str]) -> Counter[str]:
        """Why jobs wait where that is not as usual, and how many of them."""
        seen = [self._seen[number] for number in numbers if number in self._seen]
        return Counter(one.reason for one in seen if one.state == "PENDING" and one.reason not in _USUAL)

    def hopeless(self, numbers: Iterable[str]) -> str:
        """Why none of these jobs will ever run; empty where one runs, or may."""
        seen = [self._seen[number] for number in numbers if number in self._seen]
        stuck = [one.reason for one in seen if one.state == "PENDING" and _NEVER.match(one.reason)]
        return stuck[0] if stuck and len(stuck) == sum(one.lives for one in seen) else ""

    def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.kill()
            self._asking.wait()
            self._asking = None
            self._out.close()
            self._err.close()

    def _ask(self) -> None:
        self._asked = time.monotonic()
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  # read when it has ended
        self._asking = subprocess.Popen(
            _command(), stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err, env={**os.environ, "LC_ALL": "C"}
        )

    def _heard(self) -> bool:
        assert self._asking is not None
        code, self._asking = self._asking.returncode, None
        with self._out as out, self._err as err:
            out.seek(0)
            err.seek(0)
            if code:
                said = " ".join(err.read().decode(errors="replace").split())
                self.complaint = said or f"squeue ended with code {code}"
                return True
            self.complaint = ""
            self._take(out.read().decode(errors="replace"), self._asked)
            return True

    def _take(self, text: str, asked: float) -> None:
        self._answered = asked
        rows = (line.split("|") for line in text.splitlines() if line.count("|") == 3)
        self._seen = {number.strip(): QueuedJob(state, reason, node) for number, state, reason, node in rows}


def _command() -> list[str]:
    return ["squeue", f"--user={os.getuid()}", "--noheader", "--array", "--states=all", f"--format={_FORMAT}"]

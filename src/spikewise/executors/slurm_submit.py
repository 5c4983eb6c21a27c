"""Jobs are given to Slurm by a process of their own: `sbatch` may wait for minutes.

Where a cluster has as many jobs as it takes, or its controller is busy, `sbatch` tries again for a while before it says
so; what goes on in the meantime, and Ctrl-C, should not have to wait for that.
"""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from spikewise.errors import ConfigError, ExecutorError
from spikewise.executors.lines import LineProcess
from spikewise.executors.slurm_request import called, in_a_line, is_full, is_silent

__all__ = ["NotNow", "Submitter", "Taken", "ToSubmit", "main"]

_REQUEUES: Final = 1000
"""How often a job whose time is up may go back into the queue."""
_SLOW: Final = 20.0
"""Seconds after which it is `sbatch` that waits: else it says within one or two whether Slurm takes a job. The process
that calls it loads for as long, at first."""


class ToSubmit(NamedTuple):
    """What becomes one job."""

    name: str
    """Of the work."""
    order: dict[str, Any]
    lines: Path
    """The file in which the job speaks."""


class Taken(NamedTuple):
    """Slurm has these jobs now."""

    works: Sequence[ToSubmit]
    numbers: list[str]


class NotNow(NamedTuple):
    """Slurm takes no more jobs at this moment."""

    works: Sequence[ToSubmit]
    said: str


class _Parcel(NamedTuple):
    """What is submitted together, as an array."""

    works: Sequence[ToSubmit]
    avoid: tuple[str, ...]


class Submitter:
    """Submits one parcel after the other.

    Args:
        place: folder of what is submitted.
        name: of all jobs.
        asked: what each asks for, as submitit calls it.
    """

    def __init__(self, place: Path, name: str, asked: dict[str, Any]) -> None:
        self._settings = {"place": str(place), "name": name, "asked": asked}
        self._log = place / "submitter.txt"
        self._process: LineProcess | None = None
        self._parcels: deque[_Parcel] = deque()
        self._sent: _Parcel | None = None
        self._since = 0.0
        """When it was sent."""
        self._in_steps = False
        """Whether `sbatch` has waited for a place in vain."""

    @property
    def used(self) -> bool:
        """Whether anything was submitted, or may have been."""
        return self._process is not None

    @property
    def names(self) -> list[str]:
        """Of the work of which it is not known yet whether Slurm takes it."""
        parcels = [*([self._sent] if self._sent else []), *self._parcels]
        return [work.name for parcel in parcels for work in parcel.works]

    @property
    def waits(self) -> bool:
        """Whether Slurm lets `sbatch` wait."""
        return self._sent is not None and time.monotonic() - self._since > _SLOW

    def submit(self, works: Sequence[ToSubmit], avoid: tuple[str, ...]) -> None:
        """Have some work submitted together; `outcomes` tells what became of it.

        Args:
            works: what is to be jobs of one array.
            avoid: machines that are left out where there are others.
        """
        self._parcels += self._parts(_Parcel(works, avoid)) if self._in_steps else [_Parcel(works, avoid)]
        self._next()

    def outcomes(self) -> Iterator[Taken | NotNow]:
        """What has become of it since.

        Raises:
            ConfigError: Slurm refuses it, with what it says.
            ExecutorError: the process that submits has died.
        """
        if self._process is None or self._sent is None:
            return
        code = self._process.exit_code()
        for said in self._process.answers():
            parcel, slow, self._sent = self._sent, self.waits, None
            assert parcel is not None, "it answers orders alone"
            if "numbers" in said:
                yield Taken(parcel.works, said["numbers"])
            else:
                yield from self._not_taken(parcel, said["said"], slow=slow)
            self._next()
        if code is not None and self._sent is not None:
            raise ExecutorError(
                f"The process that submits jobs to Slurm has ended with code {code} (see {self._log}). Its jobs are "
                "taken back, what is finished is kept, and the same command goes on."
            )

    def close(self) -> None:
        """End it, and `sbatch`: what waits there to be submitted never is."""
        if self._process is not None:
            self._process.kill()

    def _next(self) -> None:
        if self._sent is not None or not self._parcels:
            return
        if self._process is None:
            arguments = [json.dumps(self._settings)]
            self._process = LineProcess(__name__, arguments, self._log, {}, apart=True)
        self._sent, self._since = self._parcels.popleft(), time.monotonic()
        works = [[work.order, str(work.lines)] for work in self._sent.works]
        self._process.tell({"works": works, "avoid": self._sent.avoid})

    def _not_taken(self, parcel: _Parcel, said: str, *, slow: bool) -> Iterator[NotNow]:
        """An array is taken as a whole, or not at all; there may be room for a part of it."""
        silent, full = is_silent(said), is_full(said)
        self._in_steps |= slow and full and not silent
        if full and not silent and len(parcel.works) > 1:
            self._parcels.extendleft(reversed(self._parts(parcel)))
        elif full or silent:
            others, self._parcels = self._parcels, deque()
            yield NotNow([work for one in (parcel, *others) for work in one.works], said)
        elif parcel.avoid:  # there may be no other machines
            self._parcels.appendleft(parcel._replace(avoid=()))
        else:
            raise ConfigError(f"Slurm refused the jobs: {said} Check --executor and --executor-set.")

    def _parts(self, parcel: _Parcel) -> list[_Parcel]:
        """Halves; where each refusal takes `sbatch` minutes, 1, 2, 4 and so on: the first place is taken at once."""
        works, size = parcel.works, 1 if self._in_steps else len(parcel.works) // 2
        parts = []
        while works:
            parts.append(parcel._replace(works=works[:size]))
            works = works[size:]
            size = 2 * size if self._in_steps else len(works)
        return parts


def main() -> None:
    """Serve until there are no more orders."""
    settings = json.loads(sys.argv[1])
    orders, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    os.dup2(2, 1)  # what submitit prints goes into the log
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)  # a wrapper of `sbatch` may read what it finds there
    for line in orders:
        told = _submitted(settings, json.loads(line))
        try:
            os.write(answers, json.dumps(told).encode() + b"\n")
        except BrokenPipeError:  # whoever gave the order has died, and has not written down what nobody would find
            if "numbers" in told:
                called("scancel", *told["numbers"])
            return


def _submitted(settings: dict[str, Any], order: dict[str, Any]) -> dict[str, Any]:
    """Numbers of the jobs, or what Slurm said."""
    import submitit  # noqa: PLC0415  # an extra

    from spikewise.executors.slurm_job import SlurmWork  # noqa: PLC0415  # not for those who only give orders

    # A new one each time: machines that submitit has once been told to avoid it would avoid for ever.
    executor = submitit.AutoExecutor(settings["place"], cluster="slurm", slurm_max_num_timeout=_REQUEUES)
    others = {"slurm_exclude": ",".join(order["avoid"])} if order["avoid"] else {}
    executor.update_parameters(name=settings["name"], **settings["asked"], **others)
    works = [SlurmWork(one, Path(lines)) for one, lines in order["works"]]
    try:
        if len(works) == 1:
            jobs = [executor.submit(works[0])]
        else:
            with executor.batch():
                jobs = [executor.submit(work) for work in works]
    except Exception as error:  # of sbatch, in whatever class submitit puts it
        return {"said": in_a_line(str(error)) or f"{type(error).__name__}."}
    return {"numbers": [job.job_id for job in jobs]}


if __name__ == "__main__":
    main()

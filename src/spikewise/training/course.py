"""Where a run stands, and how long the rest of it will take."""

from collections.abc import Callable
from typing import NamedTuple

from spikewise.evaluation.results import EpochRecord

__all__ = ["Clock", "Course", "Plan", "clock_time"]

Clock = Callable[[], float]
_ALMOST = 0.999
"""Of an epoch: whole it is when it was validated."""
_TESTED = 0.5
"""Epochs that a test takes as long as: it has no backward pass, but measures speed and cost, too."""
_REPORT = 8.0
"""Seconds that comparing and writing the report take."""
_RECENT = 3
"""Epochs from which a candidate's pace is taken: the first is slower than the rest."""


class Plan(NamedTuple):
    """Every training of a run, in order: all seeds of the first side, then of the next."""

    candidates: tuple[str, ...]
    seeds: tuple[int, ...]
    tests: bool = False
    """Whether every network is tested, and a report written, when all training is over."""
    after: float = 0.0
    """Seconds of what follows the test, for each second of training."""


def clock_time(seconds: float) -> str:
    """Seconds as a clock shows them."""
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Course:
    """Where a run stands, and how long the rest will take; epochs of an earlier process count as done, not as fast.

    Trainings begin in the plan's order. Several may run at a time; one of them is spoken of.
    """

    def __init__(self, plan: Plan | None, clock: Clock) -> None:
        self.plan, self.clock = plan, clock
        self.begun = self.epoch_begun = clock()
        self.candidate, self.seed, self.epochs, self.devices = "", 0, 0, 1
        self.at: dict[tuple[str, int], float] = {}
        """Epochs that are done, with fraction, of each training that has begun."""
        self.over: set[tuple[str, int]] = set()
        self.spent: dict[str, list[float]] = {}
        self.stage_begun, self.stage_after = self.begun, 0.0
        self.stage_seconds: float | None = None

    def start(self, candidate: str, seed: int, epochs: int, done: int) -> None:
        """A training begins, or goes on."""
        self.candidate, self.seed, self.epochs = candidate, seed, epochs
        self.at[candidate, seed] = done
        self.over.discard((candidate, seed))
        self.epoch_begun = self.clock()

    def turn(self, candidate: str, seed: int, devices: int) -> None:
        """Another training is spoken of."""
        self.candidate, self.seed, self.devices = candidate, seed, devices

    def batch(self, images: int, total: int) -> float:
        """Images per second in this epoch."""
        self.at[self.candidate, self.seed] = int(self.at[self.candidate, self.seed]) + min(images / total, _ALMOST)
        return images / max(self.clock() - self.epoch_begun, 1e-9)

    def epoch(self, record: EpochRecord) -> None:
        """An epoch of the training that is spoken of is over."""
        self.spent.setdefault(self.candidate, []).append(record.seconds)
        self.at[self.candidate, self.seed] = record.epoch
        self.epoch_begun = self.clock()

    def finish(self) -> None:
        """Of the training that is spoken of; patience may have ended it early."""
        self.over.add((self.candidate, self.seed))
        self.at[self.candidate, self.seed] = self.epochs

    def running(self, candidate: str) -> list[float]:
        """Epochs done by each of a candidate's trainings that are not over."""
        return [done for one, done in self.at.items() if one[0] == candidate and one not in self.over]

    def finished(self, candidate: str) -> int:
        """How many of a candidate's trainings are over, in this process or in an earlier one."""
        if self.plan is None or candidate not in self.plan.candidates:
            return sum(one[0] == candidate for one in self.over)
        ahead = set(self._ahead)
        return sum(one in self.over or (one not in self.at and one not in ahead)
                   for one in ((candidate, seed) for seed in self.plan.seeds))  # fmt: skip

    @property
    def _ahead(self) -> list[tuple[str, int]]:
        """Trainings that have not begun; those that were passed over were done earlier."""
        if self.plan is None:
            return []
        order = [(candidate, seed) for candidate in self.plan.candidates for seed in self.plan.seeds]
        last = max((order.index(one) for one in self.at if one in order), default=-1)
        return order[last + 1 :]

    @property
    def total(self) -> int:
        """Epochs of all trainings."""
        return len(self.plan.candidates) * len(self.plan.seeds) * self.epochs if self.plan else self.epochs

    @property
    def epochs_done(self) -> float:
        """Of all trainings, with fraction."""
        if self.plan is None:
            return self.at.get((self.candidate, self.seed), 0)
        return self.total - sum(self.epochs - done for done in self.at.values()) - len(self._ahead) * self.epochs

    def left(self) -> str:
        """Time left in words; "at most" while one has not shown its speed: the slowest, spiking, comes first."""
        if not self.spent:
            return ""
        paces = {candidate: sum(times[-_RECENT:]) / len(times[-_RECENT:]) for candidate, times in self.spent.items()}
        slowest = max(paces.values())
        begun = self.at.items() if self.plan else [((self.candidate, self.seed), self.epochs_done)]
        rest = [(candidate, self.epochs - done) for (candidate, _), done in begun if done < self.epochs]
        rest += [(candidate, self.epochs) for candidate, _ in self._ahead]
        seconds = sum(epochs * paces.get(candidate, slowest) for candidate, epochs in rest) / self.devices
        unseen = any(candidate not in paces for candidate, _ in rest)
        seconds += self._afterwards(
            {candidate: paces.get(candidate, slowest) for candidate in self.plan.candidates} if self.plan else {}
        )
        return f"{'at most' if unseen else 'about'} {clock_time(seconds)} left"

    def _afterwards(self, paces: dict[str, float]) -> float:
        """Seconds that follow the last training."""
        if self.plan is None:
            return 0.0
        epoch = sum(paces.values()) * len(self.plan.seeds)
        return (_TESTED * epoch + _REPORT if self.plan.tests else 0.0) + self.plan.after * self.epochs * epoch

    def stage(self, seconds: float | None, after: float) -> None:
        """Something else begins."""
        self.stage_begun, self.stage_seconds, self.stage_after = self.clock(), seconds, after

    def stage_words(self) -> str:
        """How long it goes on, and how long the rest of the run will take."""
        passed = self.clock() - self.stage_begun
        if self.stage_seconds is None:
            return clock_time(passed)
        left = max(self.stage_seconds - passed, 0.0) + self.stage_after
        return f"{clock_time(passed)} of about {clock_time(self.stage_seconds)}; about {clock_time(left)} left in all"

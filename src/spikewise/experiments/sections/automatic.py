"""The sections of a run, made by themselves after the answer, within a budget; the report is renewed as they come."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from spikewise.evaluation import Results
from spikewise.evaluation.reservations import at_chance
from spikewise.evaluation.sections import SectionName
from spikewise.evaluation.wording import listed
from spikewise.experiments.candidates import Candidate
from spikewise.experiments.sections import keep_section, note_skipped
from spikewise.experiments.sections.budget import Budget
from spikewise.experiments.sections.expected import Pace, paces_of, section_seconds
from spikewise.experiments.sections.study import Study
from spikewise.report.numbers import duration
from spikewise.training import Listener

__all__ = ["COMMANDS", "Sequel"]

COMMANDS: Final[Mapping[SectionName, str]] = {
    "anytime": "spikewise anytime RUN",
    "calibration": "spikewise calibrate RUN",
    "robustness": "spikewise robustness RUN",
    "explanations": "spikewise explain RUN",
    "diagnosis": "spikewise diagnose RUN",
}
"""What makes a section that was left out; the others come with --thorough."""
_ORDER: Final[tuple[SectionName, ...]] = (
    "audit",
    "yardsticks",
    "diagnosis",
    "calibration",
    "anytime",
    "explanations",
    "robustness",
)
"""What may change the answer first, what takes longest last."""
_OF_THE_ABLE: Final[frozenset[SectionName]] = frozenset({"calibration", "anytime", "explanations", "robustness"})
"""Sections that say nothing of a network that guesses."""
_RARELY: Final = 4.0
"""The report is renewed when sections took so many times as long as renewing it takes."""
_USUAL: Final = 5.0
"""Seconds that renewing takes, until one has been seen."""


class Sequel:
    """What follows the answer of a run: its sections, and a report that shows them.

    Args:
        thorough: every section is made whole, however long it takes; what was made with less is made again.
    """

    def __init__(
        self,
        study: Study,
        listener: Listener,
        *,
        thorough: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.study, self.listener, self.thorough = study, listener, thorough
        self.folder = study.setting.folder
        self.page = _Page(self.folder.path, clock)
        self.clock = clock
        self.budget = self._budget()

    def _budget(self) -> Budget:
        """What is left of the time of this run's sections; it runs from now on."""
        results = Results.load(self.folder.results)
        trained = sum(run.train_seconds for network in results.networks for run in network.runs)
        # The audit comes before the training, and what it takes goes by the images.
        spent = sum(taken for name, taken in results.sections.seconds.items() if name != "audit")
        return Budget(trained, spent, unlimited=self.thorough, clock=self.clock)

    def waiting(self, names: Sequence[SectionName]) -> list[SectionName]:
        """Those of the named sections that are to be made, in the order in which they are."""
        there = Results.load(self.folder.results).sections
        again = {*there.less, *there.skipped} if self.thorough else set[str]()
        missing = {name for name in names if getattr(there, name) is None and name not in there.skipped}
        return [name for name in _ORDER if name in missing or (name in names and name in again)]

    def make(self, names: Sequence[SectionName]) -> None:
        """Make the named sections that are not there, and have the report show all that are.

        Raises:
            KeyboardInterrupt: Ctrl-C; it says what stands and what is missing.
        """
        waiting, self.budget = self.waiting(names), self._budget()
        paces = paces_of(self.study, Results.load(self.folder.results))
        if set(waiting) - {"audit"} and not self.thorough:
            self.listener.said(
                f"Sections follow, at most {duration(self.budget.left)} (a quarter of the training's time; --thorough "
                "makes them whole). Ctrl-C keeps what is there."
            )
        with self._kept(waiting):
            while waiting:
                self._one(waiting[0], waiting[1:], paces)
                del waiting[0]
        self.page.renew()

    @contextmanager
    def _kept(self, waiting: Sequence[SectionName]) -> Iterator[None]:
        """Whatever happens to a section, the report shows those that are there."""
        try:
            yield
        except KeyboardInterrupt:
            self.page.renew()
            missing = f"section{'s' * (len(waiting) > 1)} {listed(list(waiting))}"
            raise KeyboardInterrupt(
                f"Interrupted before the run had its {missing}. The answer and all else stand in {self.page.path}. The "
                "same command goes on where this one stopped."
            ) from None
        except BaseException:
            self.page.renew()
            raise

    def _one(self, name: SectionName, others: Sequence[SectionName], paces: Mapping[str, Pace]) -> None:
        able, guessing = self._able(name)
        if not able:
            self._leave_out(name, f"{listed(guessing)} {_is(guessing)} not better than guessing")
            return
        study = self.study._replace(candidates=able)
        expected = section_seconds(name, study, paces)
        share = self.budget.share(expected, last=not others)
        if share is None and name == "robustness" and self.budget.left > 0:
            share = 1.0  # it fits itself into the time that is left
        if share is None:
            self._leave_out(name, self._no_time(expected))
            return
        self._announce(name, share * expected, sum(section_seconds(one, self.study, paces) for one in others))
        left = None if self.thorough else lambda: self.budget.left
        besides = f"without {listed(guessing)}, not better than guessing" if guessing else ""
        if not keep_section(study._replace(share=share, left=left), name, besides=besides):
            self._leave_out(name, self._no_time(expected))
        self.page.stale = True
        self.budget.pause(self.page.renew_rarely())

    def _able(self, name: SectionName) -> tuple[list[Candidate], list[str]]:
        """Whom a section looks at, and whom not: it would say nothing of networks that guess."""
        if self.thorough or name not in _OF_THE_ABLE:
            return list(self.study.candidates), []
        networks = {one.name: one for one in Results.load(self.folder.results).networks}
        guessing = [one.name for one in self.study.candidates if at_chance(networks[one.name])]
        return [one for one in self.study.candidates if one.name not in guessing], guessing

    def _announce(self, name: SectionName, seconds: float, after: float) -> None:
        if not self.thorough:
            seconds = min(seconds, self.budget.left)
            after = min(after, self.budget.left - seconds)
        self.listener.stage(name, seconds, after=after)

    def _leave_out(self, name: SectionName, why: str) -> None:
        command = COMMANDS.get(name)
        why += f"; `{command}` makes it" if command else "; --thorough makes it"
        note_skipped(self.study, name, why)
        self.page.stale = True
        self.listener.said(f"{name.capitalize()}: left out, {why}.")

    def _no_time(self, expected: float) -> str:
        return f"it takes about {duration(expected)}, and {duration(self.budget.left)} are left for sections"


class _Page:
    """The report of a run, which is renewed now and then while sections are made."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        from spikewise.report import Report  # noqa: PLC0415  # draws: a cell of a sweep writes no report

        self.path, self._report, self._clock = folder / "report.html", Report(folder), clock
        self.stale = not _is_current(self.path, folder / "results.json")
        self._cost, self._since = _USUAL, clock()

    def renew(self) -> float:
        """Write it if something has changed since; seconds that this took."""
        if not self.stale:
            return 0.0
        started = self._clock()
        self._report.write()
        self.stale, self._since = False, self._clock()
        self._cost = self._since - started
        return self._cost

    def renew_rarely(self) -> float:
        """The same, unless renewing it would take a large part of the time."""
        return self.renew() if self._clock() - self._since >= _RARELY * self._cost else 0.0


def _is_current(page: Path, results: Path) -> bool:
    """Whether the page was written after the results; one whose run was killed in between was not."""
    return page.exists() and page.stat().st_mtime_ns >= results.stat().st_mtime_ns


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"

"""The trainings of a comparison, and the trials of a search, one by one on whatever executor there is.

Each side and seed is a piece of work that lies in its own part of the run folder, with its checkpoint; the learning
rate of a side is one before them. The command that gave the work may die: the next one finds what is done, waits for
what others are at, and begins the rest.
"""

import functools
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from spikewise.data import Progress
from spikewise.errors import TrainingError
from spikewise.executors import AnyExecutor, Spoken, Tally, Work, WorkEnd, open_executor, run_all
from spikewise.experiments.candidates import Candidate
from spikewise.experiments.experiment import Experiment, RunKind
from spikewise.experiments.rates import find_rates, rates_in_words
from spikewise.experiments.run_folder import LOCK
from spikewise.experiments.setting import Setting
from spikewise.training import Listener
from spikewise.training.loop import FIT

__all__ = ["finish_on", "train_on", "work_through"]

_PLACE: Final = ".work"
"""Folder of claims and logs in that of a run, while it is being worked through."""
_READ: Final = ("run.json", "experiment.toml")


def train_on(
    executor: AnyExecutor,
    setting: Setting,
    candidates: Sequence[Candidate],
    listener: Listener,
    tell: Progress | None = None,
) -> None:
    """Find the learning rates of all candidates and train them with every seed; what is finished is left alone.

    Args:
        tell: told how many of the trainings are done.
    Raises:
        TrainingError: some failed; the others are finished.
        ExecutorError: the executor cannot be reached.
    """
    if not len(setting.split.validation):  # no rate can be looked for: that is quickly said
        find_rates(setting, candidates, listener)
    parts = _Parts(setting)
    searched = {parts.rate(one).name: one for one in candidates if parts.is_to_find(one)}
    works = [
        work
        for one in candidates
        for work in ([parts.rate(one)] if parts.rate(one).name in searched else parts.trainings(one))
    ]
    if not works:
        return

    def then(outcome: WorkEnd) -> Iterable[Work]:
        """With its rate, a side can be trained."""
        one = searched.get(outcome.work.name)
        return () if one is None or outcome.error is not None else parts.trainings(one)

    work_through(executor, setting.folder.path, works, listener, tell, then=then)
    found = rates_in_words(setting, list(searched.values()))
    if found:
        listener.said(found)


def finish_on(executor: AnyExecutor, setting: Setting, kind: RunKind, listener: Listener) -> None:
    """Test and compare where the networks were trained, as this machine lacks the device.

    Raises:
        TrainingError: it failed there.
        ExecutorError: the executor cannot be reached.
    """
    path = setting.folder.path
    arguments = {"experiment": setting.experiment.model_dump(mode="json"), "kind": kind, **_where(setting.data_dir)}
    work = Work(
        name="test",
        label="test and comparison",
        call="spikewise.experiments.work:run_whole",
        folder=path,
        done="results.json",
        lock=LOCK,
        log=path / _PLACE / "logs" / "test.txt",
        arguments=lambda: arguments,
    )
    work_through(executor, path, [work], listener)


def work_through(  # what it works with
    executor: AnyExecutor,
    path: Path,
    works: Sequence[Work],
    listener: Listener,
    tell: Progress | None = None,
    *,
    then: Any = None,
) -> None:
    """Have the parts of one run folder done.

    Args:
        path: the folder.
        tell: told how many are done.
        then: gives the work that follows an outcome.
    Raises:
        TrainingError: some failed; the others are finished.
        ExecutorError: the executor cannot be reached.
    """
    ready = open_executor(executor, path / _PLACE, path / _PLACE / "claims")
    failed: list[WorkEnd] = []
    tally = Tally(len(works), 0, ready.executor.places)

    def ended(outcome: WorkEnd) -> Iterable[Work]:
        if outcome.error is not None:
            failed.append(outcome)
        if tell is not None:
            tell("trainings", tally.done, tally.total)
        return then(outcome) if then is not None else ()

    watcher = Spoken(tally, listener.said, "pieces of work", ready.where)
    run_all(works, ready.executor, watcher, claims=path / _PLACE / "claims", ended=ended, rules=ready.rules)
    if failed:
        rest = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise TrainingError(
            f"{failed[0].work.label}{rest} failed: {failed[0].error} What is finished is kept; the same command tries "
            "the others again."
        )
    shutil.rmtree(path / _PLACE, ignore_errors=True)


class _Parts:
    """The pieces of work of a run."""

    def __init__(self, setting: Setting) -> None:
        self._setting, self._path = setting, setting.folder.path
        self._experiment: Experiment = setting.experiment

    def is_to_find(self, candidate: Candidate) -> bool:
        """Whether its learning rate is still to be looked for."""
        return self._setting.is_tuned(candidate) and not self._setting.tuning_file(candidate).exists()

    def rate(self, candidate: Candidate) -> Work:
        """Finding the learning rate of one side; its first seed may be trained by that."""
        name, first = candidate.name, self._experiment.seeds[0]
        lock = f"tuning/.{name}.lock"
        return self._work(
            f"{name}-rate",
            f"{name}, learning rate",
            "find_rate",
            done=f"tuning/{name}.json",
            lock=lock,
            writes=(f"tuning/{name}", f"tuning/{name}.json", f"networks/{name}/seed-{first}"),
            reads=_READ,
            arguments={"side": candidate.kind, "lock": lock},
        )

    def trainings(self, candidate: Candidate) -> list[Work]:
        """Those of one side that are not done."""
        works = [self._training(candidate, seed) for seed in self._experiment.seeds]
        return [work for work in works if not work.is_done()]

    def _training(self, candidate: Candidate, seed: int) -> Work:
        name = candidate.name
        part = f"networks/{name}/seed-{seed}"
        return self._work(
            f"{name}-seed-{seed}",
            f"{name} seed {seed}",
            "train_one",
            done=f"{part}/{FIT}",
            lock=f"{part}/{LOCK}",
            writes=(part,),
            reads=(*_READ, f"tuning/{name}.json"),
            arguments={"side": candidate.kind, "seed": seed},
        )

    def _work(self, name: str, label: str, call: str, *, arguments: dict[str, Any], **parts: Any) -> Work:
        return Work(
            name=name,
            label=label,
            call=f"spikewise.experiments.work:{call}",
            folder=self._path,
            log=self._path / _PLACE / "logs" / f"{name}.txt",
            arguments=functools.partial(dict, arguments, **_where(self._setting.data_dir)),
            **parts,
        )


def _where(data_dir: Path | None) -> dict[str, str | None]:
    return {"data_dir": None if data_dir is None else str(data_dir.absolute())}

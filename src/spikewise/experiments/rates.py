"""The learning rate of each candidate, found before training by as many short trainings for each.

An opponent with a rate that suits somebody else is a weak one. Each candidate tries four rates about half a decade
apart, each in a short training (`training/short.py`) with the first seed; the one with the lowest cross-entropy on
validation images is taken. Where it stands at an end of the four, one more is tried beyond, for every candidate alike.
Where a trial is less than a quarter of a training, and another rate comes close to the best, both are trained whole
with the first seed: few updates like higher rates than many do. The better of the two is that seed's training. The test
part is not looked at. Everything stands in `tuning/` of the run folder: what is finished is never done again.
"""

import functools
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from spikewise.data import Progress
from spikewise.errors import TrainingError
from spikewise.evaluation import EpochRecord
from spikewise.evaluation.tuning import RateTrial, Tuning
from spikewise.experiments.candidates import Candidate
from spikewise.experiments.devices import spread_over
from spikewise.experiments.setting import Setting, task_of
from spikewise.files import make_folder, write_json
from spikewise.reading import read_record
from spikewise.report.numbers import duration
from spikewise.training import FitResult, Listener, Silent
from spikewise.training.config import SGD, TrainConfig
from spikewise.training.loop import FIT
from spikewise.training.short import Short, is_long_enough, short_task
from spikewise.training.together import Training, fit_all
from spikewise.training.update import Task

__all__ = ["find_rates", "rate_grid", "rates_in_words"]

_RATES: Final = (3e-4, 1e-3, 3e-3, 1e-2)
_BEYOND: Final = (1e-4, 3e-2)
_SGD_TIMES: Final = 10.0
"""Steps of gradient descent are as long as the gradient, which is short; Adam's have the length of the rate."""
_TRIAL = "trial.json"
_CLOSE: Final = 1.05
"""Cross-entropy of a short training, relative to the best one's, up to which a whole one may still turn them round."""
_SHORT, _WHOLE = "rate-", "whole-"
"""Before the rate, in the name of a trial's folder."""


def rate_grid(train: TrainConfig) -> tuple[float, ...]:
    """The rates that every candidate tries."""
    return tuple(_scaled(train, rate) for rate in _RATES)


def _scaled(train: TrainConfig, rate: float) -> float:
    return float(f"{rate * (_SGD_TIMES if isinstance(train.optimizer, SGD) else 1):.3g}")


def find_rates(
    setting: Setting, candidates: Sequence[Candidate], listener: Listener | None = None, tell: Progress | None = None
) -> None:
    """Find the rates of all candidates that are to be tuned, and keep them in the run folder.

    Args:
        listener: told what came of it, in one line.
        tell: told how far it is.
    Raises:
        TrainingError: the memory is too small for an update.
        StorageError: the disk is full; what is finished is kept.
    """
    searches = [_Search(setting, one) for one in candidates if setting.is_tuned(one)]
    open_ones = [one for one in searches if not one.file.exists()]
    if not open_ones:
        return
    listener = listener or Silent()
    if not len(setting.split.validation):
        for one in open_ones:
            one.give_up("there are no validation images to choose on")
        listener.said(f"Learning rates were not tuned: {open_ones[0].tuning().why}.")
        return
    _train(open_ones, [[*rate_grid(setting.experiment.train)] for _ in open_ones], listener, tell)
    _train(open_ones, [one.beyond() for one in open_ones], listener, tell)
    _train_whole(open_ones, listener)
    for one in open_ones:
        one.keep()
    listener.said(_in_words(searches))


def rates_in_words(setting: Setting, candidates: Sequence[Candidate]) -> str | None:
    """What was found for some candidates, in one line; None where nothing was looked for."""
    searches = [_Search(setting, one) for one in candidates if setting.is_tuned(one)]
    return _in_words(searches) if any(search.tuning().trials for search in searches) else None


def _train(searches: list["_Search"], rates: list[list[float]], listener: Listener, tell: Progress | None) -> None:
    """Train what has not been tried yet; all candidates together, so that a GPU is shared."""
    trainings = [training for search, some in zip(searches, rates, strict=True) for training in search.trainings(some)]
    of = {training.folder: search for search in searches for training in trainings if search.has(training)}
    if trainings:
        fit_all(
            trainings,
            lambda training, result: of[training.folder].note(training, result),
            _Ears(listener, tell, trainings),
            failed=lambda training, error: of[training.folder].note_failure(training, error),
        )


def _train_whole(searches: list["_Search"], listener: Listener) -> None:
    """Train whole what short trainings cannot tell apart."""
    of: dict[Path, _Search] = {}
    trainings = []
    for search in searches:
        close = search.close()
        if close:
            rates = " and ".join(f"{rate:g}" for rate in close)
            listener.said(
                f"{search.candidate.name}: learning rates {rates} are close after {search.short.updates} updates; each "
                f"is trained whole with seed {search.seed}, and the better one stays."
            )
        for training in search.whole_trainings(close):
            of[training.folder] = search
            trainings.append(training)
    if trainings:
        fit_all(
            trainings,
            lambda training, result: of[training.folder].note(training, result),
            listener,
            failed=lambda training, error: of[training.folder].note_failure(training, error),
        )


class _Search:
    """The trials of one candidate."""

    def __init__(self, setting: Setting, candidate: Candidate) -> None:
        self.setting, self.candidate = setting, candidate
        self.file = setting.tuning_file(candidate)
        self.folder = self.file.with_suffix("")
        self._devices = spread_over(setting.device)

    @property
    def seed(self) -> int:
        """Of all trials."""
        return self.setting.experiment.seeds[0]

    @functools.cached_property
    def whole(self) -> Task:
        """The training itself, but for the rate."""
        setting = self.setting
        return task_of(setting.experiment, setting.images, setting.split, self.candidate, self.seed)

    @functools.cached_property
    def short(self) -> Short:
        """What a trial trains, but for the rate."""
        return short_task(self.whole)

    def place(self, rate: float, kind: str = _SHORT) -> Path:
        """Folder of a trial."""
        return self.folder / f"{kind}{rate:g}"

    def has(self, training: Training) -> bool:
        """Whether it is one of this candidate."""
        return training.folder.parent == self.folder

    def trainings(self, rates: Sequence[float]) -> list[Training]:
        """What is left to be trained for some rates."""
        return self._trainings(self.short.task, rates, _SHORT)

    def whole_trainings(self, rates: Sequence[float]) -> list[Training]:
        """What is left to be trained whole."""
        return self._trainings(self.whole, rates, _WHOLE)

    def _trainings(self, task: Task, rates: Sequence[float], kind: str) -> list[Training]:
        network = functools.partial(self.setting.network, self.candidate, self.seed)
        return [
            Training(
                replace(task, train=task.train.replace(learning_rate=rate)),
                self.place(rate, kind),
                self._devices[number % len(self._devices)],
                network,
            )
            for number, rate in enumerate(rates)
            if not (self.place(rate, kind) / _TRIAL).exists()
        ]

    def close(self) -> tuple[float, ...]:
        """The two rates that a short training cannot tell apart, lower first; none where it can, or is long enough."""
        good = sorted(
            (trial for trial in self.tried() if trial.cross_entropy is not None),
            key=lambda trial: (_loss(trial.cross_entropy), trial.learning_rate),
        )
        if is_long_enough(self.whole) or len(good) < 2:
            return ()
        first, second = good[:2]
        if _loss(second.cross_entropy) > _CLOSE * _loss(first.cross_entropy):
            return ()
        return tuple(sorted((first.learning_rate, second.learning_rate)))

    def note(self, training: Training, result: FitResult) -> None:
        """Keep what came of a trial: its figures after the epoch that was best for them."""
        best = min(result.history, key=lambda epoch: _loss(epoch.validation_loss))
        if training.folder.name.startswith(_WHOLE):
            write_json(training.folder / FIT, result.notes())
        self._keep(training, best, result.seconds)

    def note_failure(self, training: Training, error: TrainingError) -> None:
        """Keep why a trial has no figures."""
        self._keep(training, None, 0.0, str(error))

    def _keep(self, training: Training, best: EpochRecord | None, seconds: float, failure: str = "") -> None:
        trial = RateTrial(
            learning_rate=training.task.train.rate,
            cross_entropy=None if best is None else best.validation_loss,
            accuracy=None if best is None else best.validation_accuracy,
            seconds=seconds,
            failure=failure,
        )
        write_json(make_folder(training.folder) / _TRIAL, trial.model_dump(mode="json"))
        if training.folder.name.startswith(_WHOLE):
            return  # it may be the first seed's
        for file in training.folder.iterdir():  # weights and moments are large, and nobody wants them any more
            if file.name != _TRIAL:
                file.unlink(missing_ok=True)

    def tried(self, kind: str = _SHORT) -> list[RateTrial]:
        """The trials so far, by rate."""
        found = [read_record(file, RateTrial) for file in self.folder.glob(f"{kind}*/{_TRIAL}")]
        return sorted(found, key=lambda trial: trial.learning_rate)

    def best(self, kind: str = _SHORT) -> RateTrial | None:
        """The one with the lowest cross-entropy, of equals the one with the lower rate; None where all diverged."""
        return min(
            (trial for trial in self.tried(kind) if trial.cross_entropy is not None),
            key=lambda trial: (_loss(trial.cross_entropy), trial.learning_rate),
            default=None,
        )

    def beyond(self) -> list[float]:
        """One rate more, where the best one stands at an end of those that every candidate tries."""
        train = self.setting.experiment.train
        rates, best = rate_grid(train), self.best()
        below, above = (_scaled(train, rate) for rate in _BEYOND)
        if best is None or best.learning_rate in (rates[0], below):
            return [below]
        return [above] if best.learning_rate in (rates[-1], above) else []

    def keep(self) -> None:
        """Write down the rate that was found."""
        best = self.best(_WHOLE) or self.best()
        if best is None:
            self.give_up("every trial diverged")
            return
        self._write(best.learning_rate, tuned=True)

    def give_up(self, why: str) -> None:
        """Write down that the usual rate is taken."""
        self._write(TrainConfig().rate, tuned=False, why=why)

    def _write(self, rate: float, *, tuned: bool, why: str = "") -> None:
        tried, whole = self.tried(), self.tried(_WHOLE)
        others = (trial for trial in whole if trial.learning_rate != rate)
        found = Tuning(
            tuned=tuned,
            learning_rate=rate,
            trials=tuple(tried),
            whole=tuple(whole),
            updates=self.short.updates,
            images=len(self.short.task.split.validation),
            seconds=sum(trial.seconds for trial in (*tried, *others)),
            why=why,
        )
        make_folder(self.file.parent)
        write_json(self.file, found.model_dump(mode="json"))
        self._adopt(self.place(rate, _WHOLE))
        shutil.rmtree(self.folder, ignore_errors=True)

    def _adopt(self, trained: Path) -> None:
        """The better whole training is the first seed's: with the rate that was found it would have the same bits."""
        own = self.setting.folder.training(self.candidate.name, self.seed)
        if trained.exists() and not (own / FIT).exists():
            (trained / _TRIAL).unlink()
            make_folder(own.parent)
            shutil.rmtree(own, ignore_errors=True)
            trained.rename(own)

    def tuning(self) -> Tuning:
        """What was found."""
        return self.setting.tuning(self.candidate)


class _Ears:
    """Listens to trials, and tells how many of their epochs are done."""

    def __init__(self, listener: Listener, tell: Progress | None, trainings: Sequence[Training]) -> None:
        self._listener, self._tell, self._done = listener, tell, 0
        self._total = sum(_epochs(training) for training in trainings)

    def said(self, text: str) -> None:
        """Passed on."""
        self._listener.said(text)

    def started(self, network: str, seed: int, *, epochs: int, done: int) -> None:
        """An earlier process may have done some."""
        del network, seed, epochs
        self._count(done)

    def turned(self, network: str, seed: int, *, devices: int) -> None:
        """Nothing: they all count alike."""

    def batch(self, *, images: int, total: int, loss: float) -> None:
        """Nothing: an epoch is short."""

    def epoch(self, record: EpochRecord) -> None:
        """One more."""
        del record
        self._count(1)

    def finished(self) -> None:
        """Nothing: the last epoch has said it."""

    def stage(self, what: str, seconds: float | None = None, *, after: float = 0.0) -> None:
        """Nothing: a training has none."""

    def _count(self, more: int) -> None:
        self._done += more
        if self._tell is not None:
            self._tell("trying learning rates", self._done, self._total)


def _epochs(training: Training) -> int:
    epochs = training.task.train.epochs
    assert epochs != "auto"  # short trainings are resolved
    return epochs


def _loss(value: float | None) -> float:
    return float("inf") if value is None else value


def _in_words(searches: Sequence[_Search]) -> str:
    found = [(search.candidate.name, search.tuning()) for search in searches]
    most = max(len(tuning.trials) for _, tuning in found)
    least = min(len(tuning.trials) for _, tuning in found)
    count = f"{most}" if most == least else f"{least} or {most} (one more where the best stood at an end)"
    rates = ", ".join(f"{name} {_said(tuning)}" for name, tuning in found)
    first = found[0][1]
    return (
        f"Learning rates, by {count} trainings of {first.updates} updates for each side, judged on {first.images:,} "
        f"validation images: {rates}; {duration(sum(tuning.seconds for _, tuning in found))}."
    )


def _said(tuning: Tuning) -> str:
    return f"{tuning.learning_rate:g}" + ("" if tuning.tuned else f" ({tuning.why})")

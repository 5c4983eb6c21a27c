"""`tune`: the same number of trials for every candidate of a comparison, judged on validation images alone.

A comparison is fair only if both sides were tuned equally hard. Each trial draws settings at random (Bergstra and
Bengio, "Random search for hyper-parameter optimization", JMLR 13, 2012), trains one network and scores it on the
validation part; the test part is taken away before anything is trained. Trial 0 has the settings as they were given,
so tuning never ends below them on validation.

The folder `tune-DATA-IDENTITY` holds trials/SIDE/trial-NNN (weights, trial.json), SIDE.toml with the best settings,
and tune.json. A killed search goes on where it stopped, and more trials can be added later.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tomli_w

from spikewise.data import ImageSet, Progress, Split, load_data, split
from spikewise.errors import ConfigError, TrainingError
from spikewise.evaluation import classification_metrics
from spikewise.evaluation.prediction import predict
from spikewise.evaluation.record import Count, Number, Record
from spikewise.executors import AnyExecutor, Work
from spikewise.experiments.candidates import SMALL_CNN, candidates_of
from spikewise.experiments.devices import resolve_automatic
from spikewise.experiments.elsewhere import work_through
from spikewise.experiments.experiment import CandidateKind, Experiment, parse_experiment
from spikewise.experiments.facts import resolve_device
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.readiness import readiness_of
from spikewise.experiments.run_folder import LOCK, RunFolder, locked
from spikewise.experiments.setting import Setting, task_of
from spikewise.experiments.settings import Change, changed, number_at
from spikewise.experiments.spread import as_placed, is_elsewhere
from spikewise.files import make_folder, write_json, write_text
from spikewise.reading import read_record
from spikewise.training import Listener, Silent, fit
from spikewise.training.memory import Loaded, check_update

__all__ = ["Trial", "Tuned", "TunedCandidate", "drawn_settings", "run_trial", "tune"]

_SEARCH = 17
"""Key of the random draws: the same trials for everybody."""
_DONE = "trial.json"


class Trial(NamedTuple):
    """One training of the search."""

    number: int
    settings: dict[str, float]
    """What was drawn, by dotted key; empty for the settings as they were given."""
    validation: dict[str, float | None]
    """Metrics on the validation part; empty where the training failed."""
    score: float | None
    """What is maximised; None where the training failed."""
    failure: str = ""


class _Stored(Record):
    """`Trial` as JSON holds it."""

    number: Count
    settings: dict[str, float]
    validation: dict[str, Number]
    score: float | None
    failure: str = ""


class TunedCandidate(NamedTuple):
    """The search of one candidate."""

    kind: CandidateKind
    trials: tuple[Trial, ...]
    best: Trial
    file: Path
    """The experiment with the best settings, this candidate alone."""


class Tuned(NamedTuple):
    """A finished search."""

    folder: Path
    monitor: str
    sides: tuple[TunedCandidate, ...]

    def __repr__(self) -> str:
        best = ", ".join(
            f"{side.kind} {self.monitor} {side.best.score:.4g} of {len(side.trials)} trials" for side in self.sides
        )
        return f"<search in {self.folder}: {best}>"


def tune(  # noqa: PLR0913  # what a search may be told
    experiment: Experiment,
    *,
    trials: int,
    out: Path = Path("runs"),
    data_dir: Path | None = None,
    listener: Listener | None = None,
    decoding: Progress | None = None,
    executor: AnyExecutor | None = None,
) -> Tuned:
    """Search settings for every candidate of an experiment, `trials` trainings each, with the experiment's first seed.

    Args:
        executor: what does the trials, each by itself; None: this process, one after the other.
    Raises:
        ConfigError: no trial, no validation images, or all trainings of a candidate failed.
        SpikewiseError: with one clear message; finished trials stay on disk.
    """
    if trials < 1:
        raise ConfigError(f"The number of trials is at least 1; got {trials}.")
    experiment, elsewhere = as_placed(experiment, executor), is_elsewhere(executor)
    ready = readiness_of(executor, [experiment], out, "tune", done="tune.json")
    images = load_data(experiment.data, data_dir=data_dir, progress=decoding)
    parts = split(images, experiment.split)._replace(test=np.empty(0, dtype=np.int64))
    if not len(parts.validation):
        raise ConfigError(f"{images.name} has no validation images to tune on. Set split.validation, such as 0.15.")
    listener = listener or Silent()
    # Learning rates are drawn with everything else: nothing is tuned inside of a trial.
    train = experiment.train.replace(learning_rate=experiment.train.rate)
    experiment = experiment.replace(train=train, tuned=())
    elsewhere = elsewhere or ready.refusal is not None
    experiment = resolve_automatic(
        experiment, "compare", images, parts, out=out, prefix="tune", say=listener.said, elsewhere=elsewhere
    )
    path = out / experiment.folder_name("tune", images.name)
    if not _are_done(path, experiment.sides, trials):
        ready.insist()
    folder = RunFolder.create(path, experiment, "tune", NotedImages.of(images))
    with folder.lock():
        search = _Search(experiment, images, parts, folder, listener)
        works = [work for kind in experiment.sides for work in search.works(kind, trials, data_dir)]
        if executor is not None and works:
            work_through(executor, path, works, listener, decoding)
        found = tuple(search.candidate(kind, trials) for kind in experiment.sides)
        write_json(
            path / "tune.json", {searched.kind: [one._asdict() for one in searched.trials] for searched in found}
        )
    return Tuned(path, experiment.train.monitor, found)


def drawn_settings(experiment: Experiment, kind: CandidateKind, number: int) -> dict[str, float]:
    """What trial `number` of a candidate changes; the first draws are common to all candidates.

    The learning rate within a factor of 10 of the given one, weight decay 0 or 1e-6 to 1e-2, width within a factor
    of 2; for the spiking network also the decay (0.5 to 0.99) and the threshold (within a factor of 2).
    """
    if number == 0:
        return {}
    rng = np.random.Generator(np.random.Philox(key=np.array([_SEARCH, number], dtype=np.uint64)))
    table, model = _table(experiment, kind), "cnn" if kind == "cnn" else "model"

    def near(key: str, factor: float) -> float:
        return (number_at(table, key) or 1.0) * float(factor ** rng.uniform(-1, 1))

    drawn = {
        "train.learning_rate": near("train.learning_rate", 10),
        "train.optimizer.weight_decay": float(10 ** rng.uniform(-6, -2)) * float(rng.integers(2)),
        f"{model}.width": near(f"{model}.width", 2),
    }
    if kind == "snn":
        drawn["model.cell.beta"] = 1 - float(10 ** rng.uniform(-2, np.log10(0.5)))
        drawn["model.cell.threshold"] = near("model.cell.threshold", 2)
    return {key: float(f"{value:.4g}") for key, value in drawn.items() if number_at(table, key) is not None}


def run_trial(folder: Path, arguments: dict[str, Any], listener: Listener) -> None:
    """One trial of a search, for an executor.

    Args:
        folder: that of the search.
        arguments: `side`, `number`, `data_dir`.
    """
    run = RunFolder.open(folder)
    experiment = run.experiment()
    images = run.images(None if arguments["data_dir"] is None else Path(arguments["data_dir"]))
    parts = split(images, experiment.split)._replace(test=np.empty(0, dtype=np.int64))
    _Search(experiment, images, parts, run, listener).trial(arguments["side"], arguments["number"])


class _Search:
    """What stays the same while candidates are tuned."""

    def __init__(
        self, experiment: Experiment, images: ImageSet, parts: Split, folder: RunFolder, listener: Listener
    ) -> None:
        self.experiment, self.images, self.parts = experiment, images, parts
        self.folder, self.listener = folder, listener

    def candidate(self, kind: CandidateKind, trials: int) -> TunedCandidate:
        """Run all trials of one candidate that are not there yet, and write the best settings."""
        done = tuple(self.trial(kind, number) for number in range(trials))
        scored = [trial for trial in done if trial.score is not None]
        if not scored:
            raise ConfigError(f"Every training of '{kind}' failed. The first one: {done[0].failure}")
        best = max(scored, key=_score)
        file = self.folder.path / f"{kind}.toml"
        chosen = _with(self.experiment, kind, best.settings)
        write_text(file, tomli_w.dumps(chosen.model_dump(mode="json", exclude_none=True)))
        return TunedCandidate(kind, done, best, file)

    def works(self, kind: CandidateKind, trials: int, data_dir: Path | None) -> list[Work]:
        """The trials of one candidate that are not there yet, for an executor."""
        return [
            Work(
                name=f"{kind}-trial-{number:03}",
                label=f"{kind}, trial {number}",
                call="spikewise.experiments.tune:run_trial",
                folder=self.folder.path,
                done=f"{_place(kind, number)}/{_DONE}",
                lock=f"{_place(kind, number)}/{LOCK}",
                log=self.folder.path / ".work" / "logs" / f"{kind}-trial-{number:03}.txt",
                arguments=functools.partial(
                    dict, side=kind, number=number, data_dir=None if data_dir is None else str(data_dir.absolute())
                ),
                writes=(_place(kind, number),),
                reads=("run.json", "experiment.toml"),
            )
            for number in range(trials)
            if not (self.folder.path / _place(kind, number) / _DONE).exists()
        ]

    def trial(self, kind: CandidateKind, number: int) -> Trial:
        """One trial, from its file if it is there."""
        place = make_folder(self.folder.path / _place(kind, number))
        file = place / _DONE
        if not file.exists():
            with locked(place / LOCK, place):
                write_json(file, self._train(kind, number, place)._asdict())
        return Trial(**read_record(file, _Stored).model_dump())

    def _train(self, kind: CandidateKind, number: int, place: Path) -> Trial:
        settings = drawn_settings(self.experiment, kind, number)
        experiment = _with(self.experiment, kind, settings)
        setting = Setting(experiment, self.images, self.parts, self.folder, resolve_device(experiment.device))
        candidate, seed = candidates_of(experiment, self.images)[0], experiment.seeds[0]
        loaded = Loaded.of(self.images, len(self.parts.train))
        check_update(kind, candidate.graph, experiment.train, loaded, setting.device)
        network = setting.network(candidate, seed)
        task = task_of(experiment, self.images, self.parts, candidate, seed)
        task = dataclasses.replace(task, name=f"{kind}, trial {number}")
        try:
            fit(network, task, place, self.listener)
        except TrainingError as error:
            return Trial(number, settings, {}, None, str(error))
        said = predict(network, self.images, self.parts.validation, seed=seed)
        figures = classification_metrics(said.labels, said.probabilities, positive=self.images.positive)
        monitor = experiment.train.monitor
        value = figures["nll" if monitor == "loss" else monitor]
        score = None if value is None else -value if monitor == "loss" else value
        return Trial(number, settings, figures, score, "" if score is not None else f"{monitor} is not defined")


def _are_done(path: Path, kinds: Sequence[CandidateKind], trials: int) -> bool:
    return all((path / _place(kind, number) / _DONE).exists() for kind in kinds for number in range(trials))


def _place(kind: str, number: int) -> str:
    return f"trials/{kind}/trial-{number:03}"


def _score(trial: Trial) -> float:
    assert trial.score is not None
    return trial.score


def _table(experiment: Experiment, kind: CandidateKind) -> dict[str, Any]:
    """The experiment as a table, this candidate alone."""
    if kind == "cnn" and experiment.cnn is None:
        experiment = experiment.replace(cnn=SMALL_CNN)
    return {**experiment.model_dump(mode="json"), "sides": [kind]}


def _with(experiment: Experiment, kind: CandidateKind, settings: dict[str, float]) -> Experiment:
    """One side of the experiment, with these settings."""
    changes = [Change(key, value) for key, value in settings.items()]
    return parse_experiment(changed(_table(experiment, kind), changes))

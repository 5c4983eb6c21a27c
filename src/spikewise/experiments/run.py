"""`run_experiment`: train every candidate with every seed, open the test set once, and say what it all means."""

import contextlib
import functools
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spikewise.data import Progress, load_data, split
from spikewise.errors import ConfigError
from spikewise.evaluation import Results
from spikewise.evaluation.sections import Sections
from spikewise.executors import AnyExecutor
from spikewise.experiments.candidates import Candidate, candidates_of
from spikewise.experiments.devices import resolve_automatic, spread_over
from spikewise.experiments.earlier import take_over
from spikewise.experiments.elsewhere import finish_on, train_on
from spikewise.experiments.evaluate import evaluate_candidates
from spikewise.experiments.experiment import Experiment, RunKind
from spikewise.experiments.facts import is_there, nearest_device
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.outlook import outlook
from spikewise.experiments.prospects import prospects, size_hint
from spikewise.experiments.rates import find_rates
from spikewise.experiments.readiness import readiness_of
from spikewise.experiments.run_folder import LOCK, RunFolder, locked
from spikewise.experiments.sections.automatic import Sequel
from spikewise.experiments.sections.study import Study
from spikewise.experiments.setting import Setting
from spikewise.experiments.spread import as_placed, is_elsewhere
from spikewise.files import write_json
from spikewise.memory import freed_memory_kept
from spikewise.training import FitResult, Listener, Silent
from spikewise.training.group import let_others_go
from spikewise.training.loop import FIT
from spikewise.training.memory import Loaded, check_update
from spikewise.training.together import Training, fit_all

__all__ = ["Finished", "run_experiment"]


@dataclass(frozen=True)
class Finished:
    """A finished run."""

    results: Results
    folder: Path


@freed_memory_kept()
def run_experiment(  # noqa: PLR0913  # what a run may be told
    experiment: Experiment,
    *,
    out: Path = Path("runs"),
    kind: RunKind = "compare",
    data_dir: Path | None = None,
    listener: Listener | None = None,
    decoding: Progress | None = None,
    thorough: bool = False,
    report: bool = True,
    begun: Callable[[Path], None] | None = None,
    executor: AnyExecutor | None = None,
) -> Finished:
    """Train, test and report; a killed run is resumed by the same call, a finished one is read back.

    Args:
        out: folder that receives the run folder `KIND-DATA-IDENTITY`.
        kind: "compare", or "train" for the spiking network alone.
        data_dir: where known sets are looked for first.
        decoding: told how far the decoding of an image folder is.
        thorough: sections are made whole, however long they take.
        report: without it there are no sections either, and `spikewise report` writes one later.
        begun: told the run folder when it is there, before anything is trained.
        executor: what does the trainings, each by itself; None: this process.
    Raises:
        SpikewiseError: with one clear message; finished trainings stay on disk.
        KeyboardInterrupt: Ctrl-C; where the answer is there already it says where, and what is missing.
    """
    started = time.perf_counter()
    experiment, elsewhere = as_placed(experiment, executor), is_elsewhere(executor)
    ready = readiness_of(executor, [experiment], out, kind)
    images = load_data(experiment.data, data_dir=data_dir, progress=decoding)
    parts = split(images, experiment.split)
    listener = listener or Silent()
    elsewhere = elsewhere or ready.refusal is not None
    experiment = resolve_automatic(experiment, kind, images, parts, out=out, say=listener.said, elsewhere=elsewhere)
    here = is_there(experiment.device)
    device = nearest_device(experiment.device)
    candidates = candidates_of(experiment, images)
    path = out / experiment.folder_name(kind, images.name)
    if not (path / "results.json").exists():
        ready.insist()
    if here and not (path / "results.json").exists():
        for one in candidates:
            check_update(one.name, one.graph, experiment.train, Loaded.of(images, len(parts.train)), device)
    folder = RunFolder.create(path, experiment, kind, NotedImages.of(images))
    with folder.lock():
        if begun is not None:
            begun(path)
        setting = Setting(experiment, images, parts, folder, device, data_dir)
        if not folder.results.exists():
            audited = prepare(setting, candidates, listener, decoding)
            if executor is None:
                find_rates(setting, candidates, listener, decoding)
                train_all(setting, candidates, listener)
            else:
                train_on(executor, setting, candidates, listener, decoding)
            let_others_go()
            listener.stage("Testing and comparing")
            if here:
                artifacts, results = evaluate_candidates(setting, candidates, kind)
                times = {"seconds": time.perf_counter() - started, "sections": Sections(seconds=audited)}
                artifacts.save(path / "artifacts.npz")
                results.model_copy(update=times).save(folder.results)
    let_others_go()  # where there was nothing to train
    if executor is not None and not folder.results.exists():
        finish_on(executor, setting, kind, listener)
    if not report:
        return Finished(Results.load(folder.results), path)
    with folder.lock():
        sequel = Sequel(Study(setting, candidates), listener, thorough=thorough)
        if sequel.page.stale:
            listener.stage("Writing the report")
        if sequel.page.renew() and sequel.waiting(
            experiment.sections
        ):  # the answer is there: it need not wait for them
            listener.said(f"So far: {Results.load(folder.results).verdict.headline}")
            listener.said(f"Report: {path / 'report.html'}")
        sequel.make(experiment.sections)
    return Finished(Results.load(folder.results), path)


def prepare(
    setting: Setting, candidates: list[Candidate], listener: Listener, decoding: Progress | None
) -> dict[str, float]:
    """What comes before the first training: what can go wrong is said before hours are spent.

    Returns:
        Seconds that each section took which was made.
    """
    images = setting.images
    taken = take_over(setting, candidates)
    if taken is not None:
        listener.said(taken)
    for one in candidates:  # a named engine that cannot train one says so
        setting.training_engine(one)
    for caution in (*images.cautions, *images.from_names):
        listener.said(caution)
    for text in size_hint(setting):
        listener.said(text)
    seconds = {}
    if "audit" in setting.experiment.sections:
        started = time.perf_counter()
        listener.said(f"Audit: {setting.audit(decoding).headline}.")
        seconds["audit"] = time.perf_counter() - started
    for text in (*prospects(setting, candidates), *outlook(setting, candidates)):
        listener.said(text)
    return seconds


def train_all(
    setting: Setting, candidates: list[Candidate], listener: Listener, *, seeds: tuple[int, ...] | None = None
) -> None:
    """Train every candidate with every seed; what is finished already is left alone.

    Seeds of a candidate share a GPU; where there are several, trainings go to them in turn.

    Args:
        seeds: some of the experiment's; None is all.
    Raises:
        BusyError: a process that outlived a killed command is still at one of them.
    """
    experiment, devices = setting.experiment, spread_over(setting.device)
    trainings = []
    for number, (candidate, seed) in enumerate(itertools.product(candidates, seeds or experiment.seeds)):
        folder = setting.folder.training(candidate.name, seed)
        if not (folder / FIT).exists():
            if setting.made_elsewhere(candidate):
                raise ConfigError(
                    f"The spiking network of this experiment was made elsewhere, and its weights are not in {folder}. "
                    "Give `spikewise import` with the file that it came from."
                )
            task = setting.task(candidate, seed)
            network = functools.partial(setting.network, candidate, seed)
            trainings.append(Training(task, folder, devices[number % len(devices)], network))

    def finished(training: Training, result: FitResult) -> None:
        write_json(training.folder / FIT, result.notes())

    with contextlib.ExitStack() as locks:
        for training in trainings:
            locks.enter_context(locked(training.folder / LOCK, training.folder))
        fit_all([one for one in trainings if not (one.folder / FIT).exists()], finished, listener)

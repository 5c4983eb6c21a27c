"""`compare` and `train`: from a set's name to a finished run."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from spikewise.api.given import Data, as_source
from spikewise.api.trained import Trained, load
from spikewise.api.wording import summary
from spikewise.errors import ConfigError, ProcessesError, nearest
from spikewise.evaluation import Results
from spikewise.experiments import Experiment, resolve, run_experiment
from spikewise.experiments.sections.budget import SHARE
from spikewise.experiments.settings import Change, changes_of
from spikewise.experiments.shared import agree, help_train
from spikewise.experiments.spread import asked_executor
from spikewise.processes import started_processes
from spikewise.shell import for_caller
from spikewise.tracking import Follower
from spikewise.training.group import current_group, joined
from spikewise.training.progress import Plan, display

if TYPE_CHECKING:
    import pandas

    from spikewise.executors import AnyExecutor
    from spikewise.experiments.spread import AskedExecutor

__all__ = ["Run", "compare", "execute", "share", "train"]


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run."""

    results: Results
    folder: Path

    @property
    def report(self) -> Path:
        """The page to read."""
        return self.folder / "report.html"

    def table(self) -> str:
        """The figures as plain text, one column for each network."""
        rows = summary(self.results)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)

    def load(self, network: str = "snn", seed: int | None = None) -> Trained:
        """One of the run's networks; arguments as for `load`."""
        return load(self.folder, network, seed)

    def to_frame(self) -> "pandas.DataFrame":
        """The figures as a table: a row for each network, metric and seed ("all" is their mean, with its interval).

        Raises:
            DependencyError: pandas is not installed.
        """
        from spikewise.api.frames import to_frame  # noqa: PLC0415  # pandas is no dependency

        return to_frame(self.results)

    def __fspath__(self) -> str:
        """Its folder: whatever takes that takes the run."""
        return str(self.folder)

    def _repr_html_(self) -> str:
        """What a notebook shows: the answer, and accuracy beside energy."""
        from spikewise.api.frames import to_html  # noqa: PLC0415  # draws

        return to_html(self.results, self.report)

    def __repr__(self) -> str:
        data, verdict = self.results.data.name, self.results.verdict.headline
        return f"{self.results.kind} on {data}\n{self.table()}\n{verdict}\n{self.report}"


def compare(  # noqa: PLR0913  # one argument per thing a person may ask for
    data: Data | None = None,
    /,
    *,
    images: Any = None,  # arrays, tensors, pictures, files
    labels: Any = None,
    preset: str | None = None,
    config: str | Path | None = None,
    seeds: int | Sequence[int] | None = None,
    epochs: int | None = None,
    quick: bool = False,
    thorough: bool = False,
    out: str | Path = "runs",
    progress: bool = False,
    data_dir: str | Path | None = None,
    track: str | None = None,
    executor: "AskedExecutor | None" = None,
    **settings: object,
) -> Run:
    """Train a spiking network, its conventional twin and a CNN under one protocol, test them, and write a report.

    A killed run is resumed by the same call; a finished one is read back.

    Args:
        data: Name of a known set; path of an .npz, an IDX file or a folder of class folders; a pair (X, y) of images
            and labels; a PyTorch `Dataset` of such pairs; or what scikit-learn's loaders give.
        images: Images [N, H, W], [N, H, W, C] or [N, C, H, W], or a list of pictures or files; with `labels` [N].
        seeds: How many, or which.
        quick: A first look: one seed, few epochs, no sections; what is asked for beside it stays.
        thorough: Sections are made whole, however long they take; else they take a quarter of the training's time.
        progress: Show it on standard error: live on a terminal, else a line for each epoch.
        track: A tracker that another process tells of each epoch: "tensorboard", "mlflow", "wandb" or "csv".
        executor: What does the trainings, each side and seed by itself: "local:4", "ray:HOST:PORT", "slurm:PARTITION",
            or a table such as `{"kind": "ray", "gpus": 1}`; None: this process.
        settings: Any other setting, nested (`train={"batch_size": 64}`) or dotted (`**{"train.batch_size": 64}`).
    Raises:
        SpikewiseError: with one clear message.
    """
    source = as_source(data, images, labels, Path(out))
    experiment = asked_experiment(source, preset, config, seeds, epochs, settings, quick=quick)
    where = None if data_dir is None else Path(data_dir)
    return execute(
        experiment,
        out=Path(out),
        progress=progress,
        data_dir=where,
        thorough=thorough,
        track=track,
        executor=asked_executor(executor),
    )


def train(  # noqa: PLR0913  # as `compare`
    data: Data | None = None,
    /,
    *,
    images: Any = None,  # arrays, tensors, pictures, files
    labels: Any = None,
    preset: str | None = None,
    config: str | Path | None = None,
    seeds: int | Sequence[int] | None = None,
    epochs: int | None = None,
    quick: bool = False,
    thorough: bool = False,
    out: str | Path = "runs",
    progress: bool = False,
    data_dir: str | Path | None = None,
    track: str | None = None,
    executor: "AskedExecutor | None" = None,
    **settings: object,
) -> Run:
    """Train the spiking network alone; arguments as for `compare`."""
    source = as_source(data, images, labels, Path(out))
    experiment = asked_experiment(source, preset, config, seeds, epochs, settings, quick=quick)
    where = None if data_dir is None else Path(data_dir)
    return execute(
        experiment,
        kind="train",
        out=Path(out),
        progress=progress,
        data_dir=where,
        thorough=thorough,
        track=track,
        executor=asked_executor(executor),
    )


def share(
    experiment: Experiment,
    *,
    kind: Literal["compare", "train"] = "compare",
    data_dir: Path | None = None,
    **options: Any,  # of `execute`
) -> Run | None:
    """`execute` in as many processes as `torchrun` started, or in this one; None in those that only helped to train.

    Raises:
        SpikewiseError: with one clear message; finished epochs stay on disk.
    """
    with joined() as group:
        if group is not None:
            agree(group, experiment, kind)
            if group.rank:
                help_train(group, experiment, data_dir)
                return None
        return execute(experiment, kind=kind, data_dir=data_dir, **options)


def execute(  # noqa: PLR0913  # what a run may be told
    experiment: Experiment,
    *,
    kind: Literal["compare", "train"] = "compare",
    out: Path = Path("runs"),
    progress: bool = False,
    data_dir: Path | None = None,
    thorough: bool = False,
    track: str | None = None,
    executor: "AnyExecutor | None" = None,
) -> Run:
    """Run a resolved experiment; arguments as for `compare`."""
    if started_processes() > 1 and current_group() is None:
        raise ProcessesError(
            f"{started_processes()} processes were started, and each would do the whole work. Train in several with "
            "`torchrun --nproc-per-node N -m spikewise train ...` (or compare); from Python, start one."
        )
    if started_processes() > 1 and executor is not None:
        raise ProcessesError("An executor begins processes of its own; give the command without torchrun.")
    told: dict[str, Any] = {
        "out": out, "kind": kind, "data_dir": data_dir, "thorough": thorough, "executor": executor
    }  # fmt: skip
    if not progress:
        with Follower(track, _warned) as follower:
            done = run_experiment(experiment, **told, begun=follower.begin)
        return Run(done.results, done.folder)
    sides = experiment.sides if kind == "compare" else ("snn",)
    plan = Plan(sides, experiment.seeds, tests=True, after=SHARE if experiment.sections else 0.0)
    shown = display(plan, f"{kind} on {experiment.data.source}")
    with shown, Follower(track, shown.said) as follower:
        done = run_experiment(experiment, **told, listener=shown, decoding=shown.work, begun=follower.begin)
    return Run(done.results, done.folder)


def _warned(text: str) -> None:
    """Where no progress is shown, what goes wrong beside a run is said all the same."""
    print(for_caller(text), file=sys.stderr)


_ARGUMENTS: Final = ("data", "preset", "config", "seeds", "epochs", "quick")
"""What a misspelt word is held against before the settings, among which the same may have a longer name."""


def asked_experiment(  # noqa: PLR0913  # as `compare`
    data: str | Path | None,
    preset: str | None,
    config: str | Path | None,
    seeds: int | Sequence[int] | None,
    epochs: int | None,
    settings: Mapping[str, object],
    *,
    quick: bool = False,
) -> Experiment:
    for name in settings:
        meant = None if "." in name or name in Experiment.model_fields else nearest(name, _ARGUMENTS, cutoff=0.8)
        if meant is not None:
            raise ConfigError(f"Unknown argument '{name}'. Did you mean '{meant}'?")
    if seeds is not None and (isinstance(seeds, str) or not isinstance(seeds, int | Iterable)):
        raise ConfigError(f"seeds is a number of seeds, or a list of them such as [0, 1, 2]; got {seeds!r}.")
    named = [] if seeds is None or isinstance(seeds, int) else [Change("seeds", list(seeds), f"seeds {list(seeds)}")]
    return resolve(
        None if data is None else str(data),
        preset=preset,
        config=None if config is None else Path(config),
        overrides=[*named, *changes_of(settings)],
        seeds=seeds if isinstance(seeds, int) else None,
        epochs=epochs,
        quick=quick,
    )

"""`tune` and `sweep`: many trainings, each finished one kept; the same call goes on where a killed one stopped."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spikewise.api.given import Data, as_source
from spikewise.api.runs import asked_experiment
from spikewise.errors import ConfigError, DependencyError
from spikewise.experiments.settings import changes_of, format_change
from spikewise.tracking import Follower
from spikewise.training.progress import LineProgress, Plan, display

if TYPE_CHECKING:
    import pandas

    from spikewise.experiments.spread import AskedExecutor
    from spikewise.experiments.sweep_effects import Choice, SweepDifference
    from spikewise.experiments.sweep_table import Row
    from spikewise.experiments.tune import Tuned

__all__ = ["Swept", "sweep", "tune"]


class Swept(NamedTuple):
    """A finished sweep."""

    folder: Path
    rows: "list[Row]"
    """One for each network and seed of each cell, as `table.csv` has them."""
    choices: "list[Choice]"
    """The best level of each factor."""
    differences: "list[SweepDifference]"
    """What changing one factor does, with intervals."""

    @property
    def page(self) -> Path:
        """The page to read."""
        return self.folder / "sweep.html"

    def to_frame(self) -> "pandas.DataFrame":
        """The rows as a table.

        Raises:
            DependencyError: pandas is not installed.
        """
        try:
            import pandas  # noqa: PLC0415  # no dependency: whoever asks for a frame has it
        except ImportError:
            raise DependencyError(
                "A table of a sweep needs pandas, which is not installed: pip install pandas."
            ) from None
        return pandas.DataFrame(self.rows)

    def __repr__(self) -> str:
        return f"<sweep of {len({str(row['run']) for row in self.rows})} cells: {self.page}>"


def tune(  # noqa: PLR0913  # one argument per thing a person may ask for
    data: Data | None = None,
    /,
    *,
    trials: int = 10,
    images: Any = None,  # as for `compare`
    labels: Any = None,
    preset: str | None = None,
    config: str | Path | None = None,
    epochs: int | None = None,
    out: str | Path = "runs",
    progress: bool = False,
    data_dir: str | Path | None = None,
    executor: "AskedExecutor | None" = None,
    **settings: object,
) -> "Tuned":
    """Tune every candidate equally hard: `trials` random trials each, judged on validation images, the test closed.

    Arguments as for `compare`.

    Raises:
        SpikewiseError: with one clear message; finished trials stay on disk.
    """
    from spikewise.experiments.spread import asked_executor  # noqa: PLC0415
    from spikewise.experiments.tune import tune as search  # noqa: PLC0415  # loaded when it is used

    experiment = asked_experiment(as_source(data, images, labels, Path(out)), preset, config, None, epochs, settings)
    where = None if data_dir is None else Path(data_dir)
    what = asked_executor(executor)
    if not progress:
        return search(experiment, trials=trials, out=Path(out), data_dir=where, executor=what)
    names = tuple(f"{side}, trial {number}" for side in experiment.sides for number in range(trials))
    with display(Plan(names, experiment.seeds[:1]), f"tune on {experiment.data.source}") as shown:
        return search(
            experiment,
            trials=trials,
            out=Path(out),
            data_dir=where,
            listener=shown,
            decoding=shown.work,
            executor=what,
        )


def sweep(  # noqa: PLR0913  # one argument per thing a person may ask for
    name: str | Path,
    data: str | Path | None = None,
    /,
    *,
    cells: Iterable[str] = (),
    seeds: int | None = None,
    epochs: int | None = None,
    jobs: int | None = None,
    executor: "AskedExecutor | None" = None,
    out: str | Path = "runs",
    progress: bool = False,
    data_dir: str | Path | None = None,
    track: str | None = None,
    **settings: object,
) -> Swept:
    """Run every combination of a few factors, several at a time, and say what each factor does.

    Args:
        name: A sweep of the package, or a TOML file.
        data: Another image set than the sweep's.
        cells: Only these, such as "model.width=0.5,1"; None is all.
        jobs: Cells at a time; None: as many as there is room for.
        executor: What runs them: "local", "ray:HOST:PORT", "slurm:PARTITION", or a table such as `{"kind": "ray",
            "gpus": 1}`; None: the sweep's own, or processes of this machine with one thread each.
        progress: Show it on standard error: a live table on a terminal, else a line for each finished cell.
        track: A tracker that another process tells of each epoch, as for `compare`.
        settings: Settings of all cells, nested or dotted.
    Raises:
        ConfigError: there is no such sweep, or a setting is wrong.
        ExecutorError: the executor cannot be reached, and cells are left to run; finished ones stay.
    """
    from spikewise.experiments.spread import asked_executor  # noqa: PLC0415
    from spikewise.experiments.sweep import load_sweep  # noqa: PLC0415  # loaded when it is used
    from spikewise.experiments.sweep_cells import Asked, cells_of, chosen_cells  # noqa: PLC0415
    from spikewise.experiments.sweep_folder import SweepFolder, place  # noqa: PLC0415
    from spikewise.experiments.sweep_run import run_cells  # noqa: PLC0415

    conditions = _conditions(cells)
    overrides = tuple(format_change(change.key, change.value) for change in changes_of(settings))
    asked = Asked(None if data is None else str(data), overrides, seeds, epochs)
    where, plan = None if data_dir is None else Path(data_dir), load_sweep(str(name))
    what = asked_executor(executor, default=plan.executor, jobs=jobs)
    chosen = chosen_cells(cells_of(plan, asked), conditions)
    placed = place(chosen, Path(out), plan.kind, data_dir=where, executor=what)
    folder = SweepFolder.create(Path(out), plan, placed)
    with Follower(track, LineProgress(sys.stderr).said) as follower:
        follower.begin(folder.path)
        run_cells(folder, executor=what, data_dir=where, say=None if progress else _quiet)
    from spikewise.experiments.sweep_page import evaluate_sweep  # noqa: PLC0415  # no cell waits for that to be loaded

    found = evaluate_sweep(folder)
    return Swept(folder.path, found.rows, found.choices, found.differences)


def _conditions(cells: Iterable[str]) -> Sequence[str]:
    if isinstance(cells, str):
        raise ConfigError(f"cells is a list of conditions, such as [{cells!r}]; got the text {cells!r}.")
    return tuple(cells)


def _quiet(line: str) -> None:
    del line

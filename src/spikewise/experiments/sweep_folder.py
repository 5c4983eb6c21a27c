"""The sweep folder: which cells there are, and where their runs are.

sweep-TITLE-IDENTITY/
    sweep.json               the sweep, its cells, and the name of each cell's run folder beside this one
    cells/RUN.toml           the resolved experiment of a cell that has begun
    logs/RUN.txt             what its process wrote
    failures/RUN.json        why it failed, until it succeeds
    table.csv table.sqlite   one row for each cell, seed and network
    sweep.html figures/      the page to read
KIND-DATA-IDENTITY/          a run folder for each cell; `spikewise train` and other sweeps find them too
"""

import contextlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import tomli_w
from pydantic import Field

from spikewise import __version__
from spikewise.config import parse
from spikewise.data import ImageSet, Progress, Split, load_data, split
from spikewise.errors import ConfigError, RunError, quoted
from spikewise.evaluation.record import Many, Record
from spikewise.executors import AnyExecutor
from spikewise.experiments.devices import available_devices, resolve_automatic
from spikewise.experiments.experiment import Experiment, RunKind
from spikewise.experiments.noted_images import NotedImages
from spikewise.experiments.older import as_recorded
from spikewise.experiments.readiness import Readiness, readiness_of
from spikewise.experiments.remembered import Remembered
from spikewise.experiments.request import KnownSettings
from spikewise.experiments.run_folder import RunFolder
from spikewise.experiments.settings import read_table
from spikewise.experiments.spread import as_placed, is_elsewhere
from spikewise.experiments.standard import Standard, standard_of
from spikewise.experiments.sweep import Sweep, parse_sweep
from spikewise.experiments.sweep_cells import Cell, identity_of
from spikewise.files import make_folder, write_json, write_text
from spikewise.memory import objects_set_aside
from spikewise.reading import damaged, read_json, read_record

__all__ = ["Placed", "SweepFolder", "place"]

FORMAT: Final = 1
"""Version of the folder's layout."""
_EMPTY: Final = "[]\n}"
"""How a table whose last list is empty ends."""


class Placed(NamedTuple):
    """A cell and where its run is."""

    cell: Cell
    run: Path
    device: str
    """Where it runs."""

    @property
    def finished(self) -> bool:
        """Whether its results are there."""
        return (self.run / "results.json").exists()


class _Row(Record):
    """A cell as `sweep.json` holds it."""

    run: str = Field(pattern=r"^[^/\\]+$")
    levels: dict[str, str]
    experiment: dict[str, Any]
    device: str | None = None
    """None in older folders, where the cell's own file says it."""


class _Facts(Record):
    """The content of `sweep.json` beside its format."""

    sweep: dict[str, Any]
    cells: Many[_Row]


class _Failure(Record):
    """The content of a file in `failures/`."""

    message: str
    exit_code: int
    cell: dict[str, str]


class SweepFolder(NamedTuple):
    """A sweep on disk."""

    path: Path
    sweep: Sweep
    cells: tuple[Placed, ...]

    @classmethod
    def create(cls, out: Path, sweep: Sweep, cells: Sequence[Placed]) -> "SweepFolder":
        """Make or renew the folder of these cells."""
        path = out / f"sweep-{sweep.title}-{identity_of([placed.cell for placed in cells])}"
        for part in ("cells", "logs", "failures", "figures"):
            make_folder(path / part)
        rows = map(_row, cells)
        facts = {
            "format": FORMAT,
            "spikewise_version": __version__,
            "sweep": sweep.model_dump(mode="json"),
        }
        write_text(path / "sweep.json", _with_rows(facts, "cells", rows))
        return cls(path, sweep, tuple(cells))

    @classmethod
    def open(cls, path: Path) -> "SweepFolder":
        """Read a sweep folder back.

        Raises:
            RunError: it is not a sweep folder, is damaged, or was written by another version.
        """
        file = path / "sweep.json"
        if not path.is_dir() or not file.exists():
            raise RunError(f"{path} is not a sweep folder (it has no sweep.json). `spikewise sweep` makes one.")
        facts = read_json(file)
        found = facts.get("format") if isinstance(facts, dict) else None
        if found != FORMAT:
            raise RunError(f"{path} has sweep format {quoted(found)}; this is spikewise {__version__}.")
        try:
            told, known = parse(_Facts, {key: facts.get(key) for key in _Facts.model_fields}), KnownSettings()
            cells = [
                Placed(
                    Cell(row.levels, known.read(as_recorded(row.experiment))),
                    path.parent / row.run,
                    row.device or _device_of(path / "cells" / f"{row.run}.toml"),
                )
                for row in told.cells
            ]
            return cls(path, parse_sweep(told.sweep), tuple(cells))
        except ConfigError as error:
            raise damaged(file, error) from None

    def write_experiment(self, placed: Placed) -> Experiment:
        """Write the resolved experiment of a cell to `cells/`, and return it."""
        experiment = placed.cell.experiment.replace(device=placed.device)
        table = experiment.model_dump(mode="json", exclude_none=True)
        write_text(self.path / "cells" / f"{placed.run.name}.toml", tomli_w.dumps(table))
        return experiment

    def log(self, placed: Placed) -> Path:
        """What the cell's process writes."""
        return self.path / "logs" / f"{placed.run.name}.txt"

    def failure(self, placed: Placed) -> str | None:
        """Why the cell failed, if it did."""
        file = self.path / "failures" / f"{placed.run.name}.json"
        return read_record(file, _Failure).message if file.exists() else None

    def note_failure(self, placed: Placed, message: str, exit_code: int) -> None:
        """Record why a cell failed."""
        content = {"message": message, "exit_code": exit_code, "cell": placed.cell.levels}
        write_json(self.path / "failures" / f"{placed.run.name}.json", content)

    def forget_failure(self, placed: Placed) -> None:
        """Remove the record of a failure."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / "failures" / f"{placed.run.name}.json").unlink()


def _row(at: Placed) -> str:
    """A `_Row` in JSON."""
    run, levels, device = (json.dumps(part, allow_nan=False) for part in (at.run.name, at.cell.levels, at.device))
    return f'{{"run": {run}, "levels": {levels}, "experiment": {at.cell.experiment.as_json()}, "device": {device}}}'


def _with_rows(facts: dict[str, Any], name: str, rows: Iterable[str]) -> str:
    """JSON of `facts` and of a list in it whose rows, in JSON, have a line each: indented, many take several times as
    long."""
    head = json.dumps({**facts, name: []}, indent=1, allow_nan=False)
    lines = ",\n".join(f"  {row}" for row in rows)
    return f"{head.removesuffix(_EMPTY)}[\n{lines}\n ]\n}}\n"


def _device_of(file: Path) -> str:
    return str(read_table(file).get("device", "auto")) if file.exists() else "auto"


def place(  # noqa: PLR0913  # what decides where a run is
    cells: Sequence[Cell],
    out: Path,
    kind: RunKind,
    *,
    data_dir: Path | None = None,
    decoding: Progress | None = None,
    executor: AnyExecutor | None = None,
    runs: bool = True,
) -> list[Placed]:
    """Where each cell's run will be, as `run_experiment` names it: "auto" stands for what it means there.

    Args:
        out: folder of the run folders.
        kind: of the runs.
        data_dir: where known sets are looked for first.
        decoding: told how far it is.
        executor: what will run them; None: processes of this machine.
        runs: what is not finished is to be run, and what that needs has to be there.
    Raises:
        DataError: the images are missing or wrong.
        SpikewiseError: the executor or a device is not there, and not all cells are finished.
        RunError: they have changed since a cell was run.
    """
    ready = readiness_of(executor, (cell.experiment for cell in cells), out, kind) if runs else Readiness()
    seen: dict[str, ImageSet] = {}
    noted: dict[str, NotedImages] = {}
    splits: dict[tuple[str, str], Split] = {}
    standards: dict[tuple[str, str], Standard] = {}
    elsewhere = is_elsewhere(executor) or ready.refusal is not None or not runs
    texts = Remembered[str]()

    def placed(number: int, cell: Cell) -> Placed:
        experiment = as_placed(cell.experiment, executor)
        data, parts = (texts.of(one, None, one.model_dump_json) for one in (experiment.data, experiment.split))
        if data not in seen:
            seen[data] = load_data(experiment.data, data_dir=data_dir, progress=decoding)
            noted[data] = NotedImages.of(seen[data])
        images = seen[data]
        if (data, parts) not in splits:
            splits[data, parts] = split(images, experiment.split)
        if decoding is not None and experiment.device == "auto" and len(available_devices()) > 1:
            decoding("trying devices", number, len(cells))
        if experiment.standardise is True and (data, parts) not in standards:
            standards[data, parts] = standard_of(images.images, splits[data, parts].train)
        resolved = resolve_automatic(
            experiment,
            kind,
            images,
            splits[data, parts],
            out=out,
            elsewhere=elsewhere,
            standard=standards.get((data, parts)),
        )
        path = out / resolved.folder_name(kind, images.name)
        _check_same(path, noted[data], experiment.data.source)
        return Placed(cell, path, resolved.device)

    with objects_set_aside():
        found = [placed(number, cell) for number, cell in enumerate(cells, start=1)]
    if not all(one.finished for one in found):
        ready.insist()
    return found


def _check_same(path: Path, images: NotedImages, source: str) -> None:
    """A run that is there, begun or finished, is a cell of this sweep if its images are those of now."""
    if not (path / "run.json").exists():
        return
    changed = None
    with contextlib.suppress(RunError):  # a damaged folder is the failure of its cell
        changed = RunFolder(path).changed(images)
    if changed is not None:
        raise RunError(
            f"The images of '{source}' have changed since {path} was begun: {changed}. Choose another --out, or remove "
            "the runs of before."
        )

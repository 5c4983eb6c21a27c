"""`runs`: the runs below a folder, to be narrowed down, sorted, looked at as a table, and taken along."""

import datetime
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, overload

from spikewise.api import Run
from spikewise.collection.conditions import Condition, parse_condition, plain_value
from spikewise.collection.exports import export_runs
from spikewise.collection.index import summaries_of
from spikewise.collection.summaries import COLUMNS, Cell, RunSummary
from spikewise.data import Progress
from spikewise.errors import ConfigError, DependencyError, unknown_choice
from spikewise.evaluation import Results
from spikewise.experiments.settings import parse_change

if TYPE_CHECKING:
    import pandas

__all__ = ["Runs", "runs"]

_ALIASES: Final = {
    "date": "created", "cost": "energy_nj", "energy": "energy_nj", "latency": "latency_ms", "set": "data",
    "images": "data", "name": "run",
}  # fmt: skip
"""Other words for columns."""
_AGO: Final = re.compile(r"(\d{1,4})\s*(h|d|w)")
_HOURS: Final = {"h": 1, "d": 24, "w": 168}


class Runs(Sequence[RunSummary]):
    """Runs in an order; every method gives another collection and leaves this one as it is."""

    def __init__(self, folder: Path, found: Iterable[RunSummary]) -> None:
        self.folder = folder
        self._runs = tuple(found)

    @overload
    def __getitem__(self, at: int) -> RunSummary: ...

    @overload
    def __getitem__(self, at: slice) -> "Runs": ...

    def __getitem__(self, at: int | slice) -> "RunSummary | Runs":
        """A run, or some of them."""
        return Runs(self.folder, self._runs[at]) if isinstance(at, slice) else self._runs[at]

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[RunSummary]:
        return iter(self._runs)

    def __repr__(self) -> str:
        states = [str(one["state"]) for one in self]
        told = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        return f"<{len(self)} run{'s' * (len(self) != 1)} in {self.folder}{': ' if told else ''}{told}>"

    def where(self, condition: str | Condition) -> "Runs":
        """Those of which a condition is true, such as "accuracy > 0.97 and preset = mnist-snn".

        Raises:
            ConfigError: it cannot be read, or no run has what it asks for.
        """
        asked = parse_condition(condition) if isinstance(condition, str) else condition
        asked = asked.renamed({name: self._known(name) for name in dict.fromkeys(asked.names)})
        return Runs(self.folder, filter(asked, self))

    def having(self, setting: str) -> "Runs":
        """Those with a setting, such as "train.batch_size=64".

        Raises:
            ConfigError: it is no KEY=VALUE, or no run has such a setting.
        """
        change = parse_change(setting)
        if self._runs and not any(change.key in one.settings for one in self):
            raise unknown_choice("setting", change.key, {key for one in self for key in one.settings})
        return Runs(self.folder, (one for one in self if _same(one.settings.get(change.key), change.value)))

    def of(self, *, data: str | None = None, preset: str | None = None, state: str | None = None) -> "Runs":
        """Those of an image set, a preset, a state.

        Raises:
            ConfigError: there is none of that name.
        """
        found: Runs = self
        for column, name in (("data", data), ("preset", preset), ("state", state)):
            if name is not None:
                there = {str(one[column]) for one in self if one[column] is not None}
                if there and name not in there and column != "state":
                    raise unknown_choice({"data": "image set"}.get(column, column), name, there)
                found = Runs(self.folder, (one for one in found if one[column] == name))
        return found

    def since(self, when: str) -> "Runs":
        """Those tested (or begun) since a date such as 2026-11-20, or in the last hours, days or weeks: 12h, 3d, 2w.

        Raises:
            ConfigError: it is neither.
        """
        first = _moment(when)
        return Runs(self.folder, (one for one in self if str(one["created"] or "") >= first))

    def sort(self, key: str, *, descending: bool | None = None) -> "Runs":
        """By a column, NETWORK.FIGURE or a setting; runs that have none come last.

        Args:
            key: With a leading minus the other way round.
            descending: None: accuracies, differences and dates with the largest first, all else with the smallest.
        Raises:
            ConfigError: no run has it.
        """
        turned, name = key.startswith("-"), self._known(key.removeprefix("-"))
        usual = name in ("created", "difference") or "accuracy" in name
        down = (usual if descending is None else descending) != turned
        have = [one for one in self if one[name] is not None]
        numbers = all(isinstance(one[name], int | float) for one in have)
        have.sort(key=lambda one: one[name] if numbers else str(one[name]), reverse=down)  # type: ignore[arg-type,return-value]
        return Runs(self.folder, [*have, *(one for one in self if one[name] is None)])

    def load(self) -> list[Run]:
        """The finished ones whole, with their results.

        Raises:
            RunError: one of them is damaged.
        """
        return [Run(Results.load(one.path / "results.json"), one.path) for one in self if one.has_results]

    def to_frame(self, *names: str) -> "pandas.DataFrame":
        """A row for each run, with all columns; `names` are further figures and settings.

        Raises:
            DependencyError: pandas is not installed.
            ConfigError: no run has one of the names.
        """
        try:
            import pandas  # noqa: PLC0415  # no dependency: whoever asks for a frame has it
        except ImportError:
            raise DependencyError("A table of runs needs pandas, which is not installed: pip install pandas.") from None
        wanted = [*COLUMNS, *map(self._known, names)]
        return pandas.DataFrame([{name: one[name] for name in wanted} for one in self], columns=wanted)

    def export(self, to: str, out: str | Path | None = None) -> str | Path:
        """The networks of the finished runs as a table for a paper or a program; a page that links their reports.

        Args:
            to: "csv", "latex", "md", "parquet" or "html".
            out: The file to write; None gives the text, and writes pages and Parquet into the folder.
        Raises:
            ConfigError: no such format, or no finished run.
            DependencyError: pyarrow is not installed, which Parquet needs.
        """
        return export_runs(self.folder, self._runs, to, None if out is None else Path(out))

    def _known(self, name: str) -> str:
        """The name as runs have it.

        Raises:
            ConfigError: none has it.
        """
        name = _ALIASES.get(name, name)
        if name in COLUMNS or not self._runs or any(name in one.figures or name in one.settings for one in self):
            return name
        main = f"snn.{name}"
        if any(main in one.figures for one in self):
            return main
        there = {key for one in self._runs for key in (*one.figures, *one.settings)} | set(COLUMNS)
        raise unknown_choice("column, figure or setting", name, there)


def runs(folder: str | Path = "runs", *, tell: Progress | None = None) -> Runs:
    """The runs in a folder, and in the folders in it, by name; damaged ones say why.

    What was read of a run is kept in an index in the user's cache, as long as its files stay as they are.

    Args:
        tell: Told how many of many folders were read.
    Raises:
        RunError: the folder is not there.
    """
    return Runs(Path(folder), summaries_of(Path(folder), tell))


def _same(found: Cell, value: object) -> bool:
    """Whether a setting has a value, whichever way it was written."""
    if isinstance(value, list | dict):
        return found == json.dumps(value)
    return found == value or (isinstance(value, str) and plain_value(value) == found)


def _moment(when: str) -> str:
    ago = _AGO.fullmatch(when.strip())
    if ago is not None:
        moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=int(ago[1]) * _HOURS[ago[2]])
        return moment.isoformat(timespec="seconds")
    try:
        moment = datetime.datetime.fromisoformat(when.strip())
    except ValueError:
        raise ConfigError(
            f"A date is written as 2026-11-20 or 2026-11-20T12:00, a time ago as 12h, 3d or 2w; got '{when}'."
        ) from None
    return moment.astimezone(datetime.UTC).isoformat(timespec="seconds")

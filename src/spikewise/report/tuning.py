"""The report's table of learning rates: what each network tried before training, and what it was trained with."""

from typing import NamedTuple

from spikewise.evaluation import Results
from spikewise.evaluation.tuning import RateTrial, Tuning
from spikewise.report.numbers import NONE

__all__ = ["Table", "TuningCell", "TuningRow", "tuning_table"]


class TuningCell(NamedTuple):
    """One rate of one network."""

    text: str
    """Cross-entropy on validation images."""
    why: str
    """Why there is none, where the trial diverged."""
    chosen: bool


class TuningRow(NamedTuple):
    """One network."""

    network: str
    rate: str
    """What it was trained with."""
    how: str
    cells: tuple[TuningCell, ...]
    """One for each of the table's rates."""
    seconds: float


class Table(NamedTuple):
    """All of them."""

    rates: tuple[str, ...]
    rows: tuple[TuningRow, ...]
    updates: int
    images: int
    seconds: float


def tuning_table(results: Results) -> Table | None:
    """What was tried; None where no network's rate was looked for, and in runs that noted nothing."""
    noted = [(network.name, network.tuning) for network in results.networks if network.tuning is not None]
    tried = [tuning for _, tuning in noted if tuning.trials]
    if not tried:
        return None
    rates = sorted({trial.learning_rate for tuning in tried for trial in tuning.trials})
    rows = []
    for name, tuning in noted:
        found = {trial.learning_rate: trial for trial in tuning.trials}
        how = _how(tuning)
        cells = tuple(_cell(found.get(rate), chosen=tuning.tuned and rate == tuning.learning_rate) for rate in rates)
        rows.append(TuningRow(name, f"{tuning.learning_rate:g}", how, cells, tuning.seconds))
    first = tried[0]
    seconds = sum(tuning.seconds for tuning in tried)
    return Table(tuple(f"{rate:g}" for rate in rates), tuple(rows), first.updates, first.images, seconds)


def _how(tuning: Tuning) -> str:
    if not tuning.tuned:
        return tuning.why or "given"
    whole = ", ".join(f"{trial.learning_rate:g}: {_cell(trial, chosen=False).text}" for trial in tuning.whole)
    return f"tuned; two were close and trained whole ({whole})" if whole else "tuned"


def _cell(trial: RateTrial | None, *, chosen: bool) -> TuningCell:
    if trial is None:
        return TuningCell(NONE, "not tried", chosen)
    if trial.cross_entropy is None:
        return TuningCell("diverged", trial.failure, chosen)
    return TuningCell(f"{trial.cross_entropy:.3g}", "", chosen)

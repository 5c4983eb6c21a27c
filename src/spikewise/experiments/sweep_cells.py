"""The cells of a sweep: every combination of levels, each a resolved experiment."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from spikewise.errors import ConfigError, unknown_choice
from spikewise.experiments.experiment import Experiment
from spikewise.experiments.request import KnownSettings, load_preset, resolve
from spikewise.experiments.settings import Change, agreed, flattened, parse_change, value_at
from spikewise.experiments.sweep import Sweep
from spikewise.experiments.sweep_grid import AS_PUBLISHED, Factor, Level, factors_of
from spikewise.memory import without_collection

__all__ = ["Asked", "Cell", "cells_of", "chosen_cells", "identity_of"]


@dataclass(frozen=True)
class Asked:
    """What is asked of all cells beside the sweep's file; it wins over the file."""

    data: str | None = None
    overrides: tuple[str, ...] = ()
    seeds: int | None = None
    epochs: int | None = None
    device: str | None = None

    def settings(self) -> list[Change]:
        """As changes, the last of all."""
        named = {"data.source": self.data, "seeds": self.seeds, "train.epochs": self.epochs, "device": self.device}
        options = [Change(key, value) for key, value in named.items() if value is not None]
        return agreed([*options, *map(parse_change, self.overrides)])


class Cell(NamedTuple):
    """One combination of levels."""

    levels: dict[str, str]
    """The label of each factor's level."""
    experiment: Experiment

    @property
    def name(self) -> str:
        """The combination in words."""
        return ", ".join(f"{factor} {label}" for factor, label in self.levels.items())


def cells_of(sweep: Sweep, asked: Asked | None = None) -> list[Cell]:
    """Every combination of levels that `only` allows, resolved.

    Raises:
        ConfigError: a setting that is wrong, or two cells that are one experiment; the message names the cell.
    """
    asked, factors = asked or Asked(), factors_of(sweep)
    _must_not_vary(asked, factors)
    with without_collection():
        cells = _combined(sweep, factors, asked)
    twice = [name for name, count in Counter(cell.name for cell in cells).items() if count > 1]
    if twice or not cells:
        raise ConfigError(f"The cell '{twice[0]}' is there twice." if twice else "`only` leaves no cell at all.")
    return cells


def _combined(sweep: Sweep, factors: Sequence[Factor], asked: Asked) -> list[Cell]:
    cells, seen, known = [], dict[str, str](), KnownSettings()
    for levels in itertools.product(*(factor.levels for factor in factors)):
        labels = {factor.name: level.label for factor, level in zip(factors, levels, strict=True)}
        if not all(labels[name] in allowed for level in levels for name, allowed in level.only.items()):
            continue
        cell = Cell(labels, _resolved(sweep, levels, labels, asked, known))
        other = seen.setdefault(cell.experiment.identity(), cell.name)
        if other != cell.name:
            raise ConfigError(
                f"Two cells are one experiment: '{other}' and '{cell.name}'. A level changes nothing there; "
                "keep it away with `only`, or leave it out."
            )
        cells.append(cell)
    return cells


def chosen_cells(cells: Sequence[Cell], conditions: Iterable[str]) -> list[Cell]:
    """The cells that meet each condition `factor=level[,level]`.

    Raises:
        ConfigError: a condition names a factor or a level that is not there.
    """
    chosen = list(cells)
    for condition in conditions:
        name, equals, text = condition.partition("=")
        if not equals:
            raise ConfigError(f"A choice of cells is factor=level[,level]; got '{condition}'.")
        if name not in cells[0].levels:
            raise unknown_choice("factor", name, cells[0].levels)
        there = {cell.levels[name] for cell in cells}
        wanted = [part.strip() for part in text.split(",")]
        for label in wanted:
            if label not in there:
                raise unknown_choice(f"level of {name}", label, there)
        chosen = [cell for cell in chosen if cell.levels[name] in wanted]
    if not chosen:
        raise ConfigError("No cell meets all these conditions together.")
    return chosen


def identity_of(cells: Sequence[Cell]) -> str:
    """Eight hexadecimal digits over all cells, in whatever order."""
    parts = sorted(cell.experiment.identity() for cell in cells)
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:8]


def _resolved(
    sweep: Sweep, levels: Iterable[Level], labels: dict[str, str], asked: Asked, known: KnownSettings
) -> Experiment:
    settings = list(flattened(sweep.set).items()) + [pair for level in levels for pair in level.settings.items()]
    published = dict(settings).get(AS_PUBLISHED, sweep.as_published)
    changes = [Change(key, value) for key, value in settings if key != AS_PUBLISHED]
    try:
        if published:
            changes += _defects(sweep, _lay(sweep, asked, changes, known))
        experiment = _lay(sweep, asked, changes, known, asked.settings())
    except ConfigError as error:
        where = ", ".join(f"{name} {label}" for name, label in labels.items())
        raise ConfigError(f"In the cell '{where}': {error}") from None
    sides = experiment.sides if sweep.kind == "compare" else ("snn",)
    return experiment.model_copy(update={"sides": sides, "sections": ()})  # both are right already


def _lay(
    sweep: Sweep, asked: Asked, changes: list[Change], known: KnownSettings, last: Iterable[Change] = ()
) -> Experiment:
    if sweep.preset:
        return resolve(asked.data, preset=sweep.preset, layers=[changes], overrides=last, known=known)
    base: dict[str, Any] = {key: value for key, value in sweep.base.items() if key != AS_PUBLISHED}
    source = asked.data or base.get("data", {}).get("source")
    below = [Change(key, value) for key, value in base.items()]
    return resolve(source, layers=[below, changes], overrides=last, known=known)


def _defects(sweep: Sweep, intended: Experiment) -> list[Change]:
    """The defects that concern this cell: a LIF neuron has no moving threshold that could lack its gradient."""
    table = load_preset(sweep.preset) if sweep.preset else sweep.base
    defects = flattened(table.get(AS_PUBLISHED, {}))
    if not defects:
        raise ConfigError(
            f"'{sweep.preset or 'base'}' knows no difference between the published and the intended behaviour."
        )
    there = intended.model_dump(mode="json")
    return [Change(key, value) for key, value in defects.items() if value_at(there, key) is not None]


def _must_not_vary(asked: Asked, factors: Iterable[Factor]) -> None:
    varied = {key: factor.name for factor in factors for level in factor.levels for key in level.settings}
    for key, _, _ in asked.settings():
        for other, name in varied.items():
            if key == other or other.startswith(f"{key}."):
                raise ConfigError(f"'{key}' is varied by the factor '{name}'; choose among its levels with --cells.")

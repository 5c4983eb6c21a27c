"""The factors of a sweep and their levels, read from its grid."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from spikewise.errors import ConfigError, unknown_choice
from spikewise.experiments.experiment import Experiment
from spikewise.experiments.settings import flattened
from spikewise.experiments.sweep import Sweep

__all__ = ["AS_PUBLISHED", "Factor", "Level", "factors_of"]

AS_PUBLISHED = "as_published"
_FIELDS = frozenset(Experiment.model_fields)
_RESERVED = frozenset(
    ("run", "network", "seed", "seeds", "status", "error", "role", "parameters", "time_steps", "synaptic_operations")
) | {"spike_rate", "epochs", "train_seconds"}


class Level(NamedTuple):
    """One value of a factor."""

    label: str
    settings: dict[str, Any]
    """Dotted keys and what they are set to."""
    only: dict[str, tuple[str, ...]]
    """Levels of other factors that it may stand with; factors that are not named are free."""


class Factor(NamedTuple):
    """What is varied, by name."""

    name: str
    levels: tuple[Level, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Each label once, in order."""
        return tuple(dict.fromkeys(level.label for level in self.levels))


def factors_of(sweep: Sweep) -> tuple[Factor, ...]:
    """The factors of a sweep, in the order of its file.

    Raises:
        ConfigError: a factor without levels, a level that is not understood, or a name that is not there.
    """
    found = tuple(Factor(name, _levels(name, values)) for name, values in _lists(sweep.grid).items())
    known = {factor.name: factor.labels for factor in found}
    for factor in found:
        for level in factor.levels:
            for name, labels in level.only.items():
                _must_know(f"'only' of {factor.name} {level.label}", name, labels, known)
    for claim in sweep.claims:
        if claim.factor != "network":
            _must_know(f"The claim '{claim.statement}'", claim.factor, claim.levels, known)
    return found


def _lists(grid: Mapping[str, Any], prefix: str = "") -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for key, values in grid.items():
        name = f"{prefix}{key}"
        if isinstance(values, dict):
            out |= _lists(values, f"{name}.")
        elif not isinstance(values, list):
            raise ConfigError(f"The factor '{name}' needs a list of levels; got {values!r}.")
        elif not values:
            raise ConfigError(f"The factor '{name}' has no levels; give at least one.")
        else:
            out[name] = values
    return out


def _levels(name: str, values: list[Any]) -> tuple[Level, ...]:
    if name in _RESERVED:
        raise ConfigError(f"A factor cannot be called '{name}': the table has a column of that name. Choose another.")
    if name == AS_PUBLISHED:
        return tuple(Level(_label(value), {AS_PUBLISHED: bool(value)}, {}) for value in values)
    levels = tuple(_level(name, value) for value in values)
    before: dict[str, list[Level]] = {}
    for level in levels:
        alike = before.setdefault(level.label, [])
        if any(not (level.only and other.only) for other in alike):
            raise ConfigError(
                f"The factor '{name}' has two levels called '{level.label}'; give them labels that differ."
            )
        alike.append(level)
    return levels


def _level(name: str, value: Any) -> Level:
    table = dict(value) if isinstance(value, dict) else {"value": value}
    label, only = table.pop("label", None), table.pop("only", {})
    allowed = {
        key: tuple(map(_label, labels if isinstance(labels, list) else [labels])) for key, labels in only.items()
    }
    if name.partition(".")[0] in _FIELDS:
        content = table["value"] if set(table) == {"value"} else table
        return Level(str(label or _label(content)), {name: content}, allowed)
    if "value" in table:
        raise unknown_choice("key", name, _FIELDS | {AS_PUBLISHED}, last=name.partition(".")[0])
    settings = flattened(table)
    for key in settings:
        if key.partition(".")[0] not in _FIELDS:
            raise unknown_choice("key", f"{name}: {key}", _FIELDS, last=key.partition(".")[0])
    if label is None:
        raise ConfigError(f"Each level of '{name}' needs a label; got {value!r}.")
    return Level(str(label), settings, allowed)


def _label(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case list():
            return " ".join(map(_label, value)) or "none"
        case {"kind": str(kind)}:
            return kind
        case dict():
            return ", ".join(f"{key} {_label(inner)}" for key, inner in value.items())
        case _:
            return str(value)


def _must_know(what: str, name: str, labels: tuple[str, ...], known: Mapping[str, tuple[str, ...]]) -> None:
    if name not in known:
        raise ConfigError(f"{what} is about a factor that is not in the grid. {unknown_choice('factor', name, known)}")
    for label in labels:
        if label not in known[name]:
            raise ConfigError(
                f"{what} is about a level that is not there. {unknown_choice(f'level of {name}', label, known[name])}"
            )

"""From what a person asked for (a set, a preset, a file, a few settings) to one resolved `Experiment`."""

import functools
import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple

from spikewise.errors import ConfigError, unknown_choice
from spikewise.experiments.experiment import Experiment, first_seeds, parse_experiment
from spikewise.experiments.older import as_recorded, is_recorded
from spikewise.experiments.settings import Change, agreed, changed, copied, laid_over, parse_change, read_table

__all__ = ["QUICK", "KnownSettings", "load_preset", "preset_names", "resolve"]

_FOLDER = "presets"
_RATE = "train.learning_rate"
QUICK: Final = (
    Change("quick", True),
    Change("seeds", [0]),
    Change("train.epochs", "auto"),
    Change("train.batch_size", 32),  # few epochs then have about as many updates as all of a whole run
    Change("sections", []),
    Change("tuned", []),
)
"""What a first look changes in a preset or a file; explicit settings are laid over it."""
_UNLIKE: Final = object()


def resolve(  # noqa: PLR0913  # one argument per thing a person may ask for
    data: str | None = None,
    *,
    preset: str | None = None,
    config: Path | None = None,
    overrides: Iterable[str | Change] = (),
    seeds: int | None = None,
    epochs: int | None = None,
    device: str | None = None,
    as_published: bool = False,
    layers: Iterable[Iterable[Change]] = (),
    quick: bool = False,
    known: "KnownSettings | None" = None,
) -> Experiment:
    """The experiment that was asked for: a preset or a file or the default, with what was set laid over it.

    Args:
        data: a set's name or path; a preset's name, where nothing else is called so, is taken for the preset.
        overrides: settings, as text (`key=value`) or changes; what they and the arguments here say must agree.
        as_published: with the defects of the published code, where the preset's `[as_published]` table knows some.
        layers: changes that are laid over the preset or file, one after the other, beneath the overrides.
        quick: a first look: one seed, few epochs, no sections; what is asked for otherwise stays.
        known: settings of experiments that were resolved before, where there are many.
    Raises:
        ConfigError: nothing names the images, both a preset and a file are given, two ways to say one thing disagree,
            or a setting is wrong.
    """
    if data is not None and preset is None and config is None and data in preset_names() and not _exists(data):
        data, preset = None, data
    if preset is not None and config is not None:
        raise ConfigError(f"Both a preset ('{preset}') and a config file ({config}) were given; choose one.")
    table: dict[str, Any] = {}
    if preset is not None:
        table = load_preset(preset)
    elif config is not None:
        table = read_table(config)
        table = as_recorded(table) if is_recorded(table) else table
    defects = table.pop("as_published", {})
    if table.get("tuned"):  # published systems were not: as they were published, none of their sides is
        defects = {**defects, "tuned": []}
    table.pop("same_as", None)
    if as_published and not defects:
        raise ConfigError(f"'{preset or config}' knows no difference between the published and the intended behaviour.")
    options = _options(data=data, epochs=epochs, device=device, seeds=seeds)
    asked = agreed([*options, *map(_counted, map(_change, overrides))])
    quick = quick or any(change.key == "quick" and change.value is True for change in asked)
    lower = [list(layer) for layer in (*layers, *([QUICK] if quick else []))]
    named = [change for layer in (*lower, asked) for change in layer if change.key == "data.source"]
    table = changed(table, [*named[-1:], *(option for option in options if option.key != "data.source")])
    if table.get("data") in (None, {}) or (isinstance(table["data"], dict) and "source" not in table["data"]):
        raise ConfigError("No images were named. Give a set's name or a path, such as `spikewise compare digits`.")
    # Overrides are laid over the complete table, so that model.hidden=[64] needs no model.kind beside it.
    start = _complete(json.dumps(table))
    complete = laid_over(start.table, defects if as_published else {})
    for layer in filter(None, (*lower, asked)):
        complete = changed(_tuning_as_asked(complete, layer), layer)
    return parse_experiment(complete) if known is None else known.checked(complete, start)


class _Complete(NamedTuple):
    """An experiment, and all of its settings as a table."""

    experiment: Experiment
    table: dict[str, Any]


@functools.lru_cache(maxsize=8)
def _complete(table: str) -> _Complete:
    """A table of some settings with all others beside them; thousands of cells of a sweep have one."""
    experiment = parse_experiment(json.loads(table))
    return _Complete(experiment, experiment.model_dump(mode="json"))


class KnownSettings:
    """Settings that have been checked: of thousands of cells each has few, if any, that no other has.

    Every setting of an experiment is checked by itself, so one that was right in one experiment is so in another.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], object] = {}
        self._first: _Complete | None = None
        """Of those that are read; its table has no value that another could share."""

    def checked(self, table: dict[str, Any], start: _Complete) -> Experiment:
        """The experiment that a complete table describes.

        Args:
            start: what the table was made of; where both hold the same object, nothing was changed.
        Raises:
            ConfigError: a setting is wrong.
        """
        texts = {key: json.dumps(value) for key, value in table.items() if value is not start.table.get(key)}
        if any(pair not in self._known for pair in texts.items()):
            made = parse_experiment(table)
            for pair in texts.items():
                self._known.setdefault(pair, getattr(made, pair[0]))
        return start.experiment.model_copy(update={key: self._known[key, text] for key, text in texts.items()})

    def read(self, table: dict[str, Any]) -> Experiment:
        """The experiment that a table describes which was written down, one of many that have the same keys.

        Raises:
            ConfigError: a setting is wrong.
        """
        if self._first is None:
            self._first = _Complete(parse_experiment(table), dict.fromkeys(table, _UNLIKE))
        if table.keys() != self._first.table.keys():
            return parse_experiment(table)
        return self.checked(table, self._first)


def _tuning_as_asked(table: dict[str, Any], layer: Iterable[Change]) -> dict[str, Any]:
    """A learning rate that is asked for is that of all candidates, also where a preset has some of them tuned."""
    rates = [change.value for change in layer if change.key == _RATE]
    return {**table, "tuned": "auto"} if rates else table


@functools.cache
def preset_names() -> tuple[str, ...]:
    """Names of the presets that come with the package."""
    folder = resources.files("spikewise.experiments") / _FOLDER
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def load_preset(name: str) -> dict[str, Any]:
    """The table of a preset: an experiment, and beside it `as_published` and `same_as` where there are such.

    Raises:
        ConfigError: there is no such preset; the message names the nearest.
    """
    if name not in preset_names():
        raise unknown_choice("preset", name, preset_names())
    table: dict[str, Any] = copied(_preset(name))
    return table


@functools.cache
def _preset(name: str) -> dict[str, Any]:
    with resources.as_file(resources.files("spikewise.experiments") / _FOLDER / f"{name}.toml") as path:
        return read_table(path)


def _options(*, data: str | None, epochs: int | None, device: str | None, seeds: int | None) -> list[Change]:
    """The arguments that have a name of their own, as changes."""
    asked = {"data.source": data, "train.epochs": epochs, "device": device, "seeds": seeds}
    said = {"data.source": f"the images {data}", "train.epochs": f"epochs {epochs}", "device": f"device {device}"}
    found = [Change(key, value, said.get(key, f"seeds {seeds}")) for key, value in asked.items() if value is not None]
    return list(map(_counted, found))


def _change(override: str | Change) -> Change:
    return override if isinstance(override, Change) else parse_change(override)


def _counted(change: Change) -> Change:
    """A number of seeds as the seeds it means, so that both can be compared."""
    is_count = change.key == "seeds" and isinstance(change.value, int) and not isinstance(change.value, bool)
    return change._replace(value=first_seeds(change.value)) if is_count else change


def _exists(data: str) -> bool:
    try:
        return Path(data).exists()
    except (OSError, ValueError):  # a name that no file can have
        return False

"""From what a person asked for (a set, a preset, a file, a few settings) to one resolved `Experiment`."""

from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from spikewise.errors import ConfigError, unknown_choice
from spikewise.experiments.experiment import Experiment, load_experiment, parse_experiment, with_overrides

__all__ = ["load_preset", "preset_names", "resolve"]

_FOLDER = "presets"
_MOST_SEEDS = 1000


def resolve(  # noqa: PLR0913  # one argument per thing a person may ask for
    data: str | None = None,
    *,
    preset: str | None = None,
    config: Path | None = None,
    overrides: Iterable[str] = (),
    seeds: int | None = None,
    epochs: int | None = None,
    device: str | None = None,
    as_published: bool = False,
) -> Experiment:
    """The experiment that was asked for: a preset or a file or the default, with what was set laid over it.

    Args:
        data: a set's name or path; a preset's name, where nothing else is called so, is taken for the preset.
        as_published: with the defects of the published code, where the preset's `[as_published]` table knows some.
    Raises:
        ConfigError: nothing names the images, both a preset and a file are given, or a setting is wrong.
    """
    if data is not None and preset is None and config is None and data in preset_names() and not Path(data).exists():
        data, preset = None, data
    if preset is not None and config is not None:
        raise ConfigError(f"Both a preset ('{preset}') and a config file ({config}) were given; choose one.")
    table: dict[str, Any] = {}
    if preset is not None:
        table = load_preset(preset)
    elif config is not None:
        table = load_experiment(config)
    defects = table.pop("as_published", {})
    table.pop("same_as", None)
    if as_published and not defects:
        raise ConfigError(f"'{preset or config}' knows no difference between the published and the intended behaviour.")
    asked: dict[str, Any] = {"data.source": data, "train.epochs": epochs, "device": device, "seeds": seeds}
    for key, value in asked.items():
        if value is not None:
            _set(table, key, value)
    if table.get("data") in (None, {}) or (isinstance(table["data"], dict) and "source" not in table["data"]):
        raise ConfigError("No images were named. Give a set's name or a path, such as `spikewise compare digits`.")
    # Overrides are laid over the complete table, so that model.hidden=[64] needs no model.kind beside it.
    complete = _laid_over(_parse(table).model_dump(mode="json"), defects if as_published else {})
    return _parse(with_overrides(complete, overrides))


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
    with resources.as_file(resources.files("spikewise.experiments") / _FOLDER / f"{name}.toml") as path:
        return load_experiment(path)


def _parse(table: dict[str, Any]) -> Experiment:
    if isinstance(table.get("seeds"), int):
        table = {**table, "seeds": _first_seeds(table["seeds"])}
    return parse_experiment(table)


def _laid_over(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`table` with a nested table of changes laid over it; a table with a kind replaces the old one whole."""
    out = dict(table)
    for key, value in changes.items():
        old = out.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and value.get("kind", old.get("kind")) == old.get("kind"):
            out[key] = _laid_over(old, value)
        else:
            out[key] = value
    return out


def _set(table: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    at = table
    for part in path:
        at = at.setdefault(part, {})
        if not isinstance(at, dict):
            raise ConfigError(f"'{part}' is a table, such as {part} = {{ {last} = ... }}; got {at!r}.")
    at[last] = value


def _first_seeds(count: int) -> list[int]:
    if count < 1:
        raise ConfigError(f"The number of seeds is at least 1; got {count}.")
    if count > _MOST_SEEDS:
        raise ConfigError(f"The number of seeds is at most {_MOST_SEEDS:,}; got {count}. seeds = [7] asks for seed 7.")
    return list(range(count))

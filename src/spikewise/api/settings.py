"""Settings given as Python values, turned into the `key=value` overrides that a command line gives as text."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from spikewise.config import Config
from spikewise.errors import ConfigError

__all__ = ["overrides"]


def overrides(settings: Mapping[str, object], prefix: str = "") -> list[str]:
    """Nested or dotted settings as overrides; the kind of a table first, since it clears the table.

    Raises:
        ConfigError: a value that a config file cannot hold.
    """
    out: list[str] = []
    for key in sorted(settings, key=lambda key: key.rpartition(".")[2] != "kind"):
        value = settings[key]
        if isinstance(value, Config):
            value = value.model_dump(mode="json", exclude_none=True)
        if isinstance(value, Mapping):
            out += overrides(value, f"{prefix}{key}.")
        else:
            out.append(f"{prefix}{key}={_toml(f'{prefix}{key}', value)}")
    return out


def _toml(key: str, value: object) -> str:
    """A value as TOML writes it, on one line."""
    match value:
        case bool():
            return str(value).lower()
        case np.generic() | np.ndarray():
            return _toml(key, value.tolist())
        case int() | float():
            return repr(value)
        case str() | Path():
            return json.dumps(str(value))
        case Mapping():
            return (
                "{" + ", ".join(f"{json.dumps(str(name))} = {_toml(key, inner)}" for name, inner in value.items()) + "}"
            )
        case Sequence():
            return f"[{', '.join(_toml(key, inner) for inner in value)}]"
        case None:
            raise ConfigError(f"'{key}' cannot be set to None; leave it out, and its default applies.")
        case _:
            raise ConfigError(
                f"'{key}' cannot be a {type(value).__name__}; give a number, a text, a list or a dictionary."
            )

"""Settings as plain tables: read from files, set by dotted keys, laid over each other, told apart, written as text.

A change is a dotted key and a value, such as ("train.epochs", 5). Whatever a user gives, a file, `--set`, an option or
a Python value, becomes a table or changes, within the bounds of `parsing`.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spikewise.config import Config
from spikewise.errors import ConfigError, quoted
from spikewise.parsing import ParseError, parse_json, parse_toml, plain

__all__ = [
    "Change",
    "agreed",
    "changed",
    "changes_of",
    "copied",
    "differences",
    "dotted",
    "flattened",
    "format_change",
    "laid_over",
    "number_at",
    "parse_change",
    "read_table",
    "value_at",
]

_LONGEST_KEY = 200


class Change(NamedTuple):
    """A setting and its new value."""

    key: str
    value: Any
    said: str = ""
    """How the user said it, such as "--epochs 5"; empty: as key=value."""

    def __str__(self) -> str:
        return self.said or quoted(format_change(self.key, self.value), 200)[1:-1]


def read_table(path: Path) -> dict[str, Any]:
    """The table in a TOML file (or JSON, if its name ends so), not yet checked against what settings there are.

    Raises:
        ConfigError: the file is missing, no file, or not TOML.
    """
    form, parse = ("JSON", parse_json) if path.suffix.lower() == ".json" else ("TOML", parse_toml)
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"The config {path} is no file. Give a file such as experiment.toml.")
        with path.open(encoding="utf-8-sig") as file:
            table = plain(parse(file.read(2**20 + 1)))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ConfigError(f"Cannot read the config {path}: {reason}.") from None
    except ConfigError:
        raise
    except ParseError as error:
        raise ConfigError(f"{path} is not {form} that can be read: {error}.") from None
    except ValueError as error:  # a path with a NUL
        raise ConfigError(f"Cannot read the config {path}: {error}.") from None
    if not isinstance(table, dict):
        raise ConfigError(f"{path} is no table of settings; it holds {quoted(table)}.")
    return table


def parse_change(text: str) -> Change:
    """`key.sub=value` as a command line gives it; the value is TOML, or else plain words.

    Raises:
        ConfigError: not of that form, or beyond the bounds of a value.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"An override is key=value, such as train.epochs=5; got {quoted(text)}.")
    try:
        return Change(_key(key.strip()), plain(_value(value.strip())), f"--set {text}")
    except ParseError as error:
        raise ConfigError(f"{quoted(key.strip())} cannot be set: {error}.") from None


def format_change(key: str, value: object) -> str:
    """`key=value` as `parse_change` reads it, the value in TOML on one line."""
    return f"{key}={_inline(value)}"


def changes_of(settings: Mapping[str, object], prefix: str = "") -> list[Change]:
    """Nested or dotted settings, given as Python values, as changes.

    Raises:
        ConfigError: a value that a config file cannot hold.
    """
    out: list[Change] = []
    for key, value in settings.items():
        whole = _key(f"{prefix}{key}")
        if isinstance(value, Config):
            value = value.model_dump(mode="json", exclude_none=True)  # noqa: PLW2901
        if isinstance(value, Mapping) and value:
            out += changes_of(value, f"{whole}.")
            continue
        try:
            out.append(Change(whole, plain(_plain_value(whole, value, 0))))
        except ParseError as error:
            raise ConfigError(f"'{whole}' cannot be set: {error}.") from None
    return out


def agreed(changes: Iterable[Change]) -> list[Change]:
    """Changes that were asked for side by side, each once.

    Raises:
        ConfigError: two of them say different things of one setting.
    """
    out: dict[str, Change] = {}
    seen: dict[str, tuple[Any, Change]] = {}
    for change in changes:
        for key, value in _leaves(change.key, change.value):
            before = seen.setdefault(key, (value, change))
            if not _same(before[0], value):
                raise ConfigError(
                    f"'{key}' was given twice and differently: {before[1]} and {change}. Give one of the two."
                )
        out.setdefault(f"{change.key}={change.value!r}", change)
    return list(out.values())


def _same(one: Any, other: Any) -> bool:
    """Whether two values say the same; true is not 1, and what is no number equals itself."""
    both_nan = isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
    return both_nan or (one == other and isinstance(one, bool) == isinstance(other, bool))


def changed(table: Mapping[str, Any], changes: Iterable[Change]) -> dict[str, Any]:
    """`table` with changes laid over it; a new kind of a table brings its own keys, and clears the old ones.

    What no change touches is not copied: the same objects stand in both.

    Raises:
        ConfigError: a key below something that is no table.
    """
    out, own = dict(table), set[str]()
    words: set[str] = set()
    # Kinds come first, then tables before what stands inside them: so the order of the changes does not matter.
    for key, value, _ in sorted(changes, key=_order):
        *above, last = key.split(".")
        at, top = out, key.partition(".")[0]
        if top in out and top not in own:
            out[top] = copied(out[top])
        own.add(top)
        for place, part in enumerate(above):
            path = ".".join(above[: place + 1])
            if at.get(part) is None:
                at[part] = {}
            elif path in words:  # `encoder=direct` beside `encoder.steps=4`
                at[part] = {"kind": at[part]}
                words.remove(path)
            at = at[part]
            if not isinstance(at, dict):
                raise ConfigError(f"'{key}' cannot be set: '{part}' is a value, not a table.")
        if last == "kind" and at.get("kind") != value:
            at.clear()
        at[last] = copied(value)
        if isinstance(value, str):
            words.add(key)
    return out


def laid_over(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`table` with a nested table of changes laid over it; a table with a kind replaces the old one whole."""
    out = dict(table)
    for key, value in changes.items():
        old = out.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and value.get("kind", old.get("kind")) == old.get("kind"):
            out[key] = laid_over(old, value)
        else:
            out[key] = value
    return out


def flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested table as dotted keys; a table with a kind is a value, and stays whole."""
    out: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and "kind" not in value:
            out |= flattened(value, f"{prefix}{key}.")
        else:
            out[f"{prefix}{key}"] = value
    return out


def dotted(table: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool | None]:
    """Every single setting by its dotted key, those in tables with a kind too; a list as JSON."""
    out: dict[str, str | int | float | bool | None] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            out |= dotted(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = json.dumps(value) if isinstance(value, list) else value
    return out


def differences(told: Mapping[str, Any], ran: Mapping[str, Any], prefix: str = "") -> list[Change]:
    """The changes that make `ran` of `told`."""
    out: list[Change] = []
    for key, value in ran.items():
        before = told.get(key)
        if isinstance(value, dict) and isinstance(before, dict) and value.get("kind") == before.get("kind"):
            out += differences(before, value, f"{prefix}{key}.")
        elif value != before:
            out.append(Change(f"{prefix}{key}", value))
    return out


def value_at(table: object, key: str) -> Any:
    """What stands at a dotted key; None where nothing does."""
    for part in key.split("."):
        table = table.get(part) if isinstance(table, Mapping) else None
    return table


def number_at(table: object, key: str) -> float | None:
    """The number at a dotted key; None where this experiment has none, such as a model without a width."""
    value = value_at(table, key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def copied(value: Any) -> Any:
    """A copy of a table or list of plain values, several times as fast as one of anything."""
    match value:
        case dict():
            return {key: copied(inner) for key, inner in value.items()}
        case list():
            return [copied(inner) for inner in value]
        case _:
            return value


def _key(text: str) -> str:
    if len(text) > _LONGEST_KEY or not all(part.strip() for part in text.split(".")):
        raise ConfigError(f"A key is names with dots between them, such as train.epochs; got {quoted(text)}.")
    return text


def _value(text: str) -> Any:
    """A value in TOML; plain words where it is none, or where it is a date, which no setting is."""
    try:
        table = parse_toml(f"value = {text}")
    except ParseError as error:
        if (text[:1] in ("[", "{") and "nested" in str(error)) or "digits" in str(error):
            raise
        return text
    value = table.get("value")
    return value if set(table) == {"value"} and isinstance(value, str | int | float | list | dict) else text


def _order(change: Change) -> tuple[bool, int]:
    return not change.key.endswith(".kind"), change.key.count(".")


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The single settings of a change; a word for a table is its kind."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    else:
        yield key.removesuffix(".kind"), value


def _plain_value(key: str, value: object, depth: int) -> Any:
    """A Python value as a config file would hold it."""
    if depth > 64:
        raise ParseError("it is nested too deep, or holds itself")
    match value:
        case bool() | int() | float():
            return value
        case np.generic() | np.ndarray():
            return _plain_value(key, value.tolist(), depth + 1)
        case str() | Path():
            return str(value)
        case Config():
            return value.model_dump(mode="json", exclude_none=True)
        case Mapping():
            return {str(name): _plain_value(key, inner, depth + 1) for name, inner in value.items()}
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            return [_plain_value(key, inner, depth + 1) for inner in value]
        case None:
            raise ConfigError(f"'{key}' cannot be set to None; leave it out, and its default applies.")
        case _:
            raise ConfigError(
                f"'{key}' cannot be a {type(value).__name__}; give a number, a text, a list or a dictionary."
            )


def _inline(value: object) -> str:
    match value:
        case list() | tuple():
            return f"[{', '.join(map(_inline, value))}]"
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {_inline(inner)}" for key, inner in value.items()) + "}"
        case bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return repr(value)

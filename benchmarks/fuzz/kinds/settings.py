"""Settings as TOML and JSON files, as `--set KEY=VALUE`, as options of the command line and as Python values."""

import contextlib
import copy
import functools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tomli_w

from benchmarks.fuzz.mutate import Rng, damaged, hostile, hostile_text
from spikewise.api.runs import asked_experiment as from_python
from spikewise.config.shorthand import kinds_in
from spikewise.data import patterns
from spikewise.data.subjects import pattern_subjects
from spikewise.errors import ConfigError
from spikewise.experiments import Experiment, resolve
from spikewise.experiments.request import load_preset, preset_names
from spikewise.models import build

_FILES = ("img_001_person12_a.png", "a" * 60 + "b.png")
"""Names that a group pattern is tried on."""


class Settings(NamedTuple):
    """What a user gave."""

    name: str
    config: bytes | None = None
    suffix: str = ".toml"
    overrides: tuple[str, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012  # never changed
    values: dict[str, Any] | None = None
    """Of the Python interface."""


def cases(seed: int, count: int) -> Iterator[Settings]:
    # What every child needs, and what else each would work out anew.
    patterns._SECONDS = 1
    for key in ("seeds.x", "model.cell.x", "train.optimizer.x", "x"):
        for table in (Experiment, *kinds_in(Experiment.model_fields["model"].annotation).values()):
            with contextlib.suppress(ConfigError):
                table(**{key.partition(".")[0]: {"x": 0}, "x": 0})
    makers = (_file, _file, _tree, _tree, _override, _override, _override, _options, _python, _pattern)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        yield makers[number % len(makers)](rng)


def run(case: Settings) -> Experiment:
    with tempfile.TemporaryDirectory() as folder:
        config = None
        if case.config is not None:
            config = Path(folder) / f"given{case.suffix}"
            config.write_bytes(case.config)
        if case.values is not None:
            experiment = from_python("digits", None, None, None, None, case.values)
        else:
            source = None if config else "digits"
            experiment = resolve(source, config=config, overrides=case.overrides, **case.options)
    return _used(experiment)


def _used(experiment: Experiment) -> Experiment:
    """What each run does with an experiment before it reads images, and what `config` prints."""
    experiment.identity()
    table = experiment.model_dump(mode="json", exclude_none=True)
    tomli_w.dumps(table).encode()
    json.dumps(experiment.model_dump(mode="json"), allow_nan=False).encode()
    shape = (1, 28, 28)
    build(*experiment.network(shape), experiment.readout, image_shape=shape, classes=10)
    if experiment.data.group_pattern is not None:
        pattern_subjects(_FILES, experiment.data.group_pattern)
    return experiment


def _table(rng: Rng) -> dict[str, Any]:
    """A sound experiment: a preset, or the default."""
    return copy.deepcopy(_sound(str(rng.choice(["", *preset_names()]))))


@functools.cache
def _sound(preset: str) -> dict[str, Any]:
    if not preset:
        return resolve("digits").model_dump(mode="json", exclude_none=True)
    return {key: value for key, value in load_preset(preset).items() if key not in ("as_published", "same_as")}


def _places(table: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of a nested table."""
    found = []
    for key, value in table.items():
        found.append((*prefix, key))
        if isinstance(value, dict):
            found += _places(value, (*prefix, key))
    return found


def _file(rng: Rng) -> Settings:
    """A sound file with damaged text."""
    table = _table(rng)
    suffix = str(rng.choice([".toml", ".toml", ".json"]))
    text = tomli_w.dumps(table) if suffix == ".toml" else json.dumps(table)
    name, content = damaged(text.encode(), rng)
    return Settings(f"{suffix} {name}", config=content, suffix=suffix)


def _tree(rng: Rng) -> Settings:
    """A sound file in which one value, or one key, is hostile."""
    table = _table(rng)
    *path, last = _places(table)[rng.integers(len(_places(table)))]
    at = table
    for part in path:
        at = at[part]
    toml = bool(rng.integers(2))
    name, value = hostile(rng)
    if rng.random() < 0.2:
        last = hostile_text(rng)
    at[last] = value
    text = _toml_of(table) if toml else _json_of(table)
    return Settings(
        f"{'.'.join((*path, last))[:40]} {name}",
        config=text.encode("utf-8", "surrogatepass"),
        suffix=".toml" if toml else ".json",
    )


def _override(rng: Rng) -> Settings:
    table = _sound("")
    out = []
    for _ in range(rng.integers(1, 3)):
        key = ".".join(_places(table)[rng.integers(len(_places(table)))])
        name, value = hostile(rng)
        match rng.integers(6):
            case 0:
                key = hostile_text(rng)
            case 1:
                key = f"{key}.{hostile_text(rng)}"
            case 2:
                out.append(f"{key}={hostile_text(rng)}")
                continue
        out.append(f"{key}={_inline(value)}")
    return Settings(f"--set {out[0][:40]!r} {name}", overrides=tuple(out))


def _options(rng: Rng) -> Settings:
    _, value = hostile(rng)
    options: dict[str, Any] = {}
    for option, makers in _OPTIONS.items():
        if rng.random() < 0.4:
            options[option] = makers[rng.integers(len(makers))](rng)
    return Settings(f"options {sorted(options)}", overrides=(f"train.epochs={_inline(value)}",), options=options)


_OPTIONS: dict[str, tuple[Callable[[Rng], Any], ...]] = {
    "seeds": (lambda rng: int(rng.integers(-2, 5)), lambda _: 10**30),
    "epochs": (lambda rng: int(rng.integers(-2, 5)), lambda _: 10**30),
    "device": (hostile_text, lambda _: "cuda:99"),
    "preset": (hostile_text, lambda _: "mnist-alif"),
    "as_published": (lambda _: True,),
}


def _python(rng: Rng) -> Settings:
    table = _sound("")
    key = _places(table)[rng.integers(len(_places(table)))]
    name, value = hostile(rng, python=True)
    if rng.random() < 0.5:
        return Settings(f"Python {'.'.join(key)} {name}", values={".".join(key): value})
    for part in reversed(key):
        value = {part: value}
    return Settings(f"Python nested {'.'.join(key)} {name}", values=value)


def _pattern(rng: Rng) -> Settings:
    """Regular expressions: nested, long, and such as backtrack for ever."""
    size = int(10 ** rng.uniform(0, 4.2))
    inner = str(rng.choice(["a", "a+", "(?:a+)+", "a|aa", "(?:a|a)*", ".*", "[a-z]*", "a{1,60}", r"\w*"]))
    pattern = str(
        rng.choice(
            [
                f"({inner})+$",
                f"(?:{inner})+(x)",
                "(" * size + "a" + ")" * size,
                "(?:" * size + "(a)" + ")" * size,
                "(a)" * size,
                f"({inner})" + inner * min(size, 60) + "c",
                f"(a){{{size}}}{{{size}}}",
                f"({'x' * size})",
                f"(?P<{'n' * size}>a)",
                f"({hostile_text(rng)})",
                "[" * size,
                "(a" + "|a" * size + ")",
                r"(a)\1" * min(size, 99) + "{9999999}",
                f"(?i)({inner})(?=.*)(?<=a)",
            ]
        )
    )
    return Settings(f"pattern {pattern[:30]!r}", overrides=(f"data.group_pattern={_inline(pattern)}",))


def _inline(value: Any) -> str:
    """TOML on one line, whatever the value: for `--set`."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{json.dumps(str(key))} = {_inline(inner)}" for key, inner in value.items()) + "}"
        case list():
            return _nested(value) or f"[{', '.join(map(_inline, value))}]"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return _number(value)


def _nested(value: list[Any]) -> str | None:
    """Brackets of a list that only holds one list, however deep, without recursion."""
    depth = 0
    inner: Any = value
    while isinstance(inner, list) and len(inner) == 1:
        inner, depth = inner[0], depth + 1
    if depth < 50:
        return None
    return "[" * depth + ("" if inner == [] else _inline(inner)) + "]" * depth


def _number(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 10**4000:  # longer than Python writes
        return "9" * 5000
    return repr(value)


def _toml_of(table: dict[str, Any]) -> str:
    return "\n".join(f"{json.dumps(key)} = {_inline(value)}" for key, value in table.items())


def _json_of(table: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{json.dumps(key)}: {_json_value(value)}" for key, value in table.items()) + "}"


def _json_value(value: Any) -> str:
    match value:
        case dict():
            return _json_of(value)
        case list():
            return _nested(value) or f"[{', '.join(map(_json_value, value))}]"
        case str() | bool() | None:
            return json.dumps(value)
        case float():
            return json.dumps(value)  # also NaN and Infinity, as Python writes them
        case _:
            return _number(value)
